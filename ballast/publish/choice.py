"""Which signed prices go into a report, and whether one is due: no chain and no network here.

Prices are quote per base, WAD; times Unix seconds. What `choose` returns is what the contract
takes: each publisher once, all within 2 s, none from the future, the oldest newer than anything
seen and young enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ballast.config import BPS
from ballast.publish.sources import lower_median
from ballast.signing import SignedPrice

MAX_SPREAD_SECONDS = 2
"""How far apart the times of one report may be (contracts/SignedPriceOracle.vy)."""


@dataclass(frozen=True, slots=True)
class OnChain:
    """What the oracle holds of a market; zeros where it holds nothing."""

    price: int = 0
    timestamp: int = 0
    pending_price: int = 0
    pending_timestamp: int = 0

    @property
    def seen(self) -> int:
        """The newest report's time, waiting ones included: a new one has to be newer."""
        return max(self.timestamp, self.pending_timestamp)


@dataclass(frozen=True, slots=True)
class Choice:
    """A report's prices, and those left out because they lie too far off."""

    taken: list[SignedPrice]
    outliers: list[SignedPrice]

    @property
    def price(self) -> int:
        """What the contract will make of it."""
        return lower_median([price.price for price in self.taken])


def choose(
    offers: Iterable[SignedPrice],
    threshold: int,
    newer_than: int,
    not_before: int,
    not_after: int,
    outlier_bps: int,
) -> Choice | None:
    """The newest report that can be made of one market's offers (signatures already verified).

    Its times lie after `newer_than` and within `not_before` to `not_after`. The price furthest
    from the median is left out while it is more than `outlier_bps` off and `threshold` others
    remain. None where there are too few, or where no majority of what remains agrees within
    `outlier_bps`: then nobody can say who lies.
    """
    oldest = max(newer_than + 1, not_before)
    usable = sorted(
        (offer for offer in offers if oldest <= offer.timestamp <= not_after),
        key=lambda offer: -offer.timestamp,
    )
    for newest in dict.fromkeys(offer.timestamp for offer in usable):
        window: dict[str, SignedPrice] = {}
        for offer in usable:
            if newest - MAX_SPREAD_SECONDS <= offer.timestamp <= newest:
                window.setdefault(offer.publisher, offer)
        if len(window) >= threshold:
            choice = _without_outliers(list(window.values()), threshold, outlier_bps)
            if choice is not None:
                return choice
    return None


def _without_outliers(
    window: Sequence[SignedPrice], threshold: int, outlier_bps: int
) -> Choice | None:
    taken, outliers = list(window), []
    while True:
        middle = lower_median([offer.price for offer in taken])
        off = [offer for offer in taken if _is_off(offer.price, middle, outlier_bps)]
        if not off or len(taken) == threshold:
            break
        furthest = max(off, key=lambda offer: abs(offer.price - middle))
        taken.remove(furthest)
        outliers.append(furthest)
    if 2 * (len(taken) - len(off)) <= len(taken):
        return None
    return Choice(taken, outliers + off)


def _is_off(price: int, middle: int, bps: int) -> bool:
    return abs(price - middle) * BPS > middle * bps


def due(now: OnChain, price: int, at: int, heartbeat_seconds: int, deviation_bps: int) -> str:
    """Why a report of `price` is due at a time; "" if it is not."""
    if now.price == 0:
        return "first"
    if now.pending_timestamp:
        return "breaker"
    if abs(price - now.price) * BPS >= now.price * deviation_bps:
        return "deviation"
    if at - now.timestamp >= heartbeat_seconds:
        return "heartbeat"
    return ""
