"""The ideal queue, and what a grid of ticks and tiers makes of it.

The ideal ranks every leg by its exact profit and its account's exact leverage at this very price
and takes legs whole, one after the other. A grid ranks buckets: legs of one tick of entry prices
and one tier of leverage share a score, are taken together and pro rata, and pay no more than their
tick's edge nearest to the price allows.

Both are asked the same: each minute's closings, from the same book at the minute's beginning. So
the figures show what the grid's choice costs, one minute at a time, not how two markets drift
apart.
Floats throughout (base, quote): nothing here is protocol money.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ballast.columns import summed
from ballast.model import grid

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TIERS: dict[int, tuple[float, ...]] = {
    1: (1.0,),
    4: (2, 5, 20, 100),
    8: tuple(float(x) for x in grid.TIER_LEVERAGE),
    16: (1, 1.5, 2, 2.5, 3, 4, 5, 7, 10, 14, 20, 28, 35, 50, 70, 100),
}
"""Upper ends of the tiers by their number; the last one is open and scores with its own end. One
tier ranks by profit alone."""
WIDTHS = (0.001, 0.002, 2 ** (1 / 128) - 1, 2 ** (1 / 64) - 1, 0.02, 0.05)
CHOSEN = (2 ** (1 / 128) - 1, 8)
TOP_LEVERAGE = 1e6
_BASE = float(grid.MIN_ENTRY) / 1e18


@dataclass(frozen=True)
class Closing:
    """One forced close: `size` base, and the deficit (quote) it allots to those who are closed."""

    size: float
    allotted: float


@dataclass(frozen=True)
class Side:
    """The legs of one side of a market at the beginning of a minute, and what was closed of them.

    Arrays are by leg: `size` base, `entry` quote, `leverage` of the account at this price
    (notional over equity), `result` V in quote, `tier` as the chain has it (last touch), `closed`
    base and `paid` quote as the chain did it.
    """

    is_long: bool
    price: float
    size: Floats
    entry: Floats
    leverage: Floats
    result: Floats
    tier: Ints
    closed: Floats
    paid: Floats
    closings: Sequence[Closing]

    @property
    def total(self) -> float:
        """Base closed."""
        return float(min(sum(c.size for c in self.closings), self.size.sum()))


@dataclass(frozen=True)
class Taken:
    """What a queue takes of each leg (`closed` base, `paid` quote), and units taken by closing."""

    closed: Floats
    paid: Floats
    units: float


def ideal_score(side: Side) -> Floats:
    """Every leg's exact score."""
    profit = (side.price - side.entry if side.is_long else side.entry - side.price) / side.entry
    leverage = np.clip(side.leverage, 1e-6, TOP_LEVERAGE)
    return np.where(profit > 0, profit * leverage, profit / leverage)


def ideal(side: Side) -> Taken:
    """The queue without a grid."""
    order = np.argsort(-ideal_score(side), kind="stable")
    caps = side.price - side.entry if side.is_long else side.entry - side.price
    closed, paid, units = _walk(side, side.size[order], np.maximum(caps, 0)[order])
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return Taken(closed[back], paid[back], units)


def gridded(side: Side, width: float, tiers: int, as_touched: bool = False) -> Taken:
    """The queue on a grid of this tick width; leverage as of now, or (8 tiers) as last touched."""
    ends = np.array(TIERS[tiers], dtype=float)
    tier = side.tier if as_touched else np.searchsorted(ends[:-1], side.leverage, side="left")
    step = np.log1p(width)
    tick = np.floor(np.log(side.entry / _BASE) / step)
    own = np.floor(np.log(side.price / _BASE) / step)
    edge = np.where(tick < own, _BASE * np.exp((tick + 1) * step), _BASE * np.exp(tick * step))
    edge = np.where(tick == own, side.price, edge)
    profit = (side.price - edge if side.is_long else edge - side.price) / edge
    score = np.where(profit > 0, profit * ends[tier], profit / ends[tier])
    first = tick if side.is_long else -tick
    order = np.lexsort((first, -tier, -score))
    changed = (np.diff(tick[order]) != 0) | (np.diff(tier[order]) != 0)
    unit = np.concatenate([[0], np.cumsum(changed)])
    sizes = summed(unit, side.size[order], int(unit[-1]) + 1)
    starts = np.flatnonzero(np.concatenate([[True], changed]))
    gap = side.price - edge if side.is_long else edge - side.price
    closed, paid, units = _walk(side, sizes, np.maximum(gap, 0)[order][starts])
    part = side.size[order] / sizes[unit]
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return Taken((closed[unit] * part)[back], (paid[unit] * part)[back], units)


