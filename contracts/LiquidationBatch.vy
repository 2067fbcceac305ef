# pragma version 0.4.3
# pragma nonreentrancy on
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Liquidation batch
@license AGPL-3.0-only
@author Ballast
@notice Several take-overs in one transaction: a keeper pays the base cost and the cold reads of his own account once.
@dev Optional, and without state or money. A liquidator lets it operate his accounts (`Clearinghouse.set_operator`), and may take
     that back at any time. It is a contract of its own because LiquidationEngine has no room left.
@custom:security To the clearinghouse it is an operator like any other: what it may do is `liquidate` into an account. So it acts
                 only for those who could have done so themselves.
"""


interface Clearinghouse:
    def operator_expiry(owner: address, operator: address) -> uint256: view


struct Takeover:
    account: bytes32
    market: uint256
    size: uint256  # base, WAD; max_value for as much as is allowed


MAX_TAKEOVERS: constant(uint256) = 32

CLEARINGHOUSE: immutable(address)


@deploy
def __init__(clearinghouse: address):
    """
    @param clearinghouse The clearinghouse that it liquidates in.
    """
    assert clearinghouse != empty(address), "batch: zero clearinghouse"
    CLEARINGHOUSE = clearinghouse


@external
def liquidate_many(takeovers: DynArray[Takeover, MAX_TAKEOVERS], liquidator: bytes32) -> DynArray[uint256, MAX_TAKEOVERS]:
    """
    @notice Takes over one leg after the other. What is refused (healthy by now, taken by somebody else, too much for the
            liquidator's margin) is passed over.
    @param liquidator Account that takes over all of it; the caller owns or operates it.
    @return Base taken of each, WAD; 0 where it was refused.
    @custom:reverts batch: not the operator, batch: out of gas, batch: nothing taken
    """
    owner: address = convert(convert(liquidator, uint256) >> 96, address)
    if msg.sender != owner:
        expiry: uint256 = staticcall Clearinghouse(CLEARINGHOUSE).operator_expiry(owner, msg.sender)
        assert expiry > block.timestamp, "batch: not the operator"
    taken: DynArray[uint256, MAX_TAKEOVERS] = []
    total: uint256 = 0
    for takeover: Takeover in takeovers:
        is_taken: bool = False
        answer: Bytes[32] = b""
        is_taken, answer = raw_call(
            CLEARINGHOUSE,
            abi_encode(
                takeover.account, takeover.market, takeover.size, liquidator, method_id=method_id("liquidate(bytes32,uint256,uint256,bytes32)")
            ),
            max_outsize=32,
            revert_on_failure=False,
        )
        # A refusal has its reason. Without one the gas ran out, which must not pass for a refusal: nodes estimate by the
        # least gas with which the transaction succeeds.
        assert len(answer) != 0, "batch: out of gas"
        size: uint256 = convert(answer, uint256) if is_taken else 0
        taken.append(size)
        total += size
    assert total != 0, "batch: nothing taken"
    return taken


@external
@view
@reentrant
def clearinghouse() -> address:
    """
    @return The clearinghouse that it liquidates in.
    """
    return CLEARINGHOUSE
