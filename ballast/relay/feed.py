"""The thread that talks to the chain: follows it, sends matches, and tells the relay's loop.

    node ──> Follower ──> facts, terms, accounts ──┐
    node <── Matcher <── matches                   ├──> Step ──> Steps.apply (the loop's thread)
                 └────── what became of them ──────┘

The loop never waits for the node: it is handed whole `Step`s. What it asks for (an account it has
not seen) is answered between two requests.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

import structlog

from ballast import contracts
from ballast.config import MarketParams
from ballast.errors import BallastError, NodeError
from ballast.keeper.blocks import Block, Header
from ballast.keeper.follower import Follower
from ballast.keeper.rpc import Head, Rpc
from ballast.keeper.store import Store
from ballast.mirror import Account
from ballast.relay.book import Match
from ballast.relay.facts import ORDER, PRICE, Fact, facts_of
from ballast.relay.matcher import Matcher, Round
from ballast.relay.store import RelayStore
from ballast.relay.terms import Listed, Standing, Terms

CHAIN_SECONDS = 5.0
"""How long the loop waits for what the chain says."""
STRIDE = 1_000
"""Blocks taken in at once, so that none is left out of what is told."""
WATCHED = 4_096
"""Accounts that are told of at every block; the others are asked for again."""
_BPS_WAD = 10**14
_PARAMETERS = frozenset({"MarketSet", "Paused"})
_log = structlog.get_logger("feed")


@dataclass
class Step:
    """What one look at the chain has brought. `rewound`: what was told of later blocks is void;
    `unfilled` is what their orders are filled to now. `accounts` are those of the watched that
    differ; `busy` is all that is on its way."""

    terms: Terms
    facts: list[Fact] = field(default_factory=list)
    heads: list[tuple[int, str]] = field(default_factory=list)
    rewound: int | None = None
    unfilled: dict[bytes, int] = field(default_factory=dict)
    accounts: dict[bytes, Account] = field(default_factory=dict)
    busy: list[Match] = field(default_factory=list)
    round: Round = field(default_factory=Round)


class Feed:
    """Runs between `start` and `stop`; before, `first` brings everything up to the chain's head."""

    def __init__(
        self,
        follower: Follower,
        chain_store: Store,
        rpc: Rpc,
        matcher: Matcher | None,
        store: RelayStore,
        symbols: dict[int, str],
        poll_seconds: float,
    ) -> None:
        """Without a matcher orders are kept and not matched on chain."""
        self._follower, self._chain_store, self._rpc = follower, chain_store, rpc
        self._matcher, self._store, self._symbols = matcher, store, symbols
        self._poll_seconds = poll_seconds
        self._listed: dict[int, tuple[MarketParams, bool]] = {}
        self._quotes: dict[int, int] = {}
        self._watched: OrderedDict[bytes, Account] = OrderedDict()
        self._asked: SimpleQueue[tuple[bytes, Future[Account]] | None] = SimpleQueue()
        self._seen = ""
        self._terms: Terms | None = None
        self._pause = poll_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chain", daemon=True)
        self._post: Callable[[Step], None] = lambda step: None
        self._untold: list[Block] = []
        self._round = Round()
        self.seen_at = time.monotonic()
        self.last_error: str | None = None

    # From other threads

    def start(self, post: Callable[[Step], None]) -> None:
        """Go on from where `first` ended; `post` is called from the thread, and returns once the
        step is applied."""
        self._post = post
        self._thread.start()

    def stop(self) -> None:
        """End after the step in hand."""
        self._stop.set()
        self._asked.put(None)
        self._thread.join()

    def offer(self, match: Match) -> None:
        """Queue a match to be sent."""
        if self._matcher is not None:
            self._matcher.offer(match)
            self._asked.put(None)

    @property
    def queued(self) -> int:
        """Matches not sent yet."""
        return self._matcher.queued if self._matcher else 0

    def account(self, name: bytes) -> Future[Account]:
        """An account as of the last step; it is watched from then on."""
        answer: Future[Account] = Future()
        self._asked.put((name, answer))
        return answer

    # The thread

    def first(self, post: Callable[[Step], None]) -> None:
        """Everything up to the chain's head, step by step. Raises `BallastError`."""
        self._post = post
        self._go_back_to_what_is_kept()
        while self._step():
            pass

    def _go_back_to_what_is_kept(self) -> None:
        """Let the follower tell again what it has taken in and the relay has not written."""
        for number, block_hash in self._store.last_heads():
            there = self._chain_store.header_at(number)
            if there is not None and (there.number, there.hash) == (number, block_hash):
                if number != self._follower.head.number:
                    self._follower.rewind(number)
                return
        self._follower.rewind(0)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            woken = self._answer(max(0.0, due - time.monotonic()))
            if not woken and time.monotonic() < due:
                continue
            try:
                self._step()
                self.last_error, self.seen_at = None, time.monotonic()
            except Exception as error:
                self.last_error = f"{type(error).__name__}: {error}"
                unknown = not isinstance(error, BallastError)
                _log.error("step failed", error=self.last_error, exc_info=unknown)
                self._stop.wait(self._poll_seconds)
            due = time.monotonic() + self._pause

    def _answer(self, seconds: float) -> bool:
        """Answer what is asked; whether there is something to be sent."""
        try:
            asked = self._asked.get(timeout=seconds) if seconds else self._asked.get_nowait()
            while asked is not None:
                name, answer = asked
                if answer.set_running_or_notify_cancel():
                    answer.set_result(self._account(name))
                asked = self._asked.get_nowait()
        except Empty:
            return False
        return True

    def _account(self, name: bytes) -> Account:
        found = self._now(name)
        self._watched[name] = found
        self._watched.move_to_end(name)
        if len(self._watched) > WATCHED:
            self._watched.popitem(last=False)
        return found

    def _now(self, name: bytes) -> Account:
        indexer = self._follower.indexer
        return indexer.account(name, indexer.funding(self._follower.head.timestamp))

    def _step(self) -> bool:
        """Look once; whether there was something new. What fails half-way is told by the next."""
        self._untold += self._follower.catch_up(self._follower.head.number + STRIDE)
        at, blocks = self._follower.head, self._untold
        is_new = at.hash != self._seen or bool(blocks)
        head = self._head(at)
        if is_new or self._terms is None:
            self._terms = self._read_terms(blocks)
        if self._matcher is not None:
            if is_new:
                self._matcher.check(head, self._standing, self._round)
            is_cut = self._matcher.round(head, self._standing, self._terms, self._round)
            self._pause = 0.0 if is_cut else self._poll_seconds
        if not (is_new or self._round.taken or self._round.removed):
            return False
        step = Step(self._terms, round=self._round)
        if self._matcher is not None:
            step.busy = self._matcher.busy(at.number)
        if is_new:
            self._tell_blocks(blocks, step)
            self._tell_accounts(step)
        self._untold, self._round, self._seen = [], Round(), at.hash
        self._post(step)
        return True

    def _head(self, at: Header) -> Head:
        head = self._rpc.head(at.number)
        if head is None or head.hash != at.hash:
            raise NodeError(f"block {at.number} is no longer there")
        return head

    def _standing(self, name: bytes) -> Standing:
        assert self._terms is not None
        return Standing(self._now(name), self._terms)

    # What is told

    def _tell_blocks(self, blocks: list[Block], step: Step) -> None:
        for block in blocks:
            if block.is_rewind:
                number = block.number
                step.rewound = number if step.rewound is None else min(step.rewound, number)
                step.facts = [fact for fact in step.facts if fact.block <= number]
                step.heads = [head for head in step.heads if head[0] <= number]
            else:
                step.facts += facts_of(block)
            step.heads.append((block.number, block.hash))
        step.heads = list(dict(step.heads).items())
        if blocks and not blocks[-1].is_rewind:
            step.facts += self._price_facts(step.terms)
        if step.rewound is not None:
            self._store.writer.flush()  # what was told is written
            undone = self._store.facts_after([ORDER], step.rewound)
            hashes = {fact.other for fact in undone if fact.other is not None}
            step.unfilled = self._store.filled_at(hashes, step.rewound)

    def _price_facts(self, terms: Terms) -> list[Fact]:
        """A fact for each market whose price has changed; a place before those of logs."""
        at, found = terms.head, []
        for market, quote in terms.quotes.items():
            if quote.price and self._quotes.get(market) != quote.price:
                details = {"price": str(quote.price)}
                found.append(
                    Fact(at.number, -market, at.timestamp, "", PRICE, market, None, None, details)
                )
                self._quotes[market] = quote.price
        return found

    def _tell_accounts(self, step: Step) -> None:
        for name, before in list(self._watched.items()):
            now = self._now(name)
            if now != before:
                self._watched[name] = step.accounts[name] = now

    def _read_terms(self, blocks: list[Block]) -> Terms:
        names = {event.name for b in blocks for t in b.transactions for event in t.events}
        at, indexer = self._follower.head, self._follower.indexer
        if not self._listed or names & _PARAMETERS or any(block.is_rewind for block in blocks):
            self._listed = {
                market: (
                    MarketParams(*self._view("market_params", market)),
                    self._view("is_paused", market),
                )
                for market in indexer.maintenance_bps
            }
        caps, indices = indexer.funding_caps_bps, indexer.funding(at.timestamp)
        records = indexer.book(at.timestamp, []).markets
        markets = {}
        for market, (params, paused) in self._listed.items():
            cap = caps[market] * _BPS_WAD
            markets[market] = Listed(
                market,
                self._symbols.get(market, str(market)),
                params,
                paused,
                min(max(records[market].premium, -cap), cap),
                indices[market],
                records[market].open_interest,
            )
        return Terms(at, markets, self._follower.quotes())

    def _view(self, name: str, *args: Any) -> Any:
        function = contracts.interface(contracts.CLEARINGHOUSE).function(name, len(args))
        data = "0x" + function.encode(args).hex()
        return function.decode(self._rpc.call({"to": self._follower.clearinghouse, "data": data}))
