"""An order as the relay keeps it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ballast.signing import Order, SignedOrder


class Status(StrEnum):
    """Where an order is."""

    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REMOVED = "removed"


@dataclass(slots=True, eq=False)
class Kept:
    """A signed order and what has become of it. `sequence` is its place in time; `filled` (base,
    WAD) is what the chain says, `in_flight` what is in matches on their way. Times are Unix ms."""

    hash: bytes
    signed: SignedOrder
    signer: str
    sequence: int
    created_ms: int
    updated_ms: int
    status: Status = Status.OPEN
    reason: str = ""
    filled: int = 0
    in_flight: int = 0

    @classmethod
    def unsigned(cls, order: Order) -> Kept:
        """An order as if it were kept, to reckon with."""
        return cls(b"", SignedOrder(order, b""), "", 0, 0, 0)

    @property
    def order(self) -> Order:
        """The order as signed."""
        return self.signed.order

    @property
    def left(self) -> int:
        """Base not filled yet, WAD."""
        return max(0, self.order.size - self.filled)

    @property
    def available(self) -> int:
        """Base that can be matched, WAD."""
        return max(0, self.left - self.in_flight)

    def close(self, status: Status, reason: str = "") -> None:
        """End it."""
        self.status, self.reason, self.updated_ms = status, reason, now_ms()

    def told(self) -> dict[str, Any]:
        """The order as JSON (docs/RELAY.md)."""
        order = self.order
        return {
            "hash": hexed(self.hash),
            "account": hexed(order.account),
            "market": order.market,
            "is_buy": order.is_buy,
            "size": str(order.size),
            "limit_price": str(order.limit_price),
            "reduce_only": order.reduce_only,
            "post_only": order.post_only,
            "expiry": str(order.expiry),
            "salt": str(order.salt),
            "signer": self.signer,
            "status": str(self.status),
            "reason": self.reason,
            "filled": str(self.filled),
            "in_flight": str(self.in_flight),
            "created_ms": self.created_ms,
            "updated_ms": self.updated_ms,
        }


def hexed(data: bytes) -> str:
    """Bytes as `0x` and lower-case digits."""
    return "0x" + data.hex()


def now_ms() -> int:
    """The time, Unix ms."""
    return time.time_ns() // 1_000_000
