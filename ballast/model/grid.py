"""The rank grid (SPEC section 3): geometric price ticks, leverage tiers, scores."""

from bisect import bisect_right
from functools import cache
from math import isqrt

from ballast.model.exact import WAD, div_trunc

TICKS = 8192
TOP_TIER = 7
TIER_LEVERAGE = (1, 2, 3, 5, 10, 20, 50, 100)
"""Upper end of each tier; the last tier has none and scores as 100."""
MIN_ENTRY = 1 << 32
MAX_ENTRY = 1 << 96


@cache
def edges() -> tuple[int, ...]:
    """All edges, 0..TICKS: floor(2^(32 + t/128)) by seven exact integer square roots."""
    return tuple(_root_128(1 << (32 * 128 + tick)) for tick in range(TICKS + 1))


def _root_128(value: int) -> int:
    for _ in range(7):
        value = isqrt(value)
    return value


def edge(tick: int) -> int:
    """Lower edge of a tick, wei of price; edge(TICKS) closes the last one."""
    return edges()[tick]


def tick_of(price: int) -> int:
    """The tick with edge(t) <= price < edge(t+1); -1 below the grid."""
    return bisect_right(edges(), price) - 1


def tier_of(notional: int, equity: int) -> int:
    """Leverage tier 0..7 of notional over equity (same unit); equity <= 0 is the top tier."""
    for tier in range(TOP_TIER):
        if equity > 0 and notional <= TIER_LEVERAGE[tier] * equity:
            return tier
    return TOP_TIER


def nearest_edge(tick: int, price: int) -> int:
    """The edge of a tick nearest to the price; the price itself within its own tick."""
    own = tick_of(price)
    if tick == own:
        return price
    return edge(tick + 1) if tick < own else edge(tick)


def profit_distance(is_long: bool, tick: int, price: int) -> int:
    """How far the price may move against a member of the tick before one could be closed at a
    loss: wei of price, never negative."""
    near = nearest_edge(tick, price)
    return max(0, price - near if is_long else near - price)


def score(is_long: bool, tier: int, tick: int, price: int) -> int:
    """Rank score of a bucket, WAD, truncated towards zero."""
    near = nearest_edge(tick, price)
    profit = div_trunc((price - near if is_long else near - price) * WAD, near)
    leverage = TIER_LEVERAGE[tier]
    return profit * leverage if profit > 0 else div_trunc(profit, leverage)
