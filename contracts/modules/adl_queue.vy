# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title The deleveraging queue
@license AGPL-3.0-only
@notice THE RULE: when a bankrupt position must be closed, the opposite side's buckets are taken in descending
        `score` (grid.vy: profit% x leverage if in profit, else profit% / leverage); ties go to the higher leverage
        tier, then to the more profitable tick. Within a bucket all members are reduced pro rata.
@dev Buckets. Per market and side, one bucket for each (leverage tier, entry tick) that is occupied. A position sits
     in the bucket of its entry price and of its account's leverage at its last touch. Closing x of a bucket
     changes the bucket alone (share_buckets.vy), so it costs the same against one member or ten thousand.

     Finding the best. Within a tier the score falls with the tick's distance from the profitable end, at any
     price, so the best bucket of a tier is its lowest occupied tick for longs, its highest for shorts. A walk
     keeps the head of each of the 8 tiers and takes the best of them:

         summary (one word a side)   8 tiers x 32 bits, a bit for each bitmap that is not empty
         bitmap  (32 a tier)         256 ticks each, a bit for each occupied bucket

             summary      ..1.. | ..... | .1.1. |          8 heads ---- best score ---> bucket
                             |             |              /   |   \
             bitmaps      0010100      0000001 ...     tick tick tick

     Nothing here depends on the caller, on the order of joining, or on how many accounts there are.

     Funding. A bucket pays funding as a whole before its size changes: longs `floor(-size dF)`, shorts
     `floor(size dF)` (quote, towards minus infinity: what rounding keeps back is dust, never a gift).

     Rounding and dust. Of one bucket at any price: sizes in views miss the bucket's by less than 1 wei a member,
     to the members' cost; each credit loses less than 1 wei plus shares / 2^72 wei, and each view less than 1 wei
     more an epoch. docs/INVARIANTS.md sums this up to the bound of S2.
