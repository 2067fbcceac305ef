# pragma version 0.4.3
# pragma optimize codesize
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title BucketsMock
@license AGPL-3.0-only
@notice Test double, not for production: one share bucket and its members, as the queue and the ledger use them.
"""

from interfaces import IMarginVault
from modules import records
from modules import share_buckets

initializes: records
initializes: share_buckets[records := records]

KEY: constant(uint256) = 77


@deploy
def __init__():
    records.__init__(IMarginVault(self))


@external
@view
def bucket() -> records.Bucket:
    return records._bucket(KEY)


@external
@view
def retired(epoch: uint256) -> records.Bucket:
    return records._retired_bucket(KEY, epoch)


@external
def join(size: uint256, is_up: bool) -> (uint256, uint256, int256):
    """
    @return Shares, epoch and credit index to be remembered by the member.
    """
    b: records.Bucket = records._bucket(KEY)
    shares: uint256 = 0
    b, shares = share_buckets._join(KEY, b, size, is_up)
    records._set_bucket(KEY, b)
    return shares, b.epoch, b.credit_index


@external
def leave(shares: uint256, size: uint256):
    records._set_bucket(KEY, share_buckets._leave(records._bucket(KEY), shares, size))


@external
def take(size: uint256, proceeds_quote: int256):
    """
    @notice Shrinks the bucket alone and pays its members.
    """
    b: records.Bucket = records._bucket(KEY)
    b.size -= size
    records._set_bucket(KEY, share_buckets._credit(b, proceeds_quote))


@external
@view
def member(epoch: uint256, shares: uint256, credit_index: int256, is_up: bool) -> share_buckets.Member:
    return share_buckets._member(KEY, records._bucket(KEY), epoch, shares, credit_index, is_up)
