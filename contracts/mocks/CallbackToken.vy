# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title CallbackToken
@license AGPL-3.0-only
@notice Test double, not for production: a token that calls a configured target, with configured data, in the
        middle of a transfer, and keeps what came of it. It also calls on request (`execute`), so that it can
        own accounts and attack with them.
"""

from ethereum.ercs import IERC20

MAX_DATA: constant(uint256) = 4_096

decimals: public(immutable(uint8))

totalSupply: public(uint256)
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])

target: public(address)
data: public(Bytes[MAX_DATA])
is_before: public(bool)
calls: public(uint256)
succeeded: public(bool)
answer: public(Bytes[MAX_DATA])


@deploy
def __init__(decimals_: uint8):
    decimals = decimals_


@external
def set_callback(target: address, data: Bytes[MAX_DATA], is_before: bool):
    """
    @notice Arms one callback (it is disarmed by being made); a zero target disarms.
    @param target Who is called.
    @param data With what.
    @param is_before Before the balances change, or after.
    """
    self.target = target
    self.data = data
    self.is_before = is_before


@external
def execute(target: address, data: Bytes[MAX_DATA]):
    """
    @notice Calls, with this token as the caller.
    @param target Who is called.
    @param data With what.
    """
    raw_call(target, data)


@external
def mint(to: address, amount: uint256):
    self.totalSupply += amount
    self.balanceOf[to] += amount
    log IERC20.Transfer(sender=empty(address), receiver=to, value=amount)


@external
def approve(spender: address, amount: uint256) -> bool:
    self.allowance[msg.sender][spender] = amount
    log IERC20.Approval(owner=msg.sender, spender=spender, value=amount)
    return True


@external
def transfer(to: address, amount: uint256) -> bool:
    self._move(msg.sender, to, amount)
    return True


@external
def transferFrom(sender: address, to: address, amount: uint256) -> bool:
    self.allowance[sender][msg.sender] -= amount
    self._move(sender, to, amount)
    return True


@internal
def _move(sender: address, to: address, amount: uint256):
    if self.is_before:
        self._call_back()
    self.balanceOf[sender] -= amount
    self.balanceOf[to] += amount
    log IERC20.Transfer(sender=sender, receiver=to, value=amount)
    if not self.is_before:
        self._call_back()


@internal
def _call_back():
    target: address = self.target
    if target == empty(address):
        return
    self.target = empty(address)
    self.calls += 1
    success: bool = False
    answer: Bytes[MAX_DATA] = b""
    success, answer = raw_call(target, self.data, max_outsize=MAX_DATA, revert_on_failure=False)
    self.succeeded = success
    self.answer = answer
