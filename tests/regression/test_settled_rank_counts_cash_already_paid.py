"""`settle` ranked a leg by the cash from before its payment: an account whose cash was deposited in
this block stood, after paying out of it, in a tier that `refresh` found wrong a moment later."""

from __future__ import annotations

from tests.support.stage import Stage
from tests.support.world import KEEPER, WAD


def test_refresh_after_settle_leaves_the_leg_where_it_is() -> None:
    """A loss is paid out of fresh cash; the profit of another leg carries the rank."""
    world = Stage(prices=(100 * WAD, 100 * WAD))
    winner, holder = world.trader("winner", 1_000 * WAD), world.trader("holder", 10_000 * WAD)
    heir = world.trader("heir", 10_000 * WAD)
    world.next_block()
    world.fill(winner, holder, 10 * WAD, 100 * WAD, 1)
    world.price(110 * WAD, 1)
    world.fill(heir, winner, 10 * WAD, 110 * WAD, 1)
    world.price(100 * WAD, 1)
    assert world.clearing.view.claims(1) == 100 * WAD
    loser = world.trader("loser", 1_000 * WAD)
    world.fill(loser, holder, 10 * WAD, 105 * WAD, 1)
    world.fill(holder, loser, 20 * WAD, 105 * WAD, 2)
    world.clearing.send.settle(loser, sender=KEEPER)
    settled = world.clearing.view.bucket_of(loser, 1)
    world.clearing.send.refresh(loser, sender=KEEPER)
    assert world.clearing.view.bucket_of(loser, 1) == settled
