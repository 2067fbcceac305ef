"""Taking orders in, and cancels: checked, written, acknowledged, and only then in the book."""

from __future__ import annotations

import asyncio

from ballast.databases import StoreError
from ballast.relay.accounts import Accounts
from ballast.relay.check import check_account, check_market, check_time
from ballast.relay.health import Health
from ballast.relay.kept import Kept, Status, now_ms
from ballast.relay.matching import Matching
from ballast.relay.orders import OpenOrders
from ballast.relay.permissions import Permissions, Signers
from ballast.relay.refusal import Refusal, database_fails
from ballast.relay.store import RelayStore
from ballast.signing import Domain, SignedOrder, cancel_digest, order_digest


class Intake:
    """Takes or refuses what traders send."""

    def __init__(
        self,
        store: RelayStore,
        domain: Domain,
        most_open: int,
        orders: OpenOrders,
        accounts: Accounts,
        permissions: Permissions,
        signers: Signers,
        matching: Matching,
        health: Health,
    ) -> None:
        """`most_open` orders may be open of one account."""
        self._store, self._domain, self._most_open = store, domain, most_open
        self._orders, self._accounts = orders, accounts
        self._permissions, self._signers = permissions, signers
        self._matching, self._health = matching, health
        self._arriving: dict[bytes, asyncio.Future[Kept]] = {}

    async def place(self, signed: SignedOrder) -> tuple[Kept, bool]:
        """Take an order, or tell what has become of it: whether it is new. Raises `Refusal`."""
        order_hash = order_digest(self._domain, signed.order)
        known = self._orders.get(order_hash)
        if known is not None:
            return known, False
        if order_hash in self._arriving:
            return await asyncio.shield(self._arriving[order_hash]), False
        self._health.check()
        order, terms = signed.order, self._accounts.terms
        check_time(order, terms.now)
        check_market(order, terms)
        at = terms.head.timestamp
        signer = await self._signers.of_order(order_hash, order, signed.signature, at)
        self._permissions.check(order_hash, order, signer)
        await self._accounts.ask(order.account)
        if order_hash in self._arriving or order_hash in self._orders:
            return await self.place(signed)
        others = self._orders.of(order.account)
        check_account(order, self._accounts.standing(order.account), others, self._most_open)
        now = now_ms()
        kept = Kept(order_hash, signed, signer, self._orders.next_sequence(), now, now)
        self._matching.check_crossing(kept)
        # Counted from here on: what comes meanwhile must not need the same margin.
        self._orders.count(kept)
        arriving = asyncio.get_running_loop().create_future()
        self._arriving[order_hash] = arriving
        # A client that hangs up does not take back an order that is being written.
        return await asyncio.shield(asyncio.create_task(self._keep(kept, arriving)))

    async def _keep(self, kept: Kept, arriving: asyncio.Future[Kept]) -> tuple[Kept, bool]:
        try:
            found = await asyncio.wrap_future(self._store.writer.insert(kept))
            arriving.set_result(found)
        except StoreError as error:
            arriving.set_exception(database_fails())
            arriving.exception()  # asked for, so that nobody is told where nobody waits
            raise database_fails() from error
        finally:
            del self._arriving[kept.hash]
            self._orders.uncount(kept)
        if found is not kept:
            return found, False
        if kept.status == Status.FILLED:
            raise Refusal("filled", "the chain has filled all of it", "sign another salt")
        self._orders.track(kept)
        try:
            self._permissions.check(kept.hash, kept.order, kept.signer)
        except Refusal:  # since it was looked at, and before it could be closed
            self._matching.close(kept, Status.CANCELLED, "on chain")
            self._store.writer.update([kept])
            raise
        self._matching.open(kept)
        return kept, True

    async def cancel(self, order_hash: bytes, signature: bytes) -> Kept:
        """Take an order off the book. Raises `Refusal`, `StoreError`."""
        if order_hash in self._arriving:
            await asyncio.shield(self._arriving[order_hash])
        kept = await self._orders.find(order_hash)
        digest = cancel_digest(self._domain, order_hash)
        await self._signers.check_cancel(kept, digest, signature)
        if kept.status != Status.OPEN or order_hash not in self._orders:
            raise Refusal("order_closed", f"the order is {kept.status}", "nothing is left to do")
        self._matching.close(kept, Status.CANCELLED, "by its signer, off chain")
        try:
            await asyncio.wrap_future(self._store.writer.update([kept]))
        except StoreError as error:
            raise database_fails() from error
        return kept
