"""The open orders, and how those that are no longer open are found.

The loop's thread changes them; `lookup` is for any thread.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import defaultdict

from ballast.relay.kept import Kept
from ballast.relay.refusal import Refusal
from ballast.relay.store import RelayStore


class OpenOrders:
    """Open orders by hash, by account and by expiry."""

    def __init__(self, store: RelayStore) -> None:
        """None yet: `load` reads them."""
        self._store = store
        self._by_hash: dict[bytes, Kept] = {}
        self._by_account: dict[bytes, dict[bytes, Kept]] = defaultdict(dict)
        self._expiries: list[tuple[int, bytes]] = []
        self._sequence = 0

    def load(self) -> None:
        """Those of the database. Raises `StoreError`."""
        self._sequence = self._store.last_sequence()
        for kept in self._store.open_orders():
            self.track(kept)

    # Looking

    def __len__(self) -> int:
        return len(self._by_hash)

    def __contains__(self, order_hash: bytes) -> bool:
        return order_hash in self._by_hash

    def all(self) -> list[Kept]:
        """All that are open."""
        return list(self._by_hash.values())

    def get(self, order_hash: bytes) -> Kept | None:
        """An order, if it is open."""
        return self._by_hash.get(order_hash)

    def latest(self, kept: Kept) -> Kept:
        """An order read earlier, or from the database, as it is now if it is open."""
        return self._by_hash.get(kept.hash, kept)

    def of(self, account: bytes) -> list[Kept]:
        """An account's orders, the earliest first, with those that are being written."""
        return list(self._by_account.get(account, {}).values())

    def lookup(self, order_hash: bytes) -> Kept | None:
        """An order, open or not; waits for the database where it is not. Raises `StoreError`."""
        return self._by_hash.get(order_hash) or self._store.order(order_hash)

    async def find(self, order_hash: bytes) -> Kept:
        """An order, open or not. Raises `Refusal`, `StoreError`."""
        kept = self._by_hash.get(order_hash)
        if kept is None:
            loop = asyncio.get_running_loop()
            kept = await loop.run_in_executor(None, self._store.order, order_hash)
        if kept is None:
            raise Refusal("unknown_order", "no such order was taken here", "check its hash")
        return kept

    # Changing

    def next_sequence(self) -> int:
        """A new order's place in time."""
        self._sequence += 1
        return self._sequence

    def count(self, kept: Kept) -> None:
        """Count an order with its account's, though it is not open yet."""
        self._by_account[kept.order.account][kept.hash] = kept

    def uncount(self, kept: Kept) -> None:
        """Count it no longer."""
        own = self._by_account.get(kept.order.account, {})
        own.pop(kept.hash, None)
        if not own:
            self._by_account.pop(kept.order.account, None)

    def track(self, kept: Kept) -> None:
        """Add an open order."""
        self._by_hash[kept.hash] = kept
        self.count(kept)
        heapq.heappush(self._expiries, (kept.order.expiry, kept.hash))

    def drop(self, kept: Kept) -> None:
        """Take an order out; nothing where it is not in."""
        self._by_hash.pop(kept.hash, None)
        self.uncount(kept)

    def pop_expired(self, now: int) -> Kept | None:
        """An open order that expires before `now` (Unix seconds), which the caller closes; None
        where there is no more."""
        while self._expiries and self._expiries[0][0] < now:
            _, order_hash = heapq.heappop(self._expiries)
            if order_hash in self._by_hash:
                return self._by_hash[order_hash]
        return None
