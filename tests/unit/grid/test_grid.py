"""The grid against exact integer roots: every edge, every tick at its edges, tiers and scores."""

from __future__ import annotations

import random
from fractions import Fraction
from math import isqrt

import pytest

from ballast.build import artifact
from ballast.contract import Contract
from ballast.errors import Reverted
from ballast.evm import Revm
from tests.support.world import OWNER, WAD

TICKS = 8192
PAGE = 1024
LEVERAGE = (1, 2, 3, 5, 10, 20, 50, 100)


def root_128(value: int) -> int:
    """floor(value^(1/128)): seven square roots, each rounded down, are the root rounded down."""
    for _ in range(7):
        value = isqrt(value)
    return value


EDGES = [root_128(1 << (32 * 128 + tick)) for tick in range(TICKS + 1)]


@pytest.fixture(scope="module")
def grid() -> Contract:
    made = artifact("GridMock")
    chain = Revm()
    at, _ = chain.deploy(made.deploy_code(), sender=OWNER)
    return Contract(chain, at, made.abi)


def test_every_edge_is_the_exact_root_rounded_down(grid: Contract) -> None:
    found = []
    for start in range(0, TICKS, PAGE):
        found += grid.view.edges(start, PAGE)
    found += grid.view.edges(TICKS, 1)
    assert found == EDGES
    assert (found[0], found[-1]) == (2**32, 2**96)


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_tick_at_every_edge_and_one_wei_beside_it(grid: Contract, offset: int) -> None:
    prices = {edge + offset for edge in EDGES if 2**32 <= edge + offset < 2**96}
    ordered = sorted(prices)
    for start in range(0, len(ordered), PAGE):
        page = ordered[start : start + PAGE]
        for price, tick in zip(page, grid.view.ticks(page), strict=True):
            assert EDGES[tick] <= price < EDGES[tick + 1], (price, tick)


def test_tick_of_random_prices(grid: Contract) -> None:
    rnd = random.Random(1)
    prices = [int(2 ** rnd.uniform(32, 96)) for _ in range(PAGE)]
    for price, tick in zip(prices, grid.view.ticks(prices), strict=True):
        assert EDGES[tick] <= price < EDGES[tick + 1]


@pytest.mark.parametrize("price", [0, 1, 2**32 - 1, 2**96, 2**160])
def test_entries_off_the_grid_are_refused(grid: Contract, price: int) -> None:
    with pytest.raises(Reverted, match="grid: price out of range"):
        grid.view.ticks([price])


def test_oracle_price_below_the_grid_has_no_tick(grid: Contract) -> None:
    assert grid.view.oracle_tick(1) == -1
    assert grid.view.oracle_tick(2**32 - 1) == -1
    assert grid.view.oracle_tick(2**32) == 0


def test_tier_at_every_bound(grid: Contract) -> None:
    equity = 7 * WAD
    for tier, leverage in enumerate(LEVERAGE[:-1]):
        assert grid.view.tier(leverage * equity, equity) == tier
        assert grid.view.tier(leverage * equity + 1, equity) == tier + 1
    assert grid.view.tier(0, 1) == 0
    for equity in (0, -1, -WAD):
        assert grid.view.tier(0, equity) == 7


def test_score_is_the_published_rule(grid: Contract) -> None:
    """profit% x leverage in profit, profit% / leverage in loss; from the tick's nearest edge."""
    rnd = random.Random(2)
    for _ in range(1_500):
        tick = rnd.randrange(TICKS)
        near_tick = rnd.random() < 0.3
        price = int(2 ** rnd.uniform(20, 95.9))
        if near_tick:
            price = max(1, EDGES[tick] + rnd.randrange(-3, 4))
        price = min(price, 2**96 - 1)
        tier, is_long = rnd.randrange(8), rnd.random() < 0.5
        low, high = EDGES[tick], EDGES[tick + 1]
        nearest = price if low <= price < high else (high if price >= high else low)
        profit = Fraction(price - nearest, nearest) * (1 if is_long else -1)
        whole = int(abs(profit) * WAD)
        expected = whole * LEVERAGE[tier] if profit > 0 else -(whole // LEVERAGE[tier])
        assert grid.view.score(is_long, tier, tick, price) == expected
