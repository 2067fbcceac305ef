"""Funding that was switched off and on again ran on at the premium from before."""

from __future__ import annotations

from dataclasses import replace

from tests.support.stage import Stage
from tests.support.world import WAD, ZERO_FEES

FUNDED = replace(ZERO_FEES, premium_cap_bps=500, funding_cap_bps=400, premium_window_seconds=60)


def test_funding_switched_on_begins_at_zero() -> None:
    """Off and on: the rate is zero until somebody pays a premium."""
    world = Stage(FUNDED)
    long, short = world.trader("long", 10_000 * WAD), world.trader("short", 10_000 * WAD)
    world.next_block(3_600)
    world.fill(long, short, 10 * WAD, 104 * WAD)
    assert world.clearing.view.funding(1)[1] > 0
    world.reconfigure(funding_cap_bps=0)
    world.next_block(3_600)
    world.reconfigure()
    assert world.clearing.view.funding(1)[1] == 0
    world.next_block(3_600)
    index = world.clearing.view.funding(1)[0]
    world.next_block(36_000)
    assert world.clearing.view.funding(1)[0] == index
