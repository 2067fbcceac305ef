"""Standard liquidation, and the take-over of a bankrupt leg that insurance covers whole."""

from dataclasses import dataclass

from ballast.model.account import Leg
from ballast.model.exact import BPS, QUOTE_ONE, SIZE_ONE, WAD, AccountId, div_up, require
from ballast.model.insurance import draw_for_leg, leg_cover
from ballast.model.market import GRACE, STALE
from ballast.model.state import MAX_LEGS, SIZE_DUST, State
from ballast.model.trading import book_losers_first, change_leg, pass_on_freshness

MAX_SIZE = 2**256 - 1


@dataclass(frozen=True, slots=True)
class Offer:
    """What may be taken over: size units, the price and the penalty in wei of price."""

    size: int
    price: int
    penalty: int


NOTHING = Offer(0, 0, 0)


def offer(state: State, account_id: AccountId, market_id: int) -> Offer:
    """The largest take-over the protocol allows now; NOTHING where it allows none. The state of
    the oracle is not looked at."""
    leg = state.leg(account_id, market_id)
    equity = state.equity(account_id)
    _, maintenance = state.margin(account_id)
    if leg is None or leg.size == 0 or equity >= maintenance:
        return NOTHING
    price = state.quote(market_id).price
    if equity < 0:
        cover = leg_cover(state, account_id, market_id)
        covered = cover.available >= cover.deficit
        return Offer(abs(leg.size), price, 0) if covered else NOTHING
    params = state.markets[market_id].params
    ratio = params.maintenance_margin_bps * WAD // BPS
    penalty_ratio = min(params.liquidation_penalty_bps * WAD // BPS, ratio * equity // maintenance)
    penalty = price * penalty_ratio // WAD
    size = _size(state, leg, market_id, equity, maintenance, penalty_ratio)
    return Offer(size, price - penalty if leg.size > 0 else price + penalty, penalty)


def _size(
    state: State, leg: Leg, market_id: int, equity: int, maintenance: int, penalty_ratio: int
) -> int:
    """x = (t MM - E) / (P (t mm - p')), rounded up to a wei of base; the whole leg where that has
    no answer, where the rest would be under the minimum, or where E < 0.2 MM."""
    params = state.markets[market_id].params
    price = state.quote(market_id).price
    held = abs(leg.size)
    target = params.liquidation_target_bps
    ratio = params.maintenance_margin_bps * WAD // BPS
    denominator = price * (target * ratio - BPS * penalty_ratio)
    if denominator <= 0 or equity * 5 < maintenance:
        return held
    numerator = (target * maintenance - BPS * equity) * WAD
    size = div_up(numerator, denominator * SIZE_ONE) * SIZE_ONE
    rest = held - size
    if rest * price < params.min_notional_quote * QUOTE_ONE:
        return held
    return size


def liquidate(
    state: State, account_id: AccountId, market_id: int, size: int, liquidator: AccountId
) -> int:
    """Take over up to `size` wei of a leg; returns what was taken, size units."""
    require(account_id != liquidator, "liquidation: own account")
    quote = state.fix(market_id)
    state.fix_legs(account_id)
    state.fix_legs(liquidator)
    require(not quote.status & (STALE | GRACE), "oracle: stale or in grace")
    leg = state.leg(account_id, market_id)
    require(leg is not None and leg.size != 0, "liquidation: no position")
    assert leg is not None
    _, maintenance = state.margin(account_id)
    equity = state.equity(account_id)
    require(equity < maintenance, "liquidation: account is healthy")
    most = offer(state, account_id, market_id)
    require(most.size > 0, "liquidation: insurance does not cover the deficit")
    held = abs(leg.size)
    taken = min(size * SIZE_ONE, most.size)
    if held - taken <= SIZE_DUST:
        taken = held
    require(taken > 0, "liquidation: no size")
    minimum = state.markets[market_id].params.min_notional_quote * QUOTE_ONE
    rest = (held - taken) * quote.price // QUOTE_ONE * QUOTE_ONE
    require(taken == held or rest >= minimum, "liquidation: rest below minimum")
    fee_cents = leg.fee_cents
    top_up_cap = fee_cents * WAD // 100 * taken // held
    delta = taken if leg.size > 0 else -taken
    own = state.leg(liquidator, market_id)
    own_before = own.size if own is not None else 0
    drawn = 0
    if equity < 0:
        cover = leg_cover(state, account_id, market_id)
        drawn = draw_for_leg(state, market_id, cover.draw_up(taken, held))
    state.join_group(liquidator, state.markets[market_id].params.group)
    fresh = state.account(account_id).fresh_now(state.block)
    results = {
        account_id: change_leg(state, account_id, market_id, -delta, most.price) + drawn,
        liquidator: change_leg(state, liquidator, market_id, delta, most.price),
    }
    book_losers_first(state, results)
    wei = div_up(taken, SIZE_ONE)
    pass_on_freshness(state, market_id, liquidator, fresh, wei, most.price)
    state.groups[state.markets[market_id].params.group].allot()
    _share_penalty(state, market_id, liquidator, taken * most.penalty, top_up_cap)
    leg.fee_cents = fee_cents * (held - taken) // held
    state.rank(account_id, market_id)
    state.rank(liquidator, market_id)
    _check_liquidator(state, market_id, liquidator, own_before, delta)
    return taken


def _check_liquidator(
    state: State, market_id: int, liquidator: AccountId, before: int, delta: int
) -> None:
    """The liquidator meets IM without debt or stale legs; what it holds then is within limits. A
    pause or a waiting breaker does not stop it."""
    account = state.accounts[liquidator]
    market = state.markets[market_id]
    require(not state.legs_status(liquidator) & STALE, "oracle: stale or pending")
    require(account.debt == 0, "margin: debt")
    initial, _ = state.margin(liquidator)
    require(state.backing(liquidator) >= initial, "margin: liquidator below initial")
    require(len(account.legs) <= MAX_LEGS, "account: too many markets")
    leg = state.leg(liquidator, market_id)
    if leg is None:
        return
    minimum = market.params.min_notional_quote * QUOTE_ONE
    notional = abs(leg.size) * market.fixed.price // QUOTE_ONE * QUOTE_ONE
    require(notional >= minimum, "fill: below minimum notional")
    if before * delta >= 0 or abs(delta) > abs(before):
        cap = market.params.position_cap_base * SIZE_ONE
        require(abs(leg.size) <= cap, "fill: above position cap")


def _share_penalty(
    state: State, market_id: int, liquidator: AccountId, penalty: int, top_up_cap: int
) -> None:
    """The liquidator has the penalty in its entry price; it passes on the other shares of it as far
    as its cash reaches, insurance first. The keeper reserve tops its own share up to the minimum
    reward, by at most `top_up_cap` wei."""
    params = state.markets[market_id].params
    account = state.accounts[liquidator]
    whole = penalty // QUOTE_ONE
    own = whole * params.liquidator_share_bps // BPS
    passed_on = min(whole - own, account.cash // QUOTE_ONE)
    to_insurance = min(whole * params.penalty_insurance_share_bps // BPS, passed_on)
    account.cash -= passed_on * QUOTE_ONE
    state.reserve += (passed_on - to_insurance) * QUOTE_ONE
    state.share_income(params.group, to_insurance * QUOTE_ONE, 0)
    missing = max(0, params.min_reward_quote - own) * QUOTE_ONE
    top_up = min(missing, top_up_cap * QUOTE_ONE, state.reserve)
    state.reserve -= top_up
    account.cash += top_up
