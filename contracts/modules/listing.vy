# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Listing
@license AGPL-3.0-only
@notice The one door by which parameters enter, with the hard bounds beside each.
"""

from interfaces import IClearinghouse
from modules import allowances
from modules import fixed_point
from modules import records

uses: records

MAX_BUCKETS_PER_CALL: constant(uint256) = 200
DEFAULT_BUCKETS_PER_CALL: constant(uint256) = 8
MAX_REWARD_BPS: constant(uint256) = 100
MAX_FEE_BPS: constant(uint256) = 100
MIN_REFILL_SECONDS: constant(uint256) = 3600
MAX_REFILL_SECONDS: constant(uint256) = 365 * 86400
MAX_PREMIUM_CAP_BPS: constant(uint256) = 1_000
MAX_FUNDING_CAP_BPS: constant(uint256) = 400
MAX_BAND_BPS: constant(uint256) = 2_000


@internal
@view
def _check(p: IClearinghouse.MarketParams):
    """
    @notice The hard bounds of a market's parameters.
    """
    assert p.oracle != empty(address) and p.oracle.is_contract, "listing: oracle"
    assert p.group != 0 and p.group <= records.MASK_12, "listing: group"
    assert records._allowance(records._group_key(p.group)).refill_seconds != 0, "listing: group"
    # A fee must stay below the maintenance margin, or closing could lower E / MM of who meets IM (S8).
    assert p.maintenance_margin_bps > MAX_FEE_BPS // 2, "listing: margin"
    assert (
        p.initial_margin_bps > p.maintenance_margin_bps
        and p.initial_margin_bps <= fixed_point.BPS
    ), "listing: margin"
    assert p.maker_fee_bps <= p.taker_fee_bps, "listing: fee"
    assert p.taker_fee_bps <= MAX_FEE_BPS and p.taker_fee_bps < p.maintenance_margin_bps, "listing: fee"
    assert (
        p.fee_insurance_share_bps + p.fee_reserve_share_bps <= fixed_point.BPS
    ), "listing: shares"
    assert (
        p.liquidator_share_bps + p.penalty_insurance_share_bps <= fixed_point.BPS
    ), "listing: shares"
    assert (
        p.liquidation_penalty_bps <= p.maintenance_margin_bps
    ), "listing: penalty"
    assert (
        p.liquidation_target_bps >= fixed_point.BPS
        and p.liquidation_target_bps <= 10 * fixed_point.BPS
    ), "listing: target"
    assert p.price_band_bps != 0 and p.price_band_bps <= MAX_BAND_BPS, "listing: band"
    assert (
        p.position_cap_base != 0 and p.position_cap_base <= p.interest_cap_base
        and p.interest_cap_base <= records.MASK_96
    ), "listing: caps"
    assert p.min_notional_quote != 0, "listing: minimum"
    assert self._is_micro(p.min_notional_quote), "listing: minimum"
    assert self._is_micro(p.min_reward_quote), "listing: reward"
    assert p.insurance_cap_quote <= records.MASK_96, "listing: insurance cap"
    assert (
        p.insurance_refill_seconds >= MIN_REFILL_SECONDS
        and p.insurance_refill_seconds <= MAX_REFILL_SECONDS
    ), "listing: refill"
    assert p.premium_cap_bps <= MAX_PREMIUM_CAP_BPS, "listing: premium cap"
    assert p.funding_cap_bps <= MAX_FUNDING_CAP_BPS, "listing: funding cap"
    assert (
        p.premium_window_seconds != 0 and p.premium_window_seconds <= records.MASK_32
    ), "listing: window"


@internal
@pure
def _is_micro(amount: uint256) -> bool:
    """
    @return Whether the value fits its record: a multiple of 1e12, below 2^64 of them.
    """
    return amount % records.MICRO == 0 and amount // records.MICRO <= records.MASK_64


@internal
@view
def _raises_margin(market: uint256, p: IClearinghouse.MarketParams) -> bool:
    risk: records.Risk = records._risk(market)
    return (
        p.initial_margin_bps > risk.initial_margin_bps
        or p.maintenance_margin_bps > risk.maintenance_margin_bps
    )


@internal
def _set(market: uint256, p: IClearinghouse.MarketParams):
    """
    @notice Writes a market's parameters. A market stays in its group; a pause stays as it is.
    """
    self._check(p)
    old: records.Risk = records._risk(market)
    assert not old.listed or old.group == p.group, "listing: group"
    records._set_risk(
        market,
        records.Risk(
            oracle=p.oracle,
            group=p.group,
            initial_margin_bps=p.initial_margin_bps,
            maintenance_margin_bps=p.maintenance_margin_bps,
            price_band_bps=p.price_band_bps,
            liquidation_penalty_bps=p.liquidation_penalty_bps,
            listed=True,
            paused=old.paused,
        ),
    )
    records._set_limits(
        market,
        records.Limits(
            position_cap_base=p.position_cap_base,
            interest_cap_base=p.interest_cap_base,
            min_notional_quote=p.min_notional_quote,
        ),
    )
    had_no_funding: bool = records._funding_limits(market).funding_cap_bps == 0
    records._set_fees(
        market,
        records.Fees(
            maker_fee_bps=p.maker_fee_bps,
            taker_fee_bps=p.taker_fee_bps,
            insurance_share_bps=p.fee_insurance_share_bps,
            reserve_share_bps=p.fee_reserve_share_bps,
            liquidation_target_bps=p.liquidation_target_bps,
            liquidator_share_bps=p.liquidator_share_bps,
            penalty_insurance_share_bps=p.penalty_insurance_share_bps,
            min_reward_quote=p.min_reward_quote,
        ),
        records.FundingLimits(
            premium_cap_bps=p.premium_cap_bps,
            funding_cap_bps=p.funding_cap_bps,
            premium_window_seconds=p.premium_window_seconds,
        ),
    )
    if had_no_funding:
        # The premium's average begins now, at zero: a first fill must not weigh the whole time since 1970, nor what
        # was paid when funding was last on.
        flow: records.Flow = records._flow(market)
        flow.sampled_at = block.timestamp
        records._set_flow(market, flow)
        price: records.PriceRecord = records._price_record(market)
        price.premium_wad = 0
        records._set_price_record(market, price)
    records._set_allowance(
        market,
        allowances._changed(
            records._allowance(market), p.insurance_cap_quote, p.insurance_refill_seconds
        ),
    )
    log IClearinghouse.MarketSet(market=market, params=p)


@internal
@view
def _params(market: uint256) -> IClearinghouse.MarketParams:
    """
    @return The parameters as they were set; all zero for an unknown market.
    """
    risk: records.Risk = records._risk(market)
    if not risk.listed:
        # A group's allowance stands beside the markets', under a number no market has.
        return empty(IClearinghouse.MarketParams)
    limits: records.Limits = records._limits(market)
    fees: records.Fees = records._fees(market)
    funding: records.FundingLimits = records._funding_limits(market)
    insurance: records.Allowance = records._allowance(market)
    return IClearinghouse.MarketParams(
        oracle=risk.oracle,
        group=risk.group,
        initial_margin_bps=risk.initial_margin_bps,
        maintenance_margin_bps=risk.maintenance_margin_bps,
        position_cap_base=limits.position_cap_base,
        interest_cap_base=limits.interest_cap_base,
        min_notional_quote=limits.min_notional_quote,
        price_band_bps=risk.price_band_bps,
        maker_fee_bps=fees.maker_fee_bps,
        taker_fee_bps=fees.taker_fee_bps,
        fee_insurance_share_bps=fees.insurance_share_bps,
        fee_reserve_share_bps=fees.reserve_share_bps,
        liquidation_penalty_bps=risk.liquidation_penalty_bps,
        liquidator_share_bps=fees.liquidator_share_bps,
        penalty_insurance_share_bps=fees.penalty_insurance_share_bps,
        liquidation_target_bps=fees.liquidation_target_bps,
        min_reward_quote=fees.min_reward_quote,
        insurance_cap_quote=insurance.cap_quote,
        insurance_refill_seconds=insurance.refill_seconds,
        premium_cap_bps=funding.premium_cap_bps,
        funding_cap_bps=funding.funding_cap_bps,
        premium_window_seconds=funding.premium_window_seconds,
    )


@internal
def _pause(market: uint256, paused: bool):
    risk: records.Risk = records._listed_risk(market)
    risk.paused = paused
    records._set_risk(market, risk)


@internal
def _set_group(group: uint256, insurance_cap_quote: uint256, refill_seconds: uint256):
    assert group != 0 and group <= records.MASK_12, "listing: group"
    assert insurance_cap_quote <= records.MASK_96, "listing: insurance cap"
    assert (
        refill_seconds >= MIN_REFILL_SECONDS and refill_seconds <= MAX_REFILL_SECONDS
    ), "listing: refill"
    key: uint256 = records._group_key(group)
    records._set_allowance(
        key, allowances._changed(records._allowance(key), insurance_cap_quote, refill_seconds)
    )
    log IClearinghouse.GroupSet(
        group=group, insurance_cap_quote=insurance_cap_quote, refill_seconds=refill_seconds
    )


@internal
def _set_adl(buckets_per_call: uint256, reward_bps: uint256):
    assert (
        buckets_per_call != 0 and buckets_per_call <= MAX_BUCKETS_PER_CALL
    ), "listing: buckets"
    assert reward_bps <= MAX_REWARD_BPS, "listing: reward"
    records._set_adl_params(buckets_per_call, reward_bps)
    log IClearinghouse.AdlSet(buckets_per_call=buckets_per_call, reward_bps=reward_bps)
