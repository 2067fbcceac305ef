"""Accounts as the mirror has them, at the terms of the last step, and what they look like as JSON.

The mirror is the feed's. An account that somebody has asked for is kept here, and the feed tells of
it at every block from then on.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Mapping
from typing import Any

from ballast.mirror import Account
from ballast.relay.feed import CHAIN_SECONDS, WATCHED, Feed
from ballast.relay.kept import Kept
from ballast.relay.orders import OpenOrders
from ballast.relay.permissions import Permissions
from ballast.relay.refusal import no_answer
from ballast.relay.stream import Hub, account_channel
from ballast.relay.terms import Standing, Terms

ACCOUNTS = WATCHED // 2
"""Fewer than the feed tells of, so that none grows stale."""


class Accounts:
    """The accounts that were asked for, those of late and those that somebody listens to."""

    terms: Terms
    """The chain as of the last step; there is none before the first."""

    def __init__(self, feed: Feed, hub: Hub, orders: OpenOrders, permissions: Permissions) -> None:
        self._feed, self._hub = feed, hub
        self._orders, self._permissions = orders, permissions
        self._known: OrderedDict[bytes, Account] = OrderedDict()
        self._awaited: Counter[bytes] = Counter()

    def __contains__(self, name: bytes) -> bool:
        return name in self._known

    async def ask(self, name: bytes) -> Account:
        """An account of the mirror; known at once from then on. Raises `Refusal`."""
        found = self._known.get(name)
        if found is None:
            self._awaited[name] += 1
            try:
                asked = asyncio.wrap_future(self._feed.account(name))
                found = await asyncio.wait_for(asked, CHAIN_SECONDS)
            except TimeoutError as error:
                raise no_answer() from error
            finally:
                self._awaited -= Counter((name,))
            self._known.setdefault(name, found)
            self._make_room()
        return self._known.get(name, found)

    def _make_room(self) -> None:
        """Forget the accounts asked for longest ago; those that somebody listens to are asked for
        again, so that the feed goes on telling of them."""
        for _ in range(len(self._known)):
            if len(self._known) <= ACCOUNTS:
                return
            name, account = self._known.popitem(last=False)
            if self._hub.hears(account_channel(name)):
                self._known[name] = account
                self._feed.account(name)

    def take(self, told: Mapping[bytes, Account]) -> None:
        """What the feed tells of accounts; those that nobody has asked for are passed over."""
        for name, account in told.items():
            if name in self._known or name in self._awaited:
                self._known[name] = account

    def standing(self, name: bytes) -> Standing:
        """An account that has been asked for, at the terms of now."""
        return Standing(self._known[name], self.terms)

    def reducible(self, kept: Kept) -> int:
        """How much base (WAD) a reduce-only order's account has against it."""
        account = self._known.get(kept.order.account)
        if account is None:
            # Not looked at since the start: the chain cuts it, or says that nothing is left.
            return kept.order.size
        return Standing(account, self.terms).reducible(kept.order)

    def told(self, name: bytes) -> dict[str, Any]:
        """An account that has been asked for, as `/api/accounts/{account}` answers."""
        floor = self._permissions.salt_floor(name)
        return self.standing(name).told(name, self._orders.of(name), floor)
