"""A deployment on a real node, and a relay before it, for the tests of each file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.live import Live, live
from tests.support.nodes import anvil
from tests.support.relaying import RelayProcess, Trading


@pytest.fixture(scope="module")
def market(anvil_path: str) -> Iterator[Live]:
    with anvil(anvil_path) as url, live(url) as found:
        yield found


@pytest.fixture(scope="module")
def relay(market: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayProcess]:
    folder = tmp_path_factory.mktemp("relay")
    (folder / "static").mkdir()
    (folder / "static" / "index.html").write_text("<p>the page</p>")
    rates = ("--orders-rate", "2000", "--reads-rate", "2000")
    process = RelayProcess(market, folder, *rates, "--static", str(folder / "static"))
    try:
        process.start()
        yield process
    finally:
        process.end()


@pytest.fixture
def trading(market: Live) -> Trading:
    return Trading(market)
