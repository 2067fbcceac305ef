"""The relay itself: books, open orders, and what the chain says of them. The event loop's thread.

An order is checked, committed, acknowledged, and only then in the book. What the chain tells
(`Feed`) is applied a whole step at a time and written in one transaction. Everything here can be
made anew from the database and the chain, and is, at every start.
"""

from __future__ import annotations

import asyncio
import heapq
import re
import time
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import structlog

from ballast.databases import StoreError
from ballast.errors import NodeError, SigningError
from ballast.mirror import Account
from ballast.relay import facts
from ballast.relay.book import NOTHING_TO_REDUCE, Book, Match, Uncrossed
from ballast.relay.check import check_account, check_market, check_time
from ballast.relay.feed import WATCHED, Feed, Step
from ballast.relay.history import fill_of, trade_of
from ballast.relay.kept import Kept, Status, hexed, now_ms
from ballast.relay.limits import Limits
from ballast.relay.refusal import Refusal
from ballast.relay.store import ChainWrite, Fact, RelayStore
from ballast.relay.stream import Hub, Listener, message
from ballast.relay.terms import Standing, Terms
from ballast.relay.wallets import Settlement
from ballast.signing import (
    Domain,
    Order,
    SignedOrder,
    cancel_digest,
    order_digest,
    owner_of,
    signer_of,
)

CHAIN_SECONDS = 5.0
WALLETS_AT_ONCE = 8
ACCOUNTS = WATCHED // 2
"""Fewer than the feed tells of, so that none grows stale."""
BOOK_SECONDS = 0.2
SNAPSHOT_LEVELS = 200
_MARKET = re.compile("[1-9][0-9]{0,3}")
_log = structlog.get_logger("relay")


