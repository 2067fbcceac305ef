"""`market_params` of a group's key shows the group's allowance as a market's.

Allowances of markets and groups stand under one mapping, and `market_params` takes any number: at
2^64 + group it answers with the group's insurance cap and refill time where it promises zeros.
"""

from __future__ import annotations

from tests.support.world import WAD, World


def test_what_is_not_listed_has_no_parameters():
    world = World(insurance_cap_quote=7 * WAD)
    view = world.clearing.view
    unlisted = tuple(view.market_params(2))
    assert set(unlisted[1:]) == {0}
    assert tuple(view.market_params(2**64 + 1)) == unlisted
