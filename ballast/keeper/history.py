"""What a signer has sent: the rows of `actions` (ballast/keeper/sent.py) that are its own, and what
has lately happened to them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from ballast.keeper.sent import PENDING, WATCHED, Outcome, Sent, State
from ballast.keeper.store import Base

HOUR = 3_600
DAY = 86_400
VAIN = (Outcome.OUT_OF_GAS, Outcome.FAILED, Outcome.OUTRACED)

_log = structlog.get_logger("sender")


@dataclass(frozen=True)
class Event:
    """Something that happened to a row, for the metrics: `sent`, `bumped`, `cancelled`, `resent`,
    `reorganised`, or an outcome."""

    what: str
    row: Sent


class History:
    """One signer's transactions on one chain, in a database. `now` gives Unix seconds."""

    def __init__(
        self,
        store: Engine,
        chain_id: int,
        address: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.address = address
        self._store, self._chain_id, self._now = store, chain_id, now
        self._events: list[Event] = []
        Base.metadata.create_all(store)

    def rows(self, *states: str) -> list[Sent]:
        """This sender's rows in some states (all, by default), by nonce."""
        with Session(self._store, expire_on_commit=False) as session:
            asked = self._mine()
            if states:
                asked = asked.where(Sent.state.in_(states))
            return list(session.scalars(asked.order_by(Sent.nonce, Sent.id)))

    def busy(self, seen_block: int) -> list[Sent]:
        """Rows whose effect a mirror as of `seen_block` does not show yet."""
        return [
            row
            for row in self.rows(*WATCHED)
            if row.state in PENDING or (row.block_number or 0) > seen_block
        ]

    def spent(self, seconds: int) -> int:
        """Wei spent in the last so many seconds, with all that what is pending may still cost."""
        total = sum(row.set_aside for row in self.rows(*PENDING))
        recent = self._mine().where(Sent.updated_at >= self._now() - seconds)
        used = recent.where(Sent.gas_used.is_not(None)).with_only_columns(
            Sent.gas_used, Sent.gas_price
        )
        with Session(self._store) as session:
            for gas, price in session.execute(used):
                total += (gas or 0) * (price or 0)
        return total

    def lately(self) -> tuple[int, int]:
        """How many of this sender's transactions were mined in the last hour, and how many of them
        found nothing left to do."""
        asked = self._mine().where(Sent.state.in_((State.MINED, State.FINAL)))
        recent = asked.where(Sent.updated_at >= self._now() - HOUR)
        with Session(self._store) as session:
            outcomes = list(session.scalars(recent.with_only_columns(Sent.outcome)))
        return len(outcomes), outcomes.count(Outcome.OUTRACED)

    def in_vain(self, key: str) -> list[str]:
        """The outcomes of an action, newest first, since it last did something."""
        found: list[str] = []
        asked = self._mine().where(Sent.key == key, Sent.updated_at >= self._now() - HOUR)
        with Session(self._store) as session:
            for row in session.scalars(asked.order_by(Sent.id.desc())):
                if row.outcome == Outcome.DONE:
                    break
                if row.outcome in VAIN:
                    found.append(row.outcome)
        return found

    def save(self, *rows: Sent) -> None:
        """Write rows down, as they are now."""
        with Session(self._store, expire_on_commit=False) as session, session.begin():
            for row in rows:
                row.updated_at = self._now()
                session.merge(row) if row.id else session.add(row)

    def tell(self, what: str, row: Sent) -> None:
        """Something happened to a row: log it, and keep it for `events`."""
        self._events.append(Event(what, row))
        _log.info(
            what,
            kind=row.kind,
            nonce=row.nonce,
            hash=row.hashes[-1],
            accounts=row.accounts,
            gas_used=row.gas_used,
            max_fee=row.max_fee,
            reason=row.reason,
        )

    def events(self) -> list[Event]:
        """What was told since the last call of this method."""
        found, self._events = self._events, []
        return found

    def _mine(self) -> Any:
        return select(Sent).where(Sent.chain_id == self._chain_id, Sent.sender == self.address)
