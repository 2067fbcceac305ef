# pragma version 0.4.3
# pragma nonreentrancy off
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title BatchReader
@license AGPL-3.0-only
@notice Many views in one call, with the interface of Multicall3, for local networks that have none.
@dev Holds nothing and may call nothing but views. Answers longer than 2,048 bytes count as failed.
"""

MAX_CALLS: constant(uint256) = 128
MAX_DATA: constant(uint256) = 164
MAX_ANSWER: constant(uint256) = 2_048
# One byte more is copied than may come, to see whether it was longer.
MAX_COPIED: constant(uint256) = 2_049


struct Call3:
    target: address
    allowFailure: bool
    callData: Bytes[MAX_DATA]


struct Result:
    success: bool
    returnData: Bytes[MAX_COPIED]


@external
@view
def aggregate3(calls: DynArray[Call3, MAX_CALLS]) -> DynArray[Result, MAX_CALLS]:
    """
    @notice Calls one view after the other.
    @param calls Target, whether it may fail, and call data.
    @return Of each, whether it succeeded, and what it returned (or its revert data).
    """
    results: DynArray[Result, MAX_CALLS] = []
    for call: Call3 in calls:
        success: bool = False
        answer: Bytes[MAX_COPIED] = b""
        success, answer = raw_call(
            call.target,
            call.callData,
            max_outsize=MAX_COPIED,
            is_static_call=True,
            revert_on_failure=False,
        )
        if len(answer) > MAX_ANSWER:
            success = False
            answer = b""
        assert success or call.allowFailure, "batch: call failed"
        results.append(Result(success=success, returnData=answer))
    return results
