"""What a keeper remembers between two starts: blocks, logs, checkpoints of its mirror.

Any database SQLAlchemy has a driver for will do; SQLite and Postgres are tested. Everything here
comes from the chain and can be read again, so a database that was lost costs time and nothing else.
A block is there with all its logs or not at all: one transaction a batch, a process killed at any
instant leaves what was there before it or after it (SQLite: write-ahead log).

One database belongs to one deployment and one shard, and is written to by one keeper at a time; a
second one is noticed at its first block.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import cbor2
from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    Integer,
    LargeBinary,
    Select,
    String,
    Table,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy.engine import Connection
from sqlalchemy.orm import DeclarativeBase
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random

from ballast.chain import Log
from ballast.databases import StoreError, begin, open_engine
from ballast.keeper.blocks import Block, Header


class Base(DeclarativeBase):
    """What every table of a keeper belongs to."""


metadata = Base.metadata

identities = Table("identities", metadata, Column("name", String(400), primary_key=True))

blocks = Table(
    "blocks",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", String(66), nullable=False),
    Column("parent", String(66), nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("logs", Integer, nullable=False),
)

logs = Table(
    "logs",
    metadata,
    Column("block", BigInteger, primary_key=True, autoincrement=False),
    Column("log_index", Integer, primary_key=True, autoincrement=False),
    Column("transaction_index", Integer, nullable=False),
    Column("transaction_hash", String(66), nullable=False),
    Column("address", String(42), nullable=False),
    Column("topics", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("block", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),
    Column("state", LargeBinary, nullable=False),
)

KEPT_EMPTY_BLOCKS = 1_024
"""Blocks without logs of ours that are kept, to find where a branch began."""
KEPT_CHECKPOINTS = 4
_ATTEMPTS = 8
_READ_AT_ONCE = 20_000
_TOPIC = 32


@dataclass(frozen=True)
class Kept:
    """The logs of one transaction, as stored."""

    block: int
    timestamp: int
    logs: list[Log]


class Store:
    """A keeper's database. Every method raises `StoreError` where the database fails."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        # Of two that make the same tables at the same time one fails, and then finds them there.
        again = retry_if_exception_type(StoreError)
        pause, stop = wait_random(0, 0.2), stop_after_attempt(_ATTEMPTS)
        Retrying(retry=again, wait=pause, stop=stop, reraise=True)(self._make_tables)

    def _make_tables(self) -> None:
        with self._begin() as connection:
            metadata.create_all(connection)

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    def claim(self, name: str) -> None:
        """Make the database that of `name` (deployment and shard), if it is nobody's yet."""
        with self._begin() as connection:
            owner = connection.scalar(select(identities.c.name))
            if owner is None:
                connection.execute(insert(identities).values(name=name))
            elif owner != name:
                raise StoreError(f"this database is of {owner}, not of {name}: use another one")

    # Blocks

    def head(self) -> Header | None:
        """The last block stored."""
        return next(iter(self.headers(1)), None)

    def headers(self, limit: int) -> list[Header]:
        """The last blocks stored, the latest first."""
        return self._headers(select(blocks).order_by(blocks.c.number.desc()).limit(limit))

    def header_at(self, number: int) -> Header | None:
        """The last block stored that is not after a number."""
        query = select(blocks).where(blocks.c.number <= number)
        found = self._headers(query.order_by(blocks.c.number.desc()).limit(1))
        return found[0] if found else None

    def _headers(self, query: Select[Any]) -> list[Header]:
        with self._begin() as connection:
            rows = connection.execute(query).all()
        return [Header(row.number, row.hash, row.parent, row.timestamp) for row in rows]

    def append(self, after: Header | None, added: Sequence[Block]) -> None:
        """Store blocks with their logs, which follow `after`. Raises `StoreError` where that is not
        the last one stored: another keeper writes to the same database."""
        rows = [_block_row(block) for block in added]
        entries = [row for block in added for row in _log_rows(block)]
        with self._begin() as connection:
            last = connection.execute(
                select(blocks.c.number, blocks.c.hash).order_by(blocks.c.number.desc()).limit(1)
            ).one_or_none()
            expected = None if after is None else (after.number, after.hash)
            if (None if last is None else tuple(last)) != expected:
                raise StoreError("another keeper writes to this database: give each its own")
            connection.execute(insert(blocks), rows)
            if entries:
                connection.execute(insert(logs), entries)
            floor = added[-1].number - KEPT_EMPTY_BLOCKS
            passed = blocks.c.number.between(floor - len(added), floor)
            connection.execute(delete(blocks).where(passed, blocks.c.logs == 0))

    def drop_after(self, number: int) -> None:
        """Forget all blocks after one, and checkpoints that know of them."""
        with self._begin() as connection:
            connection.execute(delete(checkpoints).where(checkpoints.c.block > number))
            connection.execute(delete(logs).where(logs.c.block > number))
            connection.execute(delete(blocks).where(blocks.c.number > number))

    def transactions(self, after: int, last: int) -> Iterator[Kept]:
        """The logs stored of the blocks after one up to another, transaction by transaction."""
        query = (
            select(logs, blocks.c.timestamp)
            .join(blocks, blocks.c.number == logs.c.block)
            .where(logs.c.block > after, logs.c.block <= last)
            .order_by(logs.c.block, logs.c.log_index)
        )
        with self._begin() as connection:
            rows = connection.execution_options(yield_per=_READ_AT_ONCE).execute(query)
            for _, own in groupby(rows, key=lambda row: (row.block, row.transaction_index)):
                found = list(own)
                yield Kept(found[0].block, found[0].timestamp, [_log(row) for row in found])

    # Checkpoints

    def save(self, block: int, digest: str, state: dict[str, Any]) -> None:
        """Keep a mirror's state after a block; the oldest of many is dropped."""
        packed = cbor2.dumps(state)
        with self._begin() as connection:
            connection.execute(delete(checkpoints).where(checkpoints.c.block == block))
            connection.execute(insert(checkpoints).values(block=block, digest=digest, state=packed))
            newest = select(checkpoints.c.block).order_by(checkpoints.c.block.desc())
            kept = connection.scalars(newest.limit(KEPT_CHECKPOINTS)).all()
            connection.execute(delete(checkpoints).where(checkpoints.c.block < kept[-1]))

    def checkpoint(self, last: int, digest: str) -> tuple[int, dict[str, Any]] | None:
        """The newest state of a mirror by this code (`digest`) not after a block, and its block."""
        query = (
            select(checkpoints.c.block, checkpoints.c.state)
            .where(checkpoints.c.block <= last, checkpoints.c.digest == digest)
            .order_by(checkpoints.c.block.desc())
            .limit(1)
        )
        with self._begin() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else (row.block, cbor2.loads(row.state))

    def last_checkpoint(self, digest: str) -> int | None:
        """The block of the newest checkpoint by this code."""
        with self._begin() as connection:
            newest = select(func.max(checkpoints.c.block)).where(checkpoints.c.digest == digest)
            found: int | None = connection.scalar(newest)
        return found

    def logs_after(self, number: int) -> int:
        """How many logs are stored of the blocks after one."""
        with self._begin() as connection:
            count = select(func.count()).select_from(logs).where(logs.c.block > number)
            return int(connection.scalar(count) or 0)

    def _begin(self) -> AbstractContextManager[Connection]:
        return begin(self.engine)


def open_store(url: str) -> Store:
    """Open a database by its SQLAlchemy address, making its tables where there are none. Raises
    `StoreError`."""
    # NORMAL: what a power cut loses is read from the chain again.
    return Store(open_engine(url, "NORMAL"))


def _block_row(block: Block) -> dict[str, Any]:
    header = block.header
    return {
        "number": header.number,
        "hash": header.hash,
        "parent": header.parent,
        "timestamp": header.timestamp,
        "logs": sum(len(transaction.entries) for transaction in block.transactions),
    }


def _log_rows(block: Block) -> Iterator[dict[str, Any]]:
    for transaction in block.transactions:
        for entry in transaction.entries:
            yield {
                "block": block.number,
                "log_index": entry.index,
                "transaction_index": transaction.index,
                "transaction_hash": transaction.hash,
                "address": entry.log.address,
                "topics": b"".join(entry.log.topics),
                "data": entry.log.data,
            }


def _log(row: Any) -> Log:
    topics = [row.topics[i : i + _TOPIC] for i in range(0, len(row.topics), _TOPIC)]
    return Log(row.address, topics, row.data)
