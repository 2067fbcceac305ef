"""A real Postgres keeps a mirror as SQLite does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pgserver
import pytest

from ballast.databases import StoreError
from ballast.keeper import follower as module
from ballast.keeper.follower import Follower
from ballast.keeper.store import open_store
from tests.support.live import live

pytestmark = pytest.mark.node


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[str]:
    """The address of a server of the test's own."""
    server = pgserver.get_server(tmp_path / "postgres")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def test_postgres(postgres: str, anvil_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEPTH", 8)
    monkeypatch.setattr(module, "CHECKPOINT_LOGS", 30)
    with live(anvil_url) as market:
        market.bustle(15, seed=1)
        store = open_store(postgres)
        follower = Follower(market.node, store, market.record)
        follower.catch_up()
        follower.audit()
        assert store.last_checkpoint(module.code_digest())
        with pytest.raises(StoreError, match="this database is of"):
            Follower(market.node, store, market.record, group=2)
        store.close()
        again = Follower(market.node, open_store(postgres), market.record)
        assert again.indexer.state() == follower.indexer.state()
        mark = market.mark()
        market.bustle(12, seed=2)
        again.catch_up()
        market.back(mark)
        market.bustle(5, seed=3)
        assert again.catch_up()[0].is_rewind
        again.audit()
        last = Follower(market.node, open_store(postgres), market.record)
        assert last.head == again.head
        last.audit()
