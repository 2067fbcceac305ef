"""The reward for deleveraging must not pay for making the bankruptcy.

`liquidate`'s top-up never exceeds the fees the leg has paid; `deleverage`'s reward is `reward_bps`
of the notional closed whatever the legs paid. With a reward above the fees (hard bounds: 100 bps
and 0 bps) a hedged pair of one's own accounts, at the smallest margin, turns every price move of
one initial margin into a withdrawal from the keeper reserve.
"""

from __future__ import annotations

from dataclasses import replace

from tests.support.world import RESERVE, WAD, ZERO_FEES, World, account_id, address

PARAMS = replace(
    ZERO_FEES,
    initial_margin_bps=200,
    maintenance_margin_bps=100,
    taker_fee_bps=5,
    fee_reserve_share_bps=2_000,
    fee_insurance_share_bps=3_000,
)


def test_a_pair_of_own_accounts_earns_no_more_reward_than_it_paid_fees():
    world = World(params=PARAMS, prices=(100 * WAD,), reward_bps=100)
    world.donate(RESERVE, 10_000 * WAD)
    me = address("attacker")
    pair = [world.trader("attacker", 2_200 * WAD, sub=i) for i in (1, 2)]
    home = account_id(me)
    world.next_block()
    world.fill(pair[0], pair[1], 1_000 * WAD, 100 * WAD)
    world.price(97 * WAD)
    world.deleverage(pair[0], caller=me)
    for account in pair:
        world.clearing.send.settle(account, sender=me)
    wealth = sum(world.clearing.view.equity(account) for account in (*pair, home))
    assert wealth <= 4_400 * WAD, f"{(wealth - 4_400 * WAD) / WAD} out of the keeper reserve"
