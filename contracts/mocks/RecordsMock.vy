# pragma version 0.4.3
# pragma optimize codesize
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title RecordsMock
@license AGPL-3.0-only
@notice Test double, not for production: writes each record and reads it back, and shows the words beneath.
"""

from interfaces import IMarginVault
from modules import records

initializes: records

A: constant(bytes32) = 0x0000000000000000000000000000000000000000000000000000000000000abc


@deploy
def __init__():
    records.__init__(IMarginVault(self))


@external
def position(p: records.Position) -> records.Position:
    records._set_position(A, 1, p)
    return records._position(A, 1)


@external
def bucket(b: records.Bucket) -> records.Bucket:
    records._set_bucket(7, b)
    return records._bucket(7)


@external
def retired(b: records.Bucket) -> records.Bucket:
    records._retire_bucket(7, b)
    return records._retired_bucket(7, b.epoch)


@external
def unsettled(u: records.Unsettled) -> records.Unsettled:
    records._set_unsettled(A, u)
    return records._unsettled_of(A)


@external
def price(p: records.PriceRecord) -> records.PriceRecord:
    records._set_price_record(1, p)
    return records._price_record(1)


@external
def flow(f: records.Flow) -> records.Flow:
    records._set_flow(1, f)
    return records._flow(1)


@external
def allowance(a: records.Allowance) -> records.Allowance:
    records._set_allowance(1, a)
    return records._allowance(1)


@external
def money(allotted: uint256, wait: bool, shortfall: uint256) -> (uint256, bool, uint256):
    records._set_shortfall(1, shortfall)
    records._set_claims_wait(1, wait)
    records._set_allotted(1, allotted)
    records._set_claims_wait(1, wait)
    return records._allotted(1), records._do_claims_wait(1), records._shortfall(1)


@external
def risk(r: records.Risk) -> records.Risk:
    records._set_risk(1, r)
    return records._risk(1)


@external
def limits(l: records.Limits) -> records.Limits:
    records._set_limits(1, l)
    return records._limits(1)


@external
def fees(f: records.Fees, l: records.FundingLimits) -> (records.Fees, records.FundingLimits):
    records._set_fees(1, f, l)
    return records._fees(1), records._funding_limits(1)


@external
def adl(buckets: uint256, reward: uint256) -> (uint256, uint256):
    records._set_adl_params(buckets, reward)
    return records._adl_params()


@external
@pure
def markets_in(word: uint256) -> DynArray[uint256, 16]:
    return records._markets_in(word)


@external
@pure
def with_market(word: uint256, market: uint256) -> uint256:
    return records._with_market(word, market)


@external
@pure
def without_market(word: uint256, market: uint256) -> uint256:
    return records._without_market(word, market)
