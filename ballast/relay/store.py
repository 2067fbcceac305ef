"""What the relay remembers: orders, and facts of the chain. SQLite or Postgres, by SQLAlchemy.

Everything is written by one thread, `Writer`: what has gathered while the last commit was under way
goes into the next one, so a commit serves as many orders as have come meanwhile. A write is
acknowledged after its commit and not before; a process killed at any instant has every order it
acknowledged, and facts up to some whole block (`heads`), from which it goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    String,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from ballast.databases import Amount, StoreError, begin, open_engine, read
from ballast.relay.kept import Kept, Status
from ballast.signing import Order, SignedOrder

metadata = MetaData()

orders = Table(
    "orders",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),
    Column("sequence", BigInteger, nullable=False, unique=True),
    Column("account", LargeBinary(32), nullable=False),
    Column("market", Integer, nullable=False),
    Column("is_buy", Boolean, nullable=False),
    Column("size", Amount, nullable=False),
    Column("limit_price", Amount, nullable=False),
    Column("reduce_only", Boolean, nullable=False),
    Column("post_only", Boolean, nullable=False),
    Column("expiry", Amount, nullable=False),
    Column("salt", Amount, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("signer", String(42), nullable=False),
    Column("status", String(10), nullable=False),
    Column("reason", Text, nullable=False),
    Column("filled", Amount, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Index("orders_of_account", "account", "sequence"),
    Index("orders_by_status", "status"),
)

facts = Table(
    "facts",
    metadata,
    Column("block", BigInteger, primary_key=True, autoincrement=False),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("transaction", String(66), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("market", Integer, nullable=False),
    Column("account", LargeBinary(32)),
    Column("other", LargeBinary(32)),
    Column("details", JSON, nullable=False),
    Index("facts_of_market", "kind", "market", "block", "place"),
    Index("facts_of_account", "account", "kind", "block", "place"),
    Index("facts_of_other", "other", "kind", "block", "place"),
)

heads = Table(
    "heads",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", String(66), nullable=False),
)

KEPT_HEADS = 1_024
WRITES_AT_ONCE = 2_000
_HASHES_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Fact:
    """Something the chain's logs say. `place` orders what is of one block; `account` and `other`
    are whom it concerns; amounts in `details` are decimal strings, as they are answered."""

    block: int
    place: int
    timestamp: int
    transaction: str
    kind: str
    market: int
    account: bytes | None
    other: bytes | None
    details: dict[str, Any]

    @property
    def id(self) -> str:
        """Its name in pages."""
        return f"{self.block}-{self.place}"

    @property
    def position(self) -> tuple[int, int]:
        """Its place in time."""
        return self.block, self.place


@dataclass(frozen=True)
class ChainWrite:
    """All that one look at the chain changes, in one transaction. `rewound`: facts of later blocks
    are void first."""

    facts: Sequence[Fact]
    heads: Sequence[tuple[int, str]]
    rewound: int | None
    changed: Sequence[Kept]


Work = Callable[[Connection], Any]


class Writer:
    """The thread that writes. `broken` is what a write failed with, once one has: nothing is
    written from then on, so that no later block hides that an earlier one is missing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: SimpleQueue[tuple[Work | Kept, Future[Any]] | None] = SimpleQueue()
        self.broken: str | None = None
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def insert(self, order: Kept) -> Future[Kept]:
        """Keep a new order; once committed, the order as it is kept: another object where it had
        been there before."""
        return self._hand_in(order)

    def do(self, work: Work) -> Future[Any]:
        """Carry something out within a transaction."""
        return self._hand_in(work)

    def close(self) -> None:
        """Write what waits, and end."""
        self._waiting.put(None)
        self._thread.join()

    def _hand_in(self, work: Work | Kept) -> Future[Any]:
        made: Future[Any] = Future()
        self._waiting.put((work, made))
        return made

    def _run(self) -> None:
        connection = None
        try:
            connection = self._engine.connect()
        except SQLAlchemyError as error:
            self.broken = f"the database fails: {error}"
        self._write_all(connection)
        if connection is not None:
            connection.close()

    def _write_all(self, connection: Connection | None) -> None:
        while (first := self._waiting.get()) is not None:
            batch, ends = [first], False
            while len(batch) < WRITES_AT_ONCE:
                try:
                    more = self._waiting.get_nowait()
                except Empty:
                    break
                if more is None:
                    ends = True
                    break
                batch.append(more)
            self._write(connection, batch)
            if ends:
                return

    def _write(
        self, connection: Connection | None, batch: list[tuple[Work | Kept, Future[Any]]]
    ) -> None:
        results: list[Any] = [None] * len(batch)
        try:
            if self.broken is not None or connection is None:
                raise StoreError(str(self.broken))
            with connection.begin():
                fresh = [work for work, _ in batch if isinstance(work, Kept)]
                kept = _insert(connection, fresh) if fresh else {}
                for place, (work, _) in enumerate(batch):
                    if isinstance(work, Kept):
                        results[place] = kept[work.hash]
                    else:
                        results[place] = work(connection)
        except (SQLAlchemyError, StoreError) as error:
            self.broken = self.broken or f"the database fails: {error}"
            for _, made in batch:
                if made.set_running_or_notify_cancel():
                    made.set_exception(StoreError(self.broken))
            return
        for (_, made), result in zip(batch, results, strict=True):
            if made.set_running_or_notify_cancel():
                made.set_result(result)


