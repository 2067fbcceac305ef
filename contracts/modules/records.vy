# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Records
@license AGPL-3.0-only
@notice All storage of the clearinghouse, packed by hand, and nothing else.
@dev Clearinghouse and the contracts whose code it runs by delegatecall initialise this module first and hold no
     storage before it, so one layout serves them all. Fields, lowest bits first:

       account     group 12 | unsettled flag 1 | - 51 | up to sixteen market ids, 12 each
       position    size 96 | entry 96 | bucket id 48 | fees paid in cents 16      shares 128 | credit index 128
       bucket      size 104 | shares 120 | epoch 32                               credit index 128 | funding index 128
       unsettled   claim shares 128 | - 96 | epoch 32                             credit index 128 | debt 128
       price       price 96 | timestamp 32 | fixed at 32 | block 35 | status 3 | premium average 58
       flow        funding index 128 | open interest 96 | sampled at 32
       allowance   insurance cap 96 | refill seconds 32 | insurance used 96 | used at 32
       money       allotted 127 | claims wait 1 | shortfall 128
       risk        oracle 160 | group 12 | initial 16 | maintenance 16 | band 16 | penalty 16 | listed 1 | paused 1
       limits      position cap 96 | interest cap 96 | minimum notional 64 (1e12 wei)
       fees        maker 16 | taker 16 | insurance share 16 | reserve share 16 | target 32 | liquidator share 16
                   | penalty insurance share 16 | minimum reward 64 (1e12 wei)
                   | premium cap 16 | funding cap 16 | premium window seconds 32

     What every trade needs of a market stands together. Times end in 2106, and a block number of 35 bits lasts for a
     century of ten blocks a second.

     A bucket id is `epoch << 17 | is_long << 16 | tier << 13 | tick`; its key in storage is
     `market << 32 | id without epoch`, so the id alone names side, tier and tick. Claims of a group are a
     bucket too, and a group has an allowance as a market has, both under `2^64 + group`.
