"""Failure modes of others' liquidations (peers 16 to 20, 22 to 24, 26 to 28)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.errors import Reverted
from tests.support.sound import seen
from tests.support.stage import Stage, stage
from tests.support.world import (
    INSURANCE,
    KEEPER,
    MAX,
    OWNER,
    REAL_FEES,
    RESERVE,
    WAD,
    ZERO_FEES,
    address,
)

PENALTY = replace(
    ZERO_FEES,
    liquidation_penalty_bps=400,
    liquidator_share_bps=5_000,
    penalty_insurance_share_bps=4_000,
)
DAY = 86_400


def take(world: Stage, account: bytes, size: int = MAX, market: int = 1) -> int:
    """A liquidator with plenty of cash liquidates into its own account; base taken."""
    liquidator = world.trader("liquidator")
    if world.cash(liquidator) == 0:
        world.deposit(liquidator, 10**6 * WAD)
    receipt = world.clearing.send.liquidate(
        account, market, size, liquidator, sender=address("liquidator")
    )
    return world.clearing.returned(receipt, "liquidate", 4)


def test_liquidation_does_not_need_the_insurance_fund():
    """Peers 16: liquidation (and ADL) that reverts when the insurance fund is empty."""
    world, loser, _ = stage(params=PENALTY)
    world.price(88 * WAD)  # E 30 of MM 44
    assert world.vault.view.insurance() == world.vault.view.keeper_reserve() == 0
    with world.chain.rolled_back():
        assert 0 < take(world, loser) <= 10 * WAD
        world.sound()
    world.price(80 * WAD)
    assert world.deleverage(loser) == (0, 0)
    world.sound()


def test_resolution_when_the_only_counterparty_is_bankrupt_too():
    """Peers 16: the other side is empty, or as good as: both sides' only accounts are bankrupt."""
    world = Stage(prices=(100 * WAD, 100 * WAD))
    first, second = world.trader("first", 200 * WAD), world.trader("second", 200 * WAD)
    maker = world.trader("maker", 10_000 * WAD)
    world.next_block()
    world.fill(first, second, 10 * WAD, 100 * WAD, 1)
    world.fill(maker, second, 5 * WAD, 100 * WAD, 2)
    world.price(160 * WAD, 2)
    world.price(70 * WAD, 1)
    assert world.equity(first) == -100 * WAD
    assert world.equity(second) == 200 * WAD
    world.price(240 * WAD, 2)
    assert world.equity(second) == -200 * WAD
    for account in (second, first, second):
        if world.equity(account) < 0:
            world.close_all(account)
    assert world.equity(first) >= 0
    assert world.equity(second) >= 0
    assert world.size(second, 1) == world.size(second, 2) == 0
    assert world.equity(maker) >= 10_000 * WAD
    world.sound()


@pytest.mark.parametrize("cash", [120, 121, 125, 130, 140, 150, 160])
def test_penalty_makes_no_bad_debt(cash: int):
    """Peers 17: a penalty paid out of a bankrupt account makes bad debt. Here it ends with E."""
    world, loser, _ = stage(params=PENALTY, loser_cash=cash * WAD)
    world.price(88 * WAD)
    before = world.equity(loser)
    assert before == (cash - 120) * WAD
    size, price = world.clearing.view.max_liquidation(loser, 1)
    assert (88 * WAD - price) * 10 <= max(0, before)
    assert take(world, loser) == size
    assert world.equity(loser) >= 0
    assert world.clearing.view.unsettled(loser) >= 0
    assert world.clearing.view.shortfall(1) == 0
    world.sound()


def test_reward_for_a_bankrupt_account_comes_from_the_reserve_alone():
    """Peers 17: the reward itself makes bad debt. With E < 0 there is no penalty, and the caller
    of `deleverage` is paid from what the reserve holds, however little."""
    params = replace(PENALTY, taker_fee_bps=100)  # the leg has paid 10
    for reserve in (0, 1, 100 * WAD):
        world, loser, _ = stage(160 * WAD, params=params, reward_bps=100, insurance=50 * WAD)
        if reserve:
            world.donate(RESERVE, reserve)
        world.price(80 * WAD)
        with world.chain.rolled_back():
            caller = world.stranger()
            world.deleverage(loser, caller)
            paid = world.cash(bytes.fromhex(caller[2:]) + bytes(12))
            assert paid == min(reserve, 8 * WAD)  # 1 % of 800
            assert world.vault.view.keeper_reserve() == reserve - paid
            assert world.vault.view.insurance() == 10 * WAD  # 40 of it is the leg's MM
        # A take-over is at the oracle price, and insurance does not cover this one.
        assert world.clearing.view.max_liquidation(loser, 1)[0] == 0


