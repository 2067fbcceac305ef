"""Follows the chain: its blocks in, the mirror out.

    node ──> Source ──> Follower ──> Indexer (exact integers) ──> Columns (arrays)
                           │
                         Store: blocks, logs, checkpoints

`catch_up` takes in what is new. Blocks are read whole, applied to the mirror, then stored; where
any of that fails, the mirror is what it was before them. The chain has changed its mind where the
block the mirror stands at is no longer on it: the mirror goes back to the last block that both have
and takes in the new branch. The last `DEPTH` blocks are taken back from memory; before them the
mirror is rebuilt from a checkpoint and the logs stored since.

A node that is behind the mirror on the same chain tells nothing new; it is no reorganisation.
"""

from __future__ import annotations

import hashlib
import random
from collections import deque
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ballast import contracts, indexed, indexer, mirror
from ballast.abi import Event, Function, checksum
from ballast.columns import Columns
from ballast.contract import Contract, Interface
from ballast.databases import StoreError
from ballast.errors import BallastError, ConfigError, NodeError
from ballast.indexed import Changes, IndexerError
from ballast.indexer import Indexer
from ballast.keeper.blocks import Block, Entry, Header, Transaction
from ballast.keeper.source import Moved, RawBlock, RawTransaction, Source
from ballast.keeper.store import KEPT_EMPTY_BLOCKS, Store
from ballast.keeper.view import BlockView
from ballast.mirror import Book, Reader
from ballast.node import Node
from ballast.record import Record

DEPTH = 128
"""Blocks that are taken back from memory."""
CHECKPOINT_LOGS = 10_000
"""Logs (or accounts, where these are more) from one checkpoint to the next, at least."""
MOST_MOVES = 8
"""How often the chain may be reorganised under one `catch_up`."""
MOST_TOLD = 4_096
"""Blocks that one `catch_up` returns at most."""
_FORKS_ASKED = 16

STALE = 1
_STATUS_LIMIT = 8
_PRICE_LIMIT = 2**96
_OBSERVATION_BYTES = 96


class FollowError(BallastError):
    """The chain cannot be followed."""


class AuditError(BallastError):
    """The mirror differs from the chain."""


class Quote(NamedTuple):
    """A market's price (WAD, 0: never had one) and its status bits: 1 stale, 2 a step waits for a
    second report, 4 grace."""

    price: int
    status: int


