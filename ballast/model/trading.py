"""Fills: the one primitive that opens, grows, shrinks and flips positions."""

from collections.abc import Sequence
from dataclasses import dataclass

from ballast.model.account import Leg
from ballast.model.exact import BPS, QUOTE_ONE, SIZE_ONE, WAD, AccountId, div_up, require
from ballast.model.grid import MAX_ENTRY, MIN_ENTRY
from ballast.model.market import PENDING, STALE, Market
from ballast.model.state import MAX_LEGS, SIZE_DUST, State

MAX_FEE_CENTS = 65_535


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a fill and its fee."""

    account: AccountId
    fee_bps: int


@dataclass(frozen=True, slots=True)
class _Before:
    """One side as it was before the fill; measures in quote units."""

    account: AccountId
    adds_risk: bool
    equity: int
    maintenance: int


def change_leg(state: State, account_id: AccountId, market_id: int, delta: int, price: int) -> int:
    """Touch a leg and trade `delta` size units at `price`; returns the result to be booked. An
    empty leg is dropped."""
    market = state.markets[market_id]
    account = state.account(account_id)
    leg = account.legs.get(market_id)
    if leg is None:
        leg = account.legs[market_id] = market.legs[account_id] = Leg()
    result = leg.take_unbooked()
    if abs(leg.size) <= SIZE_DUST:
        market.residue.absorb(leg.size, leg.entry)
        leg.size = leg.fee_cents = 0
    if leg.size * delta >= 0:
        _increase(market, leg, delta, price)
    elif abs(leg.size + delta) <= SIZE_DUST:
        result -= delta * (price - leg.entry)
        market.residue.absorb(leg.size + delta, leg.entry)
        leg.size = 0
    elif abs(delta) < abs(leg.size):
        result -= delta * (price - leg.entry)
        leg.size += delta
    else:
        result += leg.size * (price - leg.entry)
        delta += leg.size
        leg.size = leg.fee_cents = 0
        _increase(market, leg, delta, price)
    if leg.size == 0:
        state.drop_leg(account_id, market_id)
    return result


def _increase(market: Market, leg: Leg, delta: int, price: int) -> None:
    """New average entry in whole wei, rounded against the owner: up for a long, down for a short.
    What rounding takes goes to the market's residue."""
    if delta == 0:
        return
    cost = leg.size * leg.entry + delta * price
    leg.size += delta
    magnitude = abs(leg.size)
    leg.entry = div_up(cost, magnitude) if leg.size > 0 else -cost // magnitude
    require(MIN_ENTRY <= leg.entry < MAX_ENTRY, "fill: entry out of range")
    market.residue.carry += leg.size * leg.entry - cost


@dataclass(frozen=True, slots=True)
class Part:
    """What a taker trades with one maker: size in wei of base, price in wei."""

    maker: Side
    size: int
    price: int


def fill(
    state: State, market_id: int, taker: Side, taker_buys: bool, parts: Sequence[Part]
) -> None:
    """One taker against makers in their order. Each maker is checked after its part, the taker
    after the last."""
    if not parts:
        return
    market = state.market(market_id)
    state.fix(market_id)
    interest = market.interest(True)
    sign = 1 if taker_buys else -1
    fresh = state.account(taker.account).fresh_now(state.block)
    state.fix_legs(taker.account)
    whole = sum(part.size for part in parts)
    taker_before = _before(state, market_id, taker.account, sign * whole)
    fee_due = 0
    for part in parts:
        handed, fee_due = _trade(state, market_id, taker, sign, part, fresh, fee_due)
        fresh += handed
    cap = max(market.params.interest_cap_base * SIZE_ONE, interest + SIZE_DUST)
    require(market.interest(True) <= cap, "fill: above interest cap")
    _after(state, market_id, taker_before)


def _trade(
    state: State, market_id: int, taker: Side, sign: int, part: Part, fresh: int, fee_due: int
) -> tuple[int, int]:
    """The taker (buying: sign 1) against one maker. `fresh`: cash of the taker that came in this
    block; `fee_due`: fees its cash has not reached so far. Returns what is fresh with the taker by
    it, and what is due then."""
    maker, size, price = part.maker, part.size, part.price
    require(maker.account != taker.account, "fill: self trade")
    require(size > 0, "fill: no size")
    market = state.market(market_id)
    require(MIN_ENTRY <= price < MAX_ENTRY, "fill: price out of range")
    _require_band(market, price)
    maker_fresh = state.account(maker.account).fresh_now(state.block)
    state.fix_legs(maker.account)
    before = _before(state, market_id, maker.account, -sign * size)
    results = {
        side.account: change_leg(state, side.account, market_id, delta * SIZE_ONE, price)
        for side, delta in ((taker, sign * size), (maker, -sign * size))
    }
    book_losers_first(state, results)
    gained = 0
    if (sign > 0) == (price > market.fixed.price):
        pass_on_freshness(state, market_id, maker.account, fresh, size, price)
    else:
        gained = pass_on_freshness(state, market_id, taker.account, maker_fresh, size, price)
    notional = size * price // WAD
    fee_due = _charge(state, market_id, taker, notional, fee_due)
    _charge(state, market_id, maker, notional)
    _after(state, market_id, before)
    market.sample(size * SIZE_ONE, price, state.now)
    return gained, fee_due