def _walk(side: Side, sizes: Floats, caps: Floats) -> tuple[Floats, Floats, float]:
    """Take the closings one after the other from units in queue order: closed and paid by unit, and
    the mean number of units a closing touched."""
    ends = np.cumsum(sizes)
    starts = ends - sizes
    closed, paid = np.zeros(len(sizes)), np.zeros(len(sizes))
    at, touched = 0.0, 0
    for closing in side.closings:
        upto = min(at + closing.size, float(ends[-1]))
        if upto <= at:
            break
        low = int(np.searchsorted(ends, at, side="right"))
        high = int(np.searchsorted(starts, upto, side="left"))
        part = np.minimum(ends[low:high], upto) - np.maximum(starts[low:high], at)
        closed[low:high] += part
        paid[low:high] += part * _distances(part, caps[low:high], closing.allotted)
        touched += high - low
        at = upto
    return closed, paid, touched / max(1, len(side.closings))


def _distances(sizes: Floats, caps: Floats, allotted: float) -> Floats:
    """Water-filling: how far from the price each unit is closed."""
    order = np.argsort(caps)
    level, rest, free = 0.0, allotted, float(sizes.sum())
    for place in order:
        if rest <= 0 or free <= 0:
            break
        level = rest / free
        if caps[place] >= level:
            break
        rest -= float(caps[place] * sizes[place])
        free -= float(sizes[place])
    else:
        level = float(caps.max(initial=0.0))
    return np.minimum(caps, level)


@dataclass(frozen=True)
class Figures:
    """A queue over all sides, against the ideal one. Shares are of 1.

    `misplaced`: share of the closed notional that the ideal queue would have taken from others;
    `regret`: how much further back in the ideal queue those closed stand on average than those
    whom it would have closed, as a share of the side's size; `touched` of the legs in profit;
    `largest`: the largest part of a leg's profit that was taken in a minute; `paid` quote;
    `units`: buckets (or legs) a closing takes on average.
    """

    misplaced: float
    regret: float
    touched: float
    largest: float
    paid: float
    units: float


def chain_took(side: Side) -> Taken:
    """What the chain really took."""
    return Taken(side.closed, side.paid, 0.0)


def figures(sides: Sequence[Side], taken: Sequence[Taken], best: Sequence[Taken]) -> Figures:
    """Compare what a queue took of every side with what the ideal one takes."""
    wrong = notional = regret = units = count = paid = 0.0
    winners = touched = 0
    largest = 0.0
    for side, one, other in zip(sides, taken, best, strict=True):
        total = other.closed.sum()
        if total <= 0:
            continue
        scale = total / one.closed.sum() if one.closed.sum() > 0 else 0.0
        weight = float(total * side.price)
        place = _places(side)
        mine = one.closed * scale
        wrong += weight * float(np.abs(mine - other.closed).sum()) / 2 / float(total)
        regret += weight * float(((mine - other.closed) * place).sum()) / float(total)
        notional += weight
        gain = side.result > 0
        winners += int(gain.sum())
        touched += int((gain & (one.closed > side.size * 1e-9)).sum())
        if gain.any():
            largest = max(largest, float((one.paid[gain] / side.result[gain]).max()))
        paid += float(one.paid.sum())
        units += one.units * len(side.closings)
        count += len(side.closings)
    weight = max(notional, 1e-18)
    return Figures(
        wrong / weight,
        regret / weight,
        touched / max(1, winners),
        largest,
        paid,
        units / max(1.0, count),
    )


def _places(side: Side) -> Floats:
    """The middle of every leg in the ideal queue, as a share of the side's size."""
    order = np.argsort(-ideal_score(side), kind="stable")
    ends = np.cumsum(side.size[order])
    place = np.empty(len(order))
    place[order] = (ends - side.size[order] / 2) / max(float(ends[-1]), 1e-18)
    return place


def curve(sides: Sequence[Side]) -> list[dict[str, float]]:
    """Every width with every number of tiers, leverage as of now: figures against the ideal."""
    best = [ideal(side) for side in sides]
    rows = []
    for tiers in TIERS:
        for width in WIDTHS:
            found = figures(sides, [gridded(side, width, tiers) for side in sides], best)
            rows.append({"tiers": tiers, "width": width, **vars(found)})
    return rows


def summary(sides: Sequence[Side]) -> dict[str, dict[str, float]]:
    """The ideal queue, the chosen grid with fresh and with touched tiers, and the chain itself."""
    best = [ideal(side) for side in sides]
    fresh = [gridded(side, *CHOSEN) for side in sides]
    touched = [gridded(side, *CHOSEN, as_touched=True) for side in sides]
    real = [chain_took(side) for side in sides]
    named = {"ideal": best, "grid": fresh, "grid_as_touched": touched, "chain": real}
    return {name: dict(vars(figures(sides, taken, best))) for name, taken in named.items()}
