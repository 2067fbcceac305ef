# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title GasBurner
@notice Test double: an oracle that fails by an invalid opcode, which takes all the gas there is.
"""


@view
@external
def observe(market: uint256) -> (uint256, uint256, uint256):
    raise UNREACHABLE
