"""A taker without cash opened a position and paid no fee for it.

A fee is at most the account's cash, as who only reduces may have too little. A taker is judged
after its last maker: one with a waiting claim and no cash took from the first maker for nothing,
and the last one's loss, paid into the pool and so to the claim, brought the cash that the margin
check asks for.
"""

from __future__ import annotations

from tests.support.checks import assert_sound, emitted
from tests.support.world import REAL_FEES, VENUE, WAD, World, address

P = 100 * WAD


def test_a_taker_that_is_paid_in_between_pays_for_all_of_it():
    world = World(params=REAL_FEES)
    taker = world.trader("taker", 2_000 * WAD)
    loser, buyer, rich = (world.trader(who, 10**5 * WAD) for who in ("loser", "buyer", "rich"))
    world.next_block()
    world.fill(taker, loser, 100 * WAD, P)
    world.price(115 * WAD)
    world.fill(buyer, taker, 100 * WAD, 115 * WAD)
    assert world.clearing.view.unsettled(taker) == 1_500 * WAD
    world.next_block()
    world.vault.send.withdraw(taker, world.cash(taker), address("taker"), sender=address("taker"))
    receipt = world.clearing.send.fill_orders(
        1, taker, False, [rich, loser], [100 * WAD] * 2, [115 * WAD] * 2, sender=VENUE
    )
    fees = [args["seller_fee_quote"] for _, args in emitted(world, receipt, "Fill")]
    assert sum(fees) == 200 * 115 * WAD * 5 // 10_000
    assert_sound(world, [taker, loser, buyer, rich])
