"""A cap that was raised refilled its allowance at the new rate for all the time since the last
draw, so what had been used up was there again at once."""

from __future__ import annotations

from dataclasses import replace

from tests.support.stage import stage
from tests.support.world import OWNER, WAD, ZERO_FEES

DAY = 86_400


def test_allowances_leak_at_the_rate_of_their_time() -> None:
    """Of a market and of a group: what is left grows by the rise alone."""
    params = replace(ZERO_FEES, insurance_cap_quote=40 * WAD)
    world, loser, _ = stage(params=params, insurance=10_000 * WAD)
    world.price(80 * WAD)
    world.deleverage(loser)
    assert world.clearing.view.insurance_left(1) == 0
    world.next_block(DAY // 2)
    assert world.clearing.view.insurance_left(1) == 20 * WAD
    world.reconfigure(insurance_cap_quote=400 * WAD)
    assert world.clearing.view.insurance_left(1) == 380 * WAD
    world.clearing.send.set_group(1, 7 * WAD, DAY, sender=OWNER)
    assert world.clearing.view.group_params(1) == (7 * WAD, DAY)
