"""A counterparty must not leave the queue because the bankrupt account was not booked.

`deleverage` books the account before it splits the deficit by the legs' losses; `liquidate` did
not. A leg whose open loss hides behind funding (or forced closes) not booked yet counted as one in
profit, had no part of the deficit, and could be taken over without insurance. Its counterparty then
gave nothing, and the other leg's counterparties carried all.
"""

from __future__ import annotations

from dataclasses import replace

from tests.support.checks import refuses
from tests.support.world import KEEPER, MAX, OWNER, WAD, ZERO_FEES, World, address

P = 100 * WAD
FUNDED = replace(ZERO_FEES, premium_cap_bps=1_000, funding_cap_bps=400, premium_window_seconds=60)


def unbooked() -> tuple[World, bytes, bytes]:
    """`broke` is long in both markets; market 1's longs have been paid funding, not booked yet."""
    world = World(params=FUNDED, prices=(P, P))
    broke = world.trader("broke", 500 * WAD)
    rival = world.trader("rival", 10_000 * WAD)
    other = world.trader("other", 10**6 * WAD)
    world.next_block(3_600)
    world.fill(broke, rival, 10 * WAD, P, 1)
    world.next_block(3_600)
    world.fill(other, rival, WAD, 85 * WAD, 1)
    world.fill(broke, other, 20 * WAD, P, 2)
    world.chain.mine(8 * 3_600)
    for market, price in ((1, 97), (2, 70)):
        world.oracle.send.set_price(market, price * WAD, sender=OWNER)
    assert world.clearing.view.equity(broke) == -90 * WAD
    assert world.clearing.view.position(broke, 1)[2] == 10 * WAD  # -30 open, 40 of funding
    return world, broke, rival


def test_refused_once_it_is_booked():
    world, broke, rival = unbooked()
    world.clearing.send.refresh(broke, sender=KEEPER)
    assert world.clearing.view.position(broke, 1)[2] == -30 * WAD
    with refuses("liquidation: insurance short"):
        world.clearing.send.liquidate(broke, 1, MAX, rival, sender=address("rival"))


def test_refused_before_it_is_booked():
    world, broke, rival = unbooked()
    with refuses("liquidation: insurance short"):
        world.clearing.send.liquidate(broke, 1, MAX, rival, sender=address("rival"))
