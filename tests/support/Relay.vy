# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Relay
@notice Test double: passes calls on, several in one transaction, as a contract its caller trusts too much.
"""


@external
def relay(targets: DynArray[address, 8], calls: DynArray[Bytes[8_192], 8]):
    for i: uint256 in range(len(targets), bound=8):
        raw_call(targets[i], calls[i])