@pytest.mark.parametrize("asked", [1, WAD, 10 * WAD, 10 * WAD + 1, 2**96, MAX])
def test_liquidation_only_shrinks_a_position(asked: int):
    """Peers 18: a liquidation that grows or flips the position."""
    world, loser, _ = stage(params=PENALTY, loser_cash=125 * WAD)
    other = world.trader("other", 10_000 * WAD)
    world.fill(world.trader("liquidator", 10**6 * WAD), other, WAD, 100 * WAD)
    world.price(88 * WAD)
    held = world.size(world.trader("liquidator"))
    taken = take(world, loser, asked)
    assert taken == min(asked, 10 * WAD)
    assert world.size(loser) == 10 * WAD - taken
    assert world.size(world.trader("liquidator")) == held + taken
    assert world.clearing.view.open_interest(1)[0] == 11 * WAD
    world.sound()


def test_liquidator_on_the_other_side_only_nets():
    """Peers 18, 28: a short liquidator takes over a long: both positions shrink."""
    world, loser, (winner,) = stage(params=PENALTY, loser_cash=125 * WAD)
    world.price(88 * WAD)
    receipt = world.clearing.send.liquidate(loser, 1, MAX, winner, sender=address("winner 0"))
    assert world.clearing.returned(receipt, "liquidate", 4) == 10 * WAD
    assert world.size(loser) == world.size(winner) == 0
    assert world.clearing.view.open_interest(1) == (0, 0)
    world.sound()


def test_liquidation_goes_on_while_a_price_step_waits():
    """Peers 19: a pending or protected state that blocks liquidation."""
    world, loser, (winner,) = stage(params=PENALTY)
    world.price(88 * WAD)
    now = world.chain.timestamp
    world.oracle.send.set_observation(1, 88 * WAD, now, 2, sender=KEEPER)
    with pytest.raises(Reverted, match=r"^market: price pending$"):
        world.fill(winner, world.trader("new", 1_000 * WAD), 20 * WAD, 88 * WAD)
    first = take(world, loser, WAD)
    second = take(world, loser, WAD)  # nor does one liquidation block the next
    assert (first, second) == (WAD, WAD)
    world.price(60 * WAD)
    world.oracle.send.set_observation(1, 60 * WAD, world.chain.timestamp, 2, sender=KEEPER)
    world.close_all(loser)
    assert world.size(loser) == 0
    world.sound()


def test_victims_own_actions_block_nothing():
    """Peers 20: the victim's nonce or tiny action blocks its liquidation."""
    world, loser, _ = stage(params=PENALTY)
    world.price(88 * WAD)
    owner = address("loser")
    expected = world.clearing.view.max_liquidation(loser, 1)[0]
    world.deposit(loser, 1)
    world.clearing.send.settle(loser, sender=owner)
    world.clearing.send.refresh(loser, sender=owner)
    world.clearing.send.set_operator(KEEPER, MAX, sender=owner)
    for amount, reason in ((1, "margin: below initial"), (10**30, "margin: below initial")):
        with pytest.raises(Reverted, match=reason):
            world.vault.send.withdraw(loser, amount, owner, sender=owner)
    with pytest.raises(Reverted, match=r"^account: zero operator$"):
        world.clearing.send.set_operator("0x" + "00" * 20, 1, sender=owner)
    # Its other subaccount is another account.
    world.deposit(world.trader("loser", sub=1), 10**6 * WAD)
    assert abs(take(world, loser) - expected) <= 1
    world.sound()


@pytest.mark.parametrize("penalty", [0, 100, 400, 500])
@pytest.mark.parametrize("cash", [124, 130, 140, 150, 155])
@pytest.mark.parametrize("asked", [WAD, 4 * WAD + 12_345, MAX])
def test_liquidation_never_lowers_health(penalty: int, cash: int, asked: int):
    """Peers 22, S7: E / MM of what is left never falls, over two legs, for any part taken."""
    params = replace(PENALTY, liquidation_penalty_bps=penalty)
    world = Stage(params, prices=(100 * WAD, 33 * WAD + 1))
    loser, maker = world.trader("loser", cash * WAD), world.trader("maker", 10_000 * WAD)
    world.next_block()
    world.fill(loser, maker, 10 * WAD, 100 * WAD, 1)
    world.fill(maker, loser, 6 * WAD, 33 * WAD, 2)
    world.price(88 * WAD + 7, 1)
    equity, (_, upkeep) = world.equity(loser), world.clearing.view.margin(loser)
    assert 0 <= equity < upkeep
    take(world, loser, asked)
    after, (_, rest) = world.equity(loser), world.clearing.view.margin(loser)
    assert after >= 0
    assert (after + 2) * upkeep >= equity * rest  # within a wei of each booking
    world.sound()


