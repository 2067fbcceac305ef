# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title FeeToken
@license AGPL-3.0-only
@notice Test double, not for production: a token that burns a part of what it transfers, and can be told to
        answer `False` instead of transferring or approving.
"""

from ethereum.ercs import IERC20

decimals: public(immutable(uint8))

totalSupply: public(uint256)
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])
fee_bps: public(uint256)
refuses: public(bool)
refuses_approval: public(bool)


@deploy
def __init__(decimals_: uint8, fee_bps: uint256):
    decimals = decimals_
    self.fee_bps = fee_bps


@external
def set_fee(fee_bps: uint256):
    self.fee_bps = fee_bps


@external
def set_refuses(refuses: bool):
    self.refuses = refuses


@external
def set_refuses_approval(refuses_approval: bool):
    self.refuses_approval = refuses_approval


@external
def mint(to: address, amount: uint256):
    self.totalSupply += amount
    self.balanceOf[to] += amount
    log IERC20.Transfer(sender=empty(address), receiver=to, value=amount)


@external
def approve(spender: address, amount: uint256) -> bool:
    if self.refuses_approval:
        return False
    self.allowance[msg.sender][spender] = amount
    log IERC20.Approval(owner=msg.sender, spender=spender, value=amount)
    return True


@external
def transfer(to: address, amount: uint256) -> bool:
    return self._move(msg.sender, to, amount)


@external
def transferFrom(sender: address, to: address, amount: uint256) -> bool:
    self.allowance[sender][msg.sender] -= amount
    return self._move(sender, to, amount)


@internal
def _move(sender: address, to: address, amount: uint256) -> bool:
    if self.refuses:
        return False
    fee: uint256 = amount * self.fee_bps // 10_000
    self.balanceOf[sender] -= amount
    self.balanceOf[to] += amount - fee
    self.totalSupply -= fee
    log IERC20.Transfer(sender=sender, receiver=to, value=amount - fee)
    return True
