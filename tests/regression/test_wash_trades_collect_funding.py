"""Trades between two accounts of one owner must not pay for themselves by the funding they set.

The premium is that of fills, so the owner of both sides sets it at will and pays taker fees alone.
A fill of 1 / 64 of the open interest uses up all the time since the last one: one an hour at the
edge of the band costs 4 bps of the open interest a day and holds funding near its cap, 225 bps a
day.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.world import REAL_FEES, WAD, World

PARAMS = replace(REAL_FEES, price_band_bps=300)
INTEREST = 1_000 * WAD


@pytest.mark.xfail(strict=True, reason="a wash trade costs fees on 1 / 64 of what it taxes")
def test_a_day_of_wash_trades_costs_more_than_it_brings():
    world = World(params=PARAMS, prices=(100 * WAD,))
    victim, attacker = (world.trader(who, 10**6 * WAD) for who in ("victim", "attacker"))
    hands = [world.trader("attacker", 10**5 * WAD, sub) for sub in (1, 2)]
    world.next_block()
    world.fill(victim, attacker, INTEREST, 100 * WAD)
    mine = [attacker, *hands]
    start = sum(world.clearing.view.equity(account) for account in mine)
    for _ in range(24):
        world.next_block(3_600)
        hands.reverse()
        world.fill(hands[0], hands[1], INTEREST // 60, 103 * WAD)
    world.next_block()
    gain = sum(world.clearing.view.equity(account) for account in mine) - start
    assert gain <= 0, f"{10_000 * gain / (100 * INTEREST):.0f} bps of the notional in a day"
