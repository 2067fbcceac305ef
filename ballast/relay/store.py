"""What the relay remembers: orders, and facts of the chain. Read here, written by `Writer`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Engine, Select, func, or_, select, tuple_
from sqlalchemy.engine import Connection

from ballast.databases import begin, open_engine, read
from ballast.relay.facts import ORDER, Fact
from ballast.relay.kept import Kept, Status
from ballast.relay.tables import facts, heads, metadata, order_of, orders
from ballast.relay.writer import Writer


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

    # Orders

    def last_sequence(self) -> int:
        """The last order's place in time; 0 where there is none."""
        with self._read() as connection:
            return int(connection.scalar(select(func.max(orders.c.sequence))) or 0)

    def open_orders(self) -> list[Kept]:
        """All that are open, the earliest first."""
        asked = select(orders).where(orders.c.status == Status.OPEN).order_by(orders.c.sequence)
        with self._read() as connection:
            return [order_of(row) for row in connection.execute(asked)]

    def order(self, order_hash: bytes) -> Kept | None:
        """One order, whatever its status."""
        with self._read() as connection:
            row = connection.execute(
                select(orders).where(orders.c.hash == order_hash)
            ).one_or_none()
        return None if row is None else order_of(row)

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
            return [order_of(row) for row in rows]

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
                        facts.c.kind == ORDER,
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
