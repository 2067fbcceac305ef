# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Trading
@license AGPL-3.0-only
@notice Two accounts exchange `size` base at a price: the step that fills and liquidations share.
@dev Order of steps, for every exchange:
       1. prices of all legs of both accounts are fixed for the block;
       2. each leg is read and leaves its bucket, and each side's realised result is computed;
       3. the loser's result is booked first, so that its cash is in the pool when the winner is paid;
       4. fees;
       5. both legs take their new place in the queue (tiers are computed from the state after the money moved);
       6. checks, on the state as it then is.
     A taker against several makers goes through 1 and 5 once: its leg is carried in memory from maker to maker, and what it
     is left with is placed and checked after the last of them. Nothing in between reads its stored leg, as a maker is another
     account.
     No step calls a contract that could call back: the vault's ledger and the oracles' views make no calls.

     Entry prices of increases are averaged and rounded against the account (a long's up, a short's down); a flip closes at the
     fill price and opens at it.
"""

from interfaces import IClearinghouse
from modules import fixed_point
from modules import grid
from modules import ledger
from modules import account_margin
from modules import positions
from modules import pricing
from modules import records

uses: ledger
uses: account_margin
uses: positions
uses: pricing
uses: records

MAX_MAKERS: constant(uint256) = 20


struct Side:
    account: bytes32
    old: positions.Leg
    new: positions.Leg
    due_quote: int256  # realised and not booked yet, earlier forced closes and funding included
    result_quote: int256  # realised in all
    adds_risk: bool
    rest: account_margin.Totals  # the account's other legs
    fresh_quote: uint256  # cash credited from outside in this block
    equity_before: int256
    maintenance_before: uint256


@internal
def _take_out(account: bytes32, market: uint256, quote: pricing.Quote, risk: records.Risk) -> Side:
    """
    @notice One side of an exchange, taken out of the queue at once: the other side may be in the same bucket, and its own
            joining would change what the shares read here are worth.
    """
    s: Side = empty(Side)
    s.account = account
    s.old = positions._leg(account, market, quote.funding_index)
    positions._leave_queue(s.old, quote.funding_index)
    s.new = s.old
    s.new.market = market
    s.due_quote = s.old.realised_quote
    s.result_quote = s.old.realised_quote
    self._choose_group(account, risk.group)
    s.rest = account_margin._fix_rest(account, market)
    before: account_margin.Totals = account_margin._with_leg(s.rest, s.old, quote, risk)
    purse: ledger.Purse = ledger._purse(account)
    s.fresh_quote = purse.fresh_quote
    s.equity_before = account_margin._equity(purse, before)
    s.maintenance_before = before.maintenance_quote
    return s


@internal
@pure
def _trade(side: Side, is_buy: bool, size: uint256, price: uint256) -> Side:
    """
    @notice The side after buying or selling `size` at `price`, with the result of what it closes.
    """
    s: Side = side
    leg: positions.Leg = side.new
    opened: uint256 = size
    s.adds_risk = s.adds_risk or leg.size == 0 or is_buy == leg.is_long or size > leg.size
    if leg.size != 0 and is_buy != leg.is_long:
        closed: uint256 = min(size, leg.size)
        s.new.size = leg.size - closed
        opened = size - closed
        result: int256 = self._closing_result(leg, closed, price)
        s.due_quote += result
        s.result_quote += result
    if opened != 0:
        if s.new.size == 0:
            s.new.is_long = is_buy
            s.new.entry_price = price
            s.new.fees_cents = 0
        else:
            s.new.entry_price = self._average(is_buy, leg.size, leg.entry_price, opened, price)
        s.new.size += opened
    return s


@internal
@pure
def _closing_result(leg: positions.Leg, size: uint256, price: uint256) -> int256:
    """
    @return Result of closing `size` of the leg at `price`, quote, rounded against the account.
    """
    return (
        positions._proceeds(leg.is_long, size, price)
        - positions._cost_basis(leg.is_long, leg.size, leg.entry_price)
        + positions._cost_basis(leg.is_long, leg.size - size, leg.entry_price)
    )


@internal
@pure
def _average(
    is_long: bool, size: uint256, entry_price: uint256, added: uint256, price: uint256
) -> uint256:
    """
    @return Entry price of the sum, up for a long, down for a short.
    """
    cost: uint256 = size * entry_price + added * price
    if is_long:
        return fixed_point._mul_div_up(cost, 1, size + added)
    return cost // (size + added)


@internal
def _choose_group(account: bytes32, group: uint256):
    """
    @notice Puts an empty account into the market's group.
    @custom:reverts account: other group
    """
    word: uint256 = records._accounts[account]
    if records._group_in(word) == group:
        return
    assert word >> 12 == 0, "account: other group"
    records._accounts[account] = group
    log IClearinghouse.GroupChosen(account=account, group=group)


@internal
def _book(a: Side, b: Side):
    """
    @notice Books both results, the loser's first.
    """
    if a.due_quote <= b.due_quote:
        ledger._post(a.account, a.due_quote)
        ledger._post(b.account, b.due_quote)
    else:
        ledger._post(b.account, b.due_quote)
        ledger._post(a.account, a.due_quote)


@internal
def _pass_on_freshness(
    winner: bytes32, loser_fresh_quote: uint256, size: uint256, price: uint256, oracle_price: uint256
) -> uint256:
    """
    @notice What an exchange off the oracle price hands from a loser whose cash came in this block stays fresh with the
            winner. Otherwise a loan could be deposited in one account, lost to another, used for its rank and withdrawn
            again, all in one transaction.
    @return What is fresh with the winner by it, quote.
    """
    if loser_fresh_quote == 0:
        return 0
    handed: uint256 = fixed_point._mul_div_up(
        size, max(price, oracle_price) - min(price, oracle_price), fixed_point.WAD
    )
    handed = min(loser_fresh_quote, handed)
    extcall records.VAULT.mark_fresh(winner, handed)
    return handed


@internal
def _place(s: Side, quote: pricing.Quote, risk: records.Risk) -> (ledger.Purse, account_margin.Totals):
    """
    @notice Writes the side's new leg into the queue.
    @return The account's money and totals after it.
    """
    leg: positions.Leg = s.new
    leg.realised_quote = 0
    leg.recorded_size = leg.size
    purse: ledger.Purse = ledger._purse(s.account)
    totals: account_margin.Totals = account_margin._with_leg(s.rest, leg, quote, risk)
    tier: uint256 = grid._tier_of(totals.notional_quote, account_margin._ranked_equity(purse, totals))
    positions._place(s.account, s.old.size, leg, s.result_quote, tier, quote.funding_index)
    return purse, totals


@internal
@pure
def _interest_after(
    before: uint256, a_old: positions.Leg, a_new: positions.Leg, b_old: positions.Leg, b_new: positions.Leg
) -> uint256:
    """
    @notice Longs and shorts change by the same size, so one number is the open interest of both sides.
    @return Open interest after an exchange, base.
    """
    return (
        before + self._long_size(a_new) + self._long_size(b_new)
        - self._long_size(a_old) - self._long_size(b_old)
    )


@internal
@pure
def _long_size(leg: positions.Leg) -> uint256:
    return leg.size if leg.is_long else 0


@internal
def _place_and_check(s: Side, quote: pricing.Quote, risk: records.Risk, limits: records.Limits):
    """
    @notice What a fill must leave behind: margin where it adds risk, health where it only reduces.
    @custom:reverts margin: debt, margin: below initial, margin: health would fall, market: paused, market: stale price,
                    market: price pending, clearing: below minimum, clearing: position cap
    """
    purse: ledger.Purse = empty(ledger.Purse)
    totals: account_margin.Totals = empty(account_margin.Totals)
    purse, totals = self._place(s, quote, risk)
    if s.new.size != 0:
        notional: uint256 = fixed_point._mul_div_down(s.new.size, quote.price, fixed_point.WAD)
        assert notional >= limits.min_notional_quote, "clearing: below minimum"
    if s.adds_risk:
        assert not risk.paused, "market: paused"
        # Of all its legs, not of this one alone: a stale loss elsewhere would back new risk.
        status: uint256 = totals.status | quote.status
        assert status & pricing.STALE == 0, "market: stale price"
        assert status & pricing.PENDING == 0, "market: price pending"
        assert purse.debt_quote == 0, "margin: debt"
        assert s.new.size <= limits.position_cap_base, "clearing: position cap"
        assert account_margin._meets_initial(purse, totals), "margin: below initial"
    elif not account_margin._meets_initial(purse, totals):
        assert (
            account_margin._equity(purse, totals) * convert(s.maintenance_before, int256)
            >= s.equity_before * convert(totals.maintenance_quote, int256)
        ), "margin: health would fall"


@internal
def _charge(
    account: bytes32, group: uint256, due_quote: uint256, fees: records.Fees
) -> uint256:
    """
    @notice Takes a trading fee and splits it; the protocol has what rounding leaves.
    @return What was taken, at most the account's cash.
    """
    fee: uint256 = min(due_quote, ledger._cash(account))
    if fee != 0:
        insurance: uint256 = fee * fees.insurance_share_bps // fixed_point.BPS
        reserve: uint256 = fee * fees.reserve_share_bps // fixed_point.BPS
        ledger._income(account, group, insurance, fee - insurance - reserve, reserve)
    return fee


@internal
@pure
def _add_cents(fees_cents: uint256, fee_quote: uint256) -> uint256:
    """
    @return The leg's fee counter, floored to cents, saturating at 65,535.
    """
    return min(fees_cents + fee_quote // 10**16, records.MASK_16)


@internal
@pure
def _check_price(price: uint256, oracle_price: uint256, band_bps: uint256):
    """
    @custom:reverts clearing: price outside band
    """
    distance: uint256 = max(price, oracle_price) - min(price, oracle_price)
    assert distance * fixed_point.BPS <= oracle_price * band_bps, "clearing: price outside band"


@internal
def _fill(
    market: uint256,
    taker: bytes32,
    taker_buys: bool,
    makers: DynArray[bytes32, MAX_MAKERS],
    sizes: DynArray[uint256, MAX_MAKERS],
    prices: DynArray[uint256, MAX_MAKERS],
    is_maker_fee: bool,
    all_paused: bool,
):
    """
    @notice Opens, grows, shrinks or flips the positions of a taker and of makers, each at its own price.
    @param is_maker_fee Whether the makers pay the maker fee; else the taker fee.
    """
    risk: records.Risk = records._listed_risk(market)
    risk.paused = risk.paused or all_paused
    quote: pricing.Quote = pricing._fix(market)
    assert quote.price != 0, "market: no price"
    limits: records.Limits = records._limits(market)
    fees: records.Fees = records._fees(market)
    funding_limits: records.FundingLimits = records._funding_limits(market)
    maker_fee_bps: uint256 = fees.maker_fee_bps if is_maker_fee else fees.taker_fee_bps
    taker_due: uint256 = 0
    price_record: records.PriceRecord = records._price_record(market)
    flow: records.Flow = records._flow(market)
    interest_before: uint256 = flow.open_interest_base
    t: Side = self._take_out(taker, market, quote, risk)
    for i: uint256 in range(len(makers), bound=MAX_MAKERS):
        maker: bytes32 = makers[i]
        size: uint256 = sizes[i]
        price: uint256 = prices[i]
        assert maker != taker, "clearing: self fill"
        assert size != 0, "clearing: zero size"
        assert size <= records.MASK_96, "clearing: size overflow"
        self._check_price(price, quote.price, risk.price_band_bps)
        m: Side = self._take_out(maker, market, quote, risk)
        m = self._trade(m, not taker_buys, size, price)
        taker_leg: positions.Leg = t.new
        t = self._trade(t, taker_buys, size, price)
        flow.open_interest_base = self._interest_after(
            flow.open_interest_base, taker_leg, t.new, m.old, m.new
        )
        self._book(t, m)
        t.due_quote = 0
        if taker_buys == (price > quote.price):
            self._pass_on_freshness(maker, t.fresh_quote, size, price, quote.price)
        else:
            t.fresh_quote += self._pass_on_freshness(taker, m.fresh_quote, size, price, quote.price)

        notional: uint256 = fixed_point._mul_div_down(size, price, fixed_point.WAD)
        # What its cash does not reach is due with the next maker: it may be paid a claim in between.
        taker_due += notional * fees.taker_fee_bps // fixed_point.BPS
        taker_fee: uint256 = self._charge(taker, risk.group, taker_due, fees)
        taker_due -= taker_fee
        t.new.fees_cents = self._add_cents(t.new.fees_cents, taker_fee)
        maker_fee: uint256 = self._charge(
            maker, risk.group, notional * maker_fee_bps // fixed_point.BPS, fees
        )
        m.new.fees_cents = self._add_cents(m.new.fees_cents, maker_fee)
        self._place_and_check(m, quote, risk, limits)
        price_record.premium_wad, flow.sampled_at = pricing._sample(
            price_record.premium_wad, flow.sampled_at, funding_limits,
            size, price, quote.price, flow.open_interest_base,
        )
        log IClearinghouse.Fill(
            market=market,
            buyer=taker if taker_buys else maker,
            seller=maker if taker_buys else taker,
            size=size,
            price=price,
            buyer_fee_quote=taker_fee if taker_buys else maker_fee,
            seller_fee_quote=maker_fee if taker_buys else taker_fee,
        )
    # Nothing in between reads them: what a maker's own markets fix is not this one.
    records._set_price_record(market, price_record)
    records._set_flow(market, flow)
    assert (
        flow.open_interest_base <= max(interest_before, limits.interest_cap_base)
    ), "clearing: interest cap"
    self._place_and_check(t, quote, risk, limits)
