"""`release`, through `vault.withdraw`: own cash, after debts, as far as B stays at IM (S5, S8)."""

from __future__ import annotations

import pytest

from tests.support.checks import assert_sound, emitted, refuses
from tests.support.world import KEEPER, OWNER, WAD, World, address

P = 100 * WAD
TRADER = address("trader")


def setup(cash=1_000, **options):
    world = World(**{"prices": (P, P), **options})
    trader = world.trader("trader", cash * WAD)
    rival = world.trader("rival", 100_000 * WAD)
    world.next_block()
    return world, trader, rival


def withdraw(world, account, quote, sender=TRADER):
    return world.vault.send.withdraw(account, quote // world.scale, KEEPER, sender=sender)


def test_all_of_an_empty_account():
    """S8."""
    world, trader, _ = setup()
    receipt = withdraw(world, trader, 1_000 * WAD)
    args = {"account": trader, "receiver": KEEPER, "amount_quote": 1_000 * WAD}
    assert emitted(world, receipt, "Withdrawn") == [("Withdrawn", args)]
    assert world.token.view.balanceOf(KEEPER) == 1_000 * world.unit
    with refuses("vault: insufficient cash"):
        withdraw(world, trader, 1)


def test_what_backs_risk_stays():
    world, trader, rival = setup()
    world.fill(trader, rival, 40 * WAD, P)
    with refuses("margin: below initial"):
        withdraw(world, trader, 600 * WAD + 1)
    withdraw(world, trader, 600 * WAD)
    with refuses("margin: below initial"):
        withdraw(world, trader, 1)
    assert_sound(world, [trader, rival])


def test_open_profit_is_not_withdrawable_open_loss_counts():
    world, trader, rival = setup()
    world.fill(trader, rival, 40 * WAD, P)
    world.price(110 * WAD)
    with refuses("margin: below initial"):
        withdraw(world, trader, 560 * WAD + 1)
    world.price(95 * WAD)
    with refuses("margin: below initial"):
        withdraw(world, trader, 420 * WAD + 1)
    withdraw(world, trader, 420 * WAD)


def test_debts_first():
    world, trader, rival = setup()
    world.fill(trader, rival, 50 * WAD, P, 1)
    world.fill(rival, trader, 50 * WAD, P, 2)
    world.chain.mine()
    for market in (1, 2):
        world.oracle.send.set_price(market, 70 * WAD, sender=OWNER)
    world.fill(rival, trader, 50 * WAD, 70 * WAD, 1)
    assert world.clearing.view.unsettled(trader) == -500 * WAD
    world.deposit(trader, 100 * WAD)
    world.next_block()
    with refuses("margin: debt"):
        withdraw(world, trader, 1)
    world.deposit(trader, 1_000 * WAD)
    world.next_block()
    withdraw(world, trader, 250 * WAD)  # 1,100 - 500 of debt - 350 of initial margin
    assert world.clearing.view.unsettled(trader) == 0
    with refuses("margin: below initial"):
        withdraw(world, trader, 1)
    assert_sound(world, [trader, rival])


def test_it_collects_a_claim_first():
    world, trader, rival = setup()
    world.fill(trader, rival, 10 * WAD, P)
    world.price(110 * WAD)
    world.fill(world.trader("heir", 9_999 * WAD), trader, 10 * WAD, 110 * WAD)
    with refuses("vault: insufficient cash"):
        withdraw(world, trader, 1_100 * WAD)
    world.clearing.send.settle(rival, sender=KEEPER)
    withdraw(world, trader, 1_100 * WAD)


@pytest.mark.parametrize(
    ("status", "reason"), [(1, "market: stale price"), (2, "market: price pending"), (4, None)]
)
def test_by_the_state_of_the_price(status, reason):
    world, trader, rival = setup()
    world.fill(trader, rival, WAD, P, 1)
    empty = world.trader("trader", 5 * WAD, sub=1)
    world.next_block()
    world.oracle.send.set_observation(1, P, world.chain.timestamp, status, sender=OWNER)
    withdraw(world, empty, WAD)
    if reason is None:
        withdraw(world, trader, 1)
        return
    with refuses(reason):
        withdraw(world, trader, 1)
    world.fill(rival, trader, WAD, P, 1)
    withdraw(world, trader, 1_000 * WAD)


def test_only_the_owner():
    world, trader, _ = setup()
    for sender in (KEEPER, OWNER, world.vault.address[:-1] + "1"):
        with refuses("vault: not the owner"):
            withdraw(world, trader, 1, sender)
    world.clearing.send.set_operator(KEEPER, 2**255, sender=TRADER)
    with refuses("vault: not the owner"):
        withdraw(world, trader, 1, KEEPER)


def test_what_came_in_this_block_stays_for_it():
    world, trader, rival = setup()
    world.fill(trader, rival, 30 * WAD, P)
    world.deposit(trader, 400 * WAD)
    with refuses("vault: insufficient cash"):
        withdraw(world, trader, 1_000 * WAD + 1)
    withdraw(world, trader, 1_000 * WAD)
