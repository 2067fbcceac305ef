"""The population: the same from the same seed, within its bounds, with two sides to every trade."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ballast.errors import ScenarioError
from ballast.population import PopulationConfig, draw, plan_trades

COINS = ["BTC", "ETH", "SOL"]
WAD = 10**18
PRICES = {"BTC": 116_000 * WAD, "ETH": 4_000 * WAD, "SOL": 207 * WAD + 1}


def test_same_seed_same_traders() -> None:
    assert draw(COINS) == draw(COINS)
    assert draw(COINS) != draw(COINS, PopulationConfig(seed=1))


def test_traders_are_as_configured() -> None:
    config = PopulationConfig(traders=500, max_notional_quote=100_000.0)
    traders = draw(COINS, config)
    assert [trader.index for trader in traders] == list(range(500))
    for trader in traders:
        assert trader.leverage in config.leverages
        assert 0 < trader.notional_quote <= 100_000.001
        assert trader.collateral_quote == pytest.approx(trader.notional_quote / trader.leverage)
        coins = [leg.coin for leg in trader.legs]
        assert 1 <= len(coins) == len(set(coins)) <= 3
    share = sum(trader.legs[0].is_long for trader in traders) / 500
    assert share == pytest.approx(config.long_share, abs=0.08)


def test_weight_of_zero_is_never_drawn() -> None:
    config = PopulationConfig(
        traders=200,
        leverages=(2.0, 5.0),
        long_weights=(0, 1),
        short_weights=(1, 0),
        hedged_share=0.0,
    )
    for trader in draw(COINS, config):
        assert trader.leverage == (5.0 if trader.legs[0].is_long else 2.0)
        assert len({leg.is_long for leg in trader.legs}) == 1


def test_fewer_coins_than_legs() -> None:
    assert all(len(trader.legs) == 1 for trader in draw(["BTC"]))
    with pytest.raises(ScenarioError, match="for so few coins"):
        draw(["BTC"], PopulationConfig(leg_weights=(0, 1)))
    with pytest.raises(ScenarioError, match="no coins"):
        draw([])


@given(st.integers(0, 2**32), st.integers(2, 40))
def test_trades_give_nobody_more_than_wanted(seed: int, count: int) -> None:
    config = PopulationConfig(traders=count, seed=seed)
    traders = draw(COINS, config)
    position: dict[tuple[int, str], int] = defaultdict(int)
    for trade in plan_trades(traders, PRICES, config):
        assert trade.buyer != trade.seller
        assert trade.size_base % 10**12 == 0
        assert trade.size_base * trade.price >= 99 * WAD * WAD
        position[trade.buyer, trade.coin] += trade.size_base
        position[trade.seller, trade.coin] -= trade.size_base
    for (index, coin), size in position.items():
        (leg,) = (leg for leg in traders[index].legs if leg.coin == coin)
        assert leg.is_long == (size > 0)
        assert abs(size) * PRICES[coin] / WAD**2 <= leg.notional_quote * 1.000001


def test_smaller_side_is_filled_almost_whole() -> None:
    traders = draw(COINS)
    trades = plan_trades(traders, PRICES)
    for coin in COINS:
        sides = [
            sum(
                leg.notional_quote
                for t in traders
                for leg in t.legs
                if leg.coin == coin and leg.is_long is side
            )
            for side in (True, False)
        ]
        traded = sum(t.size_base * t.price for t in trades if t.coin == coin) / WAD**2
        assert traded == pytest.approx(min(sides), rel=0.02)


def test_market_that_only_one_side_wants_has_no_trades() -> None:
    longs = [t for t in draw(["BTC"]) if t.legs[0].is_long]
    assert plan_trades(longs, PRICES) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"traders": 1}, "traders: at least 2"),
        ({"seed": -1}, "seed"),
        ({"long_share": 1.1}, "long_share"),
        ({"hedged_share": -0.1}, "hedged_share"),
        ({"median_notional_quote": 0.0}, "median_notional_quote"),
        ({"notional_sigma": -1.0}, "notional_sigma"),
        ({"max_notional_quote": 0.0}, "max_notional_quote"),
        ({"leverages": ()}, "leverages"),
        ({"leverages": (0.0,) * 8}, "leverages"),
        ({"long_weights": (1.0,)}, "long_weights: one a leverage"),
        ({"short_weights": (0.0,) * 8}, "short_weights: not negative, not all 0"),
        ({"leg_weights": ()}, "leg_weights"),
        ({"leg_weights": (0.0,)}, "leg_weights: not negative, not all 0"),
        ({"lot_decimals": 19}, "lot_decimals"),
    ],
)
def test_bad_configuration_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        replace(PopulationConfig(), **change)  # type: ignore[arg-type]
