"""A wash trade of the minimum size must not set the funding rate that everybody pays.

`pricing._sample` weighs a fill by the time since the last one alone. After an hour without a trade
one fill of 1 quote between two accounts of one owner moves the average to half the premium's cap,
and one a block keeps it there, however large the honest volume at the oracle price in the same
block.
"""

from __future__ import annotations

from dataclasses import replace

from tests.support.world import WAD, ZERO_FEES, World

PARAMS = replace(ZERO_FEES, premium_cap_bps=500, funding_cap_bps=75, premium_window_seconds=3_600)


def test_dust_between_two_accounts_of_one_owner_does_not_set_the_rate():
    world = World(params=PARAMS, prices=(100 * WAD,))
    victim = world.trader("victim", 100_000 * WAD)
    attacker = world.trader("attacker", 100_000 * WAD)
    wash = [world.trader("attacker", 100 * WAD, sub=i) for i in (1, 2)]
    world.next_block()
    world.fill(victim, attacker, 5_000 * WAD, 100 * WAD)
    side = 0
    for _ in range(60):
        world.next_block(60)
        # 1.2 quote at 5 % above the oracle price, sold back to the other account next time.
        world.fill(wash[0], wash[1], WAD // 80, 105 * WAD)
        # Beside it an honest trade of 10,000 quote at the oracle price.
        buyer, seller = (victim, attacker) if side else (attacker, victim)
        side ^= 1
        world.fill(buyer, seller, 100 * WAD, 100 * WAD)

    rate = world.clearing.view.funding(1)[1]
    assert rate < 75 * 10**14, f"funding at its cap by {60 * 1.25} quote of volume against 600,000"
