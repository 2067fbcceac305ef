"""An epoch that ended without shares leaves no record; members still in it were credited with the
whole credit index since the bucket's beginning, as if its record had said zero."""

from __future__ import annotations

from tests.support.drain import SIZE, Drain
from tests.support.world import KEEPER, WAD


def test_members_left_over_when_the_shares_are_used_up() -> None:
    """Shorts' conversions are rounded up, so the first to leave take all shares of the bucket; the
    rest hold nothing, and must not be credited with anything when the next epoch opens. (Trades of
    a wei: below what the model tells from nothing, so S2 of the contracts alone.)"""
    book = Drain(False, 3, 0)
    book.join(20)
    book.drain(0)
    book.join(1)
    world = book.twin.world
    *members, newcomer = book.members
    for member in members:
        world.clearing.send.settle(member, sender=KEEPER)
    for account in (newcomer, *members[:3]):
        world.fill(account, book.maker, book.twin.size(account, 1), 100 * WAD)
    assert [world.clearing.view.position(member, 1)[0] for member in members] == [0] * 20
    book.twin.holdings.reload()
    book.twin.comparison.zero_sum()
    joiner = world.trader("joiner", 10_000 * WAD)
    book.twin.holdings.touch([joiner])
    world.fill(book.maker, joiner, SIZE, 100 * WAD)
    book.twin.holdings.reload()
    book.twin.comparison.zero_sum()
    for member in members:
        world.clearing.send.settle(member, sender=KEEPER)
    book.twin.holdings.reload()
    book.twin.comparison.zero_sum()
    assert book.twin.comparison.least_dust >= 0
