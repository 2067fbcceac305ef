"""The thread that writes the relay's database.

What has gathered while the last commit was under way goes into the next one, so a commit serves as
many orders as have come meanwhile. A write is acknowledged after its commit and not before; a
process killed at any instant has every order it acknowledged, and facts up to some whole block
(`heads`), from which it goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from sqlalchemy import Engine, bindparam, delete, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from ballast.databases import StoreError
from ballast.relay.facts import ORDER, Fact
from ballast.relay.kept import Kept, Status
from ballast.relay.tables import fact_row, facts, heads, order_of, order_row, orders

KEPT_HEADS = 1_024
WRITES_AT_ONCE = 2_000
_HASHES_AT_ONCE = 500


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

    def update(self, changed: Sequence[Kept]) -> Future[Any]:
        """Keep orders' status and fills, as they are now."""
        rows = _changes(changed)
        return self._hand_in(lambda connection: connection.execute(_UPDATE, rows))

    def write_chain(self, what: ChainWrite) -> Future[Any]:
        """Keep what one look at the chain has brought."""
        return self._hand_in(lambda connection: _write_chain(connection, what))

    def flush(self) -> None:
        """Return once all that was handed in before is written. Raises `StoreError`."""
        self._hand_in(lambda connection: None).result()

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
            known[row.hash] = order_of(row)
        told = select(facts.c.other, facts.c.details).where(
            facts.c.kind == ORDER, facts.c.other.in_(some)
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
        connection.execute(insert(orders), [order_row(order) for order in added])
    return known


def _write_chain(connection: Connection, what: ChainWrite) -> None:
    if what.rewound is not None:
        connection.execute(delete(facts).where(facts.c.block > what.rewound))
        connection.execute(delete(heads).where(heads.c.number > what.rewound))
    if what.facts:
        connection.execute(insert(facts), [fact_row(fact) for fact in what.facts])
    if what.heads:
        numbers = [number for number, _ in what.heads]
        connection.execute(delete(heads).where(heads.c.number.in_(numbers)))
        connection.execute(insert(heads), [{"number": n, "hash": h} for n, h in what.heads])
        connection.execute(delete(heads).where(heads.c.number <= max(numbers) - KEPT_HEADS))
    if what.changed:
        connection.execute(_UPDATE, _changes(what.changed))
