"""How a database is opened: what SQLite promises of a commit, and how a bad address is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from ballast.databases import StoreError, begin, open_engine, read
from ballast.keeper.store import open_store
from ballast.relay.store import open_relay_store

NORMAL, FULL = 1, 2
"""As SQLite numbers them."""


def tuned(engine: Engine) -> tuple[str, int, int]:
    """A new connection's journal, synchronous mode and patience (ms)."""
    with read(engine) as connection:
        journal, synchronous, timeout = (
            connection.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "busy_timeout")
        )
    return journal, synchronous, timeout


def test_a_keepers_commit_outlives_its_process_a_relays_the_machine(tmp_path: Path) -> None:
    chain = open_store(f"sqlite:///{tmp_path}/chain.db")
    orders = open_relay_store(f"sqlite:///{tmp_path}/relay.db")
    assert tuned(chain.engine) == ("wal", NORMAL, 5_000)
    assert tuned(orders.engine) == ("wal", FULL, 5_000)
    assert (chain.engine.pool.size(), orders.engine.pool.size()) == (5, 20)
    chain.close()
    orders.close()


@pytest.mark.parametrize("url", ["nonsense", "nodatabase://x", "sqlite:///x?plugin=none"])
def test_a_bad_address(url: str) -> None:
    with pytest.raises(StoreError, match="no database can be opened by this address"):
        open_engine(url, "NORMAL")


def test_an_option_that_the_database_does_not_take() -> None:
    with pytest.raises(StoreError, match="no database can be opened by this address"):
        open_engine("sqlite://", "NORMAL", pool_of="x")


def test_what_the_database_refuses(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/x.db", "NORMAL")
    for connected in (begin, read):
        with pytest.raises(StoreError, match="the database fails"), connected(engine) as connection:
            connection.execute(text("SELECT * FROM nothing"))
    engine.dispose()


def test_what_is_begun_is_committed_and_what_is_read_is_not(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/x.db", "FULL")
    with begin(engine) as connection:
        connection.execute(text("CREATE TABLE t (n INTEGER)"))
        connection.execute(text("INSERT INTO t VALUES (1)"))
    with read(engine) as connection:
        connection.execute(text("INSERT INTO t VALUES (2)"))
    with read(engine) as connection:
        assert connection.scalars(text("SELECT n FROM t")).all() == [1]
    engine.dispose()
