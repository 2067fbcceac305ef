"""A second `settle` drew once more: on the last wei that rounding leaves of a loss or a claim, and,
while the account's own claim pays first, on cash that the first had left untouched (S12)."""

from __future__ import annotations

from tests.support.stage import Stage
from tests.support.world import WAD


def waiting(own_claim: bool) -> tuple[Stage, bytes]:
    """Claims of 100 wait; a loser of an odd size has an open loss, and maybe a claim."""
    world = Stage(prices=(100 * WAD, 100 * WAD))
    winner, holder = world.trader("winner", 1_000 * WAD), world.trader("holder", 10_000 * WAD)
    loser, heir = world.trader("loser", 1_000 * WAD + 7), world.trader("heir", 5_000 * WAD)
    world.next_block()
    world.fill(winner, holder, 10 * WAD, 100 * WAD, 1)
    if own_claim:
        world.fill(loser, holder, 10 * WAD, 100 * WAD, 1)
    world.fill(loser, heir, WAD // 3 * 10 + 1, 100 * WAD, 2)
    world.price(110 * WAD, 1)
    world.price(70 * WAD, 2)
    world.fill(heir, winner, 10 * WAD, 110 * WAD, 1)  # holder's loss is open: the claim waits
    if own_claim:
        world.fill(heir, loser, 10 * WAD, 110 * WAD, 1)
        world.next_block()
        free = world.clearing.view.free_cash(loser)
        owner = "0x" + loser[:20].hex()
        world.vault.send.withdraw(loser, free, owner, sender=owner)
    assert world.clearing.view.claims(1) >= 100 * WAD
    return world, loser


def test_second_settle_draws_on_no_rest() -> None:
    """With and without a claim of the loser's own."""
    for own_claim in (False, True):
        world, loser = waiting(own_claim)
        first = world.clearing.send.settle(loser, sender=world.stranger())
        assert any(event.name == "LossDrawn" for event in world.clearing.events(first))
        assert world.clearing.send.settle(loser, sender=world.stranger()).logs == []


def test_a_draw_counts_what_joining_rounded() -> None:
    """What is not booked for its own sake is booked with a draw: the two come to the cash there
    is, and leave no debt."""
    world = Stage(prices=(100 * WAD, 100 * WAD))
    old, maker = world.trader("old", 10**5 * WAD), world.trader("maker", 10**6 * WAD)
    new, victim = world.trader("new", 10**5 * WAD), world.trader("victim", 35 * WAD)
    winner, holder = world.trader("winner", 10**4 * WAD), world.trader("holder", 10**5 * WAD)
    world.next_block()
    world.fill(old, maker, 10 * WAD, 100 * WAD)
    world.fill(maker, victim, 3 * WAD + 1, 100 * WAD)
    world.price(115 * WAD)
    world.close_all(victim)
    world.price(100 * WAD)
    world.fill(new, maker, 10 * WAD + 1, 100 * WAD)
    assert world.size(new) == 10 * WAD  # a wei is rounded off: 100 wei of quote
    world.fill(winner, holder, 100 * WAD, 100 * WAD, 2)
    world.price(110 * WAD, 2)
    owner = "0x" + new[:20].hex()
    world.vault.send.withdraw(new, 99_850 * WAD, owner, sender=owner)
    world.price(80 * WAD)
    world.fill(maker, winner, 100 * WAD, 110 * WAD, 2)
    assert world.clearing.view.claims(1) > 500 * WAD
    first = world.clearing.send.settle(new, sender=world.stranger())
    assert any(event.name == "LossDrawn" for event in world.clearing.events(first))
    assert world.clearing.view.unsettled(new) == 0
    assert world.clearing.send.settle(new, sender=world.stranger()).logs == []


def test_second_refresh_does_not_book_what_joining_rounded() -> None:
    """A joiner at an odd ratio holds a wei less at once; that is not booked for itself."""
    world = Stage()
    old, maker = world.trader("old", 10**5 * WAD), world.trader("maker", 10**6 * WAD)
    new, victim = world.trader("new", 10**5 * WAD), world.trader("victim", 35 * WAD)
    world.next_block()
    world.fill(old, maker, 10 * WAD, 100 * WAD)
    world.fill(maker, victim, 3 * WAD + 1, 100 * WAD)
    world.price(115 * WAD)
    world.close_all(victim)
    world.price(100 * WAD)
    world.fill(new, maker, 10 * WAD + 1, 100 * WAD)
    assert world.size(new) == 10 * WAD  # a wei is rounded off
    world.next_block()
    for name in ("settle", "refresh"):
        call = getattr(world.clearing.send, name)
        call(new, sender=world.stranger())
        assert call(new, sender=world.stranger()).logs == []
