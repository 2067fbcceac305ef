"""Open orders as they meet and as they end: what is queued, in flight, closed.

A match is in flight from when the book makes it until the chain has filled it, or it is known that
it will not be filled. Every order that differs is told of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from ballast.relay.accounts import Accounts
from ballast.relay.book import NOTHING_TO_REDUCE, Books, Match
from ballast.relay.channels import Channels
from ballast.relay.feed import Feed
from ballast.relay.kept import Kept, Status
from ballast.relay.matcher import Round
from ballast.relay.orders import OpenOrders
from ballast.relay.refusal import Refusal
from ballast.relay.store import RelayStore


class Matching:
    """The open orders in their books, and the matches made of them."""

    def __init__(
        self,
        store: RelayStore,
        feed: Feed,
        orders: OpenOrders,
        books: Books,
        accounts: Accounts,
        channels: Channels,
    ) -> None:
        self._store, self._feed = store, feed
        self._orders, self._books = orders, books
        self._accounts, self._channels = accounts, channels
        self._queued: dict[int, Match] = {}
        self._flying: set[Kept] = set()

    @property
    def in_flight(self) -> int:
        """How many orders have a part in a match."""
        return len(self._flying)

    # Orders

    def check_crossing(self, kept: Kept) -> None:
        """Raises `Refusal` where a new order would take what it must not."""
        met = self._books.of(kept.order.market).would_take(kept)
        if met is None:
            return
        if kept.order.post_only:
            price = met.order.limit_price
            text = f"it would take an order at {price}"
            raise Refusal("would_cross", text, "sign a limit off it, or without post_only")
        if met.order.account == kept.order.account:
            raise Refusal("self_match", "it would fill the account's own order", "cancel that one")

    def open(self, kept: Kept) -> None:
        """Put a tracked order into its book, tell of it, and match it."""
        self._books.put(kept)
        self._channels.tell_order(kept)
        self.uncross([kept.order.market])

    def close(self, kept: Kept, status: Status, reason: str = "") -> None:
        """End an order and tell of it; the caller writes it."""
        kept.close(status, reason)
        self._orders.drop(kept)
        self._books.remove(kept)
        self._channels.tell_order(kept)

    def expire(self) -> None:
        """Close and write what has expired."""
        now, gone = self._accounts.terms.now, []
        while (kept := self._orders.pop_expired(now)) is not None:
            self.close(kept, Status.EXPIRED)
            gone.append(kept)
        if gone:
            self._store.writer.update(gone)

    # Matches

    def uncross(self, markets: Iterable[int]) -> None:
        """Match what meets, and close what cannot stay."""
        for market in markets:
            made = self._books.of(market).uncross()
            for match in made.matches:
                self._offer(match)
                for kept, _ in match.parts:
                    self._flying.add(kept)
                    self._channels.tell_order(kept)
            for kept, reason in made.dropped:
                status = Status.CANCELLED if reason == NOTHING_TO_REDUCE else Status.REMOVED
                self.close(kept, status, reason)
            if made.dropped:
                self._store.writer.update([kept for kept, _ in made.dropped])

    def _offer(self, match: Match) -> None:
        self._queued[id(match)] = match
        self._feed.offer(match)

    def take(self, came: Round) -> list[Kept]:
        """What has become of matches; the orders that were removed, which the caller writes."""
        for match in came.taken:
            self._queued.pop(id(match), None)
        for match in came.halved:
            self._offer(match)
        closed = []
        for kept, reason in came.removed:
            if kept.hash in self._orders:
                self.close(kept, Status.REMOVED, reason)
                closed.append(kept)
        return closed

    def recount(self, busy: Iterable[Match]) -> None:
        """What is in flight, from what is queued and what is on its way (`busy`); orders that
        differ are told of."""
        flying: dict[Kept, int] = defaultdict(int)
        for match in (*self._queued.values(), *busy):
            for kept, size in match.parts:
                flying[self._orders.latest(kept)] += size
        differ = {k for k in self._flying | set(flying) if k.in_flight != flying.get(k, 0)}
        for kept in differ:
            kept.in_flight = flying.get(kept, 0)
            if kept.hash in self._orders:
                self._books.touch(kept)
        self._flying = set(flying)
        for kept in differ:
            self._channels.tell_order(kept)
