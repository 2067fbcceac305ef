"""Table `claims`: which keeper is at which account, where several share a database.

A transaction's accounts are claimed before it leaves, all of them or none, in one statement: of two
keepers that want the same account at the same instant one gets it. A claim holds

- while its transaction is pending: its holder renews it at every head;
- then for mirrors that stand before the block that mined it: the others see what it did;
- and never beyond `LEASE_SECONDS` after its last renewal: a keeper that has died holds nothing.

Time is the chain's (block timestamps), which is the same for all keepers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Engine,
    LargeBinary,
    String,
    Table,
    and_,
    delete,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from ballast.databases import StoreError, begin
from ballast.keeper.rpc import Head
from ballast.keeper.store import metadata

LEASE_SECONDS = 120
"""Of the chain's time. Workers take turns at blocks, and each renews when its turn comes."""

claims = Table(
    "claims",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("account", LargeBinary(32), primary_key=True),
    Column("holder", String(42), nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("done_block", BigInteger),
)

_INSERTS: dict[str, Callable[..., Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class Claims:
    """The claims of one keeper, named by its signer's address.

    Every method raises `StoreError` where the database fails.
    """

    def __init__(self, engine: Engine, chain_id: int, holder: str) -> None:
        self._engine, self._chain_id, self._holder = engine, chain_id, holder
        if engine.dialect.name not in _INSERTS:
            raise StoreError(f"{engine.dialect.name} is not supported: SQLite or Postgres")

    def take(self, accounts: Iterable[bytes], head: Head) -> bool:
        """Claim accounts, as of a head; False where another keeper is at one of them, and none is
        claimed then."""
        # Sorted: two keepers that wait for each other's rows would wait for ever.
        wanted = sorted(set(accounts))
        if not wanted:
            return True
        rows = [
            {
                "chain_id": self._chain_id,
                "account": account,
                "holder": self._holder,
                "until": head.timestamp + LEASE_SECONDS,
                "done_block": None,
            }
            for account in wanted
        ]
        added = _INSERTS[self._engine.dialect.name](claims).values(rows)
        asked = added.on_conflict_do_update(
            index_elements=[claims.c.chain_id, claims.c.account],
            set_={name: added.excluded[name] for name in ("holder", "until", "done_block")},
            where=or_(claims.c.holder == self._holder, ~_holds(head)),
        ).returning(claims.c.account)
        with begin(self._engine) as connection:
            if len(connection.execute(asked).all()) == len(wanted):
                return True
            connection.rollback()
            return False

    def renew(self, accounts: Sequence[bytes], head: Head) -> None:
        """Hold on to accounts whose transactions are pending."""
        until = head.timestamp + LEASE_SECONDS
        with begin(self._engine) as connection:
            connection.execute(
                update(claims).where(self._own(accounts)).values(until=until, done_block=None)
            )

    def done(self, accounts: Sequence[bytes], block: int) -> None:
        """Their transaction is mined: they are free for whoever has seen that block."""
        with begin(self._engine) as connection:
            connection.execute(update(claims).where(self._own(accounts)).values(done_block=block))

    def release(self, accounts: Sequence[bytes]) -> None:
        """Their transaction will never be mined: they are free."""
        with begin(self._engine) as connection:
            connection.execute(delete(claims).where(self._own(accounts)))

    def others(self, head: Head) -> frozenset[bytes]:
        """Accounts that other keepers are at, for a mirror that stands at a head."""
        here = claims.c.chain_id == self._chain_id
        asked = select(claims.c.account).where(here, claims.c.holder != self._holder, _holds(head))
        with begin(self._engine) as connection:
            return frozenset(connection.scalars(asked))

    def _own(self, accounts: Sequence[bytes]) -> ColumnElement[bool]:
        return and_(
            claims.c.chain_id == self._chain_id,
            claims.c.holder == self._holder,
            claims.c.account.in_(accounts),
        )


def _holds(head: Head) -> ColumnElement[bool]:
    unseen = or_(claims.c.done_block.is_(None), claims.c.done_block > head.number)
    return and_(claims.c.until > head.timestamp, unseen)