def test_nobody_is_liquidated_right_after_opening():
    """Peers 23: liquidated at once after opening, at exactly the initial margin."""
    world = Stage(PENALTY)
    trader, maker = world.trader("trader", 100 * WAD), world.trader("maker", 10_000 * WAD)
    with pytest.raises(Reverted, match=r"^margin: below initial$"):
        world.fill(trader, maker, 10 * WAD, 100 * WAD + 1)
    world.fill(trader, maker, 10 * WAD, 100 * WAD)
    with pytest.raises(Reverted, match=r"^liquidation: account healthy$"):
        take(world, trader)


def test_nobody_is_liquidated_by_a_changed_parameter_unannounced():
    """Peers 23: margins rise only two days after the same parameters were announced."""
    world, loser, _ = stage(loser_cash=100 * WAD)
    group = world.clearing.view.market_params(1).group
    asked = replace(
        world.params, group=group, initial_margin_bps=5_000, maintenance_margin_bps=2_000
    )
    other = replace(asked, maintenance_margin_bps=2_001)

    def change(params) -> None:
        world.clearing.send.set_market(1, params.as_tuple(), sender=OWNER)

    for params in (asked, replace(world.params, maintenance_margin_bps=501)):
        with pytest.raises(Reverted, match=r"^listing: not announced$"):
            change(params)
    world.clearing.send.announce(1, asked.as_tuple(), sender=OWNER)
    world.next_block(2 * DAY - 1)
    with pytest.raises(Reverted, match=r"^listing: not announced$"):
        change(asked)
    with pytest.raises(Reverted, match=r"^liquidation: account healthy$"):
        take(world, loser)
    world.next_block(1)
    with pytest.raises(Reverted, match=r"^listing: not announced$"):
        change(other)
    change(asked)
    assert take(world, loser) > 0


