"""Follows a deployment and finds what is to be told, transaction by transaction, state by state.

The mirror stands at the chain's head after each `catch_up`. What a forced close took from somebody
is seen only from the state right before its transaction, so the watcher goes through the new blocks
with a mirror of its own. Places in the queue and liquidation prices are asked of the chain.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import structlog
from prometheus_client import Gauge

from ballast.alerts.memory import Memory
from ballast.alerts.post import Post
from ballast.alerts.rules import (
    WARNING,
    AccountView,
    Alert,
    LegView,
    Rules,
    Snapshot,
    Step,
)
from ballast.contract import Contract
from ballast.errors import BallastError
from ballast.indexed import Changes
from ballast.indexer import Indexer
from ballast.keeper.blocks import Block, Header, Transaction
from ballast.mirror import Account, Bucket, bucket_key

BLOCKS_KEPT = 128
LONGEST_PAUSE_SECONDS = 60.0
_LOG = structlog.get_logger("watcher")


class Feed(Protocol):
    """What is followed: `ballast.keeper.follower.Follower`."""

    vault: str
    clearinghouse: str
    indexer: Indexer

    @property
    def head(self) -> Header:
        """The block the mirror stands at."""

    def catch_up(self, to: int | None = None) -> list[Block]:
        """New blocks, the earliest first."""

    def rewind(self, number: int) -> None:
        """Go back, so that the next `catch_up` tells what came after a block."""


class Watcher:
    """Watches some accounts, and the markets and groups of a deployment.

    `house_at` gives the clearinghouse as it is after a block.
    """

    def __init__(
        self,
        feed: Feed,
        house_at: Callable[[Header], Contract],
        rules: Rules,
        accounts: Sequence[bytes],
        markets: Mapping[int, str],
        memory: Memory,
        post: Post,
        say: Callable[[Alert], None],
    ) -> None:
        self._feed, self._house_at, self._rules = feed, house_at, rules
        self._accounts, self._markets = list(accounts), dict(markets)
        self._memory, self._post, self._say = memory, post, say
        self._round_at = 0.0
        self._head = Gauge("ballast_watcher_block", "Last block watched", registry=post.metrics)
        self._go_back()

    def _go_back(self) -> None:
        """To the last block of which everything was told."""
        block = self._memory.block
        self._is_going_back = block is not None and block < self._feed.head.number
        if block is not None and self._is_going_back:
            self._feed.rewind(block)
        self._restore()

    def _restore(self) -> None:
        """Put the own mirror where the feed's stands."""
        self._mirror = Indexer(self._feed.vault, self._feed.clearinghouse)
        self._mirror.restore(self._feed.indexer.state())
        self._taken: deque[tuple[int, Changes]] = deque()
        self._floor = self._feed.head.number

    # A round

    def round(self) -> list[Alert]:
        """Take in what is new, and post what is to be told; what was told. Raises `BallastError`
        where the node does not answer: nothing is lost, the next round goes on there."""
        blocks = self._feed.catch_up()
        try:
            happened = self._go_through(blocks)
            now = self._snapshot()
        except BallastError:
            forks = [block.number for block in blocks if block.is_rewind]
            if self._memory.block is not None:
                self._memory.block = min(self._memory.block, *forks, self._feed.head.number)
            self._go_back()
            raise
        if self._memory.block is None:
            happened = []  # the past is not news
        begun, self._memory.conditions = self._rules.changes(self._memory.conditions, now)
        moved, self._memory.bands = self._rules.bands(self._memory.bands, now)
        told = [*happened, *moved, *begun]
        self._post.add(told)
        self._memory.block = now.block
        self._memory.save()
        for alert in told:
            self._say(alert)
        self._post.flush()
        self._head.set(now.block)
        self._round_at = time.time()
        return told

    def _go_through(self, blocks: Sequence[Block]) -> list[Alert]:
        told_to = -1 if self._memory.block is None else self._memory.block
        alerts: list[Alert] = []
        for block in blocks:
            if not block.is_rewind:
                found = self._block(block)
                alerts += found if block.number > told_to else []
                continue
            if block.number < self._floor:
                _LOG.error("reorganised further back than is remembered", to=block.number)
                self._restore()
                return [*alerts, self._void(block, told_to)]
            while self._taken and self._taken[-1][0] > block.number:
                self._mirror.undo(self._taken.pop()[1])
            if not self._is_going_back and block.number < told_to:
                alerts.append(self._void(block, told_to))
                told_to = block.number
            self._is_going_back = False
        return alerts

    def _void(self, fork: Block, told_to: int) -> Alert:
        """The chain has changed its mind: what was told of later blocks may not have happened."""
        text = (
            f"the chain was reorganised: what was told of blocks {fork.number + 1} to {told_to} "
            "is void, unless it is told again"
        )
        key = f"reorganised/{fork.hash}"
        return Alert("reorganised", WARNING, text, key, fork.number, fork.timestamp)

    def _block(self, block: Block) -> list[Alert]:
        self._taken.append((block.number, self._mirror.watch()))
        if len(self._taken) > BLOCKS_KEPT:
            self._floor, _ = self._taken.popleft()
        alerts: list[Alert] = []
        for transaction in block.transactions:
            alerts += self._transaction(block, transaction)
        return alerts

    def _transaction(self, block: Block, transaction: Transaction) -> list[Alert]:
        own = (self._feed.vault, self._feed.clearinghouse)
        events = tuple(event for event in transaction.events if event.address in own)
        before = self._known(block.timestamp)
        buckets = self._buckets(before)
        self._mirror.take(list(events), block.number, block.timestamp)
        after = self._known(block.timestamp)
        return self._rules.happenings(
            Step(
                block.number,
                block.timestamp,
                transaction.hash,
                before,
                buckets,
                after,
                events,
            )
        )

    def _known(self, timestamp: int) -> dict[bytes, Account]:
        funding = self._mirror.funding(timestamp)
        known = set(self._mirror.accounts)
        return {
            account: self._mirror.account(account, funding)
            for account in self._accounts
            if account in known
        }

    def _buckets(self, accounts: Mapping[bytes, Account]) -> dict[int, Bucket]:
        keys = {
            bucket_key(market, leg.bucket_id)
            for account in accounts.values()
            for market, leg in account.legs.items()
        }
        return {key: self._mirror.buckets[key] for key in keys}

    # The state

    def _snapshot(self) -> Snapshot:
        head = self._feed.head
        house = self._house_at(head)
        indexer = self._feed.indexer
        known = set(indexer.accounts)
        watched = [account for account in self._accounts if account in known]
        book = indexer.book(head.timestamp, watched)
        return Snapshot(
            block=head.number,
            timestamp=head.timestamp,
            accounts=tuple(_view(house, a, book.accounts[a]) for a in watched),
            prices={
                market: (house.view.price(market)[0], house.view.price_status(market))
                for market in self._markets
            },
            shortfalls={number: group.shortfall for number, group in book.groups.items()},
            insurance=book.insurance,
        )

    # Running

    def run(self, stop: threading.Event, interval_seconds: float) -> None:
        """Watch until `stop` is set; failures are logged and waited out."""
        _LOG.info("watching", accounts=len(self._accounts), markets=sorted(self._markets.values()))
        pause = interval_seconds
        while not stop.is_set():
            try:
                self.round()
                pause = interval_seconds
            except BallastError as error:
                _LOG.error("round failed", error=str(error), kind=type(error).__name__)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            stop.wait(pause)
        _LOG.info("stopped")

    def health(self) -> tuple[int, dict[str, Any]]:
        """`GET /health`: 200 while rounds succeed, 503 after two minutes without one."""
        is_well = time.time() - self._round_at <= 2 * LONGEST_PAUSE_SECONDS
        return 200 if is_well else 503, {
            "is_well": is_well,
            "block": self._memory.block,
            "waiting": len(self._memory.queue),
        }


def _view(house: Contract, account: bytes, known: Account) -> AccountView:
    equity, (_, maintenance) = house.view.equity(account), house.view.margin(account)
    legs = []
    for market, leg in known.legs.items():
        _, ahead, band = house.view.adl_rank(account, market)
        if leg.size:
            price = house.view.liquidation_price(account, market)
            legs.append(LegView(market, leg.signed_size, price, ahead, band))
    return AccountView(account, known.group, equity, maintenance, known.claim, tuple(legs))
