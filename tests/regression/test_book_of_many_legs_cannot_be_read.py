"""`Lens.read` returns 2,000 words at most: 32 accounts of 16 legs did not fit into one call of the
mirror's, nor did 128 of three, and every keeper would have been blind."""

from __future__ import annotations

from ballast.mirror import Reader
from tests.support.world import WAD, ZERO_FEES, World

PRICE = 100 * WAD


def test_page_of_many_legs_is_read_in_parts() -> None:
    world = World(ZERO_FEES, prices=(PRICE,) * 16)
    people = [world.trader(f"trader {i}", 10**6 * WAD) for i in range(32)]
    for market in world.markets:
        for buyer, seller in zip(people[::2], people[1::2], strict=True):
            world.fill(buyer, seller, WAD, PRICE, market)
    book = Reader(world.clearing, people, dict.fromkeys(world.markets, 0), [1]).read()
    assert [len(book.accounts[who].legs) for who in people] == [16] * 32
    assert book.total == 32 * 10**6 * WAD
    assert book.dust(1) == 0
