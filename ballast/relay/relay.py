"""The relay itself: its parts put together, and its life from start to end.

    traders ──> Intake ──> Matching ──> Feed <──> the chain
                              ^          │
                              └─ Steps <─┘          Matching, Steps ──> Channels ──> listeners

`OpenOrders`, `Books`, `Accounts` and `Permissions` are what they share. All of it is the event
loop's thread's, the feed aside; it can be made anew from the database and the chain, and is, at
every start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from ballast.relay.accounts import Accounts
from ballast.relay.book import Books
from ballast.relay.channels import Channels
from ballast.relay.feed import CHAIN_SECONDS, Feed, Step
from ballast.relay.health import Health
from ballast.relay.intake import Intake
from ballast.relay.limits import Limits
from ballast.relay.matching import Matching
from ballast.relay.orders import OpenOrders
from ballast.relay.permissions import KINDS, Permissions, Signers
from ballast.relay.steps import Steps
from ballast.relay.store import RelayStore
from ballast.relay.stream import Hub
from ballast.relay.terms import Terms
from ballast.relay.wallets import Settlement
from ballast.signing import Domain

BOOK_SECONDS = 0.2
EXPIRY_SECONDS = 1.0


class Relay:
    """One deployment's relay. `load` first, then `serve` within the loop."""

    def __init__(
        self,
        store: RelayStore,
        feed: Feed,
        settlement: Settlement,
        domain: Domain,
        limits: Limits,
        orders: OpenOrders,
    ) -> None:
        """`orders` is filled by `load`."""
        self.store, self.domain, self.limits, self.orders = store, domain, limits, orders
        self.hub = Hub(limits.streams)
        self._feed = feed
        self._permissions = Permissions()
        self._signers = Signers(settlement, self._permissions)
        self._health = Health(store, feed, limits.queued)
        self.accounts = Accounts(feed, self.hub, orders, self._permissions)
        self.books = Books(self.accounts.reducible)
        self.channels = Channels(self.hub, self.accounts, self.books)
        self._matching = Matching(store, feed, orders, self.books, self.accounts, self.channels)
        self.intake = Intake(
            store,
            domain,
            limits.open_orders,
            orders,
            self.accounts,
            self._permissions,
            self._signers,
            self._matching,
            self._health,
        )
        self._steps = Steps(
            store,
            orders,
            self.books,
            self.accounts,
            self._permissions,
            self._matching,
            self.channels,
        )
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def terms(self) -> Terms:
        """The chain as of the last step."""
        return self.accounts.terms

    def load(self) -> None:
        """Everything as it was, and up to the chain's head. Raises `BallastError`."""
        self.orders.load()
        self._permissions.learn(self.store.all_facts(KINDS))
        self._feed.first(self._steps.apply)
        for kept in self.orders.all():
            self.books.put(kept)
        self._matching.uncross(self.books.markets)

    async def serve(self) -> None:
        """Begin to follow and to stream."""
        loop = asyncio.get_running_loop()

        def post(step: Step) -> None:
            applied: Future[None] = Future()
            loop.call_soon_threadsafe(self._apply, step, applied)
            applied.result(CHAIN_SECONDS * 6)

        self._steps.is_live = True
        self._feed.start(post)
        self._tasks = [
            asyncio.create_task(self._repeat(BOOK_SECONDS, self.channels.tell_books)),
            asyncio.create_task(self._repeat(EXPIRY_SECONDS, self._matching.expire)),
        ]

    async def close(self) -> None:
        """End; what is written is written."""
        for task in self._tasks:
            task.cancel()
        await asyncio.get_running_loop().run_in_executor(None, self._feed.stop)
        self._signers.close()

    def health(self) -> dict[str, Any]:
        """As `/health` answers."""
        problem = self._health.problem
        return {
            "ok": problem is None,
            "head": self.terms.head.number,
            "head_timestamp": self.terms.head.timestamp,
            "lag_seconds": round(self._health.lag_seconds, 3),
            "open_orders": len(self.orders),
            "in_flight": self._matching.in_flight,
            "queued": self._feed.queued,
            "streams": len(self.hub),
            "last_error": problem or self._feed.last_error,
        }

    def _apply(self, step: Step, applied: Future[None]) -> None:
        try:
            if self._health.broken is None:
                self._steps.apply(step)
        except Exception as error:
            self._health.give_up(error)
        applied.set_result(None)

    async def _repeat(self, seconds: float, work: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                work()
            except Exception as error:
                self._health.give_up(error)
