"""`LiquidationBatch.liquidate_many`: several take-overs at once, and who may ask for them."""

from __future__ import annotations

import pytest

from ballast.build import artifact
from ballast.chain import ZERO_ADDRESS
from ballast.errors import Reverted
from tests.support.checks import refuses
from tests.support.world import KEEPER, MAX, OWNER, WAD, World, address
from tests.unit.liquidation.test_liquidate import LIQUIDATOR, PENAL, P

CASH = (100, 101, 200)


@pytest.fixture
def world():
    """Three longs of 10 from 100, the third with twice the margin; price 94.5."""
    world = World(params=PENAL, prices=(P,))
    world.weak = [world.trader(f"weak {n}", cash * WAD) for n, cash in enumerate(CASH)]
    rival = world.trader("rival", 100_000 * WAD)
    world.liquidator = world.trader("liquidator", 100_000 * WAD)
    world.next_block()
    for account in world.weak:
        world.fill(account, rival, 10 * WAD, P)
    world.price(94 * WAD + WAD // 2)
    return world


def let(world, until=MAX, operator=None):
    operator = operator or world.batch.address
    world.clearing.send.set_operator(operator, until, sender=LIQUIDATOR)


def take(world, legs=None, sender=LIQUIDATOR, size=MAX):
    legs = legs or [(account, 1) for account in world.weak]
    asked = [(account, market, size) for account, market in legs]
    receipt = world.batch.send.liquidate_many(asked, world.liquidator, sender=sender)
    return world.batch.returned(receipt, "liquidate_many", 2)


def one_by_one(world):
    with world.chain.rolled_back():
        sizes = [
            world.clearing.returned(
                world.clearing.send.liquidate(account, 1, MAX, world.liquidator, sender=LIQUIDATOR),
                "liquidate",
                4,
            )
            for account in world.weak[:2]
        ]
        return sizes, [world.clearing.view.equity(a) for a in (*world.weak, world.liquidator)]


def test_it_does_what_a_call_for_each_does_and_passes_over_who_is_healthy(world):
    sizes, equities = one_by_one(world)
    let(world)
    assert take(world) == [*sizes, 0]
    assert [world.clearing.view.equity(a) for a in (*world.weak, world.liquidator)] == equities


def test_a_leg_named_twice_is_taken_once(world):
    let(world)
    sizes, _ = one_by_one(world)
    assert take(world, [(world.weak[0], 1)] * 2) == [sizes[0], 0]


def test_a_part_may_be_asked_for(world):
    let(world)
    assert take(world, [(world.weak[0], 1)], size=2 * WAD) == [2 * WAD]


def test_the_liquidators_operator_may_ask(world):
    let(world)
    let(world, operator=KEEPER)
    assert sum(take(world, sender=KEEPER)) > 0


@pytest.mark.parametrize("caller", [KEEPER, OWNER])
def test_nobody_else_may(world, caller):
    let(world)
    with refuses("batch: not the operator"):
        take(world, sender=caller)


def test_an_operator_whose_time_is_over_may_not(world):
    let(world)
    let(world, until=world.chain.timestamp, operator=KEEPER)
    with refuses("batch: not the operator"):
        take(world, sender=KEEPER)


def test_without_the_liquidators_leave_nothing_is_taken(world):
    with refuses("batch: nothing taken"):
        take(world)


def test_where_all_are_healthy_it_refuses(world):
    let(world)
    with refuses("batch: nothing taken"):
        take(world, [(world.weak[2], 1)])


def test_what_the_liquidators_margin_does_not_carry_is_passed_over(world):
    let(world)
    sizes, _ = one_by_one(world)
    kept = 13 * sizes[0] * 94 // 100
    paid_out = world.cash(world.liquidator) - kept
    world.vault.send.withdraw(world.liquidator, paid_out, LIQUIDATOR, sender=LIQUIDATOR)
    assert take(world) == [sizes[0], 0, 0]
    view = world.clearing.view
    assert view.position(world.weak[1], 1)[0] == 10 * WAD
    assert view.backing(world.liquidator) >= view.margin(world.liquidator)[0]


def test_each_further_leg_costs_less_than_a_transaction_of_its_own(world):
    let(world)
    gas = {"sender": LIQUIDATOR, "exact_gas": True}
    with world.chain.rolled_back(exact_gas=True):
        liquidate = world.clearing.send.liquidate
        alone = [liquidate(a, 1, MAX, world.liquidator, **gas).gas_used for a in world.weak[:2]]
    asked = [(account, 1, MAX) for account in world.weak[:2]]
    together = world.batch.send.liquidate_many(asked, world.liquidator, **gas)
    assert together.gas_used < sum(alone) - 21_000


def test_too_little_gas_is_no_refusal(world):
    """Else a node would estimate the gas with which the first leg alone is taken."""
    let(world)
    asked = [(account, 1, MAX) for account in world.weak[:2]]
    data = world.batch.data.liquidate_many(asked, world.liquidator)

    def outcome(gas):
        with world.chain.rolled_back():
            try:
                world.chain.send(world.batch.address, data, sender=LIQUIDATOR, gas=gas)
            except Reverted as refusal:
                return refusal.reason
            return [world.clearing.view.max_liquidation(a, 1)[0] == 0 for a in world.weak[:2]]

    outcomes = [outcome(gas) for gas in range(150_000, 1_200_000, 50_000)]
    assert "batch: out of gas" in outcomes
    assert outcomes[-1] == [True, True]
    assert all(isinstance(found, str) or found == [True, True] for found in outcomes)


def test_it_needs_a_clearinghouse(world):
    with refuses("batch: zero clearinghouse"):
        world.chain.deploy(
            artifact("LiquidationBatch").deploy_code(ZERO_ADDRESS), sender=address("deployer")
        )