"""

from modules import fixed_point
from modules import grid
from modules import pricing
from modules import records
from modules import share_buckets

uses: records
uses: share_buckets

ID_KEY_MASK: constant(uint256) = 2**17 - 1
TIER_WORDS: constant(uint256) = 32
NO_TICK: constant(uint256) = 2**13


struct Walk:
    market: uint256
    is_long: bool
    price: uint256
    oracle_tick: int256
    summary: uint256
    words: uint256[8]  # what is left of the bitmap under each tier's head
    ticks: uint256[8]  # heads; NO_TICK where the tier is exhausted
    edges: uint256[8]  # of the heads' ticks, nearest to the price
    scores: int256[8]


@internal
@pure
def _id(epoch: uint256, is_long: bool, tier: uint256, tick: uint256) -> uint256:
    return (epoch << 17) | (convert(is_long, uint256) << 16) | (tier << 13) | tick


@internal
@pure
def _at_epoch(bucket_id: uint256, epoch: uint256) -> uint256:
    """
    @return The id of the same place in another epoch.
    """
    return (epoch << 17) | (bucket_id & ID_KEY_MASK)


@internal
@pure
def _key(market: uint256, bucket_id: uint256) -> uint256:
    return (market << 32) | (bucket_id & ID_KEY_MASK)


@internal
@pure
def _is_long(bucket_id: uint256) -> bool:
    return (bucket_id >> 16) & 1 == 1


@internal
@pure
def _tier(bucket_id: uint256) -> uint256:
    return (bucket_id >> 13) & 7


@internal
@pure
def _tick(bucket_id: uint256) -> uint256:
    return bucket_id & (NO_TICK - 1)


@internal
@pure
def _with_funding(before: records.Bucket, is_long: bool, funding_index: int256) -> records.Bucket:
    """
    @notice The bucket with its funding up to `funding_index` paid (longs) or received (shorts).
    """
    b: records.Bucket = before
    delta: int256 = funding_index - b.funding_index
    b.funding_index = funding_index
    if is_long:
        delta = -delta
    amount: int256 = fixed_point._floor_div(convert(b.size, int256) * delta, fixed_point.WAD)
    return share_buckets._credit(b, amount)


@internal
@view
def _load(market: uint256, bucket_id: uint256, funding_index: int256) -> records.Bucket:
    """
    @return The live bucket on the id's place in the grid, funding included.
    """
    b: records.Bucket = records._bucket(self._key(market, bucket_id))
    if b.funding_index != funding_index:
        return self._with_funding(b, self._is_long(bucket_id), funding_index)
    return b


@internal
def _join(
    market: uint256, is_long: bool, tier: uint256, tick: uint256, size: uint256, funding_index: int256
) -> (uint256, uint256, int256):
    """
    @notice Puts `size` base into the bucket (is_long, tier, tick).
    @return Bucket id, shares, credit index to be remembered by the member.
    """
    place: uint256 = self._id(0, is_long, tier, tick)
    key: uint256 = self._key(market, place)
    b: records.Bucket = self._load(market, place, funding_index)
    if b.size == 0:
        self._occupy(market, place)
    shares: uint256 = 0
    b, shares = share_buckets._join(key, b, size, not is_long)
    records._set_bucket(key, b)
    return self._id(b.epoch, is_long, tier, tick), shares, b.credit_index


@internal
def _leave(market: uint256, bucket_id: uint256, shares: uint256, size: uint256, funding_index: int256):
    """
    @notice Takes a member with `shares` and the view `size` out of the bucket.
    """
    b: records.Bucket = self._load(market, bucket_id, funding_index)
    b = share_buckets._leave(b, shares, size)
    self._store(market, bucket_id, b)


@internal
def _take(
    market: uint256, bucket_id: uint256, size: uint256, proceeds_quote: int256, funding_index: int256
) -> int256:
    """
    @notice Closes `size` of the bucket against all its members and credits them with the proceeds (a short's
            are negative: the cost of buying back).
    @return The bucket's credit index after it.
    """
    b: records.Bucket = self._load(market, bucket_id, funding_index)
    b.size -= size
    b = share_buckets._credit(b, proceeds_quote)
    self._store(market, bucket_id, b)
    return b.credit_index


@internal
def _store(market: uint256, bucket_id: uint256, b: records.Bucket):
    records._set_bucket(self._key(market, bucket_id), b)
    if b.size == 0:
        self._vacate(market, bucket_id)


# Bitmaps.


@internal
@pure
def _bitmap_key(market: uint256, is_long: bool, word: uint256) -> uint256:
    return (market << 16) | (convert(is_long, uint256) << 8) | word


@internal
@pure
def _summary_key(market: uint256, is_long: bool) -> uint256:
    return (market << 1) | convert(is_long, uint256)


@internal
@pure
def _word_of(bucket_id: uint256) -> uint256:
    """
    @return `tier * TIER_WORDS + tick // 256`, which stand side by side in the id.
    """
    return (bucket_id >> 8) & 255


@internal
def _occupy(market: uint256, bucket_id: uint256):
    is_long: bool = self._is_long(bucket_id)
    word: uint256 = self._word_of(bucket_id)
    key: uint256 = self._bitmap_key(market, is_long, word)
    bitmap: uint256 = records._bitmaps[key]
    records._bitmaps[key] = bitmap | (1 << (bucket_id & 255))
    if bitmap == 0:
        records._summaries[self._summary_key(market, is_long)] |= 1 << word


@internal
def _vacate(market: uint256, bucket_id: uint256):
    is_long: bool = self._is_long(bucket_id)
    word: uint256 = self._word_of(bucket_id)
    key: uint256 = self._bitmap_key(market, is_long, word)
    bitmap: uint256 = records._bitmaps[key] & ~(1 << (bucket_id & 255))
    records._bitmaps[key] = bitmap
    if bitmap == 0:
        records._summaries[self._summary_key(market, is_long)] &= ~(1 << word)


# The walk, best score first.


@internal
@view
def _start(market: uint256, is_long: bool, price: uint256) -> Walk:
    """
    @notice Begins a walk over the buckets of one side in queue order at a price.
    """
    w: Walk = empty(Walk)
    w.market = market
    w.is_long = is_long
    w.price = price
    w.oracle_tick = grid._oracle_tick(price)
    w.summary = records._summaries[self._summary_key(market, is_long)]
    for tier: uint256 in range(8):
        if (w.summary >> (tier * TIER_WORDS)) & records.MASK_32 == 0:
            w.ticks[tier] = NO_TICK
        else:
            w = self._next_head(w, tier)
    return w


@internal
@view
def _next_head(walk: Walk, tier: uint256) -> Walk:
    """
    @notice Moves a tier's head to its best bucket not walked over yet.
    """
    w: Walk = walk
    word: uint256 = w.words[tier]
    at: uint256 = w.ticks[tier] >> 8
    if word == 0:
        left: uint256 = (w.summary >> (tier * TIER_WORDS)) & records.MASK_32
        if left == 0:
            w.ticks[tier] = NO_TICK
            return w
        at = fixed_point._lowest_bit(left) if w.is_long else fixed_point._highest_bit(left)
        w.summary &= ~(1 << (tier * TIER_WORDS + at))
        word = records._bitmaps[
            self._bitmap_key(w.market, w.is_long, tier * TIER_WORDS + at)
        ]
    bit: uint256 = fixed_point._lowest_bit(word) if w.is_long else fixed_point._highest_bit(word)
    w.words[tier] = word & ~(1 << bit)
    w.ticks[tier] = (at << 8) | bit
    w.edges[tier] = grid._near_edge(w.ticks[tier], w.oracle_tick, w.price)
    w.scores[tier] = grid._score(w.is_long, tier, w.edges[tier], w.price)
    return w


@internal
@pure
def _goes_before(
    is_long: bool,
    score: int256, tier: uint256, tick: uint256,
    other_score: int256, other_tier: uint256, other_tick: uint256,
) -> bool:
    """
    @notice The queue's order: score, then tier, both descending, then the more profitable tick.
    """
    if score != other_score:
        return score > other_score
    if tier != other_tier:
        return tier > other_tier
    return tick < other_tick if is_long else tick > other_tick


@internal
@pure
def _best(w: Walk) -> uint256:
    """
    @return The tier whose head is first in the queue; 8 if the walk is over.
    """
    best: uint256 = 8
    for tier: uint256 in range(8):
        if w.ticks[tier] == NO_TICK:
            continue
        if best == 8 or self._goes_before(
            w.is_long, w.scores[tier], tier, w.ticks[tier], w.scores[best], best, w.ticks[best]
        ):
            best = tier
    return best
