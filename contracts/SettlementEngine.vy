# pragma version 0.4.3
# pragma nonreentrancy off
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Settlement engine
@license AGPL-3.0-only
@author Ballast
@notice The clearinghouse's code for settlement, re-ranking and the vault's question before a withdrawal.
@dev Runs by delegatecall from Clearinghouse, on its storage and under its reentrancy lock; the first storage variable of both is
     modules/records.vy. It holds no state of its own, and refuses to be called directly.
"""

from interfaces import IMarginVault
from modules import ledger
from modules import account_margin
from modules import positions
from modules import pricing
from modules import adl_queue
from modules import records
from modules import settlement
from modules import share_buckets

initializes: records
initializes: share_buckets[records := records]
initializes: pricing[records := records]
initializes: adl_queue[records := records, share_buckets := share_buckets]
initializes: positions[adl_queue := adl_queue, records := records, share_buckets := share_buckets]
initializes: ledger[records := records, share_buckets := share_buckets]
initializes: account_margin[positions := positions, pricing := pricing, records := records]
initializes: settlement[ledger := ledger, account_margin := account_margin, positions := positions, pricing := pricing, records := records]
SELF: immutable(address)


@deploy
def __init__(vault: IMarginVault):
    """
    @param vault The margin vault of the clearinghouse that will run this code.
    """
    records.__init__(vault)
    SELF = self


@external
def settle(account: bytes32):
    """
    @notice See Clearinghouse.settle.
    """
    self._check_context()
    settlement._settle(account)


@external
def refresh(account: bytes32):
    """
    @notice See Clearinghouse.refresh.
    """
    self._check_context()
    settlement._refresh(account)


@external
def release(account: bytes32, amount_quote: uint256):
    """
    @notice See Clearinghouse.release.
    """
    self._check_context()
    assert msg.sender == records.VAULT.address, "clearing: not the vault"
    settlement._release(account, amount_quote)


@internal
@view
def _check_context():
    assert self != SELF, "settlement: call the clearinghouse"
