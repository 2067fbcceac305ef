# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Roles and switches
@license AGPL-3.0-only
@notice Who may do what beside trading: venues, guardian, pause, and the announcements of the owner.
@dev Clearinghouse and Governance initialise this module right after records.vy and the ownership modules, so that their storage
     layouts are equal.
"""

_guardian: address
_venues: HashMap[address, bool]
_market_count: uint256
_is_all_paused: bool
_announced: HashMap[bytes32, uint256]
