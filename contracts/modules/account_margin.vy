# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Margin
@license AGPL-3.0-only
@notice Equity, backing and requirements of an account over all its legs.
@dev     equity   E = cash + u + sum(V_m)
         backing  B = cash + min(0, u) + sum(min(0, V_m))       profit nobody has paid does not count
         IM, MM     = sum of ceil(ratio x notional)

     Requirements are rounded up, results down: an account is never judged richer than it is.
     A leg whose market is stale counts at its last price.
"""

from modules import fixed_point
from modules import ledger
from modules import positions
from modules import pricing
from modules import records

uses: positions
uses: pricing
uses: records


struct Totals:
    result_quote: int256  # sum of V
    losses_quote: uint256  # sum of -min(0, V)
    initial_quote: uint256
    maintenance_quote: uint256
    notional_quote: uint256
    status: uint256  # of all legs' prices, or-ed


@internal
@pure
def _with_leg(
    rest: Totals, leg: positions.Leg, quote: pricing.Quote, risk: records.Risk
) -> Totals:
    """
    @return The totals with one more leg, at the quote's price.
    """
    if leg.recorded_size == 0 and leg.size == 0:
        return rest
    result: int256 = positions._open_result(leg, quote.price)
    notional: uint256 = fixed_point._mul_div_up(leg.size, quote.price, fixed_point.WAD)
    losses: uint256 = 0
    if result < 0:
        losses = convert(-result, uint256)
    return Totals(
        result_quote=rest.result_quote + result,
        losses_quote=rest.losses_quote + losses,
        initial_quote=rest.initial_quote
        + fixed_point._mul_div_up(notional, risk.initial_margin_bps, fixed_point.BPS),
        maintenance_quote=rest.maintenance_quote
        + fixed_point._mul_div_up(notional, risk.maintenance_margin_bps, fixed_point.BPS),
        notional_quote=rest.notional_quote + notional,
        status=rest.status | quote.status,
    )


@internal
@pure
def _leg_totals(leg: positions.Leg, quote: pricing.Quote, risk: records.Risk) -> Totals:
    """
    @return What one leg adds to its account's totals.
    """
    return self._with_leg(empty(Totals), leg, quote, risk)


@internal
@view
def _totals(account: bytes32) -> Totals:
    """
    @notice Totals over all legs, at the prices of this block.
    """
    totals: Totals = empty(Totals)
    markets: DynArray[uint256, 16] = records._markets_in(records._accounts[account])
    for market: uint256 in markets:
        quote: pricing.Quote = pricing._peek(market)
        totals = self._with_leg(
            totals,
            positions._leg(account, market, quote.funding_index),
            quote,
            records._risk(market),
        )
    return totals


@internal
@view
def _booked_totals(account: bytes32, except_market: uint256) -> (Totals, int256, uint256):
    """
    @notice Totals over all legs but one (0: over all) as a touch would book them.
    @return Totals; what the touch would realise; a bit, in the order of the list of markets, for each leg that loses.
    """
    totals: Totals = empty(Totals)
    realised: int256 = 0
    losing: uint256 = 0
    bit: uint256 = 1
    markets: DynArray[uint256, 16] = records._markets_in(records._accounts[account])
    for market: uint256 in markets:
        if market != except_market:
            quote: pricing.Quote = pricing._peek(market)
            leg: positions.Leg = positions._leg(account, market, quote.funding_index)
            realised += leg.realised_quote
            losses: uint256 = totals.losses_quote
            totals = self._with_leg(totals, positions._booked(leg), quote, records._risk(market))
            if totals.losses_quote != losses:
                losing |= bit
        bit <<= 1
    return totals, realised, losing


@internal
def _fix_rest(account: bytes32, except_market: uint256) -> Totals:
    """
    @notice Fixes the price of each market the account has a leg in, but one.
    @return Totals over those legs.
    """
    totals: Totals = empty(Totals)
    markets: DynArray[uint256, 16] = records._markets_in(records._accounts[account])
    for market: uint256 in markets:
        if market == except_market:
            continue
        quote: pricing.Quote = pricing._fix(market)
        totals = self._with_leg(
            totals,
            positions._leg(account, market, quote.funding_index),
            quote,
            records._risk(market),
        )
    return totals


@internal
def _fix_prices(account: bytes32):
    """
    @notice Fixes the price of each market the account has a leg in. Called first wherever state will change by them.
    """
    markets: DynArray[uint256, 16] = records._markets_in(records._accounts[account])
    for market: uint256 in markets:
        pricing._fix(market)


@internal
@pure
def _equity(purse: ledger.Purse, totals: Totals) -> int256:
    """
    @return E, quote.
    """
    return convert(purse.cash_quote, int256) + ledger._net(purse) + totals.result_quote


@internal
@pure
def _ranked_equity(purse: ledger.Purse, totals: Totals) -> int256:
    """
    @return E without what was deposited in this block: the equity of the leverage tier (no flash re-ranking).
    """
    return self._equity(purse, totals) - convert(purse.fresh_quote, int256)


@internal
@pure
def _backing(purse: ledger.Purse, totals: Totals) -> int256:
    """
    @return B, quote.
    """
    return (
        convert(purse.cash_quote, int256)
        + min(ledger._net(purse), 0)
        - convert(totals.losses_quote, int256)
    )


@internal
@pure
def _meets_initial(purse: ledger.Purse, totals: Totals) -> bool:
    return self._backing(purse, totals) >= convert(totals.initial_quote, int256)
