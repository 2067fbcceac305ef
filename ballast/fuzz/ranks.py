"""Ranks: after a call the touched legs stand in the same tier and tick on both sides.

A tier may differ where the leverage that decides it is within dust of the edge; the model then
follows the contracts.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ballast import model
from ballast.model.exact import QUOTE_ONE
from ballast.model.grid import TIER_LEVERAGE

if TYPE_CHECKING:
    from ballast.fuzz.accounts import Leg
    from ballast.fuzz.pair import Pair


def compare(pair: Pair, account: bytes) -> None:
    """All legs of an account but those of dust alone. Raises `Finding`."""
    exact = pair.model.state.accounts.get(account)
    for market, leg in pair.holdings.accounts[account].legs.items():
        its = exact.legs.get(market) if exact else None
        if its is None or leg.size <= pair.dust.sizes[market]:
            continue
        if leg.tier != its.tier or leg.tick != its.tick:
            _align(pair, account, market, leg, its)


def _align(pair: Pair, account: bytes, market: int, ours: Leg, its: Any) -> None:
    """Tier or tick differ: by dust on an edge, or by mistake."""
    where, tier = f"{account.hex()[:8]}/{market}", ours.tier
    if ours.tick != its.tick:
        raise pair.finding(f"tick of {where}: {ours.tick}, exactly {its.tick} (entry {its.entry})")
    if not pair.crumbs.drawn(account, market, ours, its):
        fresh = pair.model.state.accounts[account].fresh_now(pair.model.block)
        equity = pair.model.equity(account) - Fraction(fresh, QUOTE_ONE)
        leverage = TIER_LEVERAGE[min(tier, its.tier)]
        gap = abs(pair.model.notional(account) - leverage * equity)
        if abs(tier - its.tier) != 1 or gap > (leverage + 1) * pair.dust.equity() + 32:
            raise pair.finding(f"tier of {where}: {tier}, exactly {its.tier}, gap {float(gap)}")
    pair.boundary += 1

    def follow(exact: model.Clearing) -> None:
        exact.state.accounts[account].legs[market].tier = tier

    pair.apply(follow)
