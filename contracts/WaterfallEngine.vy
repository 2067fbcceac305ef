# pragma version 0.4.3
# pragma nonreentrancy off
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Waterfall engine
@license AGPL-3.0-only
@author Ballast
@notice The clearinghouse's code for deleveraging.
@dev Runs by delegatecall from Clearinghouse, on its storage and under its reentrancy lock; the first storage variable of both is
     modules/records.vy. It holds no state of its own, and refuses to be called directly.
"""

from interfaces import IMarginVault
from modules import account_ids
from modules import insurance
from modules import ledger
from modules import liquidation
from modules import account_margin
from modules import positions
from modules import pricing
from modules import adl_queue
from modules import records
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
SELF: immutable(address)


@deploy
def __init__(vault: IMarginVault):
    """
    @param vault The margin vault of the clearinghouse that will run this code.
    """
    records.__init__(vault)
    SELF = self


@external
def deleverage(account: bytes32) -> (uint256, uint256):
    """
    @notice See Clearinghouse.deleverage.
    """
    assert self != SELF, "waterfall: call the clearinghouse"
    outcome: uint256 = 0
    notional: uint256 = 0
    deficit: uint256 = 0
    outcome, notional, deficit = waterfall._deleverage(account, account_ids._id(msg.sender, 0))
    waterfall._check(outcome)
    return notional, deficit


@external
def deleverage_many(accounts: DynArray[bytes32, 32]) -> uint256:
    """
    @notice See Clearinghouse.deleverage_many.
    """
    assert self != SELF, "waterfall: call the clearinghouse"
    caller: bytes32 = account_ids._id(msg.sender, 0)
    resolved: uint256 = 0
    for account: bytes32 in accounts:
        outcome: uint256 = 0
        notional: uint256 = 0
        deficit: uint256 = 0
        outcome, notional, deficit = waterfall._deleverage(account, caller)
        if outcome == waterfall.ACTED:
            resolved += 1
    return resolved
