# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Allowances
@license AGPL-3.0-only
@notice A leaky bucket: draws fill it, and what was used falls linearly by cap / refill_seconds.
"""

from modules import records


@internal
@view
def _used(a: records.Allowance) -> uint256:
    """
    @return What still counts as used, rounded up.
    """
    if a.used_quote == 0:
        return 0
    refilled: uint256 = a.cap_quote * (block.timestamp - a.used_at) // a.refill_seconds
    return a.used_quote - min(a.used_quote, refilled)


@internal
@view
def _changed(a: records.Allowance, cap_quote: uint256, refill_seconds: uint256) -> records.Allowance:
    """
    @notice The allowance with another cap and time; what has refilled so far has done so at the old rate.
    """
    return records.Allowance(
        cap_quote=cap_quote,
        refill_seconds=refill_seconds,
        used_quote=self._used(a),
        used_at=block.timestamp,
    )
