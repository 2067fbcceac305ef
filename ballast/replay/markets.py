"""A deployment configuration for any price file: one market a coin, in one clearing group."""

from __future__ import annotations

from dataclasses import replace

from ballast.config import DAY, MAX_AMOUNT, WAD, DeployConfig, MarketConfig
from ballast.population import PopulationConfig
from ballast.scenario import POINTS, Scenario

MAX_MARKETS = 16
POSITION_CAP_QUOTE = 10**8
GRACE_SECONDS = 60


def for_scenario(base: DeployConfig, scenario: Scenario) -> DeployConfig:
    """`base` with the scenario's coins as its markets.

    A coin that `base` lists keeps its parameters; others take those of the last one listed there.
    Caps are set in proportion to the price, and a price may grow as old as the scenario's own
    interval makes it.
    """
    known = {market.symbol: market for market in base.markets}
    first = first_prices(scenario)
    markets = []
    for coin in scenario.coins:
        market = known.get(coin, base.markets[-1])
        cap = min(POSITION_CAP_QUOTE * WAD * WAD // first[coin], MAX_AMOUNT // 100)
        age = scenario.longest_interval(coin) // POINTS + GRACE_SECONDS
        markets.append(_market(market, coin, cap, min(max(market.max_age_seconds, age), DAY)))
    return replace(base, markets=tuple(markets))


def _market(market: MarketConfig, coin: str, cap: int, max_age: int) -> MarketConfig:
    return replace(
        market,
        symbol=coin,
        position_cap_base=cap,
        interest_cap_base=100 * cap,
        max_age_seconds=max_age,
    )


def first_prices(scenario: Scenario) -> dict[str, int]:
    """The first price (WAD) of each coin."""
    first: dict[str, int] = {}
    for step in scenario.steps():
        for coin, price in step.prices.items():
            first.setdefault(coin, price)
    return first


def capped(people: PopulationConfig, scenario: Scenario) -> PopulationConfig:
    """The population with its largest notional inside what the cheapest coin's records can hold."""
    cheapest = min(first_prices(scenario).values())
    most = MAX_AMOUNT // 10_000 * cheapest // WAD / WAD
    return replace(people, max_notional_quote=min(people.max_notional_quote, most))