class RelayStore:
    """The relay's database. Reading is for any thread; raises `StoreError` where it fails."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        with begin(engine) as connection:
            metadata.create_all(connection)
        self.writer = Writer(engine)

    def close(self) -> None:
        """Write what waits, and let go."""
        self.writer.close()
        self.engine.dispose()

    # Writing

    def write_chain(self, what: ChainWrite) -> Future[Any]:
        """Keep what one look at the chain has brought."""
        return self.writer.do(lambda connection: _write_chain(connection, what))

    def update(self, changed: Sequence[Kept]) -> Future[Any]:
        """Keep orders' status and fills."""
        rows = _changes(changed)
        return self.writer.do(lambda connection: connection.execute(_UPDATE, rows))

    # Orders

    def last_sequence(self) -> int:
        """The last order's place in time; 0 where there is none."""
        with self._read() as connection:
            return int(connection.scalar(select(func.max(orders.c.sequence))) or 0)

    def open_orders(self) -> list[Kept]:
        """All that are open, the earliest first."""
        asked = select(orders).where(orders.c.status == Status.OPEN).order_by(orders.c.sequence)
        with self._read() as connection:
            return [_kept(row) for row in connection.execute(asked)]

    def order(self, order_hash: bytes) -> Kept | None:
        """One order, whatever its status."""
        with self._read() as connection:
            row = connection.execute(
                select(orders).where(orders.c.hash == order_hash)
            ).one_or_none()
        return None if row is None else _kept(row)

    def orders_of(
        self, account: bytes, only_open: bool, limit: int, before: int | None
    ) -> list[Kept]:
        """An account's orders, the latest first; `before` is a sequence."""
        asked = select(orders).where(orders.c.account == account)
        if only_open:
            asked = asked.where(orders.c.status == Status.OPEN)
        if before is not None:
            asked = asked.where(orders.c.sequence < before)
        with self._read() as connection:
            rows = connection.execute(asked.order_by(orders.c.sequence.desc()).limit(limit))
            return [_kept(row) for row in rows]

    # Facts

    def facts_of_market(
        self, kinds: Sequence[str], market: int, limit: int, before: tuple[int, int] | None
    ) -> list[Fact]:
        """A market's facts of some kinds, the latest first."""
        asked = select(facts).where(facts.c.kind.in_(kinds), facts.c.market == market)
        return self._page(asked, limit, before)

    def facts_between(self, kinds: Sequence[str], market: int, first: int, last: int) -> list[Fact]:
        """A market's facts of some kinds by time (Unix seconds, both included), in order."""
        asked = select(facts).where(
            facts.c.kind.in_(kinds),
            facts.c.market == market,
            facts.c.timestamp.between(first, last),
        )
        return self._facts(asked.order_by(facts.c.block, facts.c.place))

    def facts_of_account(
        self,
        kinds: Sequence[str],
        account: bytes,
        limit: int,
        before: tuple[int, int] | None = None,
    ) -> list[Fact]:
        """Facts of some kinds that concern an account, the latest first."""
        whose = or_(facts.c.account == account, facts.c.other == account)
        return self._page(select(facts).where(facts.c.kind.in_(kinds), whose), limit, before)

    def all_facts(self, kinds: Sequence[str]) -> list[Fact]:
        """Every fact of some kinds, in order."""
        asked = select(facts).where(facts.c.kind.in_(kinds))
        return self._facts(asked.order_by(facts.c.block, facts.c.place))

    def facts_after(self, kinds: Sequence[str], block: int) -> list[Fact]:
        """Facts of some kinds after a block, in order."""
        asked = select(facts).where(facts.c.kind.in_(kinds), facts.c.block > block)
        return self._facts(asked.order_by(facts.c.block, facts.c.place))

    def filled_at(self, hashes: Iterable[bytes], block: int) -> dict[bytes, int]:
        """What of some orders had been filled after a block (base, WAD)."""
        found: dict[bytes, int] = {}
        with self._read() as connection:
            for order_hash in hashes:
                asked = (
                    select(facts.c.details)
                    .where(
                        facts.c.kind == "order",
                        facts.c.other == order_hash,
                        facts.c.block <= block,
                    )
                    .order_by(facts.c.block.desc(), facts.c.place.desc())
                    .limit(1)
                )
                details = connection.scalar(asked)
                found[order_hash] = int(details["filled"]) if details else 0
        return found

    def last_heads(self) -> list[tuple[int, str]]:
        """The last blocks whose facts are kept, the latest first: number and hash."""
        with self._read() as connection:
            rows = connection.execute(select(heads).order_by(heads.c.number.desc()))
            return [(row.number, row.hash) for row in rows]

    def _page(self, asked: Select[Any], limit: int, before: tuple[int, int] | None) -> list[Fact]:
        if before is not None:
            asked = asked.where(tuple_(facts.c.block, facts.c.place) < before)
        return self._facts(asked.order_by(facts.c.block.desc(), facts.c.place.desc()).limit(limit))

    def _facts(self, asked: Select[Any]) -> list[Fact]:
        with self._read() as connection:
            return [Fact(*row) for row in connection.execute(asked)]

    def _read(self) -> AbstractContextManager[Connection]:
        return read(self.engine)


