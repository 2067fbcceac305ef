"""What ranks an account in a block is the price of that block.

`settle` draws on an open loss and re-ranks the leg by all legs of the account, but fixed the price
of the drawn leg's market alone: the other markets could be reported, and traded, at another price
later in the same block.
"""

from __future__ import annotations

from tests.support.world import KEEPER, OWNER, WAD, World


def test_settle_fixes_all_prices_it_ranks_by():
    world = World(prices=(100 * WAD, 100 * WAD))
    view = world.clearing.view
    loser = world.trader("loser", 2_000 * WAD)
    winner = world.trader("winner", 2_000 * WAD)
    other = world.trader("other", 100_000 * WAD)
    world.next_block()
    world.fill(winner, loser, 10 * WAD, 100 * WAD)
    world.fill(loser, other, 10 * WAD, 100 * WAD, 2)
    world.price(120 * WAD)
    world.fill(other, winner, 10 * WAD, 120 * WAD)  # a claim of 200 waits
    assert view.claims(1) == 200 * WAD
    world.next_block()

    world.clearing.send.settle(loser, sender=KEEPER)
    assert view.claims(1) == 0

    world.oracle.send.set_price(2, 80 * WAD, sender=OWNER)
    assert view.price(2)[0] == 100 * WAD
