"""A market's premium begins at zero when it is listed: its first fill weighs the time since then,
not the time since 1970 (which put the rate at its cap at once)."""

from __future__ import annotations

from dataclasses import replace

from tests.support.world import WAD, ZERO_FEES, World

PARAMS = replace(ZERO_FEES, premium_cap_bps=200, funding_cap_bps=75, premium_window_seconds=3_600)


def test_first_fill_weighs_the_time_since_listing() -> None:
    world = World(PARAMS)
    buyer, seller = world.trader("buyer", 1_000 * WAD), world.trader("seller", 1_000 * WAD)
    world.next_block(seconds=36)

    world.fill(buyer, seller, WAD, 102 * WAD)

    rate = world.clearing.view.funding(1)[1]
    assert rate == 2 * WAD // 100 * 36 // 3_636
