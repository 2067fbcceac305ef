"""What may be taken over of a leg, what it binds, and what it brings: a liquidation in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from ballast.config import MarketParams
from ballast.mirror import BPS, WAD, Account, Leg

MARGIN_USED_BPS = 9_000
"""Of its free margin a liquidator uses so much: prices go on moving until the call is mined."""
_BPS_WAD = WAD // BPS


@dataclass(frozen=True)
class Terms:
    """What `liquidate` allows of a leg: size (base WAD) and penalty (WAD of the notional)."""

    size: int
    penalty_wad: int


@dataclass
class Means:
    """A liquidator's account and what of its margin is free, quote WAD."""

    account: Account
    free_quote: int


def terms(equity: int, maintenance: int, leg: Leg, price: int, params: MarketParams) -> Terms:
    """What may be taken of a leg with `0 <= E < MM` (modules/liquidation.vy, `_terms`)."""
    ratio = params.maintenance_margin_bps * _BPS_WAD
    penalty = min(params.liquidation_penalty_bps * _BPS_WAD, ratio * equity // maintenance)
    whole = Terms(leg.size, penalty)
    relief = params.liquidation_target_bps * ratio // BPS
    if equity * 5 < maintenance or relief <= penalty:
        return whole
    wanted = -(-maintenance * params.liquidation_target_bps // BPS)
    notional = -(-(wanted - equity) * WAD // (relief - penalty))
    size = -(-notional * WAD // price)
    if size >= leg.size or _is_dust(leg.size - size, price, params):
        return whole
    return Terms(size, penalty)


def bearable(means: Means, leg: Leg, most: Terms, price: int, params: MarketParams) -> int:
    """How much of a leg (base WAD) a liquidator can take over: within the terms, its free margin,
    the market's minimum and position cap. 0 where that is nothing."""
    own = means.account.legs.get(leg.market)
    held = own.signed_size if own else 0
    towards = held if leg.is_long else -held  # negative: taking over reduces what is held
    size = most.size
    free = means.free_quote * MARGIN_USED_BPS // BPS
    per_base = margin_quote(WAD, most, price, params)
    size = min(size, max(0, -towards) + max(0, free) * WAD // max(1, per_base))
    size = min(size, params.position_cap_base - towards)
    if size < leg.size and _is_dust(leg.size - size, price, params):
        size = leg.size - _least(price, params)
    after = abs(towards + size)
    if after and _is_dust(after, price, params):
        # What would be left of an opposite position must not be dust either.
        size = -towards if 0 < -towards <= size else 0
        if size < leg.size and _is_dust(leg.size - size, price, params):
            return 0
    return max(0, size)


def margin_quote(size: int, taken: Terms, price: int, params: MarketParams) -> int:
    """What taking over `size` (base WAD) binds, quote WAD: initial margin, and the part of the
    penalty passed on."""
    passed_on = taken.penalty_wad * (BPS - params.liquidator_share_bps) // BPS
    share = params.initial_margin_bps * _BPS_WAD + passed_on
    return -(-size * price * share // WAD**2)


def _is_dust(size: int, price: int, params: MarketParams) -> bool:
    return size * price // WAD < params.min_notional_quote


def _least(price: int, params: MarketParams) -> int:
    return -(-params.min_notional_quote * WAD // price)


def reward_quote(size: int, taken: Terms, leg: Leg, price: int, params: MarketParams) -> int:
    """What a take-over brings, quote WAD: the liquidator's part of the penalty, topped up to the
    minimum by no more than the maker fees of what is taken (it may have paid more)."""
    notional = size * price // WAD
    kept = notional * taken.penalty_wad // WAD * params.liquidator_share_bps // BPS
    paid = size * leg.entry_price // WAD * params.maker_fee_bps // BPS
    return kept + min(max(0, params.min_reward_quote - kept), paid)


def gas_quote(gas: int, gas_price: int, native_quote: int) -> int:
    """What gas costs, quote WAD, rounded up."""
    return -(-gas * gas_price * native_quote // WAD)
