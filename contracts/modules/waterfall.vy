# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Waterfall
@license AGPL-3.0-only
@notice Stage 3 and 4: a bankrupt account (E < 0) is closed against the deleveraging queue, insurance first; what nobody can
        be asked for becomes the group's shortfall. Anyone may call; there is nothing to choose.
@dev Legs in profit are closed first, at the oracle price P, then losing legs, each in ascending market id. For a losing
     leg of size q, recomputed from the state before it:

         D = -E     D_m = D x loss / all losses     I_m = min(fund, market's allowance, leg's MM, D_m)
         closing x draws I_m x / q and allots D' = (D_m - I_m) x / q to the buckets that are taken

     Price. D' over x is the distance from P. No member is closed beyond its tick's edge nearest to P, so never at a
     loss (S3). Where that binds, the others' common distance grows: water filled over the buckets of the call.

         distance |        ____ cap of bucket 2          d = common distance, such that
                d |----____----                            sum of min(d, cap_i) x_i = D'
                  | #### #### ##__ cap of bucket 3
                  +--------------------- size taken

     A call keeps no state: the next one computes all of this again from what is then there, and E >= 0 ends it.

     Rounding. d is rounded up: winners give at most 1 wei of price more than D', and no crumb of deficit is left to
     become a shortfall. Draws are rounded up (at most I_m): the fund stands before the winners.
