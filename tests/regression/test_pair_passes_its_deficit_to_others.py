"""A winner who is first in line must not leave the queue by a trade with himself.

Whose profit a bankruptcy takes is a matter of rank. A realised profit has none: it waits as a
claim, and no deleveraging touches it. So the first in line sells its position to a second account
of its owner's at the oracle price, in the block in which the bankrupt is resolved, and the next in
line gives the deficit. Nothing has changed but the name: the owner holds the same position, and
pays two taker fees.
"""

from __future__ import annotations

import pytest

from tests.support.world import KEEPER, WAD, World


def rivals_loss(leaves: bool) -> int:
    """What the second in line loses when a bankrupt account with a deficit of 100 is resolved."""
    world = World(prices=(100 * WAD,))
    loser = world.trader("loser", 100 * WAD)
    first, second = (world.trader("first in line", 200 * WAD * n, n) for n in (1, 2))
    rival = world.trader("rival", 1_000 * WAD)
    maker = world.trader("maker", 10**5 * WAD)
    world.next_block()
    world.fill(loser, first, 10 * WAD, 100 * WAD)
    world.fill(maker, rival, 10 * WAD, 100 * WAD)
    world.price(80 * WAD)
    view = world.clearing.view
    assert view.adl_rank(first, 1)[0] > view.adl_rank(rival, 1)[0]
    before = view.equity(rival)

    if leaves:
        world.fill(first, second, 10 * WAD, 80 * WAD)
    world.deleverage(loser, KEEPER)
    return before - view.equity(rival)


def test_first_in_line_gives_the_deficit():
    assert rivals_loss(leaves=False) == 0


@pytest.mark.xfail(strict=True, reason="a realised profit waits outside the queue")
def test_first_in_line_gives_it_though_it_trades_with_itself():
    assert rivals_loss(leaves=True) == 0