class Relay:
    """One deployment's relay. `load` first, then `serve` within the loop."""

    terms: Terms
    """The chain as of the last step."""

    def __init__(
        self,
        store: RelayStore,
        feed: Feed,
        settlement: Settlement,
        domain: Domain,
        limits: Limits,
        orders: dict[bytes, Kept],
    ) -> None:
        """`orders` is filled with those that are open."""
        self.store, self.feed, self.domain, self.limits = store, feed, domain, limits
        self.orders = orders
        self.hub = Hub(limits.streams)
        self.books: dict[int, Book] = {}
        self.broken: str | None = None
        self._settlement = settlement
        self._by_account: dict[bytes, dict[bytes, Kept]] = defaultdict(dict)
        self._arriving: dict[bytes, asyncio.Future[Kept]] = {}
        self._queued: dict[int, Match] = {}
        self._flying: set[Kept] = set()
        self._accounts: OrderedDict[bytes, Account] = OrderedDict()
        self._awaited: Counter[bytes] = Counter()
        self._delegates: dict[tuple[bytes, str], int] = {}
        self._floors: dict[bytes, int] = {}
        self._cancelled: set[tuple[str, bytes]] = set()
        self._expiries: list[tuple[int, int, Kept]] = []
        self._told_seq: dict[int, int] = {}
        self._sequence = 0
        self._wallets = ThreadPoolExecutor(WALLETS_AT_ONCE, thread_name_prefix="wallet")
        self._asking = 0
        self._tasks: list[asyncio.Task[None]] = []

    # Start and end

    def load(self) -> None:
        """Everything as it was, and up to the chain's head. Raises `BallastError`."""
        self._sequence = self.store.last_sequence()
        for kept in self.store.open_orders():
            self._track(kept)
        self._learn(self.store.all_facts(_PERMISSIONS))
        self.feed.first(self.apply)
        for kept in list(self.orders.values()):
            self._book(kept.order.market).put(kept)
        self._uncross(self.books)

    async def serve(self) -> None:
        """Begin to follow and to stream."""
        loop = asyncio.get_running_loop()

        def post(step: Step) -> None:
            applied: Future[None] = Future()
            loop.call_soon_threadsafe(self._apply_posted, step, applied)
            applied.result(CHAIN_SECONDS * 6)

        self.feed.start(post)
        self._tasks = [
            asyncio.create_task(self._repeat(BOOK_SECONDS, self._tell_books)),
            asyncio.create_task(self._repeat(1.0, self._expire)),
        ]

    async def close(self) -> None:
        """End; what is written is written."""
        for task in self._tasks:
            task.cancel()
        await asyncio.get_running_loop().run_in_executor(None, self.feed.stop)
        self._wallets.shutdown(wait=False, cancel_futures=True)

    def _apply_posted(self, step: Step, applied: Future[None]) -> None:
        try:
            if self.broken is None and self.store.writer.broken is None:
                self.apply(step)
        except Exception as error:
            self._break(error)
        applied.set_result(None)

    def _break(self, error: Exception) -> None:
        """Take nothing more in: what is in memory may not be all there is. A new start reads it."""
        self.broken = f"{type(error).__name__}: {error}"
        _log.error("broken", error=self.broken, exc_info=error)

    async def _repeat(self, seconds: float, work: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                work()
            except Exception as error:
                self._break(error)

    # Taking orders

    async def place(self, signed: SignedOrder) -> tuple[Kept, bool]:
        """Take an order, or tell what has become of it: whether it is new. Raises `Refusal`."""
        order_hash = order_digest(self.domain, signed.order)
        if order_hash in self.orders:
            return self.orders[order_hash], False
        if order_hash in self._arriving:
            return await asyncio.shield(self._arriving[order_hash]), False
        self._require_service()
        order = signed.order
        check_time(order, max(int(time.time()), self.terms.head.timestamp))
        check_market(order, self.terms)
        signer = await self._signer(order_hash, order, signed.signature)
        self._check_permissions(order_hash, order, signer)
        await self.account(order.account)
        if order_hash in self._arriving or order_hash in self.orders:
            return await self.place(signed)
        others = self.open_of(order.account)
        standing = self.standing(order.account)
        check_account(order, standing, others, self.limits.open_orders)
        now = now_ms()
        self._sequence += 1
        kept = Kept(order_hash, signed, signer, self._sequence, now, now)
        self._check_crossing(kept)
        # Counted from here on: what comes meanwhile must not need the same margin.
        self._by_account[order.account][order_hash] = kept
        arriving = asyncio.get_running_loop().create_future()
        self._arriving[order_hash] = arriving
        # A client that hangs up does not take back an order that is being written.
        return await asyncio.shield(asyncio.create_task(self._keep(kept, arriving)))

    async def _keep(self, kept: Kept, arriving: asyncio.Future[Kept]) -> tuple[Kept, bool]:
        try:
            found = await asyncio.wrap_future(self.store.writer.insert(kept))
            arriving.set_result(found)
        except StoreError as error:
            arriving.set_exception(_database_fails())
            arriving.exception()  # asked for, so that nobody is told where nobody waits
            raise _database_fails() from error
        finally:
            del self._arriving[kept.hash]
            self._forget(kept)
        if found is not kept:
            return found, False
        if kept.status == Status.FILLED:
            raise Refusal("filled", "the chain has filled all of it", "sign another salt")
        self._track(kept)
        try:
            self._check_permissions(kept.hash, kept.order, kept.signer)
        except Refusal:  # since it was looked at, and before it could be closed
            self._close(kept, Status.CANCELLED, "on chain")
            self.store.update([kept])
            raise
        self._book(kept.order.market).put(kept)
        self._tell_order(kept)
        self._uncross([kept.order.market])
        return kept, True

    def _require_service(self) -> None:
        problem = self.problem()
        if problem is not None:
            raise Refusal("chain_unavailable", problem, "try again later", retry_after=5)
        if self.feed.queued > self.limits.queued:
            raise Refusal("overloaded", "the queue is full", "try again later", retry_after=2)

    async def _signer(self, order_hash: bytes, order: Order, signature: bytes) -> str:
        """Who signed: the owner, a delegate in force, or the owner's contract wallet."""
        owner = owner_of(order.account)
        signer = _recovered(order_hash, signature)
        if signer == owner:
            return owner
        until = self._delegates.get((order.account, signer), 0)
        if signer and self.terms.head.timestamp <= until:
            return signer
        if await self._wallet_accepts(owner, order_hash, signature):
            return owner
        raise Refusal(
            "bad_signature",
            f"signed by {signer or 'nobody'}, who may not sign for this account",
            "sign it in this domain, with the owner's key or a delegate's",
        )

    async def _wallet_accepts(self, owner: str, digest: bytes, signature: bytes) -> bool:
        if self._asking >= WALLETS_AT_ONCE:
            raise Refusal(
                "overloaded", "too many contract wallets are asked", "try again", retry_after=1
            )
        self._asking += 1
        try:
            asked = asyncio.get_running_loop().run_in_executor(
                self._wallets, self._settlement.wallet_accepts, owner, digest, signature
            )
            return await asyncio.wait_for(asked, CHAIN_SECONDS)
        except (NodeError, TimeoutError) as error:
            raise _no_answer() from error
        finally:
            self._asking -= 1

    def _check_permissions(self, order_hash: bytes, order: Order, signer: str) -> None:
        owner = owner_of(order.account)
        if (owner, order_hash) in self._cancelled or (signer, order_hash) in self._cancelled:
            raise Refusal("cancelled", "cancelled on chain", "sign another salt")
        floor = self.salt_floor(order.account)
        if order.salt < floor:
            text = f"salts below {floor} are cancelled on chain"
            raise Refusal("below_salt_floor", text, f"sign a salt of {floor} or more")

    def _check_crossing(self, kept: Kept) -> None:
        met = self._book(kept.order.market).would_take(kept)
        if met is None:
            return
        if kept.order.post_only:
            price = met.order.limit_price
            text = f"it would take an order at {price}"
            raise Refusal("would_cross", text, "sign a limit off it, or without post_only")
        if met.order.account == kept.order.account:
            raise Refusal("self_match", "it would fill the account's own order", "cancel that one")

    # Cancelling

    async def cancel(self, order_hash: bytes, signature: bytes) -> Kept:
        """Take an order off the book. Raises `Refusal`."""
        if order_hash in self._arriving:
            await asyncio.shield(self._arriving[order_hash])
        kept = self.orders.get(order_hash) or await self.find(order_hash)
        digest = cancel_digest(self.domain, order_hash)
        signer = _recovered(digest, signature)
        owner = owner_of(kept.order.account)
        if signer not in (owner, kept.signer) and not await self._wallet_accepts(
            owner, digest, signature
        ):
            raise Refusal(
                "bad_signature",
                f"signed by {signer or 'nobody'}, who may not cancel this order",
                "sign Cancel with the owner's key, or the one that signed the order",
            )
        if kept.status != Status.OPEN or order_hash not in self.orders:
            raise Refusal("order_closed", f"the order is {kept.status}", "nothing is left to do")
        self._close(kept, Status.CANCELLED, "by its signer, off chain")
        try:
            await asyncio.wrap_future(self.store.update([kept]))
        except StoreError as error:
            raise _database_fails() from error
        return kept

    # Reading

    async def find(self, order_hash: bytes) -> Kept:
        """An order, open or not. Raises `Refusal`."""
        kept = self.orders.get(order_hash)
        if kept is None:
            loop = asyncio.get_running_loop()
            kept = await loop.run_in_executor(None, self.store.order, order_hash)
        if kept is None:
            raise Refusal("unknown_order", "no such order was taken here", "check its hash")
        return kept

    async def account(self, name: bytes) -> Account:
        """An account of the mirror; known at once from then on. Raises `Refusal`."""
        found = self._accounts.get(name)
        if found is None:
            self._awaited[name] += 1
            try:
                asked = asyncio.wrap_future(self.feed.account(name))
                found = await asyncio.wait_for(asked, CHAIN_SECONDS)
            except TimeoutError as error:
                raise _no_answer() from error
            finally:
                self._awaited -= Counter((name,))
            self._accounts.setdefault(name, found)
            self._make_room()
        return self._accounts.get(name, found)

    def _make_room(self) -> None:
        """Forget the accounts asked for longest ago; those that somebody listens to are asked for
        again, so that the feed goes on telling of them."""
        for _ in range(len(self._accounts)):
            if len(self._accounts) <= ACCOUNTS:
                return
            name, account = self._accounts.popitem(last=False)
            if self.hub.hears(_channel(name)):
                self._accounts[name] = account
                self.feed.account(name)

    def standing(self, name: bytes) -> Standing:
        """An account that has been asked for, at the terms of now."""
        return Standing(self._accounts[name], self.terms)

    def told_account(self, name: bytes) -> dict[str, Any]:
        """The same as JSON."""
        own = self._by_account.get(name, {})
        return self.standing(name).told(name, own.values(), self.salt_floor(name))

    def salt_floor(self, account: bytes) -> int:
        """The lowest salt that is good."""
        return self._floors.get(account, 0)

    def open_of(self, account: bytes) -> list[Kept]:
        """An account's open orders, the earliest first."""
        return list(self._by_account.get(account, {}).values())

    def require_market(self, market: int) -> None:
        """Raises `Refusal` where there is no such market."""
        if market not in self.terms.markets:
            raise Refusal("unknown_market", f"no market {market}", "see /api/config")

    def told_book(self, market: int, depth: int) -> dict[str, Any]:
        """Its best levels as JSON. Raises `Refusal`."""
        self.require_market(market)
        book = self._book(market)
        return {
            "market": market,
            "seq": book.seq,
            "bids": [_level(*level) for level in book.levels(True, depth)],
            "asks": [_level(*level) for level in book.levels(False, depth)],
        }

    def problem(self) -> str | None:
        """What is wrong, if anything is."""
        if self.broken or self.store.writer.broken:
            return self.broken or self.store.writer.broken
        lag = time.monotonic() - self.feed.seen_at
        if lag > CHAIN_SECONDS * 4:
            return f"the chain has not been seen for {lag:.0f} s: {self.feed.last_error}"
        return None

    def health(self) -> dict[str, Any]:
        """As `/health` answers."""
        problem = self.problem()
        return {
            "ok": problem is None,
            "head": self.terms.head.number,
            "head_timestamp": self.terms.head.timestamp,
            "lag_seconds": round(time.monotonic() - self.feed.seen_at, 3),
            "open_orders": len(self.orders),
            "in_flight": len(self._flying),
            "queued": self.feed.queued,
            "streams": len(self.hub),
            "last_error": problem or self.feed.last_error,
        }

    # Streams

    async def listen(self, listener: Listener, channel: str) -> None:
        """Subscribe, and send what there is. Raises `Refusal`."""
        kind, _, rest = channel.partition(":")
        if kind == "prices" and not rest:
            self.hub.subscribe(listener, channel)
            listener.send(message(channel, "prices", **self.terms.told_prices()))
        elif kind in ("book", "trades") and _MARKET.fullmatch(rest):
            self.require_market(int(rest))
            if kind == "book":
                self._tell_book(int(rest))
                snapshot = self.told_book(int(rest), SNAPSHOT_LEVELS)
                listener.send(message(channel, "snapshot", **snapshot))
            self.hub.subscribe(listener, channel)
        elif kind == "account" and (name := _account_name(rest)) is not None:
            await self.account(name)
            self.hub.subscribe(listener, channel)
            listener.send(message(channel, "account", account=self.told_account(name)))
        else:
            raise Refusal(
                "bad_field",
                f"channel {channel[:80]!r}",
                "book:MARKET, trades:MARKET, prices, or account:0x and 64 digits",
            )

    def _tell_books(self) -> None:
        for market in self.books:
            self._tell_book(market)

    def _tell_book(self, market: int) -> None:
        book = self._book(market)
        if not book.dirty:
            return
        changed: dict[bool, list[list[Any]]] = {True: [], False: []}
        for is_bid, price in sorted(book.dirty):
            changed[is_bid].append(_level(price, *book.level(is_bid, price)))
        book.dirty.clear()
        self.hub.publish(
            f"book:{market}",
            "update",
            market=market,
            prev=self._told_seq.get(market, 0),
            seq=book.seq,
            bids=changed[True],
            asks=changed[False],
        )
        self._told_seq[market] = book.seq

    def _tell_order(self, kept: Kept) -> None:
        channel = _channel(kept.order.account)
        if self.hub.hears(channel):
            self.hub.publish(channel, "order", order=kept.told())
            self._tell_account(kept.order.account)

    def _tell_account(self, name: bytes) -> None:
        channel = _channel(name)
        if self.hub.hears(channel) and name in self._accounts:
            self.hub.publish(channel, "account", account=self.told_account(name))

    # What the chain says

    def apply(self, step: Step) -> None:
        """Take one look's news in, all of it."""
        before: Terms | None = getattr(self, "terms", None)
        self.terms = step.terms
        changed: dict[bytes, Kept] = {}
        if step.rewound is not None:
            self._undo(step, changed)
        self._learn(step.facts)
        for name, account in step.accounts.items():
            if name in self._accounts or name in self._awaited:
                self._accounts[name] = account
        for fact in step.facts:
            if fact.kind == facts.ORDER:
                self._fill(fact, changed)
        for match in step.round.taken:
            self._queued.pop(id(match), None)
        for match in step.round.halved:
            self._offer(match)
        for kept, reason in step.round.removed:
            if kept.hash in self.orders:
                self._close(kept, Status.REMOVED, reason)
                changed[kept.hash] = kept
        self._close_cancelled(step, changed)
        touched = self._recount(step.busy)
        for kept in touched:
            self._tell_order(kept)
        if step.facts or step.heads or changed or step.rewound is not None:
            self._write(step, changed, before)
        else:
            self._tell_step(step, before)
        if before is not None:
            self._uncross(self.books)

    def _write(self, step: Step, changed: dict[bytes, Kept], before: Terms | None) -> None:
        """Write a step, and tell of it once it is written: who hears of it and asks then is not
        answered with what was before."""
        written = self.store.write_chain(
            ChainWrite(step.facts, step.heads, step.rewound, list(changed.values()))
        )
        if not self._tasks:
            return  # at the start nobody listens

        def tell(done: asyncio.Future[Any]) -> None:
            if not done.cancelled() and done.exception() is None:
                self._tell_step(step, before)

        asyncio.wrap_future(written).add_done_callback(tell)

    def _learn(self, told: Iterable[Fact]) -> None:
        """Delegates, floors and cancellations."""
        for fact in told:
            if fact.kind == facts.DELEGATE and fact.account is not None:
                of = fact.account, str(fact.details["delegate"])
                self._delegates[of] = int(fact.details["expiry"])
            elif fact.kind == facts.FLOOR and fact.account is not None:
                self._floors[fact.account] = int(fact.details["salt"])
            elif fact.kind == facts.CANCEL and fact.other is not None:
                self._cancelled.add((str(fact.details["canceller"]), fact.other))

    def _undo(self, step: Step, changed: dict[bytes, Kept]) -> None:
        """Blocks that are void: permissions and fills as they were before them. What was cancelled
        stays so: its signer wanted that."""
        assert step.rewound is not None
        self._delegates.clear()
        self._floors.clear()
        self._cancelled.clear()
        known = self.store.all_facts(_PERMISSIONS)
        self._learn(fact for fact in known if fact.block <= step.rewound)
        for order_hash, filled in step.unfilled.items():
            kept = self.orders.get(order_hash) or self.store.order(order_hash)
            if kept is None:
                continue
            kept.filled = filled
            changed[order_hash] = kept
            if kept.hash not in self.orders and kept.status in (Status.FILLED, Status.OPEN):
                kept.status, kept.reason = Status.OPEN, ""
                self._track(kept)
                self._book(kept.order.market).put(kept)
        for market in self.terms.markets:
            self.hub.publish(f"trades:{market}", "undone", after_block=step.rewound)

    def _fill(self, fact: Fact, changed: dict[bytes, Kept]) -> None:
        kept = self.orders.get(fact.other or b"")
        if kept is None:
            return
        kept.filled, kept.updated_ms = int(fact.details["filled"]), now_ms()
        changed[kept.hash] = kept
        if kept.order.market in self.books:
            self._book(kept.order.market).touch(kept)
        if not kept.left:
            self._close(kept, Status.FILLED)
        else:
            self._tell_order(kept)

    def _close_cancelled(self, step: Step, changed: dict[bytes, Kept]) -> None:
        for fact in step.facts:
            if fact.kind == facts.CANCEL:
                kept = self.orders.get(fact.other or b"")
                by = fact.details["canceller"]
                if kept is not None and by in (owner_of(kept.order.account), kept.signer):
                    self._close(kept, Status.CANCELLED, "on chain")
                    changed[kept.hash] = kept
            elif fact.kind == facts.FLOOR and fact.account is not None:
                for kept in self.open_of(fact.account):
                    if kept.order.salt < int(fact.details["salt"]):
                        self._close(kept, Status.CANCELLED, "on chain, by its salt")
                        changed[kept.hash] = kept
            elif fact.kind == facts.DELEGATE and fact.account is not None:
                for kept in self.open_of(fact.account):
                    until = int(fact.details["expiry"])
                    is_its = kept.signer == fact.details["delegate"]
                    if is_its and until < self.terms.head.timestamp:
                        self._close(kept, Status.CANCELLED, "its delegate was dismissed")
                        changed[kept.hash] = kept

    def _recount(self, busy: list[Match]) -> set[Kept]:
        """What is in flight, from what is queued and what is on its way; orders that differ."""
        flying: dict[Kept, int] = defaultdict(int)
        for match in (*self._queued.values(), *busy):
            for kept, size in match.parts:
                flying[self.orders.get(kept.hash, kept)] += size
        differ = {k for k in self._flying | set(flying) if k.in_flight != flying.get(k, 0)}
        for kept in differ:
            kept.in_flight = flying.get(kept, 0)
            if kept.hash in self.orders and kept.order.market in self.books:
                self._book(kept.order.market).touch(kept)
        self._flying = set(flying)
        return differ

    def _tell_step(self, step: Step, before: Terms | None) -> None:
        concerned = set(step.accounts)
        told = self.terms.told_prices()
        if before is None or told["prices"] != before.told_prices()["prices"]:
            self.hub.publish("prices", "prices", **told)
            concerned.update(self.hub.accounts)
        trades: dict[int | None, list[dict[str, Any]]] = defaultdict(list)
        for fact in step.facts:
            if fact.kind == facts.FILL:
                trades[fact.market].append(trade_of(fact))
        for market, made in trades.items():
            self.hub.publish(f"trades:{market}", "trades", trades=made)
        for fact in step.facts:
            if fact.kind == facts.FILL:
                self._tell_fill(fact)
            elif fact.kind in (facts.LIQUIDATED, facts.BANKRUPT) and fact.account is not None:
                self._tell_forced(fact)
        for name in concerned:
            self._tell_account(name)

    def _tell_fill(self, fact: Fact) -> None:
        for name in (fact.account, fact.other):
            if name is not None and self.hub.hears(_channel(name)):
                self.hub.publish(_channel(name), "fill", fill=fill_of(fact, name))

    def _tell_forced(self, fact: Fact) -> None:
        assert fact.account is not None
        self.hub.publish(
            _channel(fact.account),
            "forced_close",
            forced_close={"id": fact.id, "kind": fact.kind, "market": fact.market, **fact.details},
        )

    # Books

    def _book(self, market: int) -> Book:
        if market not in self.books:
            self.books[market] = Book(market, self._reducible)
        return self.books[market]

    def _reducible(self, kept: Kept) -> int:
        account = self._accounts.get(kept.order.account)
        if account is None:
            # Not looked at since the start: the chain cuts it, or says that nothing is left.
            return kept.order.size
        return Standing(account, self.terms).reducible(kept.order)

    def _uncross(self, markets: Iterable[int]) -> None:
        for market in list(markets):
            made = self._book(market).uncross()
            self._follow_up(made)

    def _follow_up(self, made: Uncrossed) -> None:
        for match in made.matches:
            self._offer(match)
            for kept, _ in match.parts:
                self._flying.add(kept)
                self._tell_order(kept)
        for kept, reason in made.dropped:
            status = Status.CANCELLED if reason == NOTHING_TO_REDUCE else Status.REMOVED
            self._close(kept, status, reason)
        if made.dropped:
            self.store.update([kept for kept, _ in made.dropped])

    def _offer(self, match: Match) -> None:
        self._queued[id(match)] = match
        self.feed.offer(match)

    def _track(self, kept: Kept) -> None:
        self.orders[kept.hash] = kept
        self._by_account[kept.order.account][kept.hash] = kept
        heapq.heappush(self._expiries, (kept.order.expiry, kept.sequence, kept))

    def _close(self, kept: Kept, status: Status, reason: str = "") -> None:
        kept.close(status, reason)
        self.orders.pop(kept.hash, None)
        self._forget(kept)
        if kept.order.market in self.books:
            self._book(kept.order.market).remove(kept)
        self._tell_order(kept)

    def _forget(self, kept: Kept) -> None:
        own = self._by_account.get(kept.order.account, {})
        own.pop(kept.hash, None)
        if not own:
            self._by_account.pop(kept.order.account, None)

    def _expire(self) -> None:
        now = max(int(time.time()), self.terms.head.timestamp)
        gone = []
        while self._expiries and self._expiries[0][0] < now:
            _, _, kept = heapq.heappop(self._expiries)
            if kept.hash in self.orders:
                self._close(kept, Status.EXPIRED)
                gone.append(kept)
        if gone:
            self.store.update(gone)


_PERMISSIONS = (facts.DELEGATE, facts.FLOOR, facts.CANCEL)


def _recovered(digest: bytes, signature: bytes) -> str:
    """The key's address; "" where it is no key's signature."""
    try:
        return signer_of(digest, signature)
    except SigningError:
        return ""


def _no_answer() -> Refusal:
    return Refusal("chain_unavailable", "the node does not answer", "try again", retry_after=5)


def _database_fails() -> Refusal:
    return Refusal("overloaded", "the database fails", "try again later", retry_after=5)


def _level(price: int, size: int, orders: int) -> list[Any]:
    return [str(price), str(size), orders]


def _channel(account: bytes) -> str:
    return f"account:{hexed(account)}"


def _account_name(text: str) -> bytes | None:
    """An account's bytes from its channel's name."""
    if len(text) != 66 or not text.startswith("0x") or text != text.lower():
        return None
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        return None
