# pragma version 0.4.3
# pragma nonreentrancy off
# pragma optimize codesize
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Liquidation engine
@license AGPL-3.0-only
@author Ballast
@notice The clearinghouse's code for liquidation.
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
from modules import share_buckets
from modules import trading

initializes: records
initializes: share_buckets[records := records]
initializes: pricing[records := records]
initializes: adl_queue[records := records, share_buckets := share_buckets]
initializes: positions[adl_queue := adl_queue, records := records, share_buckets := share_buckets]
initializes: ledger[records := records, share_buckets := share_buckets]
initializes: account_margin[positions := positions, pricing := pricing, records := records]
initializes: insurance[ledger := ledger, records := records]
initializes: trading[ledger := ledger, account_margin := account_margin, positions := positions, pricing := pricing, records := records]
initializes: liquidation[insurance := insurance, ledger := ledger, account_margin := account_margin, pricing := pricing, records := records, trading := trading]
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
def liquidate(account: bytes32, market: uint256, size: uint256, liquidator: bytes32) -> uint256:
    """
    @notice See Clearinghouse.liquidate.
    """
    assert self != SELF, "liquidation: call the clearinghouse"
    assert account_ids._may_operate(liquidator, msg.sender), "liquidation: not the operator"
    return liquidation._liquidate(account, market, size, liquidator)