def open_relay_store(url: str) -> RelayStore:
    """Open a database by its SQLAlchemy address, making its tables where there are none. Raises
    `StoreError`."""
    # FULL: an order that was acknowledged outlives the machine, not the process alone.
    return RelayStore(open_engine(url, "FULL", pool_size=20))


_UPDATE = (
    update(orders)
    .where(orders.c.hash == bindparam("of"))
    .values(
        status=bindparam("new_status"),
        reason=bindparam("new_reason"),
        filled=bindparam("new_filled"),
        updated_ms=bindparam("new_updated"),
    )
)


def _changes(changed: Sequence[Kept]) -> list[dict[str, Any]]:
    return [
        {
            "of": order.hash,
            "new_status": str(order.status),
            "new_reason": order.reason,
            "new_filled": order.filled,
            "new_updated": order.updated_ms,
        }
        for order in changed
    ]


def _insert(connection: Connection, fresh: list[Kept]) -> dict[bytes, Kept]:
    """Insert what is not there yet; every order as it is kept now. What the chain has filled of an
    order before it came here is filled of it."""
    known: dict[bytes, Kept] = {}
    filled: dict[bytes, int] = {}
    hashes = list({order.hash for order in fresh})
    for start in range(0, len(hashes), _HASHES_AT_ONCE):
        some = hashes[start : start + _HASHES_AT_ONCE]
        for row in connection.execute(select(orders).where(orders.c.hash.in_(some))):
            known[row.hash] = _kept(row)
        told = select(facts.c.other, facts.c.details).where(
            facts.c.kind == "order", facts.c.other.in_(some)
        )
        for order_hash, details in connection.execute(told):
            filled[order_hash] = max(filled.get(order_hash, 0), int(details["filled"]))
    added: list[Kept] = []
    for order in fresh:
        if order.hash not in known:
            order.filled = filled.get(order.hash, 0)
            if not order.left:
                order.status = Status.FILLED
            known[order.hash] = order
            added.append(order)
    if added:
        connection.execute(insert(orders), [_row(order) for order in added])
    return known


def _write_chain(connection: Connection, what: ChainWrite) -> None:
    if what.rewound is not None:
        connection.execute(delete(facts).where(facts.c.block > what.rewound))
        connection.execute(delete(heads).where(heads.c.number > what.rewound))
    if what.facts:
        connection.execute(insert(facts), [_fact_row(fact) for fact in what.facts])
    if what.heads:
        numbers = [number for number, _ in what.heads]
        connection.execute(delete(heads).where(heads.c.number.in_(numbers)))
        connection.execute(insert(heads), [{"number": n, "hash": h} for n, h in what.heads])
        connection.execute(delete(heads).where(heads.c.number <= max(numbers) - KEPT_HEADS))
    if what.changed:
        connection.execute(_UPDATE, _changes(what.changed))


def _fact_row(fact: Fact) -> dict[str, Any]:
    return {column.name: getattr(fact, column.name) for column in facts.columns}


def _row(order: Kept) -> dict[str, Any]:
    signed = order.order
    return {
        "hash": order.hash,
        "sequence": order.sequence,
        "account": signed.account,
        "market": signed.market,
        "is_buy": signed.is_buy,
        "size": signed.size,
        "limit_price": signed.limit_price,
        "reduce_only": signed.reduce_only,
        "post_only": signed.post_only,
        "expiry": signed.expiry,
        "salt": signed.salt,
        "signature": order.signed.signature,
        "signer": order.signer,
        "status": str(order.status),
        "reason": order.reason,
        "filled": order.filled,
        "created_ms": order.created_ms,
        "updated_ms": order.updated_ms,
    }


def _kept(row: Any) -> Kept:
    order = Order(
        row.account,
        row.market,
        row.is_buy,
        row.size,
        row.limit_price,
        row.reduce_only,
        row.post_only,
        row.expiry,
        row.salt,
    )
    return Kept(
        row.hash,
        SignedOrder(order, row.signature),
        row.signer,
        row.sequence,
        row.created_ms,
        row.updated_ms,
        Status(row.status),
        row.reason,
        row.filled,
    )
