"""Directed tests of the invariants of design section 11, by number."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from ballast.errors import Reverted
from tests.support.sound import seen
from tests.support.stage import Stage, stage
from tests.support.world import (
    GUARDIAN,
    INSURANCE,
    KEEPER,
    MAX,
    REAL_FEES,
    RESERVE,
    WAD,
    ZERO_FEES,
    address,
)

PENALTY = replace(ZERO_FEES, liquidation_penalty_bps=300, penalty_insurance_share_bps=0)
FUNDED = replace(ZERO_FEES, premium_cap_bps=1_000, funding_cap_bps=400)


# S3: unpaid profit only, never cash


@pytest.mark.parametrize("insurance", [0, 30 * WAD])
@pytest.mark.parametrize("at", [130, 300, 1_000])
def test_s3_bystanders_lose_nothing(at: int, insurance: int):
    """S3: accounts without position or claim in the group lose nothing, whatever is written off."""
    world = Stage(prices=(100 * WAD, 100 * WAD), groups=(1, 2))
    loser, winner = world.trader("loser", 120 * WAD), world.trader("winner", 500 * WAD)
    idle = world.trader("idle", 777 * WAD)
    gone = world.trader("gone", 1_000 * WAD)
    other = [world.trader(f"other {i}", 900 * WAD) for i in range(2)]
    world.next_block()
    world.fill(gone, winner, WAD, 100 * WAD)
    world.fill(winner, gone, WAD, 100 * WAD)  # traded in the group, and has left it
    world.fill(*other, 5 * WAD, 100 * WAD, 2)
    world.fill(winner, loser, 10 * WAD, 100 * WAD)
    if insurance:
        world.donate(INSURANCE, insurance)
    world.price(at * WAD)
    if at == 130:
        world.fill(gone, winner, 10 * WAD, at * WAD)
    kept = [idle, *other] if at == 130 else [idle, gone, *other]
    before = {account: (world.cash(account), world.equity(account)) for account in kept}
    world.close_all(loser)
    world.settle(*world.people)
    assert {account: (world.cash(account), world.equity(account)) for account in kept} == before
    world.next_block()
    owner = address("idle")
    world.vault.send.withdraw(idle, 777 * WAD, owner, sender=owner)
    world.sound(groups=(1, 2))


@pytest.mark.parametrize("seed", range(6))
def test_s3_cost_of_anothers_bankruptcy_is_at_most_unpaid_profit(seed: int):
    """S3: an account gives at most its waiting claim and its open gain there, and no cash."""
    rng = random.Random(seed)
    world = Stage(buckets=rng.randrange(1, 5))
    loser = world.trader("loser", 200 * WAD)
    members = [world.trader(f"m {i}", rng.randrange(100, 900) * WAD) for i in range(6)]
    world.next_block()
    for i, member in enumerate(members):
        world.price((100 - 3 * i) * WAD)
        world.fill(
            loser, member, rng.randrange(1, 3) * WAD + rng.randrange(99), (100 - 3 * i) * WAD
        )
    world.price(rng.randrange(20, 75) * WAD)
    late = world.trader("late", 10_000 * WAD)
    world.fill(members[0], late, WAD // 2, world.oracle.view.price(1)[0])  # part of it a claim
    world.donate(INSURANCE, rng.randrange(1, 50) * WAD)
    view, price = world.clearing.view, world.oracle.view.price(1)[0]
    bound, cash, before = {}, {}, {}
    for account in [*members, late]:
        size, entry, _ = view.position(account, 1)
        gain = max(0, -size * (entry - price) // WAD)
        bound[account] = gain + max(0, view.unsettled(account))
        cash[account], before[account] = world.cash(account), world.equity(account)
    while world.equity(loser) < 0:
        world.deleverage(loser, world.stranger())
        for account in bound:
            assert before[account] - world.equity(account) <= bound[account] + 8
            assert world.cash(account) == cash[account]
        world.sound()
    world.settle(*world.people)
    for account in bound:
        assert world.cash(account) >= min(cash[account], before[account] - bound[account]) - 8


# S5: settle or refresh by others


def test_s5_settle_and_refresh_write_nothing_when_nothing_has_changed():
    """S5: no log, and not a bit of what the views show; also in later blocks at the same prices."""
    world, _, winners = stage(
        params=FUNDED, winners=(4 * WAD, 6 * WAD), loser_cash=500 * WAD, reward_bps=5
    )
    victim = world.trader("victim", 12 * WAD)
    world.next_block()
    world.fill(victim, winners[0], WAD, 100 * WAD)
    world.price(70 * WAD)
    world.close_all(victim)
    for account in world.people:
        world.settle(account)
        world.clearing.send.refresh(account, sender=KEEPER)
    before = seen(world, world.people)
    for account in world.people:
        for call in (world.clearing.send.settle, world.clearing.send.refresh):
            assert call(account, sender=world.stranger()).logs == []
    assert seen(world, world.people) == before


def test_s5_nothing_is_written_in_a_later_block_without_change():
    """S5: a new block alone (no funding, the same price) is no change."""
    world, loser, winners = stage(winners=(4 * WAD, 6 * WAD))
    world.price(90 * WAD)
    for account in (loser, *winners):
        world.clearing.send.refresh(account, sender=KEEPER)
        world.settle(account)
    for _ in range(3):
        world.next_block(3_600)
        for account in (loser, *winners):
            for call in (world.clearing.send.settle, world.clearing.send.refresh):
                assert call(account, sender=world.stranger()).logs == []


@pytest.mark.parametrize("call", ["settle", "refresh"])
@pytest.mark.parametrize("seed", range(3))
def test_s5_settle_and_refresh_by_others_cost_dust(call: str, seed: int):
    """S5: whatever is due (funding, forced closes, claims, draws on losses), equity falls by at
    most a few wei a leg, and nobody else's by more than that."""
    rng = random.Random(seed)
    world = Stage(FUNDED, prices=(100 * WAD, 30 * WAD + 1), buckets=2)
    people = [world.trader(f"t {i}", rng.randrange(60, 900) * WAD + i) for i in range(8)]
    world.next_block()
    for _ in range(40):
        buyer, seller = rng.sample(people, 2)
        market = rng.choice(world.markets)
        price = world.oracle.view.price(market)[0]
        try:
            world.fill(buyer, seller, rng.randrange(WAD // 10, WAD), price * 101 // 100, market)
        except Reverted:
            continue
        if rng.random() < 0.2:
            world.price(price * rng.randrange(80, 125) // 100, market, rng.choice((12, 3_600)))
    world.price(55 * WAD, 1, 3_600)
    for account in people:
        if world.equity(account) < 0:
            world.deleverage(account)
    for account in people:
        before = [world.equity(other) for other in people]
        getattr(world.clearing.send, call)(account, sender=world.stranger())
        after = [world.equity(other) for other in people]
        for was, now in zip(before, after, strict=True):
            assert was - now <= 12
            assert now - was <= 12
    world.sound()


# S7: a liquidation lowers neither health nor equity below what is due


@pytest.mark.parametrize("cash", range(120, 166, 5))
def test_s7_liquidation_with_equity_keeps_health(cash: int):
    """S7: with E >= 0, E / MM of what is left does not fall and E does not go below zero."""
    world, loser, _ = stage(params=PENALTY, loser_cash=cash * WAD)
    liquidator = world.trader("liquidator", 10_000 * WAD)
    world.price(88 * WAD)
    equity, (_, upkeep) = world.equity(loser), world.clearing.view.margin(loser)
    healthy = equity >= upkeep
    rest, left = upkeep, equity
    while world.clearing.view.max_liquidation(loser, 1)[0]:
        world.clearing.send.liquidate(loser, 1, 2 * WAD, liquidator, sender=address("liquidator"))
        after, (_, now) = world.equity(loser), world.clearing.view.margin(loser)
        assert after >= 0
        assert (after + 1) * rest >= left * now
        rest, left = now, after
    assert healthy or rest < upkeep
    world.sound()


@pytest.mark.parametrize("odd", [0, 1, 12_345, WAD // 3, WAD - 1])
def test_s7_part_taken_at_no_equity_costs_at_most_a_wei(odd: int):
    """S7, to the last unit: two parts of a leg are rounded apart, so E = 0 may become -1; then the
    account is resolved like any other. With the whole leg taken nothing is lost."""
    size = 10 * WAD + odd
    for cash in range(120 * WAD + 12 * odd - 4, 120 * WAD + 12 * odd + 5):
        world, loser, _ = stage(cash, size, (size,), params=PENALTY)
        liquidator = world.trader("liquidator", 10_000 * WAD)
        world.price(88 * WAD + odd)
        before, args = world.equity(loser), (liquidator,)
        if not 0 <= before <= 2 * 10**18:
            continue
        with world.chain.rolled_back():
            world.clearing.send.liquidate(loser, 1, MAX, *args, sender=address("liquidator"))
            assert world.equity(loser) >= 0
        part = 3 * WAD + odd // 2
        world.clearing.send.liquidate(loser, 1, part, *args, sender=address("liquidator"))
        assert world.equity(loser) >= -1
        if world.equity(loser) < 0:
            world.close_all(loser)
        world.sound()


@pytest.mark.parametrize("part", [WAD, 3 * WAD + 1, MAX])
def test_s7_take_over_of_a_bankrupt_does_not_lower_its_equity(part: int):
    """S7: with E < 0 a liquidation does not lower E, and insurance pays the size's share."""
    world, loser, _ = stage(params=PENALTY, loser_cash=150 * WAD, insurance=1_000 * WAD)
    liquidator = world.trader("liquidator", 10_000 * WAD)
    world.price(84 * WAD)
    before, fund = world.equity(loser), world.vault.view.insurance()
    assert before == -10 * WAD
    world.clearing.send.liquidate(loser, 1, part, liquidator, sender=address("liquidator"))
    drawn, taken = fund - world.vault.view.insurance(), 10 * WAD - world.size(loser)
    assert drawn == -(-10 * WAD * taken // (10 * WAD))
    assert before + drawn - 2 <= world.equity(loser) <= before + drawn
    assert world.equity(liquidator) == 10_000 * WAD
    world.sound()


# S8: exit always possible


def test_s8_who_meets_im_can_close():
    """S8: at exactly IM, with fees, against a partner who takes it, while the price is fresh;
    paused, with claims waiting, and in every part that leaves no dust."""
    world = Stage(REAL_FEES)
    trader, maker = world.trader("trader", 51 * WAD), world.trader("maker", 10_000 * WAD)
    world.next_block()
    world.fill(trader, maker, 10 * WAD, 100 * WAD)
    world.price(99_950_000_000_000_000_000)
    spare = world.clearing.view.free_cash(trader)
    world.vault.send.withdraw(trader, spare, KEEPER, sender=address("trader"))
    assert world.clearing.view.backing(trader) == world.clearing.view.margin(trader)[0]
    world.clearing.send.pause(0, True, sender=GUARDIAN)
    now = world.chain.timestamp
    price = world.clearing.view.price(1)[0]
    for status in (0, 2, 4):
        for part in (WAD, 5 * WAD, 10 * WAD):
            with world.chain.rolled_back():
                world.next_block()
                world.oracle.send.set_observation(1, price, now, status, sender=KEEPER)
                world.fill(maker, trader, part, price)
                assert world.size(trader) == 10 * WAD - part
                world.sound()


@pytest.mark.parametrize("trouble", ["broken", "stale", "paused", "claims", "shortfall"])
def test_s8_account_without_positions_withdraws_all_its_cash(trouble: str):
    """S8: whatever is wrong with oracle, market, group or everybody else."""
    world, loser, (winner,) = stage(loser_cash=150 * WAD)
    leaver = world.trader("leaver", 500 * WAD)
    world.fill(leaver, world.trader("maker", 5_000 * WAD), WAD, 100 * WAD)
    world.fill(world.trader("maker"), leaver, WAD, 100 * WAD)
    if trouble in ("claims", "shortfall"):
        world.price(50 * WAD)
        world.fill(winner, world.trader("maker"), 10 * WAD, 50 * WAD)
        assert world.clearing.view.claims(1) > 0
        leaver = winner
        if trouble == "shortfall":
            world.close_all(loser)
            assert world.clearing.view.shortfall(1) > 0
    else:
        world.next_block()
        if trouble == "paused":
            world.clearing.send.pause(0, True, sender=GUARDIAN)
        elif trouble == "broken":
            world.oracle.send.set_broken(1, True, sender=KEEPER)
        else:
            world.oracle.send.set_observation(1, 10**20, 1, 1, sender=KEEPER)
    owner, cash = address("leaver" if leaver != winner else "winner 0"), world.cash(leaver)
    world.deposit(leaver, 1)  # a stranger's wei of this block blocks nothing else
    free = world.clearing.view.free_cash(leaver)
    if trouble == "shortfall":  # what the loser had is waiting for it
        assert 0 <= cash + 150 * WAD - free <= 2
    else:
        assert free == cash
    world.vault.send.withdraw(leaver, free, owner, sender=owner)
    assert world.token.view.balanceOf(owner) == free
    assert world.cash(leaver) == 1
    world.sound()


def test_s8_debt_is_all_that_holds_an_account_without_positions():
    """S8: with a debt nothing is withdrawn; once it is paid, everything."""
    world, loser, _ = stage(loser_cash=150 * WAD, winners=(10 * WAD,))
    maker = world.trader("maker", 10**5 * WAD)
    world.price(85 * WAD)
    world.fill(maker, loser, 10 * WAD, 85 * WAD)  # E = 0: closing is allowed, and leaves nothing
    assert world.cash(loser) == world.clearing.view.unsettled(loser) == 0
    world.deposit(loser, 7 * WAD)
    with pytest.raises(Reverted, match=r"^vault: insufficient cash$"):
        world.vault.send.withdraw(loser, 7 * WAD, KEEPER, sender=address("loser"))
    world.next_block()
    world.vault.send.withdraw(loser, 7 * WAD, KEEPER, sender=address("loser"))
    assert world.cash(loser) == 0
    world.sound()


# S11: opening and closing at one price with no time between never profits


@pytest.mark.parametrize("fees", [ZERO_FEES, REAL_FEES], ids=["no fees", "fees"])
@pytest.mark.parametrize("price", [1, 3, 7_777_777, 10**18 + 1, 99 * 10**18 + 12_345])
def test_s11_round_trips_never_profit(fees, price: int):
    """S11: odd sizes, in parts, flipped, averaged: neither side, nor both together, gain a wei."""
    at = (100 * WAD) + price if price < 10**18 else price
    world = Stage(replace(fees, min_notional_quote=10**12), prices=(at,))
    one, two = world.trader("one", 10**6 * WAD), world.trader("two", 10**6 * WAD)
    world.next_block()
    rng = random.Random(price)
    for _ in range(15):
        start = world.equity(one), world.equity(two)
        net = 0
        for _ in range(rng.randrange(1, 6)):
            size = rng.randrange(10**15, 10**20)
            buyer, seller = (one, two) if rng.random() < 0.5 else (two, one)
            world.fill(buyer, seller, size, at)
            net += size if buyer == one else -size
        if net:
            world.fill(*((two, one) if net > 0 else (one, two)), abs(net), at)
        assert world.size(one) == world.size(two) == 0
        assert world.equity(one) <= start[0]
        assert world.equity(two) <= start[1]
        world.sound()


# S12: a repeated keeper call is a no-op or a clean revert


def test_s12_repeated_keeper_calls():
    """S12: settle and refresh write nothing the second time, the others refuse with a reason."""
    world, loser, _ = stage(params=PENALTY, reward_bps=10)
    world.donate(RESERVE, 10 * WAD)
    liquidator = world.trader("liquidator", 10_000 * WAD)
    sender = address("liquidator")

    def liquidate() -> None:
        world.clearing.send.liquidate(loser, 1, MAX, liquidator, sender=sender)

    world.price(86 * WAD)
    with world.chain.rolled_back():
        liquidate()
        before = seen(world, world.people)
        for _ in range(2):
            with pytest.raises(Reverted, match=r"^liquidation: (account healthy|no position)$"):
                liquidate()
        assert seen(world, world.people) == before
    world.price(80 * WAD)
    world.close_all(loser)
    caller = world.stranger()
    for call in ("settle", "refresh"):
        for account in world.people:
            getattr(world.clearing.send, call)(account, sender=caller)
            assert getattr(world.clearing.send, call)(account, sender=caller).logs == []
    before = seen(world, world.people)
    with pytest.raises(Reverted, match=r"^waterfall: account solvent$"):
        world.deleverage(loser, caller)
    with pytest.raises(Reverted, match=r"^liquidation: no position$"):
        liquidate()
    assert seen(world, world.people) == before
    assert world.cash(bytes.fromhex(caller[2:]) + bytes(12)) == 0  # no second reward


def test_s12_two_keepers_race_for_one_account():
    """S12: of two identical calls in one block one is paid, and the second costs its caller gas."""
    fees = replace(ZERO_FEES, taker_fee_bps=10)
    world, loser, _ = stage(151 * WAD, params=fees, reward_bps=10)
    world.donate(RESERVE, 10 * WAD)
    world.price(80 * WAD)
    first, second = world.stranger(), world.stranger()
    world.deleverage(loser, first)
    with pytest.raises(Reverted, match=r"^waterfall: account solvent$"):
        world.deleverage(loser, second)
    assert world.cash(bytes.fromhex(first[2:]) + bytes(12)) == 8 * WAD // 10
    assert world.vault.view.keeper_reserve() == 10 * WAD - 8 * WAD // 10
