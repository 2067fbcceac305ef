"""Failure modes of others' solvency and insurance (peers 15, 29 to 33)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.errors import Reverted
from tests.support.stage import Stage, forced_closes, stage
from tests.support.world import INSURANCE, KEEPER, MAX, WAD, ZERO_FEES, address

DAY = 86_400


def total(world: Stage, accounts: list[bytes]) -> int:
    """What accounts are worth together once everything is settled."""
    for _ in range(2):
        world.settle(*accounts)
    return sum(world.equity(account) for account in accounts)


@pytest.mark.parametrize(("cap", "at", "most"), [(10**6, 80, 40), (13, 80, 13), (10**6, 60, 30)])
def test_pair_of_ones_own_cannot_mine_the_fund_beyond_its_caps(cap: int, at: int, most: int):
    """Peers 15: bankrupt one's own account for insurance. At most the leg's maintenance margin at
    the price of the call, and what the market's allowance has left."""
    params = replace(ZERO_FEES, insurance_cap_quote=cap * WAD)
    world, loser, (winner,) = stage(params=params, loser_cash=100 * WAD, insurance=10**6 * WAD)
    mine = [loser, winner]
    start = total(world, mine)
    world.price(at * WAD)
    world.close_all(loser, 1)
    drawn = 10**6 * WAD - world.vault.view.insurance()
    assert drawn == most * WAD
    assert 0 <= start + drawn - total(world, mine) <= 8
    world.sound()


