"""The deleveraging queue: legs of one market and side grouped by (tier, tick), in score order."""

from dataclasses import dataclass

from ballast.model.exact import AccountId
from ballast.model.grid import score
from ballast.model.market import Market


@dataclass(frozen=True, slots=True)
class Bucket:
    """One rank bucket. `size` in size units, the members' sizes summed."""

    score: int
    is_long: bool
    tier: int
    tick: int
    size: int
    members: tuple[AccountId, ...]


def build_queue(market: Market, is_long: bool, price: int) -> list[Bucket]:
    """Non-empty buckets: score descending, then higher tier, then the more profitable tick."""
    members: dict[tuple[int, int], list[AccountId]] = {}
    for account, leg in market.legs.items():
        if leg.size != 0 and (leg.size > 0) == is_long:
            members.setdefault((leg.tier, leg.tick), []).append(account)
    buckets = [
        Bucket(
            score(is_long, tier, tick, price),
            is_long,
            tier,
            tick,
            sum(abs(market.legs[account].size) for account in accounts),
            tuple(accounts),
        )
        for (tier, tick), accounts in members.items()
    ]
    return sorted(buckets, key=_order)


def _order(bucket: Bucket) -> tuple[int, int, int]:
    profitable_tick = bucket.tick if bucket.is_long else -bucket.tick
    return (-bucket.score, -bucket.tier, profitable_tick)
