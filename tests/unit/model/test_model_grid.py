"""Grid: edges by definition, ticks by comparison, tiers, scores in SPEC's order."""

from random import Random

from ballast.model.exact import WAD
from ballast.model.grid import (
    TICKS,
    edge,
    edges,
    profit_distance,
    score,
    tick_of,
    tier_of,
)


def test_edges_are_exact_roots() -> None:
    for tick in (*range(0, TICKS, 97), TICKS - 1, TICKS):
        power = 1 << (32 * 128 + tick)
        assert edge(tick) ** 128 <= power < (edge(tick) + 1) ** 128


def test_edges_double_every_128_ticks() -> None:
    assert [edge(128 * k) for k in range(65)] == [1 << (32 + k) for k in range(65)]
    assert all(low < high for low, high in zip(edges(), edges()[1:], strict=False))


def test_tick_holds_its_price() -> None:
    random = Random(1)
    for _ in range(2_000):
        price = random.randrange(1 << 32, 1 << random.randint(33, 96))
        tick = tick_of(price)
        assert edge(tick) <= price < edge(tick + 1)
    assert tick_of((1 << 32) - 1) == -1


def test_tier_bounds_are_inclusive() -> None:
    assert [tier_of(n, 1) for n in (0, 1, 2, 3, 5, 10, 20, 50, 51)] == [0, 0, 1, 2, 3, 4, 5, 6, 7]
    assert tier_of(1_001, 1_000) == 1
    assert tier_of(1, 0) == tier_of(0, -1) == 7


def test_score_is_zero_in_the_own_tick() -> None:
    price = 100 * WAD
    for is_long in (True, False):
        assert score(is_long, 7, tick_of(price), price) == 0
        assert profit_distance(is_long, tick_of(price), price) == 0


def test_score_of_winners_and_losers() -> None:
    price, low, high = 100 * WAD, tick_of(80 * WAD), tick_of(125 * WAD)
    long_profit = (price - edge(low + 1)) * WAD // edge(low + 1)
    assert score(True, 3, low, price) == 5 * long_profit
    assert score(False, 3, low, price) == -(long_profit // 5)
    short_profit = (edge(high) - price) * WAD // edge(high)
    assert score(False, 6, high, price) == 50 * short_profit
    assert score(True, 6, high, price) == -(short_profit // 50)


def test_profit_distance_never_passes_a_members_entry() -> None:
    random = Random(2)
    for _ in range(500):
        entry, price = (random.randrange(WAD, 200 * WAD) for _ in "12")
        assert profit_distance(True, tick_of(entry), price) <= max(0, price - entry)
        assert profit_distance(False, tick_of(entry), price) <= max(0, entry - price)


def test_price_below_the_grid() -> None:
    price = 1 << 30
    assert score(True, 0, 0, price) < 0 < score(False, 0, 0, price)
