"""A market must not grow to where a result no longer fits its record.

Claims and debts are kept in 96 bits (7.9e10 quote), and nothing bounds what a market may owe: with
a position cap of 1e9 base at a price of 100 a fall to 2 makes a claim of 9.8e10, and a winner who
meets IM cannot close (S8), nor can anything else book such a result.
"""

from __future__ import annotations

from tests.support.world import WAD, World


def test_what_may_be_opened_can_be_closed():
    world = World(prices=(100 * WAD,))
    size = 10**9 * WAD
    for name in ("long", "short", "maker"):
        for _ in range(100):
            world.trader(name, 2 * 10**8 * WAD)
            world.next_block()
    long, short, maker = (world.trader(name) for name in ("long", "short", "maker"))
    world.fill(long, short, size, 100 * WAD)
    world.price(2 * WAD)
    assert world.clearing.view.backing(short) >= world.clearing.view.margin(short)[0]
    world.fill(short, maker, size, 2 * WAD)
