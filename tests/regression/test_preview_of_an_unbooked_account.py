"""`preview_deleverage` must show what `deleverage` then does.

`deleverage` books the account first, so that a leg's share of the deficit follows its open loss
alone. The preview counted what the leg had realised (funding) as its loss as well: with several
legs the prices it showed were others, by as much as funding had shifted the losses.
"""

from __future__ import annotations

from dataclasses import replace

from tests.support.checks import emitted
from tests.support.world import KEEPER, OWNER, WAD, ZERO_FEES, World

P = 100 * WAD
FUNDED = replace(ZERO_FEES, premium_cap_bps=500, funding_cap_bps=400, premium_window_seconds=60)


def test_two_losing_legs_one_of_which_owes_funding():
    world = World(params=FUNDED, prices=(P, P))
    broke = world.trader("broke", 400 * WAD)
    rival = world.trader("rival", 10**6 * WAD)
    world.next_block(3_600)
    world.fill(broke, rival, 10 * WAD, 105 * WAD, 1)
    world.fill(broke, rival, 10 * WAD, P, 2)
    world.chain.mine(8 * 3_600)
    for market, price in ((1, 80), (2, 75)):
        world.oracle.send.set_price(market, price * WAD, sender=OWNER)
    assert world.clearing.view.equity(broke) < 0
    preview = [tuple(part) for part in world.clearing.view.preview_deleverage(broke)]
    receipt = world.clearing.send.deleverage(broke, sender=KEEPER)
    done = [
        (args["market"], args["bucket_id"], args["size"], args["price"])
        for _, args in emitted(world, receipt, "ForcedClose")
    ]
    assert preview == [part for part in done if part[0] == done[0][0]]