class Follower:
    """One deployment's mirror, or one clearing group's, as it is after the block `head`.

    `indexer` and `columns` stand at `head` after every `catch_up`. Take them from here each time: a
    deep rewind puts others in their place.
    """

    indexer: Indexer
    columns: Columns
    _head: Header
    _base: Header

    def __init__(
        self,
        node: Node,
        store: Store,
        record: Record,
        group: int | None = None,
        also: Sequence[str] = (),
    ) -> None:
        """`also`: further contracts of the record whose events are told as well.

        Raises `ConfigError` where the node is on another chain, `StoreError` where the store is
        another deployment's or shard's, `NodeError`, `FollowError`."""
        self.record = record
        self.group = group
        self.vault = checksum(record.contracts[contracts.VAULT])
        self.clearinghouse = checksum(record.contracts[contracts.CLEARINGHOUSE])
        self._node = node
        self._source = Source(node)
        self._store = store
        self._interfaces = _interfaces(record, also)
        self._wanted = [self.vault, self.clearinghouse]
        self._wanted += [checksum(record.contracts[name]) for name in also]
        self._digest = code_digest()
        self._quotes: tuple[str, dict[int, Quote]] = "", {}
        self._untold: list[Block] = []
        self._recent: deque[tuple[Header, Changes]] = deque()
        self._in_step = True
        chain_id = int(self._source.ask("eth_chainId"), 16)
        if chain_id != record.chain_id:
            raise ConfigError(f"deployed on chain {record.chain_id}, the node is on {chain_id}")
        self._anchor = self._deployment_block()
        shard = "all groups" if group is None else f"group {group}"
        whose = f"clearinghouse {self.clearinghouse} on chain {chain_id}, {shard}"
        store.claim(f"{whose}, after block {self._anchor.hash}")
        if store.head() is None:
            store.append(None, [Block(self._anchor)])
        self._load()

    @property
    def head(self) -> Header:
        """The block the mirror stands at."""
        return self._head

    # Following

    def catch_up(self, to: int | None = None) -> list[Block]:
        """Take in what the chain has, up to block `to` (default: its latest).

        Returns the blocks taken in, the earliest first: all of the last `DEPTH`, and of earlier
        ones those with logs of the vault, the clearinghouse or what else was asked for. A block
        with `is_rewind` comes before those of a new branch, and in the place of those beyond
        `MOST_TOLD`. Raises
        `NodeError` where the node does not answer or its chain does not hold still, `IndexerError`
        where its logs are not whole, `FollowError`, `StoreError`: the mirror is then as it is after
        `head`, and what was taken in is returned by the next call.
        """
        try:
            self._advance_while_it_moves(to)
        finally:
            self.columns.update(self._head.timestamp)
        told, self._untold = self._untold, []
        return told

    def rewind(self, number: int) -> None:
        """Go back to the last block stored not after `number`, and forget all that was stored of
        later ones: the next `catch_up` reads them again."""
        kept = self._store.header_at(max(number, self._anchor.number))
        self._go_back(kept or self._anchor)
        self.columns.update(self._head.timestamp)

    def _advance_while_it_moves(self, to: int | None) -> None:
        moved: Moved | None = None
        for _ in range(MOST_MOVES):
            try:
                return self._advance(to)
            except Moved as error:
                moved = error
        raise NodeError(f"the node's chain does not hold still: {moved}")

    def _advance(self, to: int | None) -> None:
        last = self._source.latest()
        if to is not None and to < last.number:
            (header,) = self._source.headers([to])
            if header is None:
                raise Moved(f"the node has no block {to}")
            last = header
        if not self._in_step:
            self._go_back(self._store.head() or self._anchor)
        fork = self._fork(last)
        if fork is None:
            return
        if fork != self._head:
            self._go_back(fork)
        while self._head.number < last.number:
            if last.number - self._head.number > DEPTH:
                found = self._source.history(self._wanted, self._head, last.number - DEPTH)
                self._take(found)
            else:
                self._take(self._source.recent(list(self._interfaces), self._head, last))

    def _fork(self, last: Header) -> Header | None:
        """The last block that the mirror and the node's chain up to `last` have in common; None
        where that is behind the mirror."""
        if self._head.hash in (last.hash, last.parent):
            return self._head
        known = self._store.headers(KEPT_EMPTY_BLOCKS)
        if known[0] != self._head:
            raise StoreError("another keeper writes to this database: give each its own")
        if last.hash in {header.hash for header in known}:
            return None
        for start in range(0, len(known), _FORKS_ASKED):
            some = known[start : start + _FORKS_ASKED]
            there = self._source.headers([header.number for header in some])
            for header, other in zip(some, there, strict=True):
                if other is not None and other.hash == header.hash:
                    return header
        if self._deployment_block() != self._anchor:
            raise FollowError("the node's chain is another one from the deployment's block on")
        return self._anchor

    def _take(self, found: list[RawBlock]) -> None:
        """Take in blocks that follow `head`: all of them or, where anything fails, none."""
        blocks = [self._decoded(*raw) for raw in found]
        noted: list[tuple[Header, Changes]] = []
        try:
            for block in blocks:
                noted.append((block.header, self.indexer.watch()))
                self._apply(block)
            self._store.append(self._head, blocks)
        except BaseException:
            for _, changes in reversed(noted):
                self.indexer.undo(changes)
            raise
        self._head = blocks[-1].header
        self._recent += noted
        self._trim()
        self._tell(blocks)
        self._new_logs += sum(len(t.entries) for b in blocks for t in b.transactions)
        self._save()

    def _tell(self, blocks: list[Block]) -> None:
        self._untold += blocks
        if len(self._untold) > MOST_TOLD:
            *_, before = self._untold[:-MOST_TOLD]
            self._untold = [Block(before.header, is_rewind=True), *self._untold[-MOST_TOLD:]]

    def _apply(self, block: Block) -> None:
        own = (self.vault, self.clearinghouse)
        for transaction in block.transactions:
            events = [event for event in transaction.events if event.address in own]
            self.indexer.take(events, block.number, block.timestamp)

    def _decoded(self, header: Header, found: list[RawTransaction]) -> Block:
        return Block(header, tuple(self._transaction(*raw) for raw in found))

    def _transaction(self, name: str, place: int, entries: tuple[Entry, ...]) -> Transaction:
        events: list[Event] = []
        for entry in entries:
            events += self._interfaces[entry.log.address].decode_logs([entry.log])
        own = (self.vault, self.clearinghouse)
        kept = tuple(entry for entry in entries if entry.log.address in own)
        return Transaction(name, place, kept, tuple(events))

    def _trim(self) -> None:
        while self._recent and self._recent[0][0].number <= self._head.number - DEPTH:
            self._base, _ = self._recent.popleft()

    def _deployment_block(self) -> Header:
        number = self.record.block
        (found,) = self._source.headers([number])
        if found is None:
            raise FollowError(f"the node has no block {number}, after which this was deployed")
        return found

    # Going back

    def _go_back(self, fork: Header) -> None:
        """To a block that is stored; what comes after it is forgotten, in the store first."""
        self._in_step = False
        self._store.drop_after(fork.number)
        while self._recent and self._head.number > fork.number:
            _, changes = self._recent.pop()
            self.indexer.undo(changes)
            self._head = self._recent[-1][0] if self._recent else self._base
        if self._head != fork:
            self._load()
        self._count_new_logs()
        self._in_step = True
        self._tell([Block(fork, is_rewind=True)])

    def _load(self) -> None:
        """The mirror from the store; from the deployment on, where logs are missing there."""
        try:
            self._rebuild()
        except IndexerError:
            self._store.drop_after(self._anchor.number)
            self._rebuild()

    def _rebuild(self) -> None:
        """The mirror from a checkpoint and the logs since, as far as the store goes; the last
        `DEPTH` blocks so that they can be taken back."""
        head = self._store.head() or self._anchor
        self._base = self._store.header_at(head.number - DEPTH) or self._anchor
        self.indexer = Indexer(self.vault, self.clearinghouse, self.group)
        found = self._store.checkpoint(self._base.number, self._digest)
        start = self._anchor.number
        if found is not None:
            start, state = found
            self.indexer.restore(state)
        for kept in self._store.transactions(start, self._base.number):
            self.indexer.apply(kept.logs, kept.block, kept.timestamp)
        self._recent.clear()
        later = list(self._store.transactions(self._base.number, head.number))
        for header in reversed(self._store.headers(DEPTH)):
            if header.number > self._base.number:
                self._recent.append((header, self.indexer.watch()))
                for kept in later:
                    if kept.block == header.number:
                        self.indexer.apply(kept.logs, kept.block, kept.timestamp)
        self._head = head
        self.columns = Columns(self.indexer)
        self.columns.update(head.timestamp)
        self._count_new_logs()

    # Checkpoints

    def _count_new_logs(self) -> None:
        self._saved = self._store.last_checkpoint(self._digest) or self._anchor.number
        self._new_logs = self._store.logs_after(self._saved)

    def _save(self) -> None:
        """A checkpoint, where enough has happened since the last one. They are `DEPTH` apart, so of
        those that are kept some lie before what can be taken back."""
        enough = max(CHECKPOINT_LOGS, len(self.indexer.accounts))
        if self._new_logs < enough or self._head.number - self._saved < DEPTH:
            return
        self._store.save(self._head.number, self._digest, self.indexer.state())
        self._saved, self._new_logs = self._head.number, 0

    # Prices

    @property
    def prices(self) -> dict[int, int]:
        """The price (WAD) of every market that has one, as `quotes` at `head`."""
        return {market: quote.price for market, quote in self.quotes().items() if quote.price}

    def quotes(self, block: Block | Header | None = None) -> dict[int, Quote]:
        """What the first use of each market in the block after this one (default: `head`) will fix,
        if nothing is reported until then: the oracle's word, or the last price as stale
        (modules/pricing.vy, `_peek`). Raises `NodeError`."""
        at = self._head if block is None else block
        if self._quotes[0] != at.hash:
            oracles = self.indexer.oracles
            calls = [(oracle, _observe().encode((m,))) for m, oracle in oracles.items()]
            answers = self._source.views(calls, at.hash)
            found = {
                market: self._quote(market, answer, at.timestamp)
                for market, answer in zip(oracles, answers, strict=True)
            }
            self._quotes = at.hash, found
        return dict(self._quotes[1])

    def _quote(self, market: int, answer: bytes | None, timestamp: int) -> Quote:
        if answer is not None and len(answer) == _OBSERVATION_BYTES:
            price, since, status = _observe().decode(answer)
            if 0 < price < _PRICE_LIMIT and since <= timestamp and status < _STATUS_LIMIT:
                return Quote(price, status)
        price, status = self.indexer.price(market)
        return Quote(price, status | STALE)

    # Checking

    def audit(self, sample: int | None = None) -> None:
        """Compare the mirror with the chain's records at `head`: its markets, groups and ledger,
        and all accounts or as many as `sample`, drawn anew each time.

        Raises `AuditError` with the first difference, `NodeError` where the node does not have the
        state of that block (any more).
        """
        accounts = self.indexer.accounts
        if sample is not None and sample < len(accounts):
            accounts = random.sample(accounts, sample)
        view = BlockView(self._source, self._head)
        if not accounts and not view.code(self.clearinghouse):
            return  # the deployment is yet to come
        house = Contract(view, self.clearinghouse, contracts.interface(contracts.CLEARINGHOUSE))
        caps, groups = self.indexer.funding_caps_bps, self.indexer.groups
        there = Reader(house, accounts, caps, groups).read(self._head.timestamp)
        here = self.indexer.book(self._head.timestamp, accounts)
        for what, ours, theirs in _compared(here, there):
            if ours != theirs:
                at = f"after block {self._head.number}"
                raise AuditError(
                    f"{at} {what} is {theirs} on chain, {ours} in the mirror: rewind to the "
                    "deployment's block to read everything again"
                )


def code_digest() -> str:
    """Of the code a mirror's state depends on: the state of other code is not read again."""
    sources = [Path(str(module.__file__)).read_bytes() for module in (indexed, indexer, mirror)]
    return hashlib.sha256(b"".join(sources)).hexdigest()


@cache
def _observe() -> Function:
    return contracts.interface(contracts.SIGNED_ORACLE).function("observe", 1)


def _interfaces(record: Record, also: Sequence[str]) -> dict[str, Interface]:
    names = (
        *also,
        contracts.VAULT,
        contracts.CLEARINGHOUSE,
        contracts.SIGNED_ORACLE,
        contracts.CHAINLINK_ORACLE,
    )
    return {checksum(record.contracts[name]): contracts.interface(name) for name in names}


def _compared(here: Book, there: Book) -> Iterator[tuple[str, object, object]]:
    for account, known in there.accounts.items():
        yield f"account {account.hex()}", here.accounts[account], known
    for market, listed in there.markets.items():
        yield f"market {market}", here.markets[market], listed
    for group, money in there.groups.items():
        yield f"group {group}", here.groups[group], money
    for name in ("insurance", "fees", "keeper_reserve", "total"):
        yield name, getattr(here, name), getattr(there, name)