def pass_on_freshness(
    state: State, market_id: int, winner: AccountId, loser_fresh: int, size: int, price: int
) -> int:
    """What an exchange (of `size` wei) off the oracle price hands from a loser whose cash came in
    this block stays fresh with the winner. Returns it, quote units."""
    if not loser_fresh:
        return 0
    gain = abs(price - state.markets[market_id].fixed.price)
    handed = min(loser_fresh, div_up(size * gain, WAD) * QUOTE_ONE)
    state.account(winner).mark_fresh(handed, state.block)
    return handed


def book_losers_first(state: State, results: dict[AccountId, int]) -> None:
    """Book the results of one trade, in quote units."""
    for account_id, result in sorted(results.items(), key=lambda item: item[1]):
        state.book(account_id, result)


def _require_band(market: Market, price: int) -> None:
    distance = abs(price - market.fixed.price)
    in_band = distance * BPS <= market.fixed.price * market.params.price_band_bps
    require(in_band, "fill: outside price band")


def _before(state: State, market_id: int, account_id: AccountId, delta: int) -> _Before:
    leg = state.leg(account_id, market_id)
    held = leg.size if leg else 0
    reduces = held * delta < 0 and abs(delta) * SIZE_ONE <= abs(held) + SIZE_DUST
    if not reduces:
        state.join_group(account_id, state.markets[market_id].params.group)
    _, maintenance = state.margin(account_id)
    return _Before(account_id, not reduces, state.equity(account_id), maintenance)


def _after(state: State, market_id: int, before: _Before) -> None:
    """What must hold of a side once it is filled and has paid its fee; its leg is re-ranked."""
    account_id = before.account
    initial, maintenance = state.margin(account_id)
    meets_initial = state.backing(account_id) >= initial
    require(len(state.accounts[account_id].legs) <= MAX_LEGS, "account: too many markets")
    _require_minimum(state, market_id, account_id)
    if before.adds_risk:
        _require_limits(state, market_id, account_id)
        require(meets_initial, "margin: below initial")
    else:
        health_after = state.equity(account_id) * before.maintenance
        kept = health_after >= before.equity * maintenance
        require(kept or meets_initial, "margin: health would fall")
    state.rank(account_id, market_id)


def _require_minimum(state: State, market_id: int, account_id: AccountId) -> None:
    leg = state.leg(account_id, market_id)
    if leg is not None:
        market = state.markets[market_id]
        minimum = market.params.min_notional_quote * QUOTE_ONE
        notional = abs(leg.size) * market.fixed.price // QUOTE_ONE * QUOTE_ONE
        require(notional >= minimum, "fill: below minimum notional")


def _require_limits(state: State, market_id: int, account_id: AccountId) -> None:
    market = state.markets[market_id]
    account = state.accounts[account_id]
    require(not (market.paused or state.all_paused), "market: paused")
    status = state.legs_status(account_id) | market.fixed.status
    require(not status & (STALE | PENDING), "oracle: stale or pending")
    require(account.debt == 0, "fill: account in debt")
    cap = market.params.position_cap_base * SIZE_ONE
    require(abs(account.legs[market_id].size) <= cap, "fill: above position cap")


def _charge(state: State, market_id: int, side: Side, notional: int, due: int = 0) -> int:
    """A fee on a notional in wei (whole wei, rounded down) and what was due before, at most the
    account's cash. Returns what its cash did not reach."""
    account = state.accounts[side.account]
    params = state.markets[market_id].params
    due += notional * side.fee_bps // BPS * QUOTE_ONE
    fee = min(due, account.cash)
    account.cash -= fee
    to_insurance = _whole(fee * params.fee_insurance_share_bps // BPS)
    to_reserve = _whole(fee * params.fee_reserve_share_bps // BPS)
    state.reserve += to_reserve
    state.share_income(params.group, to_insurance, fee - to_insurance - to_reserve)
    leg = account.legs.get(market_id)
    if leg is not None:
        leg.fee_cents = min(MAX_FEE_CENTS, leg.fee_cents + state.cents(fee))
    return due - fee


def _whole(amount: int) -> int:
    """Quote units rounded down to a whole wei."""
    return amount // QUOTE_ONE * QUOTE_ONE
