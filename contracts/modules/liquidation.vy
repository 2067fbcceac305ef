# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Liquidation
@license AGPL-3.0-only
@notice Stage 1 and 2 of the waterfall: somebody with margin of his own takes over a leg of an account below maintenance.
@dev Standard (0 <= E < MM). Taking x of a leg at the oracle price less the penalty p' leaves

         E' = E - x P p'      MM' = MM - x P mm      and      E' = t MM'   for   x = (t MM - E) / (P (t mm - p'))

     (rounded up, so the target t is reached). With p' = min(p, mm E / MM), rounded down, E' / MM' >= E / MM: what is left
     is never worse off. All of the leg goes where t mm <= p', where the rest would be under the market's minimum, or
     where E < 0.2 MM. The liquidator buys at the penalised price and pays the insurance fund's and the keeper
     reserve's parts of the penalty from his own cash, so the bankrupt's lack of cash cannot stop a liquidation.

     Take-over (E < 0). At the oracle price, and only if insurance pays the whole deficit of the size taken. Otherwise
     a counterparty could leave the deleveraging queue through it.
"""

from interfaces import IClearinghouse
from modules import fixed_point
from modules import grid
from modules import insurance
from modules import ledger
from modules import account_margin
from modules import positions
from modules import pricing
from modules import records
from modules import trading

uses: insurance
uses: ledger
uses: account_margin
uses: pricing
uses: records
uses: trading


struct Terms:
    size: uint256  # at most, base; 0: the leg cannot be liquidated
    penalty_wad: uint256  # of the notional
    insurance_quote: uint256  # for the whole leg


@internal
@pure
def _deficit_of_leg(deficit_quote: uint256, leg: account_margin.Totals, all_legs: account_margin.Totals) -> uint256:
    """
    @return The leg's share of the account's deficit, by its share of all open losses, rounded down.
    """
    if all_legs.losses_quote == 0:
        return 0
    return fixed_point._mul_div_down(deficit_quote, leg.losses_quote, all_legs.losses_quote)


@internal
@view
def _insurance_for_leg(market: uint256, leg: account_margin.Totals, deficit_quote: uint256) -> uint256:
    """
    @return I_m: at most the leg's maintenance margin, so that a pair of one's own accounts cannot mine the fund.
    """
    return min(
        min(deficit_quote, leg.maintenance_quote), insurance._left_for_market(market)
    )


@internal
@view
def _terms(
    leg: positions.Leg, rest: account_margin.Totals, equity: int256, quote: pricing.Quote, risk: records.Risk
) -> (Terms, String[32]):
    """
    @param leg As booked: what is not booked yet could hide its part of the losses.
    @param rest Over the account's other legs, booked alike.
    @return What may be taken of a leg now; or why nothing may.
    """
    totals: account_margin.Totals = account_margin._with_leg(rest, leg, quote, risk)
    if equity >= convert(totals.maintenance_quote, int256):
        return empty(Terms), "liquidation: account healthy"
    terms: Terms = Terms(size=leg.size, penalty_wad=0, insurance_quote=0)
    if equity < 0:
        own: account_margin.Totals = account_margin._leg_totals(leg, quote, risk)
        deficit: uint256 = self._deficit_of_leg(convert(-equity, uint256), own, totals)
        terms.insurance_quote = self._insurance_for_leg(leg.market, own, deficit)
        if terms.insurance_quote < deficit:
            return empty(Terms), "liquidation: insurance short"
        return terms, ""
    equity_quote: uint256 = convert(equity, uint256)
    maintenance_wad: uint256 = risk.maintenance_margin_bps * 10**14
    terms.penalty_wad = min(
        risk.liquidation_penalty_bps * 10**14,
        fixed_point._mul_div_down(maintenance_wad, equity_quote, totals.maintenance_quote),
    )
    if equity_quote * 5 < totals.maintenance_quote:
        return terms, ""
    target_bps: uint256 = records._fees(leg.market).liquidation_target_bps
    target_quote: uint256 = fixed_point._mul_div_up(
        totals.maintenance_quote, target_bps, fixed_point.BPS
    )
    relief_wad: uint256 = target_bps * maintenance_wad // fixed_point.BPS
    if relief_wad <= terms.penalty_wad:
        return terms, ""
    notional: uint256 = fixed_point._mul_div_up(
        target_quote - equity_quote, fixed_point.WAD, relief_wad - terms.penalty_wad
    )
    size: uint256 = fixed_point._mul_div_up(notional, fixed_point.WAD, quote.price)
    if size < leg.size and not self._is_dust(leg.size - size, quote, leg.market):
        terms.size = size
    return terms, ""


@internal
@view
def _is_dust(size: uint256, quote: pricing.Quote, market: uint256) -> bool:
    """
    @return Whether a position of this size would be under the market's minimum.
    """
    return (
        fixed_point._mul_div_down(size, quote.price, fixed_point.WAD)
        < records._limits(market).min_notional_quote
    )


@internal
@pure
def _penalised_price(is_long: bool, price: uint256, penalty_wad: uint256) -> uint256:
    """
    @return The price at which the liquidator takes over: the oracle price less (long) or plus (short) the penalty, rounded down.
    """
    penalty: uint256 = fixed_point._mul_div_down(price, penalty_wad, fixed_point.WAD)
    if is_long:
        return price - penalty
    return price + penalty


@internal
def _liquidate(account: bytes32, market: uint256, size: uint256, liquidator: bytes32) -> uint256:
    """
    @notice Moves up to `size` of the account's leg to the liquidator.
    @return Base taken.
    """
    assert account != liquidator, "liquidation: self"
    assert size != 0, "liquidation: zero size"
    risk: records.Risk = records._listed_risk(market)
    assert records._group_in(records._accounts[account]) == risk.group, "liquidation: no position"
    quote: pricing.Quote = pricing._fix(market)
    assert quote.status & pricing.STALE == 0, "market: stale price"
    assert quote.status & pricing.GRACE == 0, "market: grace period"
    a: trading.Side = trading._take_out(account, market, quote, risk)
    leg: positions.Leg = positions._booked(a.old)
    assert leg.size != 0, "liquidation: no position"
    rest: account_margin.Totals = empty(account_margin.Totals)
    unbooked: int256 = 0
    losing: uint256 = 0
    rest, unbooked, losing = account_margin._booked_totals(account, market)
    terms: Terms = empty(Terms)
    refusal: String[32] = ""
    terms, refusal = self._terms(leg, rest, a.equity_before, quote, risk)
    assert len(refusal) == 0, refusal
    taken: uint256 = min(size, terms.size)
    if taken < leg.size:
        assert not self._is_dust(leg.size - taken, quote, market), "liquidation: rest below minimum"
    drawn: uint256 = fixed_point._mul_div_up(terms.insurance_quote, taken, leg.size)
    insurance._draw_for_market(account, risk.group, market, drawn)
    price: uint256 = self._penalised_price(leg.is_long, quote.price, terms.penalty_wad)
    # Entries live on the grid: a penalty at the ends of the price range must not take one off it. But never beyond the
    # oracle price: under the grid a liquidator who would have to enter is refused by the grid.
    price = min(max(price, min(grid.MIN_PRICE, quote.price)), grid.MAX_PRICE)

    a = trading._trade(a, not leg.is_long, taken, price)
    a.due_quote += convert(drawn, int256)
    a.result_quote += convert(drawn, int256)
    l: trading.Side = trading._take_out(liquidator, market, quote, risk)
    l = trading._trade(l, leg.is_long, taken, price)
    flow: records.Flow = records._flow(market)
    interest: uint256 = trading._interest_after(flow.open_interest_base, a.old, a.new, l.old, l.new)
    if interest != flow.open_interest_base:
        flow.open_interest_base = interest
        records._set_flow(market, flow)
    trading._book(a, l)
    # The penalty is the liquidator's gain.
    trading._pass_on_freshness(liquidator, a.fresh_quote, taken, price, quote.price)
    if drawn != 0:
        ledger._allot(risk.group)
    penalty: uint256 = fixed_point._mul_div_down(
        taken, max(price, quote.price) - min(price, quote.price), fixed_point.WAD
    )
    reward: uint256 = self._share_penalty(liquidator, market, penalty, leg, taken, risk.group)
    a.new.fees_cents = fixed_point._mul_div_down(leg.fees_cents, leg.size - taken, leg.size)
    trading._place(a, quote, risk)
    purse: ledger.Purse = empty(ledger.Purse)
    totals: account_margin.Totals = empty(account_margin.Totals)
    purse, totals = trading._place(l, quote, risk)
    self._check_liquidator(l, purse, totals, quote)
    log IClearinghouse.Liquidated(
        account=account,
        market=market,
        liquidator=liquidator,
        size=taken,
        price=price,
        penalty_quote=penalty,
        insurance_quote=drawn,
        reward_quote=reward,
    )
    return taken


@internal
@view
def _check_liquidator(
    l: trading.Side, purse: ledger.Purse, totals: account_margin.Totals, quote: pricing.Quote
):
    """
    @notice The liquidator must meet IM afterwards, also where the take-over reduces his own position. A pause or a waiting
            breaker does not stop him: liquidation goes on at the price that stands.
    @custom:reverts margin: debt, margin: liquidator below initial, market: stale price, clearing: below minimum,
                    clearing: position cap
    """
    assert totals.status & pricing.STALE == 0, "market: stale price"
    assert purse.debt_quote == 0, "margin: debt"
    assert account_margin._meets_initial(purse, totals), "margin: liquidator below initial"
    if l.new.size != 0:
        assert not self._is_dust(l.new.size, quote, l.new.market), "clearing: below minimum"
        if l.adds_risk:
            cap: uint256 = records._limits(l.new.market).position_cap_base
            assert l.new.size <= cap, "clearing: position cap"


@internal
def _share_penalty(
    liquidator: bytes32, market: uint256, penalty_quote: uint256,
    leg: positions.Leg, taken: uint256, group: uint256,
) -> uint256:
    """
    @notice The liquidator got the whole penalty through the price, and pays on the parts of insurance fund and reserve.
            Where his own part is too small for the gas, the reserve adds to it, never more than the leg's fees.
    @return What the reserve added, quote.
    """
    fees: records.Fees = records._fees(market)
    kept: uint256 = penalty_quote * fees.liquidator_share_bps // fixed_point.BPS
    passed_on: uint256 = min(
        penalty_quote - kept, staticcall records.VAULT.balance_of(liquidator)
    )
    to_insurance: uint256 = min(
        penalty_quote * fees.penalty_insurance_share_bps // fixed_point.BPS, passed_on
    )
    ledger._income(liquidator, group, to_insurance, 0, passed_on - to_insurance)
    if kept >= fees.min_reward_quote:
        return 0
    paid_fees: uint256 = fixed_point._mul_div_down(leg.fees_cents * 10**16, taken, leg.size)
    return ledger._reward(liquidator, min(fees.min_reward_quote - kept, paid_fees))
