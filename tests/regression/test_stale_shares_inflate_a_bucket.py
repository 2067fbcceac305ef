"""A fill whose sides meet in one bucket must not take one out by shares the other made stale.

`trading` read both legs, then placed the buyer, then took the seller out of its bucket with the
shares read before. Where the buyer's joining opened the bucket's next epoch, these were shares of
the old epoch, billions of times more than the seller's in the new one: the buyer's position grew by
as much. Where both were shorts in one bucket, two views rounded up were more than the bucket held.
"""

from __future__ import annotations

from tests.support.world import WAD, World

LEFT = 2 * 10**8


def test_buyer_joins_the_bucket_its_seller_is_leaving_after_a_drain():
    world = World(prices=(100 * WAD,))
    size = 10 * WAD
    a = world.trader("a", 1_000 * WAD)
    b = world.trader("b", 10_000 * WAD)
    x = world.trader("x", 200 * WAD)
    y = world.trader("y", 100_000 * WAD)
    w = world.trader("w", 100_000 * WAD)
    world.next_block()
    world.fill(a, y, size, 100 * WAD)
    world.price(110 * WAD)
    world.fill(w, x, size - LEFT, 110 * WAD)
    world.price(150 * WAD)
    world.deleverage(x)  # drains a's bucket to a few wei
    assert world.clearing.view.position(a, 1)[0] == LEFT
    world.price(100 * WAD)

    world.fill(b, a, WAD, 100 * WAD)

    assert world.clearing.view.position(b, 1)[0] == WAD
    assert world.clearing.view.position(a, 1)[0] == LEFT - WAD


def test_two_shorts_of_one_bucket_trade_with_each_other():
    world = World(prices=(100 * WAD,))
    a = world.trader("a", 10_000 * WAD)
    b = world.trader("b", 10_000 * WAD)
    y = world.trader("y", 100_000 * WAD)
    x = world.trader("x", 30 * WAD)
    world.next_block()
    world.fill(y, a, 2 * WAD + 1, 100 * WAD)
    world.fill(y, b, 2 * WAD + 1, 100 * WAD)
    world.fill(x, y, WAD + 1, 100 * WAD)
    world.price(60 * WAD)
    world.deleverage(x)
    views = [-world.clearing.view.position(account, 1)[0] for account in (a, b)]
    in_bucket = world.clearing.view.queue(1, False, 0, 1)[0].size_base
    assert sum(views) > in_bucket  # rounded up, both

    world.fill(a, b, views[0], 60 * WAD)

    assert world.clearing.view.position(a, 1)[0] == 0
    assert -world.clearing.view.position(b, 1)[0] == in_bucket
