# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Account ids
@license AGPL-3.0-only
@notice An account is its owner's address (upper 20 bytes) and a subaccount number (lower 12).
"""

from modules import records

uses: records


@internal
@pure
def _id(owner: address, sub: uint256) -> bytes32:
    return convert((convert(owner, uint256) << 96) | sub, bytes32)


@internal
@pure
def _owner(account: bytes32) -> address:
    return convert(convert(account, uint256) >> 96, address)


@internal
@view
def _may_operate(account: bytes32, caller: address) -> bool:
    """
    @return Whether the caller owns the account or is an operator of its owner whose time has not run out.
    """
    owner: address = self._owner(account)
    return caller == owner or records._operators[owner][caller] > block.timestamp
