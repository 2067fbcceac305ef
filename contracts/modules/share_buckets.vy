# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Share buckets
@license AGPL-3.0-only
@notice The arithmetic by which one change of a bucket reaches every member at its next touch. The queue's rank
        buckets and the groups' waiting claims both live on it.
@dev A bucket is an integer `size`, an integer number of `shares` and one signed accumulator, `credit_index`,
     in quote per share, scaled by 2^72. A member holds shares and the index at its last touch:

         size of a member    = shares x bucket.size / bucket.shares
         credit of a member  = shares x (bucket.credit_index - index at its touch) / 2^72

     Taking x from a bucket changes `size` alone, paying it changes `credit_index` alone; neither looks at members.

             join s                      take x, pay c                    leave
         size += s                   size -= x                        size   -= size of the member
         shares += s shares / size   credit_index += c 2^72 / shares  shares -= its shares

     Rounding. `size` is exact: it moves by the very integers that are traded. What is rounded is a member's view:
     a long's (and a claim's) shares and size down, a short's up, clamped to the bucket; credits towards minus
     infinity. So long views sum to at most, short views to at least, the bucket's size: a member's rounding is
     always to the good of the rest, and dust (money in the system that no view claims) is never negative,
     whatever the price.

     Ratio. Takings shrink size against shares. Joining at any ratio would inflate shares without bound (1e48 a
     round; the third overflows), so a join that finds `shares > 2^16 x size` opens the next epoch, in which the
     old members together hold `size` shares. The old epoch's last state stays behind and converts a member at
     its next touch. The credit index runs on across epochs. An epoch whose size is zero ends with nothing to
     carry over. Ids (key and epoch) are never used again.

     Bound. Index increments are at most price x (size / shares) x 2^72 and size / shares never rises above 1 by
     more than rounding leaves, so the closing of everything at the highest price (2^96 wei) stays below 2^109.

     A member that was passed over by 8 epochs holds less than 2^(96 - 16 x 8) of a wei: its size is then zero.
"""

from modules import fixed_point
from modules import records

uses: records

INDEX_SCALE_BITS: constant(uint256) = 72
MAX_RATIO: constant(uint256) = 2**16
MAX_EPOCHS_BEHIND: constant(uint256) = 8


struct Member:
    shares: uint256  # in the bucket's present epoch
    size: uint256
    credit_quote: int256  # since its last touch


@internal
@pure
def _size_of(shares: uint256, b: records.Bucket, is_up: bool) -> uint256:
    """
    @notice A member's part of the bucket's size, rounded down, or up and clamped to the bucket.
    """
    if b.shares == 0:
        return 0
    if is_up:
        return min(fixed_point._mul_div_up(shares, b.size, b.shares), b.size)
    return fixed_point._mul_div_down(shares, b.size, b.shares)


@internal
@pure
def _credit_of(shares: uint256, index_delta: int256) -> int256:
    """
    @return Quote credited to `shares`, towards minus infinity.
    """
    # A signed shift rounds down, as a division by 2^72 towards minus infinity does.
    return (convert(shares, int256) * index_delta) >> INDEX_SCALE_BITS


@internal
@view
def _member(
    key: uint256, b: records.Bucket, epoch: uint256, shares: uint256, credit_index: int256, is_up: bool
) -> Member:
    """
    @notice A member as it stands now, followed through the epochs that ended since its last touch.
    @param b The bucket's present state (funding included).
    """
    held: uint256 = shares
    index: int256 = credit_index
    credit: int256 = 0
    behind: uint256 = epoch
    if behind != b.epoch:
        for _: uint256 in range(MAX_EPOCHS_BEHIND):
            if behind == b.epoch or held == 0:
                break
            last: records.Bucket = records._retired_bucket(key, behind)
            if last.shares == 0:
                # Ended without shares, so nothing was kept of it: what a short's rounding up left over is nothing.
                held = 0
                break
            credit += self._credit_of(held, last.credit_index - index)
            index = last.credit_index
            held = self._size_of(held, last, is_up)
            behind += 1
        if behind != b.epoch:
            held = 0
    if b.credit_index != index:
        credit += self._credit_of(held, b.credit_index - index)
    return Member(shares=held, size=self._size_of(held, b, is_up), credit_quote=credit)


@internal
def _join(key: uint256, before: records.Bucket, size: uint256, is_up: bool) -> (records.Bucket, uint256):
    """
    @notice Adds `size` to the bucket; opens the next epoch where the ratio (or an empty bucket) asks for it.
    @return The bucket (not stored yet) and the joiner's shares, rounded down, or up.
    """
    b: records.Bucket = before
    if b.size == 0 or b.shares > MAX_RATIO * b.size:
        if b.shares != 0:
            records._retire_bucket(key, b)
        b.epoch += 1
        b.shares = b.size
    shares: uint256 = size
    if b.shares != 0:
        if is_up:
            shares = fixed_point._mul_div_up(size, b.shares, b.size)
        else:
            shares = fixed_point._mul_div_down(size, b.shares, b.size)
    b.size += size
    b.shares += shares
    return b, shares


@internal
@pure
def _leave(before: records.Bucket, shares: uint256, size: uint256) -> records.Bucket:
    """
    @notice Takes a member out. `size` is its view. Shares of shorts converted from an older epoch were rounded up
            and may sum to a little more than the bucket's: clamped.
    """
    b: records.Bucket = before
    b.size -= size
    b.shares -= min(shares, b.shares)
    return b


@internal
@pure
def _credit(before: records.Bucket, amount_quote: int256) -> records.Bucket:
    """
    @notice Pays (or charges) all members in proportion to their shares, towards minus infinity.
    """
    b: records.Bucket = before
    if b.shares != 0:
        b.credit_index += fixed_point._floor_div(amount_quote << INDEX_SCALE_BITS, b.shares)
    return b
