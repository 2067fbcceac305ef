"""Money borrowed for one transaction must not move its owner back in the deleveraging queue.

A deposit does not count for the tier in its block, but it did as soon as it had been lost to the
depositor's other account in a fill between the two: the winner's cash was not `fresh`, so it
lowered its leverage, let a rival be deleveraged in its place, and could be withdrawn again, all in
one block.
"""

from __future__ import annotations

from tests.support.world import WAD, World, address


def test_a_deposit_lost_to_ones_other_account_does_not_re_rank_it_in_the_same_block() -> None:
    world = World(prices=(100 * WAD, 100 * WAD))
    winner = world.trader("attacker", 110 * WAD)
    other = world.trader("big", 10_000 * WAD)
    world.next_block()
    world.fill(other, winner, 10 * WAD, 100 * WAD)
    world.price(80 * WAD)
    view = world.clearing.view
    with world.chain.rolled_back():
        world.clearing.send.refresh(winner, sender=address("attacker"))
        honest = view.adl_rank(winner, 1)
        own = view.free_cash(winner)

    # One transaction: a loan is deposited, lost to the winner, used for its rank, and paid back.
    second = world.trader("attacker", 3_000 * WAD, sub=1)
    for size in (2 * WAD, 10 * WAD, 50 * WAD):
        world.fill(second, winner, size, 120 * WAD, 2)
        world.fill(winner, second, size, 80 * WAD, 2)
    world.clearing.send.refresh(winner, sender=address("attacker"))

    assert view.adl_rank(winner, 1) == honest
    # What was there before may leave; of the loan nothing.
    assert own <= view.free_cash(winner) <= 110 * WAD
