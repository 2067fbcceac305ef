"""A population of traders, drawn from a seed, and the trades that give them their positions.

Every distribution is a field of `PopulationConfig`. Money is in whole quote here (floats, as
drawn); `plan_trades` turns it into exact base sizes in WAD.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ballast.errors import ScenarioError

WAD = 10**18
_MIN_TRADERS = 2


@dataclass(frozen=True)
class PopulationConfig:
    """How traders are drawn.

    Notional of a trader: lognormal, `median_notional_quote` its median, `notional_sigma` the
    standard deviation of its logarithm, cut at `max_notional_quote`. Leverage: one of `leverages`,
    with weights for those who are long and those who are short. Markets held: 1, 2, 3 ... with
    `leg_weights`; the notional is split evenly between them. Side: long with `long_share`, the
    same in all markets but for `hedged_share` of those with several, whose sides alternate.
    """

    traders: int = 60
    seed: int = 20_251_010
    long_share: float = 0.6
    hedged_share: float = 0.15
    median_notional_quote: float = 60_000.0
    notional_sigma: float = 1.0
    max_notional_quote: float = 2_000_000.0
    leverages: tuple[float, ...] = (1.5, 2.0, 3.0, 5.0, 8.0, 12.0, 18.0, 25.0)
    long_weights: tuple[float, ...] = (1, 2, 3, 5, 5, 4, 3, 2)
    short_weights: tuple[float, ...] = (5, 5, 5, 4, 3, 2, 1, 1)
    leg_weights: tuple[float, ...] = (6, 3, 1)
    lot_decimals: int = 6

    def __post_init__(self) -> None:
        def need(ok: bool, name: str, rule: str) -> None:
            if not ok:
                raise ScenarioError(f"population: {name}: {rule}")

        need(self.traders >= _MIN_TRADERS, "traders", "at least 2")
        need(self.seed >= 0, "seed", "not negative")
        for name in ("long_share", "hedged_share"):
            need(0 <= getattr(self, name) <= 1, name, "between 0 and 1")
        need(self.median_notional_quote > 0, "median_notional_quote", "above 0")
        need(self.notional_sigma >= 0, "notional_sigma", "not negative")
        need(self.max_notional_quote > 0, "max_notional_quote", "above 0")
        need(bool(self.leverages), "leverages", "at least one")
        need(min(self.leverages) > 0, "leverages", "above 0")
        need(0 <= self.lot_decimals <= 18, "lot_decimals", "0 to 18")
        for name in ("long_weights", "short_weights"):
            weights = getattr(self, name)
            need(len(weights) == len(self.leverages), name, "one a leverage")
            need(min(weights) >= 0 and sum(weights) > 0, name, "not negative, not all 0")
        need(bool(self.leg_weights), "leg_weights", "at least one")
        legs = self.leg_weights
        need(min(legs) >= 0 and sum(legs) > 0, "leg_weights", "not negative, not all 0")


@dataclass(frozen=True, slots=True)
class Leg:
    """What a trader wants in one market: a side and a notional in whole quote."""

    coin: str
    is_long: bool
    notional_quote: float


@dataclass(frozen=True, slots=True)
class Trader:
    """A trader: legs, leverage (notional over collateral), and a label its key derives from."""

    index: int
    leverage: float
    legs: tuple[Leg, ...]

    @property
    def label(self) -> str:
        """What `signing.key_from_label` makes the trader's key of."""
        return f"trader {self.index}"

    @property
    def notional_quote(self) -> float:
        """All legs' notional, whole quote."""
        return sum(leg.notional_quote for leg in self.legs)

    @property
    def collateral_quote(self) -> float:
        """What the trader deposits, whole quote."""
        return self.notional_quote / self.leverage


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade between two traders (by index): `size_base` WAD at `price` WAD."""

    coin: str
    buyer: int
    seller: int
    size_base: int
    price: int


def draw(coins: Sequence[str], config: PopulationConfig | None = None) -> list[Trader]:
    """Draw the traders: the same ones for the same coins and configuration."""
    config = config or PopulationConfig()
    if not coins:
        raise ScenarioError("population: no coins")
    random = np.random.default_rng(config.seed)
    leg_weights = np.array(config.leg_weights[: len(coins)], dtype=float)
    if not leg_weights.sum():
        raise ScenarioError("population: leg_weights: all 0 for so few coins")
    leg_weights /= leg_weights.sum()
    traders = []
    for index in range(config.traders):
        is_long = bool(random.random() < config.long_share)
        # Whatever the draw, the first two traders take a side each: nobody trades alone.
        is_long = index == 0 if index < _MIN_TRADERS else is_long
        notional = config.median_notional_quote * math.exp(
            config.notional_sigma * random.standard_normal()
        )
        notional = min(notional, config.max_notional_quote)
        raw = np.array(config.long_weights if is_long else config.short_weights, dtype=float)
        leverage = float(random.choice(np.array(config.leverages), p=raw / raw.sum()))
        count = int(random.choice(len(leg_weights), p=leg_weights)) + 1
        chosen = random.choice(len(coins), size=count, replace=False)
        hedged = count > 1 and bool(random.random() < config.hedged_share)
        legs = tuple(
            Leg(coins[int(coin)], is_long != (hedged and bool(i % 2)), notional / count)
            for i, coin in enumerate(chosen)
        )
        traders.append(Trader(index, leverage, legs))
    return traders


def plan_trades(
    traders: Sequence[Trader],
    prices: Mapping[str, int],
    config: PopulationConfig | None = None,
    min_notional_quote: float = 100.0,
) -> list[Trade]:
    """Trades at `prices` (WAD) after which every trader has its legs, as far as both sides allow.

    In each market the larger side is scaled down to the smaller one. Sizes are whole lots; a
    piece under `min_notional_quote` is left out. A market that only one side wants has no trades.
    """
    config = config or PopulationConfig()
    lot = 10 ** (18 - config.lot_decimals)
    trades: list[Trade] = []
    for coin in sorted(prices):
        price = prices[coin]
        floor = _to_base(min_notional_quote, price, lot)
        wanted: dict[bool, list[list[int]]] = {True: [], False: []}
        for trader in traders:
            for leg in trader.legs:
                if leg.coin == coin:
                    size = _to_base(leg.notional_quote, price, lot)
                    wanted[leg.is_long].append([trader.index, size])
        both = min(sum(size for _, size in side) for side in wanted.values())
        for side in wanted.values():
            total = sum(size for _, size in side)
            for entry in side:
                entry[1] = entry[1] * both // total // lot * lot if total else 0
        trades += _pair(coin, price, wanted[True], wanted[False], max(floor, lot))
    return trades


def _to_base(quote: float, price: int, lot: int) -> int:
    return int(quote * 10**6) * 10**12 * WAD // price // lot * lot


def _pair(
    coin: str, price: int, buyers: list[list[int]], sellers: list[list[int]], floor: int
) -> list[Trade]:
    """Walk both sides in order and trade the smaller of the two heads each time."""
    trades = []
    i = j = 0
    while i < len(buyers) and j < len(sellers):
        size = min(buyers[i][1], sellers[j][1])
        if size >= floor:
            trades.append(Trade(coin, buyers[i][0], sellers[j][0], size, price))
        buyers[i][1] -= size
        sellers[j][1] -= size
        i += buyers[i][1] == 0
        j += sellers[j][1] == 0
    return trades
