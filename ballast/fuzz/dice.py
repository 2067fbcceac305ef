"""Choices out of a string of bytes: hypothesis draws the bytes, and shrinks them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
_SCRAMBLE = 0x9E3779B97F4A7C15


class Dice:
    """Reads choices from bytes; where these end every choice is the first one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return max(0, len(self._data) - self._at)

    def below(self, bound: int) -> int:
        """0 to bound - 1, two bytes; the lower part of the range a little likelier."""
        return self._word() * bound >> 16

    def pick(self, options: Sequence[T]) -> T:
        """One of them."""
        return options[self._byte() * len(options) >> 8]

    def chance(self, percent: int) -> bool:
        """True in so many of a hundred; False where the bytes have ended."""
        return 256 - self._byte() <= percent * 256 // 100

    def between(self, low: float, high: float) -> float:
        """Evenly between two numbers."""
        return low + (high - low) * self._word() / 65_535

    def amount(self, low: int, high: int) -> int:
        """From low to high, evenly on a scale of magnitudes, and with no round figures."""
        word = self._word()
        value = int(low * (high / low) ** (word / 65_536))
        return value + word * _SCRAMBLE % max(1, value >> 12)

    def _byte(self) -> int:
        at = self._at
        self._at = at + 1
        return self._data[at] if at < len(self._data) else 0

    def _word(self) -> int:
        return self._byte() << 8 | self._byte()
