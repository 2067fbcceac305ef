# pragma version 0.4.3
# pragma nonreentrancy off
# pragma optimize codesize
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Lens
@license AGPL-3.0-only
@author Ballast
@notice The clearinghouse's long views: what traders, pages and bots read.
@dev Runs by delegatecall from Clearinghouse.__default__, on its storage: call these at the clearinghouse's address.
     Called directly it would answer from its own, empty storage, so it refuses.
"""

from snekmate.auth import ownable
from snekmate.auth import ownable_2step

from interfaces import IClearinghouse
from interfaces import IMarginVault
from modules import account_ids
from modules import fixed_point
from modules import grid
from modules import insurance
from modules import ledger
from modules import liquidation
from modules import account_margin
from modules import listing
from modules import positions
from modules import pricing
from modules import adl_queue
from modules import records
from modules import roles
from modules import settlement
from modules import share_buckets
from modules import trading
from modules import waterfall

initializes: records
initializes: share_buckets[records := records]
initializes: pricing[records := records]
initializes: adl_queue[records := records, share_buckets := share_buckets]
initializes: positions[adl_queue := adl_queue, records := records, share_buckets := share_buckets]
initializes: ledger[records := records, share_buckets := share_buckets]
initializes: account_margin[positions := positions, pricing := pricing, records := records]
initializes: insurance[ledger := ledger, records := records]
initializes: settlement[ledger := ledger, account_margin := account_margin, positions := positions, pricing := pricing, records := records]
initializes: trading[ledger := ledger, account_margin := account_margin, positions := positions, pricing := pricing, records := records]
initializes: liquidation[insurance := insurance, ledger := ledger, account_margin := account_margin, pricing := pricing, records := records, trading := trading]
initializes: waterfall[insurance := insurance, ledger := ledger, liquidation := liquidation, account_margin := account_margin, positions := positions, pricing := pricing, adl_queue := adl_queue, records := records, settlement := settlement]
initializes: account_ids[records := records]
initializes: listing[records := records]
initializes: ownable
initializes: ownable_2step[ownable := ownable]
initializes: roles

exports: (ownable_2step.owner, ownable_2step.pending_owner)

MAX_WALK: constant(uint256) = 65_536
MAX_PAGE: constant(uint256) = 256
MAX_READ: constant(uint256) = 256
MAX_WORDS: constant(uint256) = 2_000

SELF: immutable(address)


struct PreviewSlice:
    market: uint256
    bucket_id: uint256
    size_base: uint256
    price: uint256


@deploy
def __init__(vault: IMarginVault):
    """
    @param vault The margin vault of the clearinghouse that will run this code.
    """
    records.__init__(vault)
    ownable.__init__()
    ownable_2step.__init__()
    SELF = self


@external
@view
def account_id(owner: address, sub: uint96) -> bytes32:
    """
    @return The account of an owner's subaccount.
    """
    return account_ids._id(owner, convert(sub, uint256))


@external
@view
def equity(account: bytes32) -> int256:
    """
    @return E = cash + u + sum(V), quote, rounded down.
    """
    self._check_context()
    return account_margin._equity(ledger._purse(account), account_margin._totals(account))


@external
@view
def backing(account: bytes32) -> int256:
    """
    @return B = cash + min(0, u) + sum(min(0, V)), quote, rounded down.
    """
    self._check_context()
    return account_margin._backing(ledger._purse(account), account_margin._totals(account))


@external
@view
def unsettled(account: bytes32) -> int256:
    """
    @return u: a claim (positive) or a debt (negative), quote, rounded down.
    """
    self._check_context()
    return ledger._net(ledger._purse(account))


@external
@view
def margin(account: bytes32) -> (uint256, uint256):
    """
    @return Initial and maintenance requirement, quote, rounded up.
    """
    self._check_context()
    totals: account_margin.Totals = account_margin._totals(account)
    return totals.initial_quote, totals.maintenance_quote


@external
@view
def position(account: bytes32, market: uint256) -> (int256, uint256, int256):
    """
    @return Size (base, shorts negative), entry price, and open result V (unbooked closes and funding included).
    """
    self._check_context()
    quote: pricing.Quote = pricing._peek(market)
    leg: positions.Leg = positions._leg(account, market, quote.funding_index)
    return positions._signed_size(leg), leg.entry_price, positions._open_result(leg, quote.price)


@external
@view
def price(market: uint256) -> (uint256, uint256):
    """
    @return The price of this block (the oracle's, fixed at its first use) and its timestamp.
    """
    self._check_context()
    quote: pricing.Quote = pricing._peek(market)
    return quote.price, quote.timestamp


@external
@view
def free_cash(account: bytes32) -> uint256:
    """
    @return Quote that could be withdrawn now: own cash not deposited in this block, as far as B stays at IM, both as they
            are once a withdrawal has booked the account; 0 with a debt, or with a leg whose price is stale or waits.
    """
    self._check_context()
    totals: account_margin.Totals = empty(account_margin.Totals)
    realised: int256 = 0
    losing: uint256 = 0
    totals, realised, losing = account_margin._booked_totals(account, 0)
    if totals.status & (pricing.STALE | pricing.PENDING) != 0:
        return 0
    purse: ledger.Purse = self._booked_purse(account, realised)
    if purse.debt_quote != 0:
        return 0
    free: int256 = account_margin._backing(purse, totals) - convert(totals.initial_quote, int256)
    own: int256 = convert(purse.cash_quote - min(purse.cash_quote, purse.fresh_quote), int256)
    return convert(max(min(free, own), 0), uint256)


@external
@view
def markets_of(account: bytes32) -> DynArray[uint256, 16]:
    """
    @return Markets in which the account has a leg, ascending.
    """
    self._check_context()
    return records._markets_in(records._accounts[account])


@external
@view
def group_of(account: bytes32) -> uint256:
    """
    @return The account's clearing group; 0 before its first trade.
    """
    self._check_context()
    return records._group_in(records._accounts[account])


@external
@view
def open_interest(market: uint256) -> (uint256, uint256):
    """
    @return Open longs and open shorts, base. They are equal, exactly.
    """
    self._check_context()
    interest: uint256 = records._open_interest(market)
    return interest, interest


@external
@view
def funding(market: uint256) -> (int256, int256):
    """
    @return Funding index now (quote per base, WAD; longs pay when it rises) and the rate per 8 hours (WAD).
    """
    self._check_context()
    cap: int256 = convert(records._funding_limits(market).funding_cap_bps * 10**14, int256)
    rate: int256 = min(max(records._price_record(market).premium_wad, -cap), cap)
    return pricing._peek(market).funding_index, rate


@external
@view
def price_status(market: uint256) -> uint256:
    """
    @return Bits: 1 stale, 2 breaker waits, 4 grace period.
    """
    self._check_context()
    return pricing._peek(market).status


@external
@view
def claims(group: uint256) -> uint256:
    """
    @return Claims the pool has not paid for yet, quote.
    """
    self._check_context()
    return ledger._waiting(group)


@external
@view
def shortfall(group: uint256) -> uint256:
    """
    @return Deficits written off and not paid down yet, quote.
    """
    self._check_context()
    return records._shortfall(group)


@external
@view
def insurance_left(market: uint256) -> uint256:
    """
    @return Quote the insurance fund may pay for this market now.
    """
    self._check_context()
    records._listed_risk(market)
    return insurance._left_for_market(market)


@external
@view
def operator_expiry(owner: address, operator: address) -> uint256:
    """
    @return When the operator's right ends, seconds; 0 if never given.
    """
    self._check_context()
    return records._operators[owner][operator]


@external
@view
def max_liquidation(account: bytes32, market: uint256) -> (uint256, uint256):
    """
    @return Base that `liquidate` would take now, and the price of it; zeros where it would refuse.
    """
    self._check_context()
    quote: pricing.Quote = pricing._peek(market)
    leg: positions.Leg = positions._booked(positions._leg(account, market, quote.funding_index))
    if leg.size == 0 or quote.status & (pricing.STALE | pricing.GRACE) != 0:
        return 0, 0
    equity: int256 = account_margin._equity(ledger._purse(account), account_margin._totals(account))
    rest: account_margin.Totals = empty(account_margin.Totals)
    unbooked: int256 = 0
    losing: uint256 = 0
    rest, unbooked, losing = account_margin._booked_totals(account, market)
    terms: liquidation.Terms = empty(liquidation.Terms)
    refusal: String[32] = ""
    terms, refusal = liquidation._terms(leg, rest, equity, quote, records._risk(market))
    return terms.size, liquidation._penalised_price(leg.is_long, quote.price, terms.penalty_wad)


@external
@view
def liquidation_price(account: bytes32, market: uint256) -> uint256:
    """
    @notice The price of this market at which E falls below MM, all other prices and funding as they are.
    @dev Both are linear in the price P' of one leg of size s: E + s (P' - P) = MM + mm s (P' - P) for a long.
    @return Price WAD, rounded towards the present price; 0 where a long cannot be liquidated by this price alone or there
            is no leg; the present price where the account can be liquidated already.
    """
    self._check_context()
    quote: pricing.Quote = pricing._peek(market)
    leg: positions.Leg = positions._leg(account, market, quote.funding_index)
    if leg.size == 0:
        return 0
    totals: account_margin.Totals = account_margin._totals(account)
    room: int256 = account_margin._equity(ledger._purse(account), totals) - convert(
        totals.maintenance_quote, int256
    )
    if room < 0:
        return quote.price
    ratio_bps: uint256 = records._risk(market).maintenance_margin_bps
    slope: uint256 = leg.size * (fixed_point.BPS - ratio_bps)
    if not leg.is_long:
        slope = leg.size * (fixed_point.BPS + ratio_bps)
    distance: uint256 = fixed_point._mul_div_down(
        convert(room, uint256), fixed_point.WAD * fixed_point.BPS, slope
    )
    if leg.is_long:
        return quote.price - min(quote.price, distance)
    return quote.price + distance


@external
@view
def adl_rank(account: bytes32, market: uint256) -> (int256, uint256, uint256):
    """
    @notice Where a leg stands in the deleveraging queue of its side.
    @return Score of its bucket (WAD), base ahead of it (its own bucket excluded), band 1 to 5 (5: first in line);
            zeros without a leg.
    """
    self._check_context()
    quote: pricing.Quote = pricing._peek(market)
    leg: positions.Leg = positions._leg(account, market, quote.funding_index)
    if leg.size == 0:
        return 0, 0, 0
    own_tier: uint256 = adl_queue._tier(leg.bucket_id)
    own_tick: uint256 = adl_queue._tick(leg.bucket_id)
    ahead: uint256 = 0
    walk: adl_queue.Walk = adl_queue._start(market, leg.is_long, quote.price)
    for _: uint256 in range(MAX_WALK):
        tier: uint256 = adl_queue._best(walk)
        if tier == grid.TIERS or (tier == own_tier and walk.ticks[tier] == own_tick):
            break
        place: uint256 = adl_queue._id(0, leg.is_long, tier, walk.ticks[tier])
        ahead += records._bucket(adl_queue._key(market, place)).size
        walk = adl_queue._next_head(walk, tier)
    interest: uint256 = records._open_interest(market)
    band: uint256 = 5 - min(4, 5 * ahead // interest)
    edge: uint256 = grid._near_edge(own_tick, walk.oracle_tick, quote.price)
    return grid._score(leg.is_long, own_tier, edge, quote.price), ahead, band


@external
@view
def queue(
    market: uint256, is_long: bool, start: uint256, count: uint256
) -> DynArray[IClearinghouse.QueueEntry, MAX_PAGE]:
    """
    @return Buckets number `start` to `start + count` (at most 256) of one side's queue, in score order.
    """
    self._check_context()
    page: DynArray[IClearinghouse.QueueEntry, MAX_PAGE] = []
    walk: adl_queue.Walk = adl_queue._start(market, is_long, pricing._peek(market).price)
    for i: uint256 in range(MAX_WALK):
        tier: uint256 = adl_queue._best(walk)
        if tier == grid.TIERS or len(page) == min(count, MAX_PAGE):
            break
        if i >= start:
            tick: uint256 = walk.ticks[tier]
            b: records.Bucket = records._bucket(
                adl_queue._key(market, adl_queue._id(0, is_long, tier, tick))
            )
            page.append(
                IClearinghouse.QueueEntry(
                    bucket_id=adl_queue._id(b.epoch, is_long, tier, tick),
                    score=walk.scores[tier],
                    tier=tier,
                    tick=tick,
                    size_base=b.size,
                )
            )
        walk = adl_queue._next_head(walk, tier)
    return page


@external
@view
def bucket(market: uint256, bucket_id: uint256) -> (uint256, uint256, uint256, int256, int256):
    """
    @return Size (base), shares, epoch, credit index and funding index of the live bucket on the id's place, as stored.
    """
    self._check_context()
    b: records.Bucket = records._bucket(adl_queue._key(market, bucket_id))
    return b.size, b.shares, b.epoch, b.credit_index, b.funding_index


@external
@view
def bucket_of(account: bytes32, market: uint256) -> uint256:
    """
    @return Id of the bucket the leg is in (`epoch << 17 | is_long << 16 | tier << 13 | tick`), its present epoch; 0 without a leg.
    """
    self._check_context()
    return positions._leg(account, market, pricing._peek(market).funding_index).bucket_id


@external
@view
def preview_deleverage(account: bytes32) -> DynArray[PreviewSlice, 200]:
    """
    @notice What the next `deleverage` would take from the first leg it would close: buckets, sizes and prices.
    @return Empty where the account is solvent or no leg can be closed now.
    """
    self._check_context()
    slices: DynArray[PreviewSlice, 200] = []
    standing: waterfall.Standing = waterfall._standing(account)
    if standing.equity_quote >= 0:
        return slices
    buckets: uint256 = 0
    reward_bps: uint256 = 0
    buckets, reward_bps = records._adl_params()
    for losing: bool in [False, True]:
        markets: DynArray[uint256, 16] = records._markets_in(records._accounts[account])
        for market: uint256 in markets:
            quote: pricing.Quote = pricing._peek(market)
            leg: positions.Leg = positions._booked(positions._leg(account, market, quote.funding_index))
            if (
                leg.size == 0
                or quote.status & (pricing.STALE | pricing.GRACE) != 0
                or losing != (positions._open_result(leg, quote.price) < 0)
            ):
                continue
            plan: waterfall.Plan = waterfall._plan(
                leg, standing, quote, records._risk(market), buckets
            )
            for packed: uint256 in plan.slices:
                bucket_id: uint256 = 0
                size: uint256 = 0
                cap: uint256 = 0
                bucket_id, size, cap = waterfall._unpack(packed)
                slices.append(
                    PreviewSlice(
                        market=market,
                        bucket_id=bucket_id,
                        size_base=size,
                        price=waterfall._slice_price(leg, quote.price, plan.distance, cap),
                    )
                )
            return slices
    return slices


@external
@view
def read(
    accounts: DynArray[bytes32, MAX_READ],
    markets: DynArray[uint256, MAX_READ],
    groups: DynArray[uint256, MAX_READ],
) -> DynArray[uint256, MAX_WORDS]:
    """
    @notice Records as they are stored, for mirrors: one call reads a whole book (ballast/mirror.py decodes it).
    @return For each account: its word, its ledger slot (MarginVault.ledger_words), two words of `unsettled`, and for each of its legs
            two words of the position and two of the bucket on its place. For each market: price, flow and allowance.
            For each group: two words of the claims bucket, money, pool. Last: insurance, protocol fees, keeper reserve,
            total. The layouts are those of modules/records.vy.
    """
    self._check_context()
    words: DynArray[uint256, MAX_WORDS] = []
    cash: DynArray[uint256, MAX_READ] = staticcall records.VAULT.ledger_words(accounts)
    for i: uint256 in range(len(accounts), bound=MAX_READ):
        account: bytes32 = accounts[i]
        word: uint256 = records._accounts[account]
        words.append(word)
        words.append(cash[i])
        words.append(records._unsettled[account][0])
        words.append(records._unsettled[account][1])
        legs: DynArray[uint256, 16] = records._markets_in(word)
        for market: uint256 in legs:
            head: uint256 = records._positions[account][market][0]
            key: uint256 = adl_queue._key(market, (head >> 192) & records.MASK_48)
            words.append(head)
            words.append(records._positions[account][market][1])
            words.append(records._buckets[key][0])
            words.append(records._buckets[key][1])
    for market: uint256 in markets:
        words.append(records._prices[market])
        words.append(records._flows[market])
        words.append(records._allowances[market])
    for group: uint256 in groups:
        words.append(records._buckets[records._group_key(group)][0])
        words.append(records._buckets[records._group_key(group)][1])
        words.append(records._money[group])
        words.append(staticcall records.VAULT.pool_of(group))
    for key: bytes32 in [ledger.INSURANCE, ledger.PROTOCOL_FEES, ledger.KEEPER_RESERVE]:
        words.append(staticcall records.VAULT.balance_of(key))
    words.append(staticcall records.VAULT.total())
    return words


@external
@view
def retired(key: uint256, epoch: uint256) -> (uint256, uint256, int256):
    """
    @notice Last state of an epoch that ended with members; never changes once written.
    @param key Of a rank bucket `market << 32 | id without epoch`, of a group's claims `2^64 + group`.
    @return Size carried into the next epoch, shares, credit index.
    """
    self._check_context()
    b: records.Bucket = records._retired_bucket(key, epoch)
    return b.size, b.shares, b.credit_index


@external
@view
def guardian() -> address:
    """
    @return Who may pause what adds risk.
    """
    self._check_context()
    return roles._guardian


@external
@view
def venues(venue: address) -> bool:
    """
    @return Whether the address may call `fill`.
    """
    self._check_context()
    return roles._venues[venue]


@external
@view
def is_paused(market: uint256) -> bool:
    """
    @return Whether what adds risk is stopped, in this market or in all.
    """
    self._check_context()
    return roles._is_all_paused or records._risk(market).paused


@external
@view
def market_params(market: uint256) -> IClearinghouse.MarketParams:
    """
    @return The market's parameters; all zero if it is not listed.
    """
    self._check_context()
    return listing._params(market)


@external
@view
def group_params(group: uint256) -> (uint256, uint256):
    """
    @return Insurance cap for deficits without a position (quote), and its refill time (seconds).
    """
    self._check_context()
    a: records.Allowance = records._allowance(records._group_key(group))
    return a.cap_quote, a.refill_seconds


@external
@view
def adl_params() -> (uint256, uint256):
    """
    @return Buckets one `deleverage` takes at most, and its caller's reward in bps of the notional closed.
    """
    self._check_context()
    return records._adl_params()


# What the calls that book an account first will see.


@internal
@view
def _booked_purse(account: bytes32, realised_quote: int256) -> ledger.Purse:
    """
    @notice What `ledger._post` makes of the account's money, as far as a withdrawal asks: cash and debt.
    """
    purse: ledger.Purse = ledger._purse(account)
    word: uint256 = records._accounts[account]
    group: uint256 = records._group_in(word)
    claim: share_buckets.Member = empty(share_buckets.Member)
    if word & records.UNSETTLED != 0:
        claim = ledger._claim(group, records._unsettled_of(account))
    net: int256 = convert(claim.size, int256) - convert(purse.debt_quote, int256) + realised_quote
    purse.cash_quote += convert(claim.credit_quote, uint256)
    purse.claim_quote = 0
    purse.debt_quote = 0
    if net < 0:
        owed: uint256 = convert(-net, uint256)
        paid: uint256 = min(owed, purse.cash_quote)
        purse.cash_quote -= paid
        purse.debt_quote = owed - paid
    elif realised_quote != 0 or claim.credit_quote != 0:
        if ledger._waiting(group) <= claim.size:
            purse.cash_quote += min(convert(net, uint256), ledger._free_pool(group))
    return purse


@internal
@view
def _check_context():
    assert self != SELF, "lens: call the clearinghouse"
