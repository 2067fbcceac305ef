"""A chain that fails or interferes where a test says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ballast.evm import Revm
from ballast.signing import key_from_label

DEPLOYER = key_from_label("deployer").address


class Interrupted(Exception):
    """The run was cut off here."""


class Flaky(Revm):
    """Counts transactions and calls `before(n)` ahead of the n-th."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.before: Callable[[int], None] = lambda count: None

    def _next(self) -> None:
        self.count += 1
        self.before(self.count)

    def send(self, *args: Any, **options: Any) -> Any:
        self._next()
        return super().send(*args, **options)

    def deploy(self, *args: Any, **options: Any) -> Any:
        self._next()
        return super().deploy(*args, **options)

    def foreign(self) -> None:
        """A transaction of the deployer that the deployment knows nothing of."""
        super().deploy(bytes.fromhex("5f5ff3"), sender=DEPLOYER)
