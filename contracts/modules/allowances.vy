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
def _used(a: records.Allowance, cap_quote: uint256, refill_seconds: uint256) -> uint256:
    """
    @return What still counts as used, rounded up.
    """
    refilled: uint256 = cap_quote * (block.timestamp - a.used_at) // refill_seconds
    return a.used_quote - min(a.used_quote, refilled)


@internal
@view
def _settled(a: records.Allowance, cap_quote: uint256, refill_seconds: uint256) -> records.Allowance:
    """
    @notice The same allowance as of now: what has refilled so far, at the old rate, before cap or time change.
    """
    if a.used_quote == 0:
        return a
    return records.Allowance(used_quote=self._used(a, cap_quote, refill_seconds), used_at=block.timestamp)
