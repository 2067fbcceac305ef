"""Prices for the crash: the recorded one, its mirror image, single jumps, and any price file.

A path is a list of steps; between two steps nobody can act. Prices are WAD.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ballast import scenario
from ballast.scenario import Step

WAD = 10**18
START = 1_700_000_000
STEP_SECONDS = 15
QUIET, AFTER = 10, 30
"""Steps before and after a jump."""
COINS = {"BTC": 100_000 * WAD, "ETH": 4_000 * WAD, "SOL": 200 * WAD}


@dataclass(frozen=True)
class PricePath:
    """Prices over time under a name."""

    name: str
    steps: tuple[Step, ...]

    @property
    def coins(self) -> list[str]:
        """The coins it has prices of."""
        return sorted({coin for step in self.steps for coin in step.prices})

    def first(self) -> dict[str, int]:
        """The first price of each coin."""
        found: dict[str, int] = {}
        for step in self.steps:
            for coin, price in step.prices.items():
                found.setdefault(coin, price)
        return found


def recorded(path: Path = scenario.CRASH_2025_10_10) -> PricePath:
    """A recorded crash; by default that of 10 October 2025."""
    return PricePath(path.stem, tuple(scenario.read(path).steps()))


def mirrored(path: PricePath) -> PricePath:
    """The same crash upwards: every fall is a rise in the same proportion."""
    first = path.first()
    steps = tuple(
        Step(step.timestamp, {coin: first[coin] ** 2 // p for coin, p in step.prices.items()})
        for step in path.steps
    )
    return PricePath(f"{path.name}, mirrored", steps)


def jump(percent: int, drift_bps: int = 0, coins: Sequence[str] = tuple(COINS)) -> PricePath:
    """Prices that stand still (or drift by bps a step), jump once, and stand still."""
    steps, prices = [], {coin: COINS[coin] for coin in coins}
    for number in range(QUIET + AFTER):
        factor = 100 + percent if number == QUIET else 100
        moved = drift_bps if number < QUIET else 0
        prices = {coin: p * factor * (10_000 + moved) // 1_000_000 for coin, p in prices.items()}
        steps.append(Step(START + number * STEP_SECONDS, prices))
    return PricePath(f"jump of {percent:+d} %", tuple(steps))


JUMPS = (-5, -10, -20, -40, 5, 10, 20, 40)


def synthetic() -> list[PricePath]:
    """The jumps, and one after a slow slide."""
    return [*(jump(percent) for percent in JUMPS), jump(-10, -20)]


def largest_moves(path: PricePath, seconds: int) -> dict[str, tuple[float, float]]:
    """For each coin the largest fall and rise (parts of the price) within so many seconds."""
    series: dict[str, list[tuple[int, int]]] = {coin: [] for coin in path.coins}
    for step in path.steps:
        for coin, price in step.prices.items():
            series[coin].append((step.timestamp, price))
    found = {}
    for coin, points in series.items():
        moves = [0.0]
        for at, (when, price) in enumerate(points):
            for later, other in points[at + 1 :]:
                if later - when > seconds:
                    break
                moves.append(other / price - 1)
        found[coin] = (min(moves), max(moves))
    return found
