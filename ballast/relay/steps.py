"""Takes in what the feed has seen on chain: fills, cancels, branches that are void.

A step is applied as a whole, and written in one transaction.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ballast.relay import facts
from ballast.relay.accounts import Accounts
from ballast.relay.book import Books
from ballast.relay.channels import Channels
from ballast.relay.facts import Fact
from ballast.relay.feed import Step
from ballast.relay.kept import Kept, Status, now_ms
from ballast.relay.matching import Matching
from ballast.relay.orders import OpenOrders
from ballast.relay.permissions import KINDS, Permissions
from ballast.relay.store import RelayStore
from ballast.relay.terms import Terms
from ballast.relay.writer import ChainWrite
from ballast.signing import owner_of

Changed = dict[bytes, Kept]
"""Orders by hash that a step changes."""


class Steps:
    """Applies step after step. `is_live` once the event loop runs: before, nobody listens."""

    def __init__(
        self,
        store: RelayStore,
        orders: OpenOrders,
        books: Books,
        accounts: Accounts,
        permissions: Permissions,
        matching: Matching,
        channels: Channels,
    ) -> None:
        self.is_live = False
        self._store = store
        self._orders, self._books = orders, books
        self._accounts, self._permissions = accounts, permissions
        self._matching, self._channels = matching, channels
        self._terms: Terms | None = None

    def apply(self, step: Step) -> None:
        """Take one look's news in, all of it. Raises `StoreError`."""
        before, self._terms = self._terms, step.terms
        self._accounts.terms = step.terms
        changed: Changed = {}
        if step.rewound is not None:
            self._undo(step, step.rewound, changed)
        self._permissions.learn(step.facts)
        self._accounts.take(step.accounts)
        for fact in step.facts:
            if fact.kind == facts.ORDER:
                self._fill(fact, changed)
        changed |= {kept.hash: kept for kept in self._matching.take(step.round)}
        for fact in step.facts:
            for kept, reason in self._voided(fact, step.terms):
                self._matching.close(kept, Status.CANCELLED, reason)
                changed[kept.hash] = kept
        self._matching.recount(step.busy)
        if step.facts or step.heads or changed or step.rewound is not None:
            self._write(step, changed, before)
        else:
            self._channels.tell_step(step, before)
        if before is not None:
            self._matching.uncross(self._books.markets)

    def _undo(self, step: Step, last: int, changed: Changed) -> None:
        """Blocks after `last` are void: permissions and fills as they were before them. What was
        cancelled stays so: its signer wanted that."""
        known = self._store.all_facts(KINDS)
        self._permissions.restore(fact for fact in known if fact.block <= last)
        for order_hash, filled in step.unfilled.items():
            kept = self._orders.lookup(order_hash)
            if kept is None:
                continue
            kept.filled = filled
            changed[order_hash] = kept
            if order_hash not in self._orders and kept.status in (Status.FILLED, Status.OPEN):
                kept.status, kept.reason = Status.OPEN, ""
                self._orders.track(kept)
                self._books.put(kept)
        self._channels.tell_undone(step.terms.markets, last)

    def _fill(self, fact: Fact, changed: Changed) -> None:
        kept = self._orders.get(fact.other or b"")
        if kept is None:
            return
        kept.filled, kept.updated_ms = int(fact.details["filled"]), now_ms()
        changed[kept.hash] = kept
        self._books.touch(kept)
        if not kept.left:
            self._matching.close(kept, Status.FILLED)
        else:
            self._channels.tell_order(kept)

    def _voided(self, fact: Fact, terms: Terms) -> list[tuple[Kept, str]]:
        """The open orders that a fact ends, with the reason."""
        if fact.kind == facts.CANCEL:
            kept = self._orders.get(fact.other or b"")
            by = fact.details["canceller"]
            if kept is not None and by in (owner_of(kept.order.account), kept.signer):
                return [(kept, "on chain")]
        elif fact.kind == facts.FLOOR and fact.account is not None:
            floor = int(fact.details["salt"])
            own = self._orders.of(fact.account)
            return [(kept, "on chain, by its salt") for kept in own if kept.order.salt < floor]
        elif fact.kind == facts.DELEGATE and fact.account is not None:
            delegate, until = fact.details["delegate"], int(fact.details["expiry"])
            own = self._orders.of(fact.account) if until < terms.head.timestamp else []
            return [(kept, "its delegate was dismissed") for kept in own if kept.signer == delegate]
        return []

    def _write(self, step: Step, changed: Changed, before: Terms | None) -> None:
        """Write a step, and tell of it once it is written: who hears of it and asks then is not
        answered with what was before."""
        written = self._store.writer.write_chain(
            ChainWrite(step.facts, step.heads, step.rewound, list(changed.values()))
        )
        if not self.is_live:
            return

        def tell(done: asyncio.Future[Any]) -> None:
            if not done.cancelled() and done.exception() is None:
                self._channels.tell_step(step, before)

        asyncio.wrap_future(written).add_done_callback(tell)
