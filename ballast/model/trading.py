"""Fills: the one primitive that opens, grows, shrinks and flips positions."""

from collections.abc import Sequence
from dataclasses import dataclass

from ballast.model.account import Leg
from ballast.model.exact import BPS, QUOTE_ONE, SIZE_ONE, AccountId, div_up, require
from ballast.model.grid import MAX_ENTRY, MIN_ENTRY
from ballast.model.market import PENDING, STALE, Market
from ballast.model.state import MAX_LEGS, State

SIZE_DUST = 1_000 * SIZE_ONE
"""Views of the contracts are whole wei, rounded and carried through many touches: a close whose
size is within this of the leg closes the leg. 1,000 wei is far above the sizes' bound of 22 wei and
far below any minimum notional."""
MAX_FEE_CENTS = 65_535


@dataclass(frozen=True, slots=True)
class Maker:
    """One maker of a fill: account, size (wei of base), price (wei)."""

    account: AccountId
    size: int
    price: int


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


def fill(
    state: State,
    market_id: int,
    taker: AccountId,
    taker_is_buyer: bool,
    makers: Sequence[Maker],
    maker_fee_bps: int,
) -> None:
    """Fill one taker against makers, one after the other; the taker is checked at the end."""
    market = state.market(market_id)
    state.fix(market_id)
    state.fix_legs(taker)
    interest = market.interest(True)
    sign = 1 if taker_is_buyer else -1
    total = sum(maker.size for maker in makers)
    before = _before(state, market_id, taker, sign * total)
    for maker in makers:
        require(maker.account != taker, "fill: self trade")
        require(maker.size > 0, "fill: no size")
        _require_band(market, maker.price)
        state.fix_legs(maker.account)
        maker_before = _before(state, market_id, maker.account, -sign * maker.size)
        deltas = {taker: sign * maker.size, maker.account: -sign * maker.size}
        exchange(state, market_id, deltas, {taker: maker.price, maker.account: maker.price})
        for account_id, fee_bps in (
            (taker, market.params.taker_fee_bps),
            (maker.account, maker_fee_bps),
        ):
            _charge(state, market_id, account_id, maker.size * maker.price * fee_bps)
        market.sample(maker.price, state.now)
        _after(state, market_id, maker_before)
    _after(state, market_id, before)
    cap = market.params.interest_cap_base * SIZE_ONE
    require(market.interest(True) <= max(cap, interest), "fill: above interest cap")


def exchange(
    state: State, market_id: int, deltas: dict[AccountId, int], prices: dict[AccountId, int]
) -> None:
    """Trade between accounts (deltas in wei of base); losers pay before winners are paid."""
    results = {
        account_id: change_leg(state, account_id, market_id, delta * SIZE_ONE, prices[account_id])
        for account_id, delta in deltas.items()
    }
    book_losers_first(state, results)


def book_losers_first(state: State, results: dict[AccountId, int]) -> None:
    """Book the results of one trade, in quote units."""
    for account_id, result in sorted(results.items(), key=lambda item: item[1] >= 0):
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
    if before.adds_risk:
        _require_limits(state, market_id, account_id)
        require(state.accounts[account_id].debt == 0, "fill: account in debt")
        require(meets_initial, "margin: below initial")
    else:
        health_after = state.equity(account_id) * before.maintenance
        kept = health_after >= before.equity * maintenance
        require(kept or meets_initial, "margin: health would fall")
    state.rank(account_id, market_id)


def _require_limits(state: State, market_id: int, account_id: AccountId) -> None:
    market = state.markets[market_id]
    account = state.accounts[account_id]
    leg = account.legs[market_id]
    require(not market.fixed.status & (STALE | PENDING), "oracle: stale or pending")
    require(len(account.legs) <= MAX_LEGS, "account: too many markets")
    cap = market.params.position_cap_base * SIZE_ONE
    require(abs(leg.size) <= cap, "fill: above position cap")
    minimum = market.params.min_notional_quote * QUOTE_ONE
    require(abs(leg.size) * market.fixed.price >= minimum, "fill: below minimum notional")


def _charge(state: State, market_id: int, account_id: AccountId, fee_raw: int) -> None:
    """A fee in whole wei, rounded down, at most the account's cash. `fee_raw`: size in wei times
    price in wei times bps."""
    account = state.accounts[account_id]
    params = state.markets[market_id].params
    fee = min(fee_raw // (10**18 * BPS) * QUOTE_ONE, account.cash)
    account.cash -= fee
    to_insurance = _whole(fee * params.fee_insurance_share_bps // BPS)
    to_reserve = _whole(fee * params.fee_reserve_share_bps // BPS)
    state.reserve += to_reserve
    state.share_income(params.group, to_insurance, fee - to_insurance - to_reserve)
    leg = account.legs.get(market_id)
    if leg is not None:
        leg.fee_cents = min(MAX_FEE_CENTS, leg.fee_cents + state.cents(fee))


def _whole(amount: int) -> int:
    """Quote units rounded down to a whole wei."""
    return amount // QUOTE_ONE * QUOTE_ONE
