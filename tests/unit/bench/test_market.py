"""The whole market in small: the keeper resolves everybody, the mirror agrees, the books close."""

from __future__ import annotations

import json

import pytest

from ballast import scenario
from ballast.bench import market
from ballast.bench.crash_run import minute_prices


@pytest.fixture(scope="module")
def result():
    return market.measure(accounts=120, minutes=30, seed=4, runs=1, refresh=False)


def test_everybody_is_resolved_and_nothing_more_is_taken(result) -> None:
    assert result["bankrupt"] > 0
    assert result["unresolved"] == 0
    assert result["over_bound"] == 0
    spent = result["insurance_quote"] + result["taken_quote"] + result["shortfall_quote"]
    assert spent == pytest.approx(result["deficit_quote"], abs=1e-6)
    assert result["blocks_worst"] >= result["resolve_blocks_worst"] >= 1


def test_the_mirror_agreed_with_the_chain(result) -> None:
    assert result["checked"] >= 300
    assert result["differing"] == 0


def test_the_chain_took_what_the_grid_says(result) -> None:
    """The off-chain queue on the chain's own grid and tiers takes what the chain took."""
    chain, grid = result["queues"]["chain"], result["queues"]["grid_as_touched"]
    assert chain["misplaced"] == pytest.approx(grid["misplaced"], abs=0.02)
    assert chain["paid"] == pytest.approx(grid["paid"], rel=1e-3)
    assert 0 < chain["largest"] <= 1 + 1e-9


def test_it_is_told(result, tmp_path) -> None:
    assert json.loads(json.dumps(result))["bankrupt"] == result["bankrupt"]
    told = market.section(result)
    assert "| `deleverage` |" in told
    assert told.count("\n| 8 |") == 6
    for path in market.draw(result, tmp_path):
        assert path.read_text().startswith("<?xml")


def test_minutes_take_the_furthest_price() -> None:
    lines = [
        "t_utc,coin,interval,open,high,low,close",
        "2025-10-10T20:50:00Z,BTC,1m,100,101,90,95",
        "2025-10-10T20:51:00Z,BTC,1m,95,99,94,98",
        "2025-10-10T20:50:00Z,ETH,5m,10,10,9,9",
    ]
    prices = [p for _, p in minute_prices(scenario.parse(lines))]
    assert prices[:2] == [{"BTC": 90, "ETH": 10}, {"BTC": 99, "ETH": 10}]
    assert prices[-1] == {"BTC": 99, "ETH": 9}
