"""Insurance, deleveraging, shortfall: `deleverage` (design section 6, SPEC section 7)."""

from collections.abc import Sequence

from ballast.model.exact import BPS, QUOTE_ONE, WAD, AccountId, div_up, pro_rata, require
from ballast.model.grid import TOP_TIER, profit_distance
from ballast.model.insurance import draw_for_leg, leg_cover
from ballast.model.market import GRACE, STALE
from ballast.model.queue import Bucket, build_queue
from ballast.model.records import LegClosed, Loss, Taken, Waterfall
from ballast.model.state import SIZE_DUST, State


def common_distance(caps: Sequence[int], sizes: Sequence[int], need: int) -> int:
    """Water-filling: the least whole distance d with sum(size * min(d, cap)) >= need, or the
    largest cap where even that is not enough. Caps in wei of price, sizes in size units, need in
    quote units."""
    level = 0
    active = sum(sizes)
    for cap, size in sorted(zip(caps, sizes, strict=True)):
        filled = active * (cap - level)
        if filled >= need:
            return level + div_up(need, active)
        need -= filled
        level = cap
        active -= size
    return level


def deleverage(state: State, account_id: AccountId, caller: AccountId) -> tuple[int, int]:
    """Close a bankrupt account against the queue; returns (notional still open, deficit left) in
    quote units. The record of what it did is `state.last_waterfall`."""
    state.fix_legs(account_id)
    equity = state.equity(account_id)
    require(equity < 0, "deleverage: account is not bankrupt")
    record = state.last_waterfall = Waterfall(account_id, equity)
    passed: set[int] = set()
    while len(record.taken) < state.adl_buckets_per_call and state.equity(account_id) < 0:
        market_id = _next_leg(state, account_id, passed)
        if market_id == 0:
            break
        passed.add(market_id)
        _close_leg(state, account_id, market_id, record)
    state.touch_all(account_id)
    last_step = not state.accounts[account_id].legs and state.equity(account_id) < 0
    if last_step:
        _write_off(state, account_id, record)
    require(last_step or bool(record.taken), "deleverage: nothing to close")
    record.reward = min(record.reward_due * QUOTE_ONE, state.reserve)
    state.reserve -= record.reward
    state.account(caller).cash += record.reward
    return state.notional(account_id), max(0, -state.equity(account_id))


def _next_leg(state: State, account_id: AccountId, passed: set[int]) -> int:
    """Profitable legs first, then losing ones, each by ascending market; 0 when none is left.
    Legs without a usable price are passed by."""
    open_legs = [
        (leg.open_result(state.quote(market_id).price) < 0, market_id)
        for market_id, leg in state.accounts[account_id].legs.items()
        if market_id not in passed and not state.quote(market_id).status & (STALE | GRACE)
    ]
    return min(open_legs)[1] if open_legs else 0


def _close_leg(state: State, account_id: AccountId, market_id: int, record: Waterfall) -> None:
    """Close as much of one leg as the buckets left to this call take."""
    market = state.markets[market_id]
    leg = state.accounts[account_id].legs[market_id]
    price = market.fixed.price
    held = abs(leg.size)
    is_long = leg.size > 0
    room = state.adl_buckets_per_call - len(record.taken)
    taken = _walk(build_queue(market, not is_long, price)[:room], held)
    size = sum(part for _, part in taken)
    if size == 0:
        return
    cover = leg_cover(state, account_id, market_id)
    draw = cover.draw_up(size, held)
    allotted = max(0, cover.deficit * size // held - draw)
    caps = [profit_distance(not is_long, bucket.tick, price) for bucket, _ in taken]
    parts = [part for _, part in taken]
    distance = common_distance(caps, parts, allotted * QUOTE_ONE)
    record.legs.append(
        LegClosed(
            market=market_id,
            oracle_price=price,
            leg_size=leg.size,
            size=size,
            deficit=cover.deficit,
            insurance=cover.available,
            insurance_caps=cover.caps,
            drawn=draw,
            distance=distance,
        )
    )
    result = draw_for_leg(state, market_id, draw) + leg.take_unbooked()
    for (bucket, part), cap in zip(taken, caps, strict=True):
        offset = min(distance, cap)
        _force_bucket(state, market_id, bucket, part, offset, record)
        signed = part if is_long else -part
        result += signed * (price + (offset if is_long else -offset) - leg.entry)
        leg.size -= signed
    record.notional_closed += size * price
    upkeep = div_up(div_up(held * price, QUOTE_ONE) * market.params.maintenance_margin_bps, BPS)
    record.insurable += max(0, upkeep * size // held - draw)
    fees = leg.fee_cents * WAD // 100 * size // held
    record.reward_due += min(size * price // QUOTE_ONE * state.adl_reward_bps // BPS, fees)
    leg.fee_cents = leg.fee_cents * (held - size) // held
    if abs(leg.size) <= SIZE_DUST and not market.interest(not is_long):
        market.residue.absorb(leg.size, leg.entry)
        leg.size = 0
    leg.tier = TOP_TIER
    if leg.size == 0:
        state.drop_leg(account_id, market_id)
    state.book(account_id, result)
    state.groups[market.params.group].allot()


def _walk(buckets: Sequence[Bucket], size: int) -> list[tuple[Bucket, int]]:
    """Take a size from buckets in their order."""
    taken: list[tuple[Bucket, int]] = []
    for bucket in buckets:
        part = min(size, bucket.size)
        if part == 0:
            break
        taken.append((bucket, part))
        size -= part
    return taken


def _force_bucket(
    state: State, market_id: int, bucket: Bucket, size: int, offset: int, record: Waterfall
) -> None:
    """Close `size` of a bucket at the oracle price worsened by `offset`: every member pro rata.
    The members' results stay unbooked until their next touch."""
    market = state.markets[market_id]
    oracle_price = market.fixed.price
    price = oracle_price - offset if bucket.is_long else oracle_price + offset
    sign = 1 if bucket.is_long else -1
    legs = [market.legs[member] for member in bucket.members]
    shares = pro_rata(size, [abs(leg.size) for leg in legs])
    for member, leg, share in zip(bucket.members, legs, shares, strict=True):
        gain = max(0, leg.open_result(oracle_price)) + max(0, leg.closed + leg.funding)
        unpaid = gain + state.claim(member)
        record.losses.append(Loss(member, market_id, share * offset, unpaid))
        leg.closed += sign * share * (price - leg.entry)
        leg.size -= sign * share
    record.taken.append(
        Taken(
            market=market_id,
            is_long=bucket.is_long,
            tier=bucket.tier,
            tick=bucket.tick,
            score=bucket.score,
            size=size,
            price=price,
            left=bucket.size - size,
        )
    )


def _write_off(state: State, account_id: AccountId, record: Waterfall) -> None:
    """No position is left, and neither cash nor claim: insurance pays once more within the group's
    allowance and what the legs closed leave of their maintenance margins, the rest is the group's
    shortfall; `u` becomes zero."""
    account = state.accounts[account_id]
    group = state.groups[account.group]
    deficit = account.debt
    insurable = record.insurable * QUOTE_ONE
    drawn = min(deficit, insurable, state.insurance, group.allowance.left(state.now))
    account.debt = 0
    group.allowance.draw(drawn, state.now)
    state.draw_insurance(account.group, drawn)
    group.allot()
    group.shortfall += deficit - drawn
    record.last_step_drawn = drawn
    record.shortfall = deficit - drawn