@pytest.mark.parametrize("slices", [1, 7])
def test_liquidating_oneself_earns_nothing(slices: int):
    """Peers 24: open and liquidate oneself for the fee. All one's accounts together only pay."""
    world = Stage(REAL_FEES)
    world.donate(RESERVE, 1_000 * WAD)
    mine = [world.trader("me", 0, sub) for sub in range(3)]
    maker = world.trader("maker", 10_000 * WAD)
    for account, cash in zip(mine, (60, 10_000, 10_000), strict=True):
        world.deposit(account, cash * WAD)
    start = sum(world.equity(account) for account in mine)
    world.fill(mine[0], mine[1], 10 * WAD, 100 * WAD)
    with pytest.raises(Reverted, match=r"^liquidation: account healthy$"):
        world.clearing.send.liquidate(mine[0], 1, MAX, mine[2], sender=address("me"))
    world.price(94 * WAD + 4 * WAD // 10)
    reserve = world.vault.view.keeper_reserve()
    for size in [10 * WAD // slices] * (slices - 1) + [MAX]:
        world.clearing.send.liquidate(mine[0], 1, size, mine[2], sender=address("me"))
    assert world.size(mine[0]) == 0
    if slices == 7:
        assert world.vault.view.keeper_reserve() < reserve  # the leg's fee came back
    assert sum(world.equity(account) for account in mine) <= start
    assert reserve - world.vault.view.keeper_reserve() <= WAD // 2  # the leg's own fee: 0.5
    assert world.equity(maker) == 10_000 * WAD
    world.sound()


def test_rest_not_worth_liquidating_is_not_left():
    """Peers 27: dust left over by a liquidation or a trade; one unit either side of the minimum."""
    params = replace(PENALTY, min_notional_quote=88 * WAD)
    world, loser, (winner,) = stage(params=params, loser_cash=150 * WAD)
    world.price(88 * WAD)
    allowed = world.clearing.view.max_liquidation(loser, 1)[0]
    assert allowed == 10 * WAD or allowed <= 9 * WAD
    world.reconfigure(liquidation_target_bps=100_000)
    with pytest.raises(Reverted, match=r"^liquidation: rest below minimum$"):
        take(world, loser, 9 * WAD + 1)
    with world.chain.rolled_back():
        take(world, loser, 9 * WAD)
        assert world.size(loser) == WAD
    with pytest.raises(Reverted, match=r"^clearing: below minimum$"):
        world.fill(winner, loser, 9 * WAD + 1, 88 * WAD)
    world.fill(winner, loser, 9 * WAD, 88 * WAD)
    assert world.size(winner) == -WAD


def test_account_cannot_liquidate_itself():
    """Peers 28: liquidator and account the same; two accounts in one bucket do not mix."""
    world, loser, _ = stage(params=PENALTY, loser_cash=125 * WAD)
    twin = world.trader("twin", 125 * WAD)
    world.next_block()
    world.fill(twin, world.trader("maker", 10_000 * WAD), 10 * WAD, 100 * WAD)
    world.price(88 * WAD)
    with pytest.raises(Reverted, match=r"^liquidation: self$"):
        world.clearing.send.liquidate(loser, 1, MAX, loser, sender=address("loser"))
    with pytest.raises(Reverted, match=r"^liquidation: not the operator$"):
        world.clearing.send.liquidate(loser, 1, MAX, twin, sender=KEEPER)
    assert world.clearing.view.bucket_of(loser, 1) == world.clearing.view.bucket_of(twin, 1)
    before = world.equity(twin)
    world.deposit(twin, 10_000 * WAD)
    world.clearing.send.liquidate(loser, 1, 6 * WAD, twin, sender=address("twin"))
    assert (world.size(loser), world.size(twin)) == (4 * WAD, 16 * WAD)
    penalty = 6 * (88 * WAD - world.clearing.view.position(loser, 1)[1])
    assert penalty < 0  # the loser's entry is 100 still
    assert world.equity(twin) >= before + 10_000 * WAD
    world.sound()


def deleverage_gas(dusty: int, buckets: int = 8) -> int:
    """Gas of closing a loser against one bucket of a winner and `dusty` accounts of 1 quote."""
    world, loser, _ = stage(buckets=buckets, loser_cash=152 * WAD)
    maker = world.trader("maker", 10**6 * WAD)
    for i in range(dusty):
        small = world.trader(f"dust {i}", WAD)
        world.next_block()
        world.fill(maker, small, WAD // 100, 100 * WAD)
    world.price(80 * WAD)
    for account in world.people[1:]:
        world.clearing.send.refresh(account, sender=KEEPER)
    receipt = world.clearing.send.deleverage(loser, sender=KEEPER, exact_gas=True)
    assert world.size(loser) == 0
    return receipt.gas_used


def test_dust_accounts_do_not_exhaust_gas():
    """Peers 26, S9: a crowd of dust accounts in the winner's bucket costs nothing."""
    alone = deleverage_gas(1)
    assert deleverage_gas(60) <= alone * 102 // 100
    assert alone < 400_000


def test_decoys_do_not_exhaust_gas_nor_hide_anyone():
    """Peers 26: a decoy in each of many buckets ahead of the rest: each call is bounded, takes its
    fixed number of buckets, and what is left is closed by the next."""
    world, loser, _ = stage(buckets=4, loser_cash=500 * WAD)
    maker = world.trader("maker", 10**6 * WAD)
    for i in range(30):
        world.price((100 * WAD) + i * WAD)
        world.fill(maker, world.trader(f"decoy {i}", 100 * WAD), WAD // 50, (100 + i) * WAD)
    world.price(45 * WAD)
    gas = []
    while world.equity(loser) < 0:
        open_before = world.size(loser)
        receipt = world.clearing.send.deleverage(loser, sender=KEEPER, exact_gas=True)
        gas.append(receipt.gas_used)
        assert world.size(loser) < open_before
    assert len(gas) <= 31 // 4 + 1
    assert max(gas) < 600_000
    # A liquidation looks at no bucket but its own.
    world.sound()


def test_victim_cannot_make_its_liquidation_expensive():
    """Peers 26: the gas of a liquidation grows with the account's own legs alone, at most 16."""
    figures = []
    for legs in (1, 16):
        world = Stage(PENALTY, prices=(100 * WAD,) * legs)
        loser, maker = world.trader("loser", 10 * legs * WAD + WAD), world.trader("m", 10**6 * WAD)
        liquidator = world.trader("liquidator", 10**6 * WAD)
        world.next_block()
        for market in world.markets:
            world.fill(loser, maker, WAD, 100 * WAD, market)
        for market in world.markets:
            world.price(92 * WAD, market, seconds=0 if market > 1 else 12)
        receipt = world.clearing.send.liquidate(
            loser, 1, MAX, liquidator, sender=address("liquidator"), exact_gas=True
        )
        figures.append(receipt.gas_used)
    # Each leg is booked, priced and counted once before the exchange and once after it.
    assert figures[1] < figures[0] + 15 * 65_000
    assert figures[1] < 1_500_000


def test_idle_calls_cost_nobody_anything():
    """Peers 20: a stranger's settle, refresh and deposit of nothing leave all as it was."""
    world, loser, winners = stage()
    world.price(88 * WAD)
    for account in (loser, *winners):
        world.clearing.send.refresh(account, sender=KEEPER)
    before = seen(world, world.people)
    for account in (loser, *winners):
        world.settle(account)
        world.clearing.send.refresh(account, sender=world.stranger())
        with pytest.raises(Reverted, match=r"^vault: zero amount$"):
            world.vault.send.deposit(account, 0, sender=world.stranger())
    assert seen(world, world.people) == before
    assert world.cash(INSURANCE) == 0
