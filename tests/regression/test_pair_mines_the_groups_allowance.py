"""A pair of one's own accounts must not get more from insurance than the leg's maintenance margin.

The cap of a leg holds while the leg is there. A winner that leaves through a fill before the loser
is deleveraged turns its profit into a claim, so the loser's deficit finds nobody to take it and
arrives at the write-off, which draws on insurance up to the group's allowance, with no regard to
what the account ever was: the fund pays the winner's claim.
"""

from __future__ import annotations

from tests.support.world import INSURANCE, WAD, World, address


def test_a_hedged_pair_draws_at_most_the_legs_maintenance_margin():
    world = World(prices=(100 * WAD,), insurance_cap_quote=10**6 * WAD)
    world.donate(INSURANCE, 100_000 * WAD)
    view = world.clearing.view
    long, short = (world.trader("attacker", 1_000 * WAD, sub=i) for i in (1, 2))
    maker = world.trader("maker", 100_000 * WAD)
    world.next_block()
    world.fill(long, short, 100 * WAD, 100 * WAD)
    world.price(60 * WAD)  # the pair: 3,000 under water, 4,000 in profit
    maintenance = view.margin(long)[1]
    world.fill(short, maker, 100 * WAD, 60 * WAD)  # an honest maker at the oracle price
    world.deleverage(long, caller=address("attacker"))
    world.clearing.send.settle(short, sender=address("attacker"))
    drawn = 100_000 * WAD - world.vault.view.insurance()
    profit = world.cash(short) + world.cash(long) - 2_000 * WAD
    assert drawn <= maintenance, (
        f"drawn {drawn // WAD}, maintenance {maintenance // WAD}, profit {profit // WAD}"
    )
