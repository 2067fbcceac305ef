# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title NoReturnToken
@license AGPL-3.0-only
@notice Test double, not for production: a token whose `transfer`, `transferFrom` and `approve` return nothing,
        and whose `approve` refuses to change one allowance into another, as some tokens in wide use do.
"""

from ethereum.ercs import IERC20

decimals: public(immutable(uint8))

totalSupply: public(uint256)
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])


@deploy
def __init__(decimals_: uint8):
    decimals = decimals_


@external
def mint(to: address, amount: uint256):
    self.totalSupply += amount
    self.balanceOf[to] += amount
    log IERC20.Transfer(sender=empty(address), receiver=to, value=amount)


@external
def approve(spender: address, amount: uint256):
    assert amount == 0 or self.allowance[msg.sender][spender] == 0, "token: allowance not zero"
    self.allowance[msg.sender][spender] = amount
    log IERC20.Approval(owner=msg.sender, spender=spender, value=amount)


@external
def transfer(to: address, amount: uint256):
    self._move(msg.sender, to, amount)


@external
def transferFrom(sender: address, to: address, amount: uint256):
    self.allowance[sender][msg.sender] -= amount
    self._move(sender, to, amount)


@internal
def _move(sender: address, to: address, amount: uint256):
    self.balanceOf[sender] -= amount
    self.balanceOf[to] += amount
    log IERC20.Transfer(sender=sender, receiver=to, value=amount)
