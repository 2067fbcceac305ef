"""Whether the relay can take orders: it follows the chain, and what it knows is written."""

from __future__ import annotations

import time

import structlog

from ballast.relay.feed import CHAIN_SECONDS, Feed
from ballast.relay.refusal import Refusal
from ballast.relay.store import RelayStore

_log = structlog.get_logger("relay")


class Health:
    """What is wrong with the relay, its feed and its database."""

    def __init__(self, store: RelayStore, feed: Feed, most_queued: int) -> None:
        """`most_queued` matches may wait to be sent."""
        self._store, self._feed, self._most_queued = store, feed, most_queued
        self._broken: str | None = None

    def give_up(self, error: Exception) -> None:
        """Take nothing more in: what is in memory may not be all there is. A new start reads it."""
        self._broken = f"{type(error).__name__}: {error}"
        _log.error("broken", error=self._broken, exc_info=error)

    @property
    def broken(self) -> str | None:
        """What only a new start can mend."""
        return self._broken or self._store.writer.broken

    @property
    def lag_seconds(self) -> float:
        """How long ago the chain was seen."""
        return time.monotonic() - self._feed.seen_at

    @property
    def problem(self) -> str | None:
        """What is wrong, if anything is."""
        if self.broken:
            return self.broken
        lag = self.lag_seconds
        if lag > CHAIN_SECONDS * 4:
            return f"the chain has not been seen for {lag:.0f} s: {self._feed.last_error}"
        return None

    def check(self) -> None:
        """Raises `Refusal` where no order can be taken."""
        problem = self.problem
        if problem is not None:
            raise Refusal("chain_unavailable", problem, "try again later", retry_after=5)
        if self._feed.queued > self._most_queued:
            raise Refusal("overloaded", "the queue is full", "try again later", retry_after=2)
