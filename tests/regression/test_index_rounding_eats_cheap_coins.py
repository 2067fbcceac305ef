"""Rounding of a bucket's credit per share must stay dust beside the position it is rounded for.

A bucket that was drained keeps up to 2^32 shares per wei of size, and everyone who joins gets as
many. Each time its funding is stored, the credit index is floored to 2^-72 quote a share: up to
size x 2^-40 wei, a constant per base whatever the price. Of a coin at 1e-8 quote that is 1e-4 of
the notional a block, taken from all members (also from those who should receive).
"""

from __future__ import annotations

from dataclasses import replace

from tests.support.world import WAD, ZERO_FEES, World

PRICE = 10**10  # wei of quote: 1e-8
PARAMS = replace(
    ZERO_FEES,
    position_cap_base=2**95,
    interest_cap_base=2**96 - 1,
    min_notional_quote=10**12,
    premium_cap_bps=100,
    funding_cap_bps=1,
)


def test_a_hundred_blocks_of_small_funding_cost_what_the_index_says():
    world = World(params=PARAMS, prices=(PRICE,))
    view = world.clearing.view
    size = 10**10 * WAD  # 100 quote
    first = world.trader("attacker", 60 * WAD)
    short = world.trader("attacker", 101 * WAD, sub=1)
    other = world.trader("other", 10**6 * WAD)
    maker = world.trader("maker", 10**6 * WAD)
    world.next_block()
    world.fill(first, maker, size, PRICE)
    # Almost all of the bucket is closed against the attacker's own bankrupt short.
    world.fill(other, short, size - size // 2**31, PRICE)
    world.price(25 * 10**9)
    world.deleverage(short)
    world.price(PRICE)

    victim = world.trader("victim", 60 * WAD)
    stirrer = world.trader("attacker", 60 * WAD, sub=2)
    world.next_block()
    world.fill(victim, maker, size, PRICE)
    world.fill(stirrer, maker, size, PRICE)
    assert view.bucket_of(victim, 1) == view.bucket_of(stirrer, 1)
    world.price(PRICE, seconds=60)
    world.fill(stirrer, maker, size // 10**4, PRICE + 10**8)
    before, index = view.equity(victim), view.funding(1)[0]
    for _ in range(100):
        world.next_block(1)
        world.fill(stirrer, maker, size // 10**4, PRICE)
    owed = size * (view.funding(1)[0] - index) // WAD
    lost = before - view.equity(victim)
    notional = size * PRICE // WAD
    assert lost - owed < notional // 10**6, (
        f"{(lost - owed) / notional:.2%} of the position lost to rounding"
    )
