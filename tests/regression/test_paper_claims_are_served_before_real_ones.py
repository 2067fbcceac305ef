"""A claimant must not get more of what enters the pool by a gain he has made against himself.

What enters the pool goes to all waiting claims pro rata. A claimant sells to a second account of
his own below the oracle price, and that account sells on at the oracle price: its gain joins the
claims at once, while his loss stays open. He lets a loser's cash come in, is paid for real and
paper claim, and then closes: the loss uses up what is left of his real claim, so that no cash is
lost. At face value nobody has gained; in money he has passed the others, and in a group with a
shortfall they may wait for the rest for good.
"""

from __future__ import annotations

import pytest

from tests.support.world import INSURANCE, KEEPER, WAD, World

PAPER = 386 * WAD // 100
"""Base; times the band's 16 quote it is what his real claim will have left after the payment."""


def received(paper: int) -> int:
    """What the other claimant is paid of the 100 that a loser still has, out of a claim of 100."""
    world = World(prices=(100 * WAD,))
    loser = world.trader("loser", 100 * WAD)
    other = world.trader("other claimant", 1_000 * WAD)
    real, second = (world.trader("claimant", 1_000 * WAD, sub) for sub in (1, 2))
    maker = world.trader("maker", 10**5 * WAD)
    world.next_block()
    for winner in (real, other):
        world.fill(loser, winner, 5 * WAD, 100 * WAD)
    world.price(80 * WAD)
    for winner in (real, other):
        world.fill(winner, maker, 5 * WAD, 80 * WAD)
    assert world.clearing.view.claims(1) == 200 * WAD
    assert world.cash(INSURANCE) == 0

    if paper:
        world.fill(second, real, paper, 64 * WAD)
        world.fill(maker, second, paper, 80 * WAD)
    world.clearing.send.settle(loser, sender=KEEPER)
    if paper:
        world.fill(real, maker, paper, 80 * WAD)
    for account in (real, second, other):
        world.clearing.send.settle(account, sender=KEEPER)
    return world.cash(other) - 1_000 * WAD


def test_without_paper_each_has_half():
    assert abs(received(0) - 50 * WAD) <= 4


@pytest.mark.xfail(strict=True, reason="a gain against oneself counts as a claim at once")
def test_a_gain_against_oneself_takes_nothing_from_the_other_claim():
    assert received(PAPER) >= 50 * WAD - 100
