"""Re-ranking a leg gave its account a wei's entry price out of nothing (S2).

Joining a bucket that has been deleveraged can round a short's size up by a wei. Booking skips what
joining has rounded, so that a repeated call writes nothing; but re-ranking then recorded the size
anew without it. Found by `make testnet`: dust of -1,502 wei after a `refresh` of a keeper's.
"""

from __future__ import annotations

from tests.support.checks import assert_sound
from tests.support.world import KEEPER, WAD, World, address

P = 100 * WAD


def test_a_leg_that_was_rounded_up_gains_nothing_by_its_rank():
    world = World(prices=(P,))
    loser = world.trader("loser", 100 * WAD)
    rich = {name: world.trader(name, 10**6 * WAD) for name in ("winner", "other", "buyer")}
    late = world.trader("late", 10**6 * WAD)
    world.next_block()
    world.fill(loser, rich["winner"], 10 * WAD, P)
    world.fill(rich["other"], rich["winner"], 20 * WAD, P)
    world.price(85 * WAD)
    world.clearing.send.deleverage(loser, sender=KEEPER)
    world.price(P)
    view = world.clearing.view
    # Shares are worth two thirds now; the next size that does not come out even is taken.
    size = next(size for size in range(WAD, WAD + 9) if joined(world, rich["buyer"], late, size))
    world.fill(rich["buyer"], late, size, P)
    assert -view.position(late, 1)[0] == size + 1
    world.next_block()
    owner = address("late")
    world.vault.send.withdraw(late, world.cash(late) - 20 * WAD, owner, sender=owner)
    before = view.equity(late)
    assert world.clearing.send.refresh(late, sender=KEEPER).logs
    assert view.equity(late) <= before
    assert_sound(world, [loser, late, *rich.values()])


def joined(world, buyer, seller, size):
    """Whether this size would be a wei more once it has joined."""
    with world.chain.rolled_back():
        world.fill(buyer, seller, size, P)
        return -world.clearing.view.position(seller, 1)[0] == size + 1
