"""Quotes: around the price, leaning against the position, never past its bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ballast.maker import BPS, WAD, MakerSettings, quotes

SETTINGS = MakerSettings(10.0, 5.0, 3, 1_000.0, 10_000.0)
PRICE = 100_000 * WAD


def test_levels_go_away_from_the_price_on_both_sides() -> None:
    made = quotes(PRICE, 0, SETTINGS)
    assert [quote.is_buy for quote in made] == [True] * 3 + [False] * 3
    assert [quote.price // WAD for quote in made] == [
        99_900, 99_850, 99_800, 100_100, 100_150, 100_200,
    ]  # fmt: skip
    for quote in made:
        assert abs(quote.size * quote.price // WAD - 1_000 * WAD) < 10**12 * quote.price // WAD


@pytest.mark.parametrize(("side", "fair"), [(1, 99_900), (-1, 100_100)])
def test_a_full_position_is_only_quoted_down(side: int, fair: int) -> None:
    held = side * WAD // 10  # 10,000 quote
    made = quotes(PRICE, held, SETTINGS)
    assert [quote.is_buy for quote in made] == [side < 0] * 3
    assert abs(made[0].price // WAD - fair * (1 + side * 10 / BPS)) <= 1


@given(
    price=st.integers(10**14, 10**24),
    held=st.floats(-2, 2),
    levels=st.integers(1, 20),
    size=st.floats(1, 50_000),
)
def test_bids_are_below_asks_and_the_bound_holds(
    price: int, held: float, levels: int, size: float
) -> None:
    settings = MakerSettings(10.0, 5.0, levels, size, 10_000.0)
    position = int(held * 10_000 * WAD * WAD / price)
    made = quotes(price, position, settings)
    bids = [quote.price for quote in made if quote.is_buy]
    asks = [quote.price for quote in made if not quote.is_buy]
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    if bids and asks:
        assert bids[0] < asks[0]
    for side, prices in ((1, bids), (-1, asks)):
        assert not prices or side * held * 10_000 + len(prices) * size <= 10_000 * 1.000001
