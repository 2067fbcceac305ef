"""`free_cash` must be what a withdrawal then accepts.

A withdrawal books the account first. The view did not: funding owed was netted with open profit in
one leg, which the booking pays out of cash, so the withdrawal of `free_cash` was refused
(`margin: below initial`); and an allotted claim, which the booking collects, was left out.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.errors import Reverted
from tests.support.world import KEEPER, WAD, ZERO_FEES, World, address

P = 100 * WAD
FUNDED = replace(ZERO_FEES, premium_cap_bps=500, funding_cap_bps=400, premium_window_seconds=60)


def accepts_exactly(world: World, account: bytes, label: str) -> int:
    free = world.clearing.view.free_cash(account)
    with world.chain.rolled_back(), pytest.raises(Reverted):
        world.vault.send.withdraw(account, free + 1, KEEPER, sender=address(label))
    world.vault.send.withdraw(account, free, KEEPER, sender=address(label))
    return free


def test_funding_owed_behind_an_open_profit():
    world = World(params=FUNDED)
    trader, rival = (world.trader(label, 1_000 * WAD) for label in ("trader", "rival"))
    world.next_block(3_600)
    world.fill(trader, rival, 10 * WAD, 105 * WAD)
    world.price(120 * WAD, seconds=8 * 3_600)
    result = world.clearing.view.position(trader, 1)[2]
    assert 0 < result < 150 * WAD, "a profit, less funding"
    assert accepts_exactly(world, trader, "trader") < 880 * WAD


def test_a_claim_that_was_allotted():
    world = World()
    winner, loser = (world.trader(label, 1_000 * WAD) for label in ("winner", "loser"))
    heir = world.trader("heir", 9_999 * WAD)
    world.next_block()
    world.fill(winner, loser, 10 * WAD, P)
    world.price(110 * WAD)
    world.fill(heir, winner, 10 * WAD, 110 * WAD)
    world.clearing.send.settle(loser, sender=KEEPER)
    assert accepts_exactly(world, winner, "winner") == 1_100 * WAD