"""

from interfaces import IMarginVault

VAULT: immutable(IMarginVault)

MAX_MARKETS: constant(uint256) = 16
MASK_12: constant(uint256) = 2**12 - 1
MASK_16: constant(uint256) = 2**16 - 1
MASK_32: constant(uint256) = 2**32 - 1
MASK_35: constant(uint256) = 2**35 - 1
MASK_48: constant(uint256) = 2**48 - 1
MASK_64: constant(uint256) = 2**64 - 1
MASK_96: constant(uint256) = 2**96 - 1
MASK_104: constant(uint256) = 2**104 - 1
MASK_120: constant(uint256) = 2**120 - 1
MASK_127: constant(uint256) = 2**127 - 1
MASK_128: constant(uint256) = 2**128 - 1
MICRO: constant(uint256) = 10**12
GROUPS: constant(uint256) = 2**64
UNSETTLED: constant(uint256) = 2**12


struct Position:
    size: uint256  # base at the last touch
    entry_price: uint256
    bucket_id: uint256
    fees_cents: uint256
    shares: uint256
    credit_index: int256


struct Bucket:
    size: uint256  # base; of a claims bucket: quote waiting
    shares: uint256
    epoch: uint256
    credit_index: int256  # quote per share, 2^72
    funding_index: int256


struct Unsettled:
    shares: uint256
    debt_quote: uint256
    epoch: uint256
    credit_index: int256


struct PriceRecord:
    price: uint256
    timestamp: uint256
    fixed_at: uint256
    block_number: uint256  # in which it was fixed
    status: uint256
    premium_wad: int256


struct Flow:
    funding_index: int256
    open_interest_base: uint256
    sampled_at: uint256  # by the premium average


struct Allowance:
    cap_quote: uint256
    refill_seconds: uint256  # 0: nobody has set it
    used_quote: uint256
    used_at: uint256


struct Risk:
    oracle: address
    group: uint256
    initial_margin_bps: uint256
    maintenance_margin_bps: uint256
    price_band_bps: uint256
    liquidation_penalty_bps: uint256
    listed: bool
    paused: bool


struct Limits:
    position_cap_base: uint256
    interest_cap_base: uint256
    min_notional_quote: uint256


struct Fees:
    maker_fee_bps: uint256
    taker_fee_bps: uint256
    insurance_share_bps: uint256
    reserve_share_bps: uint256
    liquidation_target_bps: uint256
    liquidator_share_bps: uint256
    penalty_insurance_share_bps: uint256
    min_reward_quote: uint256


struct FundingLimits:
    premium_cap_bps: uint256
    funding_cap_bps: uint256
    premium_window_seconds: uint256


_accounts: HashMap[bytes32, uint256]
_positions: HashMap[bytes32, HashMap[uint256, uint256[2]]]
_buckets: HashMap[uint256, uint256[2]]
_retired: HashMap[uint256, HashMap[uint256, uint256[2]]]
_summaries: HashMap[uint256, uint256]
_bitmaps: HashMap[uint256, uint256]
_unsettled: HashMap[bytes32, uint256[2]]
_prices: HashMap[uint256, uint256]
_flows: HashMap[uint256, uint256]
_allowances: HashMap[uint256, uint256]
_money: HashMap[uint256, uint256]
_market_params: HashMap[uint256, uint256[3]]
_operators: HashMap[address, HashMap[address, uint256]]
_adl: uint256


@deploy
def __init__(vault: IMarginVault):
    """
    @param vault The margin vault (its address may be a predicted one).
    """
    VAULT = vault


@internal
@pure
def _low_signed(word: uint256) -> int256:
    return convert(convert(word << 128, bytes32), int256) >> 128


@internal
@pure
def _high_signed(word: uint256) -> int256:
    return convert(convert(word, bytes32), int256) >> 128


@internal
@pure
def _bits_128(amount: int256) -> uint256:
    # An index that left 128 bits would corrupt its neighbour: bounded in adl_queue.vy, asserted here.
    assert amount >= -(2**127) and amount < 2**127, "records: index overflow"
    return convert(convert(amount, bytes32), uint256) & MASK_128


@internal
@pure
def _fits(amount: uint256, mask: uint256) -> uint256:
    """
    @custom:reverts records: amount overflow
    """
    assert amount <= mask, "records: amount overflow"
    return amount


# Accounts: group, flag and the open markets.


@internal
@pure
def _group_in(account_word: uint256) -> uint256:
    return account_word & MASK_12


@internal
@pure
def _markets_in(account_word: uint256) -> DynArray[uint256, MAX_MARKETS]:
    """
    @return Open markets in the order of storage (ids are packed from the lowest slot, without holes).
    """
    markets: DynArray[uint256, MAX_MARKETS] = []
    rest: uint256 = account_word >> 64
    for _: uint256 in range(MAX_MARKETS):
        if rest == 0:
            break
        markets.append(rest & MASK_12)
        rest >>= 12
    return markets


@internal
@pure
def _with_market(account_word: uint256, market: uint256) -> uint256:
    """
    @notice Adds a market in ascending order; unchanged if it is there.
    @custom:reverts account: too many markets
    """
    slot: uint256 = 64
    for _: uint256 in range(MAX_MARKETS):
        found: uint256 = (account_word >> slot) & MASK_12
        if found == market:
            return account_word
        if found == 0 or found > market:
            assert account_word >> 244 == 0, "account: too many markets"
            below: uint256 = account_word & ((1 << slot) - 1)
            above: uint256 = (account_word >> slot) << (slot + 12)
            return below | (market << slot) | above
        slot += 12
    raise "account: too many markets"


@internal
@pure
def _without_market(account_word: uint256, market: uint256) -> uint256:
    slot: uint256 = 64
    for _: uint256 in range(MAX_MARKETS):
        found: uint256 = (account_word >> slot) & MASK_12
        if found == market:
            below: uint256 = account_word & ((1 << slot) - 1)
            return below | ((account_word >> (slot + 12)) << slot)
        slot += 12
    return account_word


# Positions.


@internal
@view
def _position(account: bytes32, market: uint256) -> Position:
    head: uint256 = self._positions[account][market][0]
    if head == 0:
        return empty(Position)
    tail: uint256 = self._positions[account][market][1]
    return Position(
        size=head & MASK_96,
        entry_price=(head >> 96) & MASK_96,
        bucket_id=(head >> 192) & MASK_48,
        fees_cents=head >> 240,
        shares=tail & MASK_128,
        credit_index=self._high_signed(tail),
    )


@internal
def _set_position(account: bytes32, market: uint256, p: Position):
    self._positions[account][market][0] = (
        self._fits(p.size, MASK_96)
        | (self._fits(p.entry_price, MASK_96) << 96)
        | (p.bucket_id << 192)
        | (p.fees_cents << 240)
    )
    self._positions[account][market][1] = self._fits(p.shares, MASK_128) | (
        self._bits_128(p.credit_index) << 128
    )


@internal
def _clear_position(account: bytes32, market: uint256):
    self._positions[account][market] = [0, 0]


# Share buckets.


@internal
@view
def _bucket(key: uint256) -> Bucket:
    head: uint256 = self._buckets[key][0]
    tail: uint256 = self._buckets[key][1]
    return Bucket(
        size=head & MASK_104,
        shares=(head >> 104) & MASK_120,
        epoch=head >> 224,
        credit_index=self._low_signed(tail),
        funding_index=self._high_signed(tail),
    )


@internal
@view
def _bucket_size(key: uint256) -> (uint256, uint256):
    """
    @return Size and epoch alone, for a walk that will not touch the bucket.
    """
    head: uint256 = self._buckets[key][0]
    return head & MASK_104, head >> 224


@internal
def _set_bucket(key: uint256, b: Bucket):
    self._buckets[key][0] = (
        self._fits(b.size, MASK_104) | (self._fits(b.shares, MASK_120) << 104) | (b.epoch << 224)
    )
    self._buckets[key][1] = self._bits_128(b.credit_index) | (
        self._bits_128(b.funding_index) << 128
    )


@internal
@view
def _retired_bucket(key: uint256, epoch: uint256) -> Bucket:
    """
    @return Final state of an epoch that ended with members: what it brought into the next epoch (size),
            among how many shares, and the credit index at that moment.
    """
    head: uint256 = self._retired[key][epoch][0]
    return Bucket(
        size=head & MASK_104,
        shares=head >> 104,
        epoch=epoch,
        credit_index=self._low_signed(self._retired[key][epoch][1]),
        funding_index=0,
    )


@internal
def _retire_bucket(key: uint256, b: Bucket):
    self._retired[key][b.epoch] = [b.size | (b.shares << 104), self._bits_128(b.credit_index)]


# Unsettled results.


@internal
@view
def _unsettled_of(account: bytes32) -> Unsettled:
    head: uint256 = self._unsettled[account][0]
    tail: uint256 = self._unsettled[account][1]
    return Unsettled(
        shares=head & MASK_128,
        debt_quote=tail >> 128,
        epoch=head >> 224,
        credit_index=self._low_signed(tail),
    )


@internal
def _set_unsettled(account: bytes32, u: Unsettled):
    self._unsettled[account][0] = u.shares | (u.epoch << 224)
    self._unsettled[account][1] = self._bits_128(u.credit_index) | (
        self._fits(u.debt_quote, MASK_128) << 128
    )


# Markets.


@internal
@view
def _price_record(market: uint256) -> PriceRecord:
    word: uint256 = self._prices[market]
    return PriceRecord(
        price=word & MASK_96,
        timestamp=(word >> 96) & MASK_32,
        fixed_at=(word >> 128) & MASK_32,
        block_number=(word >> 160) & MASK_35,
        status=(word >> 195) & 7,
        premium_wad=convert(convert(word, bytes32), int256) >> 198,
    )


@internal
def _set_price_record(market: uint256, p: PriceRecord):
    # The premium average is clamped to +-10 % (listing.vy), which 58 bits hold.
    self._prices[market] = (
        self._fits(p.price, MASK_96)
        | (p.timestamp << 96)
        | (p.fixed_at << 128)
        | (p.block_number << 160)
        | (p.status << 195)
        | (convert(convert(p.premium_wad, bytes32), uint256) << 198)
    )


@internal
@view
def _flow(market: uint256) -> Flow:
    word: uint256 = self._flows[market]
    return Flow(
        funding_index=self._low_signed(word),
        open_interest_base=(word >> 128) & MASK_96,
        sampled_at=word >> 224,
    )


@internal
def _set_flow(market: uint256, f: Flow):
    self._flows[market] = (
        self._bits_128(f.funding_index)
        | (self._fits(f.open_interest_base, MASK_96) << 128)
        | (f.sampled_at << 224)
    )


@internal
@view
def _open_interest(market: uint256) -> uint256:
    return (self._flows[market] >> 128) & MASK_96


# Of a market, or of a group, under its key.


@internal
@pure
def _group_key(group: uint256) -> uint256:
    """
    @return What a group's claims and allowance stand under: no market's number.
    """
    return GROUPS + group


@internal
@view
def _allowance(key: uint256) -> Allowance:
    word: uint256 = self._allowances[key]
    return Allowance(
        cap_quote=word & MASK_96,
        refill_seconds=(word >> 96) & MASK_32,
        used_quote=(word >> 128) & MASK_96,
        used_at=word >> 224,
    )


@internal
def _set_allowance(key: uint256, a: Allowance):
    self._allowances[key] = (
        self._fits(a.cap_quote, MASK_96)
        | (a.refill_seconds << 96)
        | (self._fits(a.used_quote, MASK_96) << 128)
        | (a.used_at << 224)
    )


@internal
@view
def _allotted(group: uint256) -> uint256:
    return self._money[group] & MASK_127


@internal
def _set_allotted(group: uint256, amount_quote: uint256):
    self._money[group] = ((self._money[group] >> 127) << 127) | self._fits(amount_quote, MASK_127)


@internal
@view
def _do_claims_wait(group: uint256) -> bool:
    """
    @return Whether the group's claims bucket has a size: kept here as well, where every trade looks.
    """
    return (self._money[group] >> 127) & 1 == 1


@internal
def _set_claims_wait(group: uint256, wait: bool):
    if wait != self._do_claims_wait(group):
        self._money[group] ^= 2**127


@internal
@view
def _shortfall(group: uint256) -> uint256:
    return self._money[group] >> 128


@internal
def _set_shortfall(group: uint256, amount_quote: uint256):
    self._money[group] = (self._money[group] & MASK_128) | (self._fits(amount_quote, MASK_128) << 128)


@internal
@view
def _risk(market: uint256) -> Risk:
    word: uint256 = self._market_params[market][0]
    return Risk(
        oracle=convert(word & (2**160 - 1), address),
        group=(word >> 160) & MASK_12,
        initial_margin_bps=(word >> 172) & MASK_16,
        maintenance_margin_bps=(word >> 188) & MASK_16,
        price_band_bps=(word >> 204) & MASK_16,
        liquidation_penalty_bps=(word >> 220) & MASK_16,
        listed=(word >> 236) & 1 == 1,
        paused=(word >> 237) & 1 == 1,
    )


@internal
@view
def _oracle(market: uint256) -> address:
    return convert(self._market_params[market][0] & (2**160 - 1), address)


@internal
@view
def _listed_risk(market: uint256) -> Risk:
    """
    @custom:reverts market: unknown
    """
    risk: Risk = self._risk(market)
    assert risk.listed, "market: unknown"
    return risk


@internal
def _set_risk(market: uint256, r: Risk):
    self._market_params[market][0] = (
        convert(r.oracle, uint256)
        | (r.group << 160)
        | (r.initial_margin_bps << 172)
        | (r.maintenance_margin_bps << 188)
        | (r.price_band_bps << 204)
        | (r.liquidation_penalty_bps << 220)
        | (convert(r.listed, uint256) << 236)
        | (convert(r.paused, uint256) << 237)
    )


@internal
@view
def _limits(market: uint256) -> Limits:
    word: uint256 = self._market_params[market][1]
    return Limits(
        position_cap_base=word & MASK_96,
        interest_cap_base=(word >> 96) & MASK_96,
        min_notional_quote=(word >> 192) * MICRO,
    )


@internal
def _set_limits(market: uint256, l: Limits):
    self._market_params[market][1] = (
        l.position_cap_base | (l.interest_cap_base << 96) | ((l.min_notional_quote // MICRO) << 192)
    )


@internal
@view
def _fees(market: uint256) -> Fees:
    word: uint256 = self._market_params[market][2]
    return Fees(
        maker_fee_bps=word & MASK_16,
        taker_fee_bps=(word >> 16) & MASK_16,
        insurance_share_bps=(word >> 32) & MASK_16,
        reserve_share_bps=(word >> 48) & MASK_16,
        liquidation_target_bps=(word >> 64) & MASK_32,
        liquidator_share_bps=(word >> 96) & MASK_16,
        penalty_insurance_share_bps=(word >> 112) & MASK_16,
        min_reward_quote=((word >> 128) & MASK_64) * MICRO,
    )


@internal
@view
def _funding_limits(market: uint256) -> FundingLimits:
    word: uint256 = self._market_params[market][2]
    return FundingLimits(
        premium_cap_bps=(word >> 192) & MASK_16,
        funding_cap_bps=(word >> 208) & MASK_16,
        premium_window_seconds=word >> 224,
    )


@internal
def _set_fees(market: uint256, f: Fees, l: FundingLimits):
    self._market_params[market][2] = (
        f.maker_fee_bps
        | (f.taker_fee_bps << 16)
        | (f.insurance_share_bps << 32)
        | (f.reserve_share_bps << 48)
        | (f.liquidation_target_bps << 64)
        | (f.liquidator_share_bps << 96)
        | (f.penalty_insurance_share_bps << 112)
        | ((f.min_reward_quote // MICRO) << 128)
        | (l.premium_cap_bps << 192)
        | (l.funding_cap_bps << 208)
        | (l.premium_window_seconds << 224)
    )


@internal
@view
def _adl_params() -> (uint256, uint256):
    """
    @return Buckets a call, reward in bps of the notional closed.
    """
    return self._adl & MASK_16, self._adl >> 16


@internal
def _set_adl_params(buckets_per_call: uint256, reward_bps: uint256):
    self._adl = buckets_per_call | (reward_bps << 16)
