"""The keeper's mirror follows a real node: through restarts, reorganisations and bad answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ballast.keeper.follower import Follower
from ballast.keeper.store import Store, open_store
from tests.support.live import Live, live

pytestmark = pytest.mark.node


@pytest.fixture
def market(anvil_url: str) -> Iterator[Live]:
    with live(anvil_url) as found:
        yield found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = open_store(f"sqlite:///{tmp_path}/keeper.db")
    yield found
    found.close()


def test_mirror_equals_chain(market: Live, store: Store) -> None:
    market.bustle(60, seed=1)
    follower = Follower(market.node, store, market.record)
    told = follower.catch_up()
    follower.audit()
    assert follower.head.number == market.chain.block_number
    names = {e.name for b in told for t in b.transactions for e in t.events}
    assert {"PriceReported", "PositionChanged"} <= names
