"""Why the relay does not do what was asked: one shape for every error, one table of codes."""

from __future__ import annotations

from typing import Any

from ballast.errors import BallastError

STATUS = {
    "bad_json": 400,
    "no_such_page": 404,
    "unknown_market": 404,
    "unknown_order": 404,
    "method_not_allowed": 405,
    "order_closed": 409,
    "too_large": 413,
    "bad_type": 415,
    "bad_field": 422,
    "expired": 422,
    "expires_too_soon": 422,
    "bad_signature": 422,
    "below_salt_floor": 422,
    "cancelled": 422,
    "filled": 422,
    "price_outside_band": 422,
    "below_minimum": 422,
    "above_cap": 422,
    "insufficient_margin": 422,
    "nothing_to_reduce": 422,
    "would_cross": 422,
    "self_match": 422,
    "other_group": 422,
    "market_paused": 422,
    "no_price": 422,
    "too_many_requests": 429,
    "too_many_orders": 429,
    "too_many_streams": 429,
    "internal": 500,
    "chain_unavailable": 503,
    "overloaded": 503,
}
"""The codes of docs/RELAY.md and their HTTP status."""


class Refusal(BallastError):
    """A request that is refused: `code` of `STATUS`, a message, what to do next, and after how many
    seconds it may be tried again (None: that does not help)."""

    def __init__(self, code: str, message: str, hint: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.code, self.hint, self.retry_after = code, hint, retry_after

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS[self.code]

    @property
    def body(self) -> dict[str, Any]:
        """What is answered."""
        return {"error": {"code": self.code, "message": str(self), "hint": self.hint}}


def no_answer() -> Refusal:
    """The chain's word is needed, and there is none."""
    return Refusal("chain_unavailable", "the node does not answer", "try again", retry_after=5)


def database_fails() -> Refusal:
    """Nothing can be written or read."""
    return Refusal("overloaded", "the database fails", "try again later", retry_after=5)