"""

from interfaces import IClearinghouse
from modules import fixed_point
from modules import grid
from modules import insurance
from modules import ledger
from modules import liquidation
from modules import account_margin
from modules import positions
from modules import pricing
from modules import adl_queue
from modules import records
from modules import settlement
from modules import trading

uses: insurance
uses: ledger
uses: liquidation
uses: account_margin
uses: positions
uses: pricing
uses: adl_queue
uses: records
uses: settlement

MAX_BUCKETS: constant(uint256) = 200
SIZE_SHIFT: constant(uint256) = 48
CAP_SHIFT: constant(uint256) = 152
SOLVENT: constant(uint256) = 0
NOTHING_TO_CLOSE: constant(uint256) = 1
ACTED: constant(uint256) = 2


struct Plan:
    # bucket id 48 | size 104 | cap 104: furthest distance from the oracle price, price WAD. One word each, since memory for
    # 200 of them has to be paid for however few there are.
    slices: DynArray[uint256, MAX_BUCKETS]
    size: uint256
    deficit_quote: uint256  # D'
    drawn_quote: uint256
    distance: uint256
    maintenance_quote: uint256  # of the whole leg


struct Standing:
    totals: account_margin.Totals  # over all legs as a touch would book them: what one has realised is no part of its loss
    equity_quote: int256
    losing: uint256  # a bit for each leg, in the order of the list of markets


@internal
@pure
def _slice(bucket_id: uint256, size: uint256, cap: uint256) -> uint256:
    return bucket_id | (size << SIZE_SHIFT) | (cap << CAP_SHIFT)


@internal
@pure
def _unpack(word: uint256) -> (uint256, uint256, uint256):
    """
    @return Bucket id, size, cap.
    """
    return word & records.MASK_48, (word >> SIZE_SHIFT) & records.MASK_104, word >> CAP_SHIFT


@internal
@view
def _plan(
    leg: positions.Leg, standing: Standing, quote: pricing.Quote, risk: records.Risk, buckets: uint256
) -> Plan:
    """
    @notice What closing a leg against at most `buckets` buckets takes, from whom, and at which distance from P.
    @param leg Booked: what it has realised is part of `u`, not of its loss.
    """
    plan: Plan = empty(Plan)
    if leg.size == 0:
        return plan
    walk: adl_queue.Walk = adl_queue._start(leg.market, not leg.is_long, quote.price)
    for _: uint256 in range(MAX_BUCKETS):
        tier: uint256 = adl_queue._best(walk)
        if tier == grid.TIERS:
            break
        tick: uint256 = walk.ticks[tier]
        place: uint256 = adl_queue._id(0, walk.is_long, tier, tick)
        size: uint256 = 0
        epoch: uint256 = 0
        size, epoch = records._bucket_size(adl_queue._key(leg.market, place))
        size = min(size, leg.size - plan.size)
        plan.slices.append(
            self._slice(
                place | (epoch << 17),
                size,
                self._cap(walk.is_long, walk.edges[tier], quote.price),
            )
        )
        plan.size += size
        if len(plan.slices) == buckets or plan.size == leg.size:
            break
        walk = adl_queue._next_head(walk, tier)
    if plan.size == 0:
        return plan
    own: account_margin.Totals = account_margin._leg_totals(leg, quote, risk)
    plan.maintenance_quote = own.maintenance_quote
    if standing.equity_quote < 0:
        deficit: uint256 = liquidation._deficit_of_leg(
            convert(-standing.equity_quote, uint256), own, standing.totals
        )
        insured: uint256 = liquidation._insurance_for_leg(leg.market, own, deficit)
        plan.drawn_quote = fixed_point._mul_div_up(insured, plan.size, leg.size)
        share: uint256 = fixed_point._mul_div_down(deficit, plan.size, leg.size)
        plan.deficit_quote = share - min(share, plan.drawn_quote)
    plan.distance = self._common_distance(plan.slices, plan.size, plan.deficit_quote)
    return plan


@internal
@pure
def _cap(is_long: bool, edge: uint256, oracle_price: uint256) -> uint256:
    """
    @return How far from P a bucket may be closed: to its edge if it is in profit, else not at all.
    """
    if is_long:
        return oracle_price - min(oracle_price, edge)
    return edge - min(oracle_price, edge)


@internal
@pure
def _common_distance(
    slices: DynArray[uint256, MAX_BUCKETS], size: uint256, deficit_quote: uint256
) -> uint256:
    """
    @notice The level to which the caps are filled: the smallest d with sum of min(d, cap) x size >= deficit, or, where all caps
            together cannot carry it, beyond them all.
    @return Price WAD, rounded up.
    """
    distance: uint256 = 0
    free_size: uint256 = size
    rest: uint256 = deficit_quote
    for _: uint256 in range(MAX_BUCKETS):
        if rest == 0 or free_size == 0:
            break
        level: uint256 = fixed_point._mul_div_up(rest, fixed_point.WAD, free_size)
        bound_size: uint256 = 0
        bound_quote: uint256 = 0
        for packed: uint256 in slices:
            cap: uint256 = packed >> CAP_SHIFT
            # Caps up to the previous level are settled; the level only rises.
            if cap < level and (distance == 0 or cap >= distance):
                part: uint256 = (packed >> SIZE_SHIFT) & records.MASK_104
                bound_size += part
                bound_quote += fixed_point._mul_div_down(part, cap, fixed_point.WAD)
        distance = level
        if bound_size == 0:
            break
        free_size -= bound_size
        rest -= min(rest, bound_quote)
    return distance


@internal
@pure
def _slice_price(leg: positions.Leg, oracle_price: uint256, distance: uint256, cap: uint256) -> uint256:
    """
    @return The price a bucket is closed at: `distance` from the oracle price, no further than its cap, to the bankrupt's good.
    """
    if leg.is_long:
        return oracle_price + min(distance, cap)
    return oracle_price - min(distance, cap)


@internal
def _close(
    account: bytes32, leg: positions.Leg, standing: Standing, quote: pricing.Quote,
    risk: records.Risk, buckets: uint256, reward_bps: uint256,
) -> (uint256, uint256, uint256):
    """
    @notice Closes as much of a leg as `buckets` buckets take.
    @return Buckets touched; the caller's reward for it: never more than the part closed has paid in fees, or a
            pair of one's own accounts would go bankrupt for it; what is left of the closed part's maintenance margin after
            the draw for it, the most that insurance may still pay for it.
    """
    plan: Plan = self._plan(positions._booked(leg), standing, quote, risk, buckets)
    if plan.size == 0:
        return 0, 0, 0
    gross: uint256 = 0
    for packed: uint256 in plan.slices:
        bucket_id: uint256 = 0
        size: uint256 = 0
        cap: uint256 = 0
        bucket_id, size, cap = self._unpack(packed)
        price: uint256 = self._slice_price(leg, quote.price, plan.distance, cap)
        gross += size * price
        credit_index: int256 = adl_queue._take(
            leg.market,
            bucket_id,
            size,
            positions._proceeds(not leg.is_long, size, price),
            quote.funding_index,
        )
        log IClearinghouse.ForcedClose(
            account=account,
            market=leg.market,
            bucket_id=bucket_id,
            size=size,
            price=price,
            oracle_price=quote.price,
            credit_index=credit_index,
        )
    # The bankrupt's proceeds are rounded once, as they were in its equity; the members' slice by slice.
    result: int256 = (
        leg.realised_quote
        + convert(plan.drawn_quote, int256)
        + positions._proceeds(leg.is_long, gross, 1)
        - positions._cost_basis(leg.is_long, leg.size, leg.entry_price)
        + positions._cost_basis(leg.is_long, leg.size - plan.size, leg.entry_price)
    )
    after: positions.Leg = leg
    after.size -= plan.size
    after.fees_cents = fixed_point._mul_div_down(leg.fees_cents, after.size, leg.size)
    positions._replace(account, leg, after, result, grid.TIERS - 1, quote.funding_index)
    flow: records.Flow = records._flow(leg.market)
    flow.open_interest_base -= plan.size
    records._set_flow(leg.market, flow)
    insurance._draw_for_market(account, risk.group, leg.market, plan.drawn_quote)
    ledger._post(account, result)
    if plan.drawn_quote != 0:
        ledger._allot(risk.group)
    log IClearinghouse.Deleveraged(
        account=account,
        market=leg.market,
        size=plan.size,
        oracle_price=quote.price,
        deficit_quote=plan.deficit_quote,
        insurance_quote=plan.drawn_quote,
    )
    closed_quote: uint256 = fixed_point._mul_div_down(plan.size, quote.price, fixed_point.WAD)
    paid_fees: uint256 = fixed_point._mul_div_down(leg.fees_cents * 10**16, plan.size, leg.size)
    maintenance: uint256 = fixed_point._mul_div_down(
        plan.maintenance_quote, plan.size, leg.size
    )
    return (
        len(plan.slices),
        min(closed_quote * reward_bps // fixed_point.BPS, paid_fees),
        maintenance - min(maintenance, plan.drawn_quote),
    )


@internal
@view
def _standing(account: bytes32) -> Standing:
    totals: account_margin.Totals = empty(account_margin.Totals)
    unbooked: int256 = 0
    losing: uint256 = 0
    totals, unbooked, losing = account_margin._booked_totals(account, 0)
    return Standing(
        totals=totals,
        equity_quote=account_margin._equity(ledger._purse(account), totals) + unbooked,
        losing=losing,
    )


@internal
@pure
def _check(outcome: uint256):
    """
    @custom:reverts waterfall: account solvent, waterfall: nothing to close
    """
    assert outcome != SOLVENT, "waterfall: account solvent"
    assert outcome != NOTHING_TO_CLOSE, "waterfall: nothing to close"


@internal
def _deleverage(account: bytes32, caller: bytes32) -> (uint256, uint256, uint256):
    """
    @notice Resolves a bankrupt account as far as one call reaches.
    @return Outcome; notional still open and deficit left, quote.
    """
    account_margin._fix_prices(account)
    standing: Standing = self._standing(account)
    if standing.equity_quote >= 0:
        return SOLVENT, 0, 0
    buckets: uint256 = 0
    reward_bps: uint256 = 0
    buckets, reward_bps = records._adl_params()
    reward: uint256 = 0
    insurable: uint256 = 0
    acted: bool = False
    markets: DynArray[uint256, 16] = records._markets_in(records._accounts[account])
    legs: uint256 = standing.losing
    for losing: uint256 in [0, 1]:
        for i: uint256 in range(len(markets), bound=16):
            if (legs >> i) & 1 != losing:
                continue
            if buckets == 0 or standing.equity_quote >= 0:
                break
            market: uint256 = markets[i]
            quote: pricing.Quote = pricing._peek(market)
            if quote.status & (pricing.STALE | pricing.GRACE) != 0:
                continue
            leg: positions.Leg = positions._leg(account, market, quote.funding_index)
            used: uint256 = 0
            earned: uint256 = 0
            room: uint256 = 0
            used, earned, room = self._close(
                account, leg, standing, quote, records._risk(market), buckets, reward_bps
            )
            if used == 0:
                continue
            acted = True
            buckets -= used
            reward += earned
            insurable += room
            if len(markets) > 1:
                standing = self._standing(account)
    # What a leg that was closed has realised was posted with the closing.
    if not acted or len(markets) > 1:
        settlement._book_all(account)
    if records._accounts[account] >> 64 == 0:
        acted = self._write_off(account, insurable) or acted
    if not acted:
        return NOTHING_TO_CLOSE, 0, 0
    ledger._reward(caller, reward)
    standing = self._standing(account)
    return ACTED, standing.totals.notional_quote, convert(max(-standing.equity_quote, 0), uint256)


@internal
def _write_off(account: bytes32, insurable_quote: uint256) -> bool:
    """
    @notice No position remains: insurance once more, for at most what the legs closed in this call leave of their maintenance
            margins (a pair of one's own accounts could mine anything above that) and of the group's allowance. The rest of
            the debt becomes the group's shortfall. By S2 it is never more than the unpaid profit in the group, so it only
            means that claims are paid later.
    @return Whether there was a debt.
    """
    debt: uint256 = ledger._purse(account).debt_quote
    if debt == 0:
        return False
    group: uint256 = records._group_in(records._accounts[account])
    insured: uint256 = min(min(debt, insurable_quote), insurance._left_for_group(group))
    insurance._draw_for_group(account, group, insured)
    shortfall: uint256 = records._shortfall(group) + debt - insured
    records._set_shortfall(group, shortfall)
    ledger._post(account, convert(debt, int256))
    ledger._allot(group)
    if debt != insured:
        log IClearinghouse.ShortfallChanged(
            group=group, account=account, shortfall_quote=shortfall
        )
    return True