def test_splitting_a_pair_does_not_widen_the_caps():
    """Peers 15: many small accounts, blocks in a row, and take-overs draw on one allowance."""
    params = replace(ZERO_FEES, insurance_cap_quote=9 * WAD)
    world = Stage(params)
    losers = [world.trader("me", 100 * WAD // 8, sub) for sub in range(8)]
    winner = world.trader("me", 5_000 * WAD, 99)
    world.donate(INSURANCE, 10**6 * WAD)
    start = total(world, [*losers, winner])
    world.next_block()
    for loser in losers:
        world.fill(loser, winner, WAD, 100 * WAD)
    world.price(86 * WAD)
    for loser in losers:
        deficit = -world.equity(loser)
        assert deficit == 3 * WAD // 2
        before = world.vault.view.insurance()
        args = loser, 1, MAX, winner
        if world.clearing.view.insurance_left(1) >= deficit:
            world.clearing.send.liquidate(*args, sender=address("me"))
            assert before - world.vault.view.insurance() == deficit
        else:
            with pytest.raises(Reverted, match=r"^liquidation: insurance short$"):
                world.clearing.send.liquidate(*args, sender=address("me"))
            world.close_all(loser)
        world.next_block(1)
    drawn = 10**6 * WAD - world.vault.view.insurance()
    refilled = 9 * WAD * 8 // DAY
    assert 9 * WAD - 8 <= drawn <= 9 * WAD + refilled + 8
    assert total(world, [*losers, winner]) <= start + drawn
    world.sound()


def test_debt_without_position_draws_on_the_groups_allowance_alone():
    """Peers 15: nor is what remains without a position a second door to the fund."""
    params = replace(ZERO_FEES, insurance_cap_quote=0)
    world, loser, (winner,) = stage(
        params=params, loser_cash=100 * WAD, insurance=10**6 * WAD, insurance_cap_quote=7 * WAD
    )
    late = world.trader("late", 1_000 * WAD)
    world.price(80 * WAD)
    world.fill(winner, late, 10 * WAD, 80 * WAD)  # the winner's profit is a claim
    world.close_all(loser)
    assert 10**6 * WAD - world.vault.view.insurance() == 7 * WAD
    assert world.clearing.view.shortfall(1) == 93 * WAD
    assert 0 <= 1_200 * WAD - total(world, [winner]) <= 2
    assert 0 <= world.clearing.view.claims(1) - 93 * WAD <= 2
    world.sound()


def test_profit_cannot_be_withdrawn_before_the_loser_has_paid():
    """Peers 29: realised profit withdrawn before the loser has paid (Drift, over $10M)."""
    world, loser, (winner,) = stage(loser_cash=150 * WAD)
    late = world.trader("late", 5_000 * WAD)
    world.price(20 * WAD)
    world.fill(winner, late, 10 * WAD, 20 * WAD)
    assert world.clearing.view.unsettled(winner) == 800 * WAD
    assert world.cash(winner) == world.clearing.view.free_cash(winner) == 1_000 * WAD
    owner, held = address("winner 0"), world.token.view.balanceOf(world.vault.address)
    with pytest.raises(Reverted, match=r"^vault: insufficient cash$"):
        world.vault.send.withdraw(winner, 1_000 * WAD + 1, owner, sender=owner)
    world.vault.send.withdraw(winner, 1_000 * WAD, owner, sender=owner)
    # Everybody else's cash is there to the last unit.
    assert world.token.view.balanceOf(world.vault.address) == held - 1_000 * WAD
    assert (world.cash(loser), world.cash(late)) == (150 * WAD, 5_000 * WAD)
    world.settle(loser, winner)
    assert world.cash(winner) == 150 * WAD
    world.sound()


def test_profit_on_paper_backs_no_new_risk():
    """Peers 29: nor does it carry a larger position."""
    world, _, (winner,) = stage()
    world.vault.send.withdraw(winner, 900 * WAD, KEEPER, sender=address("winner 0"))
    other = world.trader("other", 10**5 * WAD)
    world.price(50 * WAD)
    assert world.equity(winner) == 600 * WAD
    assert world.clearing.view.backing(winner) == 100 * WAD
    with pytest.raises(Reverted, match=r"^margin: below initial$"):
        world.fill(other, winner, 10 * WAD + 1, 50 * WAD)
    world.fill(other, winner, 10 * WAD, 50 * WAD)


@pytest.mark.parametrize("buckets", [1, 2, 8])
def test_insurance_pays_with_the_size_it_pays_for(buckets: int):
    """Peers 30: a fund's payment ahead of (or after) the loss: negative transfers, a halted chain.
    Each call draws the part of I_m that belongs to the size it closes, into the pool."""
    world = Stage(buckets=buckets)
    loser = world.trader("loser", 150 * WAD)
    winners = [world.trader(f"winner {i}", c * WAD) for i, c in enumerate((80, 170, 2_000))]
    world.next_block()
    for part, winner in zip((2, 3, 5), winners, strict=True):
        world.fill(loser, winner, part * WAD, 100 * WAD)
    world.donate(INSURANCE, 20 * WAD)
    world.price(80 * WAD)
    while world.equity(loser) < 0:
        insurance, size = world.vault.view.insurance(), world.size(loser)
        cash, pool = world.cash(loser), world.vault.view.pool_of(1)
        receipt = world.clearing.send.deleverage(loser, sender=KEEPER)
        closed = size - world.size(loser)
        drawn = insurance - world.vault.view.insurance()
        assert drawn == -(-insurance * closed // size)
        assert world.cash(loser) <= cash
        assert world.vault.view.pool_of(1) - pool == drawn + cash - world.cash(loser)
        assert sum(c.args["size"] for c in forced_closes(world.clearing, receipt)) == closed
    assert world.vault.view.insurance() == 0
    world.sound()


def test_empty_fund_is_no_obstacle_and_never_negative():
    """Peers 30: with 0 or 1 wei in the fund everything is resolved all the same."""
    for insurance in (0, 1):
        world, loser, _ = stage(insurance=insurance)
        world.price(80 * WAD)
        assert world.deleverage(loser) == (0, 0)
        assert world.vault.view.insurance() == 0
        world.sound()


def test_loss_of_one_market_is_limited_to_its_allowance_and_its_group():
    """Peers 31: one market's loss drains a shared fund (JELLY, YFI)."""
    params = replace(ZERO_FEES, insurance_cap_quote=30 * WAD)
    world = Stage(
        params,
        prices=(100 * WAD, 100 * WAD, 100 * WAD),
        groups=(1, 1, 2),
        insurance_cap_quote=5 * WAD,
    )
    world.donate(INSURANCE, 1_000 * WAD)
    sides = {}
    for market in world.markets:
        sides[market] = world.trader(f"long {market}", 150 * WAD), world.trader(f"s {market}", WAD)
        world.deposit(sides[market][1], 1_000 * WAD)
    world.next_block()
    for market, (buyer, seller) in sides.items():
        world.fill(buyer, seller, 10 * WAD, 100 * WAD, market)
    pool = world.vault.view.pool_of(2)
    world.price(WAD, 1)
    world.close_all(sides[1][0])
    lost = 1_000 * WAD - world.vault.view.insurance()
    assert lost <= 35 * WAD  # the market's allowance and the group's, no more
    assert world.vault.view.pool_of(2) == pool
    assert (
        world.clearing.view.insurance_left(2) == world.clearing.view.insurance_left(3) == 30 * WAD
    )
    for market in (2, 3):
        for account in sides[market]:
            assert world.equity(account) == (150 if account == sides[market][0] else 1_001) * WAD
    # The others' deficits still find their part of the fund.
    world.price(84 * WAD, 3)
    before = world.vault.view.insurance()
    world.close_all(sides[3][0])
    assert before - world.vault.view.insurance() == 10 * WAD
    world.sound(groups=(1, 2))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_first_to_come_gets_no_more(order: tuple[int, ...]):
    """Peers 32: the first to withdraw escapes the loss. Claims are paid pro rata, whoever calls."""
    world, loser, winners = stage(loser_cash=150 * WAD, winners=(WAD, 3 * WAD, 6 * WAD))
    late = world.trader("late", 5_000 * WAD)
    world.price(60 * WAD)
    sizes = (1, 3, 6)
    for i in order:
        world.fill(winners[i], late, sizes[i] * WAD, 60 * WAD)
    assert world.clearing.view.claims(1) == 400 * WAD
    world.close_all(loser)
    assert world.clearing.view.shortfall(1) == 250 * WAD
    for i in order:
        world.settle(winners[i])
        owner = address(f"winner {i}")
        paid = world.cash(winners[i]) - 1_000 * WAD
        assert abs(paid - 15 * sizes[i] * WAD) <= 4
        world.next_block()
        world.vault.send.withdraw(winners[i], world.cash(winners[i]), owner, sender=owner)
    for i, size in enumerate(sizes):
        assert abs(world.clearing.view.unsettled(winners[i]) - 25 * size * WAD) <= 4
    world.sound()


def test_stakers_cannot_leave_ahead_of_a_known_loss():
    """Peers 33: no standing option to leave; a request lapses; none leaves in a block of a draw."""
    world, loser, _ = stage(loser_cash=150 * WAD)
    staker, shares = address("staker"), world.fund.view.balanceOf
    world.mint(staker, 100 * WAD)
    world.token.send.approve(world.fund.address, MAX, sender=staker)
    world.fund.send.deposit(100 * WAD, staker, sender=staker)
    world.fund.send.request_redeem(shares(staker), sender=staker)
    world.next_block(3 * DAY)  # the window (a day after a day) has lapsed
    world.price(80 * WAD)
    held = world.fund.view.escrowed(staker)
    with pytest.raises(Reverted, match=r"^fund: request lapsed$"):
        world.fund.send.redeem(held, staker, staker, sender=staker)
    world.fund.send.request_redeem(held, sender=staker)
    with pytest.raises(Reverted, match=r"^fund: cooling down$"):
        world.fund.send.redeem(held, staker, staker, sender=staker)
    world.next_block(DAY)
    world.deleverage(loser)
    with pytest.raises(Reverted, match=r"^fund: draw in this block$"):
        world.fund.send.redeem(held, staker, staker, sender=staker)
    world.next_block()
    before = world.token.view.balanceOf(staker)
    world.fund.send.redeem(held, staker, staker, sender=staker)
    got = world.token.view.balanceOf(staker) - before
    assert 60 * WAD - 10**10 <= got <= 60 * WAD  # 40 of the loss were the stakers'
    world.sound()


def test_first_staker_cannot_inflate_the_shares():
    """Peers 33: a donation ahead of somebody's first deposit takes nothing from it."""
    world = Stage()
    thief, staker = address("thief"), address("staker")
    for who in (thief, staker):
        world.mint(who, 10_000 * WAD)
        world.token.send.approve(world.fund.address, MAX, sender=who)
    world.fund.send.deposit(1, thief, sender=thief)
    world.vault.send.donate(INSURANCE, 1_000 * WAD, sender=thief)
    world.fund.send.deposit(100 * WAD, staker, sender=staker)
    worth = world.fund.view.convertToAssets(world.fund.view.balanceOf(staker))
    assert 100 * WAD - worth <= 10**12
    # Half of the gift went to the virtual shares: the attempt costs the thief 500.
    assert world.fund.view.convertToAssets(world.fund.view.balanceOf(thief)) < 501 * WAD
