# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title The grid of the deleveraging queue
@license AGPL-3.0-only
@notice Entry ticks, leverage tiers, and the score of a bucket: the whole rule of the ranking, without state.
@dev Ticks. `edge(t) = floor(2^(32 + t / 128))`, t from 0 to 8,192: a geometric grid of 0.543 % over prices from
     2^32 wei (4.3e-9 quote) to 2^96 wei (7.9e10 quote). Tick t holds the entries e with
     `edge(t) <= e < edge(t + 1)`. An edge is a product of at most seven constants 2^(1/2^k) in Q127, and a
     shift; the tick of a price is found by taking the same constants greedily, and then verified against the
     integer edges, which alone decide.

     Score (BitMEX's published rule, on the grid): `profit% x leverage` for a bucket in profit, else
     `profit% / leverage`. profit% is measured from the edge of the tick that lies nearest to the oracle price,
     so no member's profit is overstated, and is 0 in the oracle price's own tick. Leverage is the upper end of
     the tier (100 for the last). All rounding is towards zero and common to a whole bucket, so it cannot favour
     a member.
"""

from modules import fixed_point

TIERS: constant(uint256) = 8
MIN_PRICE: constant(uint256) = 2**32
MAX_PRICE: constant(uint256) = 2**96 - 1

Q127: constant(uint256) = 2**127
ROOTS: constant(uint256[7]) = [
    240_615_969_168_004_511_545_033_772_477_625_056_927,  # 2^(1/2), in Q127, rounded down
    202_333_105_926_173_297_125_496_651_828_617_737_974,  # 2^(1/4)
    185_540_276_208_459_938_995_127_072_211_809_418_384,  # 2^(1/8)
    177_673_977_198_940_748_734_846_910_156_470_796_722,  # 2^(1/16)
    173_866_790_246_890_464_404_407_762_706_616_159_231,  # 2^(1/32)
    171_993_899_476_345_128_343_537_119_045_365_325_556,  # 2^(1/64)
    171_065_033_261_874_822_595_940_777_772_823_543_072,  # 2^(1/128)
]
LEVERAGE: constant(uint256[8]) = [1, 2, 3, 5, 10, 20, 50, 100]


@internal
@pure
def _edge(tick: uint256) -> uint256:
    """
    @param tick From 0 to 8,192.
    @return The lower edge of the tick, price WAD, rounded down.
    """
    mantissa: uint256 = Q127
    if tick & 64 != 0:
        mantissa = ROOTS[0]
    if tick & 32 != 0:
        mantissa = unsafe_mul(mantissa, ROOTS[1]) >> 127
    if tick & 16 != 0:
        mantissa = unsafe_mul(mantissa, ROOTS[2]) >> 127
    if tick & 8 != 0:
        mantissa = unsafe_mul(mantissa, ROOTS[3]) >> 127
    if tick & 4 != 0:
        mantissa = unsafe_mul(mantissa, ROOTS[4]) >> 127
    if tick & 2 != 0:
        mantissa = unsafe_mul(mantissa, ROOTS[5]) >> 127
    if tick & 1 != 0:
        mantissa = unsafe_mul(mantissa, ROOTS[6]) >> 127
    return mantissa >> (95 - (tick >> 7))


@internal
@pure
def _tick_of(entry_price: uint256) -> uint256:
    """
    @param entry_price WAD, from MIN_PRICE to MAX_PRICE.
    @return The tick t with edge(t) <= entry_price < edge(t + 1).
    @custom:reverts grid: price out of range
    """
    assert entry_price >= MIN_PRICE and entry_price <= MAX_PRICE, "grid: price out of range"
    octave: uint256 = fixed_point._highest_bit(entry_price)
    target: uint256 = entry_price << (127 - octave)
    tick: uint256 = (octave - 32) << 7
    mantissa: uint256 = Q127
    bit: uint256 = 64
    for root: uint256 in ROOTS:
        candidate: uint256 = unsafe_mul(mantissa, root) >> 127
        if candidate <= target:
            mantissa = candidate
            tick |= bit
        bit >>= 1
    # The search works in Q127, the rule in integers: at an edge that was rounded down they differ by one tick.
    if entry_price >= self._edge(tick + 1):
        tick += 1
    return tick


@internal
@pure
def _oracle_tick(oracle_price: uint256) -> int256:
    """
    @param oracle_price WAD, above 0, at most MAX_PRICE.
    @return The oracle price's tick; -1 below the grid.
    """
    if oracle_price < MIN_PRICE:
        return -1
    return convert(self._tick_of(oracle_price), int256)


@internal
@pure
def _tier_of(notional_quote: uint256, equity_quote: int256) -> uint256:
    """
    @notice Leverage tier of an account: notional / equity at most 1, 2, 3, 5, 10, 20, 50, or above.
    @return 0 to 7; 7 where equity is zero or negative.
    """
    if equity_quote > 0:
        equity: uint256 = convert(equity_quote, uint256)
        for tier: uint256 in range(7):
            if notional_quote <= LEVERAGE[tier] * equity:
                return tier
    return 7


@internal
@pure
def _near_edge(tick: uint256, oracle_tick: int256, oracle_price: uint256) -> uint256:
    """
    @notice The end of a tick that lies nearest to the oracle price: no member of a bucket in profit entered
            at a price between it and the oracle price, so closing there is never at a loss.
    @return Price WAD: an integer edge; the oracle price in its own tick.
    """
    position: int256 = convert(tick, int256)
    if position < oracle_tick:
        # Entries are integers below edge(tick + 1), so the integer edge itself is above all of them.
        return self._edge(tick + 1)
    if position > oracle_tick:
        return self._edge(tick)
    return oracle_price


@internal
@pure
def _score(is_long: bool, tier: uint256, edge: uint256, oracle_price: uint256) -> int256:
    """
    @param edge The bucket's edge nearest to the oracle price (`_near_edge`).
    @return Score of a bucket, WAD.
    """
    if edge == oracle_price:
        return 0
    in_profit: bool = is_long == (oracle_price > edge)
    distance: uint256 = oracle_price - edge if oracle_price > edge else edge - oracle_price
    profit_wad: uint256 = distance * fixed_point.WAD // edge
    if in_profit:
        return convert(profit_wad * LEVERAGE[tier], int256)
    return -convert(profit_wad // LEVERAGE[tier], int256)
