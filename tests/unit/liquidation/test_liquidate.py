"""`liquidate`: terms to the wei, penalty and its shares, rights, refusals, take-over (S6, S7)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.mirror import _ceil_div as up
from tests.support.checks import assert_sound, emitted, pool, refuses
from tests.support.world import (
    GUARDIAN,
    INSURANCE,
    KEEPER,
    MAX,
    OWNER,
    RESERVE,
    WAD,
    ZERO_FEES,
    World,
    address,
)

P = 100 * WAD
LIQUIDATOR = address("liquidator")
PENAL = replace(
    ZERO_FEES,
    liquidation_penalty_bps=100,
    liquidator_share_bps=5_000,
    penalty_insurance_share_bps=3_000,
    liquidation_target_bps=12_000,
)


def setup(params=PENAL, cash=100, size=10, is_long=True, **options):
    """`weak` holds `size` from 100 on `cash`; a liquidator with 100,000."""
    world = World(params=params, **{"prices": (P,), **options})
    weak = world.trader("weak", cash * WAD)
    rival = world.trader("rival", 100_000 * WAD)
    liquidator = world.trader("liquidator", 100_000 * WAD)
    world.next_block()
    sides = (weak, rival) if is_long else (rival, weak)
    world.fill(*sides, size * WAD, P)
    return world, weak, rival, liquidator


def liquidate(world, weak, liquidator, size=MAX, market=1, sender=LIQUIDATOR):
    return world.clearing.send.liquidate(weak, market, size, liquidator, sender=sender)


def partial_size(
    equity: int, maintenance: int, price: int, penalty: int, target_bps=12_000, mm_bps=500
):
    """x = (t MM - E) / (P (t mm - p')), rounded up at each step."""
    relief = target_bps * mm_bps * 10**14 // 10_000
    notional = up((up(maintenance * target_bps, 10_000) - equity) * WAD, relief - penalty)
    return up(notional * WAD, price)


@pytest.mark.parametrize("is_long", [True, False])
def test_partial_size_price_and_penalty(is_long):
    world, weak, rival, liquidator = setup(is_long=is_long)
    price = (945 if is_long else 1_050) * WAD // 10
    world.price(price)
    view = world.clearing.view
    equity, (_, maintenance) = view.equity(weak), view.margin(weak)
    assert 0 <= equity < maintenance
    penalty_wad = min(100 * 10**14, 500 * 10**14 * equity // maintenance)
    assert penalty_wad == 100 * 10**14
    size = partial_size(equity, maintenance, price, penalty_wad)
    taken_at = price - price // 100 if is_long else price + price // 100
    assert view.max_liquidation(weak, 1) == (size, taken_at)

    receipt = liquidate(world, weak, liquidator)

    assert world.clearing.returned(receipt, "liquidate", 4) == size
    penalty = size * (price // 100) // WAD
    kept, insured = penalty * 5_000 // 10_000, penalty * 3_000 // 10_000
    assert emitted(world, receipt, "Liquidated") == [
        (
            "Liquidated",
            {
                "account": weak,
                "market": 1,
                "liquidator": liquidator,
                "size": size,
                "price": taken_at,
                "penalty_quote": penalty,
                "insurance_quote": 0,
                "reward_quote": 0,
            },
        )
    ]
    ((_, paid_on),) = emitted(world, receipt, "Charged")
    assert paid_on == {
        "account": liquidator,
        "insurance_quote": insured,
        "protocol_quote": 0,
        "reserve_quote": penalty - kept - insured,
    }
    signed = size if is_long else -size
    assert view.position(liquidator, 1)[:2] == (signed, taken_at)
    assert abs(view.position(weak, 1)[0]) == 10 * WAD - size
    # E = t MM, to the wei that rounding up brings.
    after, (_, needed) = view.equity(weak), view.margin(weak)
    assert 0 <= after - needed * 12 // 10 <= 20
    assert_sound(world, [weak, rival, liquidator])


def test_the_penalty_never_takes_more_than_the_health():
    """p' = mm E / MM below the stated penalty: E / MM of the rest does not fall (S7). Then the
    formula asks for all of the leg, and whoever takes a part leaves the health as it was."""
    world, weak, _, liquidator = setup(params=replace(PENAL, liquidation_penalty_bps=500))
    world.price(93 * WAD)
    view = world.clearing.view
    equity, (_, maintenance) = view.equity(weak), view.margin(weak)
    penalty = 500 * 10**14 * equity // maintenance
    assert penalty < 500 * 10**14
    assert abs(partial_size(equity, maintenance, 93 * WAD, penalty) - 10 * WAD) < 10**6
    taken_at = 93 * WAD - 93 * WAD * penalty // WAD
    assert view.max_liquidation(weak, 1) == (10 * WAD, taken_at)
    for part in (WAD, 3 * WAD, MAX):
        before = view.equity(weak), view.margin(weak)[1]
        liquidate(world, weak, liquidator, part)
        after = view.equity(weak), view.margin(weak)[1]
        assert after[0] * before[1] >= before[0] * after[1]
        assert after[0] >= 0


@pytest.mark.parametrize(
    ("price", "params"),
    [
        (91 * WAD - WAD // 2, PENAL),  # E < 0.2 MM
        (94 * WAD, replace(PENAL, min_notional_quote=900 * WAD)),  # the rest would be too small
    ],
)
def test_all_of_the_leg(price, params):
    world, weak, rival, liquidator = setup(params=params)
    world.price(price)
    view = world.clearing.view
    equity, maintenance = view.equity(weak), view.margin(weak)[1]
    assert 0 <= equity < maintenance
    assert view.max_liquidation(weak, 1)[0] == 10 * WAD
    liquidate(world, weak, liquidator)
    assert view.position(weak, 1) == (0, 0, 0)
    assert view.equity(weak) >= 0
    assert_sound(world, [weak, rival, liquidator])


def test_a_little_above_a_fifth_it_is_partial_again():
    world, weak, _, _ = setup()
    world.price(91 * WAD - WAD // 20)
    view = world.clearing.view
    assert 5 * view.equity(weak) >= view.margin(weak)[1]
    assert view.max_liquidation(weak, 1)[0] < 10 * WAD


def test_less_may_be_taken():
    world, weak, _, liquidator = setup()
    world.price(945 * WAD // 10)
    receipt = liquidate(world, weak, liquidator, WAD)
    assert world.clearing.returned(receipt, "liquidate", 4) == WAD
    assert world.clearing.view.position(weak, 1)[0] == 9 * WAD


def test_what_is_left_by_choice_must_not_be_dust():
    world, weak, _, liquidator = setup(params=replace(PENAL, min_notional_quote=200 * WAD))
    world.price(904 * WAD // 10)
    with refuses("liquidation: rest below minimum"):
        liquidate(world, weak, liquidator, 8 * WAD)
    liquidate(world, weak, liquidator, 7 * WAD)


def test_the_reserve_tops_up_to_the_minimum_never_above_the_legs_fees():
    params = replace(
        PENAL,
        taker_fee_bps=10,
        maker_fee_bps=0,
        liquidation_penalty_bps=10,
        min_reward_quote=5 * WAD,
    )
    world, weak, rival, liquidator = setup(params=params, cash=101)
    world.donate(RESERVE, 100 * WAD)
    # The leg paid 1 quote: 100 cents. It is scaled by what is taken.
    world.price(915 * WAD // 10)
    receipt = liquidate(world, weak, liquidator, 4 * WAD)
    assert emitted(world, receipt, "Liquidated")[0][1]["reward_quote"] == 4 * WAD // 10
    (top_up,) = (a for _, a in emitted(world, receipt, "Moved") if a["source"] == RESERVE)
    assert top_up == {"source": RESERVE, "target": liquidator, "amount_quote": 4 * WAD // 10}
    receipt = liquidate(world, weak, liquidator, 3 * WAD)
    # 60 cents are left for 6: half of them.
    assert emitted(world, receipt, "Liquidated")[0][1]["reward_quote"] == 3 * WAD // 10
    assert_sound(world, [weak, rival, liquidator])


def test_the_top_up_ends_at_the_minimum_and_with_the_reserve():
    params = replace(
        PENAL,
        taker_fee_bps=100,
        maker_fee_bps=0,
        liquidation_penalty_bps=10,
        liquidator_share_bps=10_000,
        penalty_insurance_share_bps=0,
        min_reward_quote=WAD,
    )
    world, weak, _rival, liquidator = setup(params=params, cash=110)
    world.price(944 * WAD // 10)
    with world.chain.rolled_back():
        receipt = liquidate(world, weak, liquidator, 4 * WAD)
        assert emitted(world, receipt, "Liquidated")[0][1]["reward_quote"] == 0  # reserve empty
    world.donate(RESERVE, WAD // 5)
    with world.chain.rolled_back():
        receipt = liquidate(world, weak, liquidator, 4 * WAD)
        assert emitted(world, receipt, "Liquidated")[0][1]["reward_quote"] == WAD // 5
    world.donate(RESERVE, 10 * WAD)
    receipt = liquidate(world, weak, liquidator, 4 * WAD)
    penalty = emitted(world, receipt, "Liquidated")[0][1]["penalty_quote"]
    assert 0 < penalty < WAD
    assert emitted(world, receipt, "Liquidated")[0][1]["reward_quote"] == WAD - penalty


# Rights


def test_owner_or_operator_until_the_expiry():
    world, weak, _, liquidator = setup()
    world.price(915 * WAD // 10)
    for sender in (KEEPER, OWNER, GUARDIAN, address("weak")):
        with refuses("liquidation: not the operator"):
            liquidate(world, weak, liquidator, WAD, sender=sender)
    expiry = world.chain.timestamp + 1
    world.clearing.send.set_operator(KEEPER, expiry, sender=LIQUIDATOR)
    liquidate(world, weak, liquidator, WAD, sender=KEEPER)
    sub = world.trader("liquidator", 1_000 * WAD, sub=9)
    liquidate(world, weak, sub, WAD, sender=KEEPER)
    world.chain.mine(1)
    world.oracle.send.set_price(1, 915 * WAD // 10, sender=OWNER)
    with refuses("liquidation: not the operator"):
        liquidate(world, weak, liquidator, WAD, sender=KEEPER)
    world.clearing.send.set_operator(KEEPER, 2**255, sender=LIQUIDATOR)
    world.clearing.send.set_operator(KEEPER, 0, sender=LIQUIDATOR)
    with refuses("liquidation: not the operator"):
        liquidate(world, weak, liquidator, WAD, sender=KEEPER)


def test_not_oneself_but_ones_other_account():
    world, weak, _, _ = setup()
    world.price(945 * WAD // 10)
    with refuses("liquidation: self"):
        liquidate(world, weak, weak, sender=address("weak"))
    other = world.trader("weak", 1_000 * WAD, sub=1)
    liquidate(world, weak, other, sender=address("weak"))


# Refusals


def test_zero_size_and_no_position():
    world, weak, _, liquidator = setup(prices=(P, P, P), groups=(1, 1, 2))
    world.price(945 * WAD // 10)
    with refuses("liquidation: zero size"):
        liquidate(world, weak, liquidator, 0)
    with refuses("liquidation: no position"):
        liquidate(world, weak, liquidator, market=2)
    with refuses("liquidation: no position"):
        liquidate(world, weak, liquidator, market=3)
    with refuses("liquidation: no position"):
        liquidate(world, world.trader("nobody"), liquidator)
    with refuses("market: unknown"):
        liquidate(world, weak, liquidator, market=4)


def test_healthy_at_exactly_the_maintenance():
    world, weak, _, liquidator = setup(cash=145, size=10)
    world.price(90 * WAD)
    assert world.clearing.view.equity(weak) == world.clearing.view.margin(weak)[1] == 45 * WAD
    with refuses("liquidation: account healthy"):
        liquidate(world, weak, liquidator)
    world.price(90 * WAD - 1)
    liquidate(world, weak, liquidator)


@pytest.mark.parametrize(
    ("status", "reason"), [(1, "market: stale price"), (4, "market: grace period"), (2, None)]
)
def test_by_the_state_of_the_price(status, reason):
    world, weak, _, liquidator = setup()
    world.chain.mine()
    price = 945 * WAD // 10
    world.oracle.send.set_observation(1, price, world.chain.timestamp, status, sender=OWNER)
    if reason:
        with refuses(reason):
            liquidate(world, weak, liquidator)
        assert world.clearing.view.max_liquidation(weak, 1) == (0, 0)
        world.price(price)
    assert world.clearing.view.max_liquidation(weak, 1)[0] > 0
    liquidate(world, weak, liquidator)


def test_a_stale_leg_elsewhere_stops_the_liquidator_not_the_account():
    world, weak, rival, liquidator = setup(prices=(P, P), cash=200)
    world.fill(weak, rival, WAD, P, 2)
    exposed = world.trader("liquidator", 1_000 * WAD, sub=1)
    world.fill(exposed, rival, WAD, P, 2)
    world.price(84 * WAD, 1)
    world.oracle.send.set_observation(2, P, world.chain.timestamp, 1, sender=OWNER)
    with refuses("market: stale price"):
        liquidate(world, weak, exposed)
    with refuses("market: stale price"):
        liquidate(world, weak, liquidator, market=2)
    liquidate(world, weak, liquidator)


def test_the_liquidator_must_meet_his_margin_and_have_no_debt():
    world, weak, _rival, _ = setup()
    poor = world.trader("poor", 30 * WAD)
    world.price(92 * WAD)
    sender = address("poor")
    with refuses("margin: liquidator below initial"):
        liquidate(world, weak, poor, 10 * WAD, sender=sender)
    liquidate(world, weak, poor, 2 * WAD, sender=sender)


def test_a_liquidator_below_initial_may_not_even_reduce():
    world, weak, rival, _ = setup()
    short = world.trader("short", 100 * WAD)
    world.fill(rival, short, 9 * WAD, P)
    world.price(945 * WAD // 10)
    world.vault.send.withdraw(short, 14 * WAD, KEEPER, sender=address("short"))
    world.price(90 * WAD)
    world.price(945 * WAD // 10)
    liquidate(world, weak, short, WAD, sender=address("short"))
    with world.chain.rolled_back():
        weak_long = world.trader("thin", 90 * WAD)
        world.fill(weak_long, rival, 9 * WAD, 945 * WAD // 10)
        world.price(94 * WAD)
        with refuses("margin: liquidator below initial"):
            liquidate(world, weak, weak_long, WAD, sender=address("thin"))


def test_a_liquidator_with_a_debt():
    world, weak, rival, _ = setup(prices=(P, P))
    debtor = world.trader("debtor", 500 * WAD)
    world.fill(debtor, rival, 40 * WAD, P, 1)
    world.fill(debtor, rival, 10 * WAD, P, 2)
    world.chain.mine()
    world.oracle.send.set_price(1, 945 * WAD // 10, sender=OWNER)
    world.oracle.send.set_price(2, 200 * WAD, sender=OWNER)
    world.fill(rival, debtor, 40 * WAD, 80 * WAD, 1)
    assert world.clearing.view.unsettled(debtor) < 0
    with refuses("margin: debt"):
        liquidate(world, weak, debtor, sender=address("debtor"))


def test_minimum_and_cap_of_the_liquidator():
    params = replace(PENAL, min_notional_quote=100 * WAD, position_cap_base=12 * WAD)
    world, weak, rival, liquidator = setup(params=params)
    world.price(945 * WAD // 10)
    with refuses("clearing: below minimum"):
        liquidate(world, weak, liquidator, WAD)
    world.fill(liquidator, rival, 2 * WAD, 945 * WAD // 10)
    large = world.trader("liquidator", 100_000 * WAD, sub=3)
    world.fill(large, world.trader("new", 9_999 * WAD), 11 * WAD, 945 * WAD // 10)
    with refuses("clearing: position cap"):
        liquidate(world, weak, large, 2 * WAD)
    liquidate(world, weak, liquidator, WAD)


def test_a_liquidator_of_another_group():
    world, weak, _rival, liquidator = setup(prices=(P, P), groups=(1, 2))
    world.fill(liquidator, world.trader("new", 999 * WAD), WAD, P, 2)
    world.price(945 * WAD // 10)
    with refuses("account: other group"):
        liquidate(world, weak, liquidator)


def test_direct_calls_are_refused():
    world, weak, _, liquidator = setup()
    engine = world.clearing.at(world.clearing.view.LIQUIDATION())
    with refuses("liquidation: call the clearinghouse"):
        engine.send.liquidate(weak, 1, WAD, liquidator, sender=LIQUIDATOR)


# Take-over of a bankrupt


def bankrupt(insurance=20):
    world, weak, rival, liquidator = setup()
    world.price(89 * WAD)
    if insurance:
        world.donate(INSURANCE, insurance * WAD)
    assert world.clearing.view.equity(weak) == -10 * WAD
    return world, weak, rival, liquidator


def test_take_over_at_the_oracle_price_with_all_of_the_deficit_insured():
    world, weak, rival, liquidator = bankrupt()
    assert world.clearing.view.max_liquidation(weak, 1) == (10 * WAD, 89 * WAD)
    receipt = liquidate(world, weak, liquidator, 4 * WAD)
    assert emitted(world, receipt, "InsuranceDrawn", "Liquidated") == [
        (
            "InsuranceDrawn",
            {"group": 1, "market": 1, "account": weak, "amount_quote": 4 * WAD},
        ),
        (
            "Liquidated",
            {
                "account": weak,
                "market": 1,
                "liquidator": liquidator,
                "size": 4 * WAD,
                "price": 89 * WAD,
                "penalty_quote": 0,
                "insurance_quote": 4 * WAD,
                "reward_quote": 0,
            },
        ),
    ]
    assert emitted(world, receipt, "Moved")[0][1] == {
        "source": INSURANCE,
        "target": pool(1),
        "amount_quote": 4 * WAD,
    }
    # S7: with E < 0 it does not lower E.
    assert world.clearing.view.equity(weak) == -6 * WAD
    liquidate(world, weak, liquidator)
    assert world.clearing.view.equity(weak) == 0
    assert world.vault.view.insurance() == 10 * WAD
    assert world.clearing.view.insurance_left(1) == 10 * WAD
    assert_sound(world, [weak, rival, liquidator])


@pytest.mark.parametrize("insurance", [0, 9])
def test_no_take_over_where_insurance_is_short(insurance):
    """A counterparty could leave the queue by it."""
    world, weak, rival, liquidator = bankrupt(insurance)
    with refuses("liquidation: insurance short"):
        liquidate(world, weak, liquidator)
    with refuses("liquidation: insurance short"):
        liquidate(world, weak, rival, WAD, sender=address("rival"))
    assert world.clearing.view.max_liquidation(weak, 1) == (0, 89 * WAD)


def test_insurance_pays_at_most_the_legs_maintenance():
    world, weak, _, liquidator = setup()
    world.price(85 * WAD)
    world.donate(INSURANCE, 10_000 * WAD)
    assert world.clearing.view.equity(weak) == -50 * WAD
    assert world.clearing.view.margin(weak)[1] == 425 * WAD // 10
    with refuses("liquidation: insurance short"):
        liquidate(world, weak, liquidator)


def test_the_markets_allowance_limits_and_refills():
    params = replace(PENAL, insurance_cap_quote=12 * WAD)
    world, weak, rival, liquidator = setup(params=params)
    second = world.trader("second", 100 * WAD)
    world.fill(second, rival, 10 * WAD, P)
    world.donate(INSURANCE, 100 * WAD)
    world.price(89 * WAD)
    liquidate(world, weak, liquidator)
    assert world.clearing.view.insurance_left(1) == 2 * WAD
    with refuses("liquidation: insurance short"):
        liquidate(world, second, liquidator)
    world.price(89 * WAD, seconds=57_599)  # two thirds of a day, less a second
    with refuses("liquidation: insurance short"):
        liquidate(world, second, liquidator)
    world.price(89 * WAD, seconds=1)
    assert world.clearing.view.insurance_left(1) == 10 * WAD
    liquidate(world, second, liquidator)
    assert world.clearing.view.insurance_left(1) == 0
    assert_sound(world, [weak, second, rival, liquidator])
