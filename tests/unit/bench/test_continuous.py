"""The ideal queue and the grid, on sides small enough to say what must come out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ballast.bench import continuous
from ballast.bench.continuous import Closing, Side
from ballast.model import grid
from ballast.model.exact import WAD


def shorts(entries, leverages, sizes, closings, price=80.0) -> Side:
    entry, size = np.array(entries, dtype=float), np.array(sizes, dtype=float)
    empty = np.zeros(len(size))
    tiers = np.searchsorted(np.array(grid.TIER_LEVERAGE[:-1]), leverages)
    result = (entry - price) * size
    leverage = np.array(leverages, dtype=float)
    return Side(False, price, size, entry, leverage, result, tiers, empty, empty, closings)


def test_the_ideal_queue_takes_whole_legs_in_order_of_exact_score() -> None:
    side = shorts([120, 100, 100], [1.5, 4, 3.9], [4, 6, 6], [Closing(5, 15), Closing(3, 9)])
    taken = continuous.ideal(side)
    # Scores 1/3 x 1.5, 0.2 x 4, 0.2 x 3.9.
    assert taken.closed == pytest.approx([0, 6, 2])
    assert taken.paid == pytest.approx([0, 18, 6])
    assert taken.units == 1.5


def test_a_bucket_is_taken_pro_rata() -> None:
    side = shorts([120, 100, 100], [1.5, 4, 3.9], [4, 6, 2], [Closing(4, 12)])
    taken = continuous.gridded(side, 0.005, 8)
    assert taken.closed == pytest.approx([0, 3, 1])
    assert taken.paid == pytest.approx([0, 9, 3])
    assert taken.units == 1


def test_the_worked_example() -> None:
    """Design, section 6: 10 closed with 30 of deficit: both give 3 a unit; half of it: B alone."""
    both = shorts([120, 100], [3, 3], [4, 6], [Closing(10, 30)])
    assert continuous.ideal(both).paid == pytest.approx([12, 18])
    half = replace(both, closings=[Closing(5, 30)])
    assert continuous.ideal(half).closed == pytest.approx([4, 1])
    assert continuous.ideal(half).paid == pytest.approx([24, 6])


def test_nobody_pays_more_than_its_profit() -> None:
    side = shorts([81, 120], [50, 1], [5, 5], [Closing(10, 100)])
    taken = continuous.ideal(side)
    assert taken.paid == pytest.approx([5, 95])
    coarse = continuous.gridded(side, 0.05, 8)
    assert (coarse.paid <= side.result + 1e-9).all()
    assert coarse.paid.sum() <= 100


@pytest.mark.parametrize("is_long", [True, False])
def test_the_grid_ranks_as_the_model(is_long: bool) -> None:
    random = np.random.default_rng(3)
    entry = 80 * np.exp(random.normal(0, 0.2, 200))
    leverage = np.exp(random.normal(1, 1, 200))
    size = random.uniform(1, 10, 200)
    side = replace(
        shorts(entry, leverage, size, [Closing(float(size.sum()) / 3, 5)]), is_long=is_long
    )
    taken = continuous.gridded(side, *continuous.CHOSEN)
    scores = [
        grid.score(is_long, int(t), grid.tick_of(int(e * 1e18)), 80 * WAD)
        for t, e in zip(side.tier, entry, strict=True)
    ]
    whole = taken.closed > size * (1 - 1e-9)
    none = taken.closed == 0
    assert whole.any()
    assert none.any()
    assert min(np.array(scores, dtype=float)[whole]) >= max(np.array(scores, dtype=float)[none])
    assert taken.closed.sum() == pytest.approx(size.sum() / 3)


def test_figures_of_the_ideal_are_zero_and_of_the_opposite_are_not() -> None:
    side = shorts([120, 100], [3, 3], [5, 5], [Closing(5, 0)])
    best = continuous.ideal(side)
    same = continuous.figures([side], [best], [best])
    assert (same.misplaced, same.regret, same.touched) == (0, 0, 0.5)
    other = continuous.Taken(best.closed[::-1], best.paid, 1)
    worst = continuous.figures([side], [other], [best])
    assert (worst.misplaced, worst.regret) == (1, 0.5)
