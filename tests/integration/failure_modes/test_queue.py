"""Failure modes of others' deleveraging (peers 1 to 14); 7 is in test_permissionless.py."""

from __future__ import annotations

import random

import pytest

from ballast.errors import Reverted
from tests.support.sound import queue, seen
from tests.support.stage import Stage, drained, forced_closes, stage
from tests.support.world import GUARDIAN, INSURANCE, KEEPER, MAX, WAD, address


def test_account_that_recovered_is_not_deleveraged():
    """Peers 1: eligibility in a flag goes stale. Here each call looks at the state it meets."""
    world, loser, (winner,) = stage(loser_cash=150 * WAD)
    world.price(80 * WAD)
    assert world.clearing.view.preview_deleverage(loser) != []
    with world.chain.rolled_back():
        world.price(86 * WAD)
        with pytest.raises(Reverted, match=r"^waterfall: account solvent$"):
            world.deleverage(loser)
    world.deposit(loser, 50 * WAD)  # E = 0 again, in the block in which it was bankrupt
    with pytest.raises(Reverted, match=r"^waterfall: account solvent$"):
        world.deleverage(loser)
    assert world.size(winner) == -10 * WAD


def test_account_that_recovers_between_two_calls_keeps_the_rest():
    """Peers 1: being in the middle of a deleveraging is no state either."""
    world, loser, winners = stage(winners=(4 * WAD, 6 * WAD), buckets=1)
    # The second winner's leverage puts it into a bucket of its own.
    world.vault.send.withdraw(winners[1], 700 * WAD, KEEPER, sender=address("winner 1"))
    world.clearing.send.refresh(winners[1], sender=KEEPER)
    world.price(80 * WAD)
    assert world.deleverage(loser)[1] > 0
    left = world.size(loser)
    assert 0 < left < 10 * WAD
    world.price(95 * WAD)
    assert world.equity(loser) >= 0
    with pytest.raises(Reverted, match=r"^waterfall: account solvent$"):
        world.deleverage(loser)
    assert world.size(loser) == left
    world.sound()


def test_trigger_and_fill_have_one_price():
    """Peers 2: ADL priced older than the state that allowed it."""
    world, loser, winners = stage(winners=(4 * WAD, 6 * WAD), insurance=20 * WAD, buckets=1)
    world.vault.send.withdraw(winners[1], 850 * WAD, KEEPER, sender=address("winner 1"))
    world.clearing.send.refresh(winners[1], sender=KEEPER)
    world.price(80 * WAD)
    for _ in range(2):
        receipt = world.clearing.send.deleverage(loser, sender=world.stranger())
        (close,) = forced_closes(world.clearing, receipt)
        # E = -50 at 80, of which insurance pays 20: 3 a base from the price E was computed at.
        assert (close.args["oracle_price"], close.args["price"]) == (80 * WAD, 83 * WAD)
        world.oracle.send.set_price(1, 60 * WAD, sender=KEEPER)
    assert world.size(loser) == 0


def test_bankruptcy_at_the_last_blocks_price_allows_nothing():
    """Peers 2: an account bankrupt at an old price is closed neither at it nor at the new one."""
    world, loser, _ = stage()
    world.price(80 * WAD)
    with world.chain.rolled_back():
        world.deleverage(loser)
    world.price(90 * WAD)
    with pytest.raises(Reverted, match=r"^waterfall: account solvent$"):
        world.deleverage(loser)


@pytest.mark.parametrize("insurance", [0, 1, 20 * WAD, 50 * WAD, 10**6 * WAD])
@pytest.mark.parametrize("at", [84, 80, 61, 30, 1])
def test_members_are_closed_between_oracle_and_bankruptcy_price(at: int, insurance: int):
    """Peers 3: an unbounded price. For a long: P <= b <= bankruptcy price, whatever insurance."""
    world, loser, (winner,) = stage(insurance=insurance)
    world.price(at * WAD)
    bankruptcy = 85 * WAD  # cash 150 over 10 from 100
    receipt = world.clearing.send.deleverage(loser, sender=KEEPER)
    prices = [close.args["price"] for close in forced_closes(world.clearing, receipt)]
    assert prices
    assert all(at * WAD <= price <= bankruptcy for price in prices)
    got = world.equity(winner) - 1_000 * WAD - 10 * (100 * WAD - prices[0])
    assert got in (-1, 0)  # a credit is rounded down


def test_every_leg_stays_a_candidate():
    """Peers 4: no touch takes a position out of the queue: buckets hold what accounts do."""
    world, _, winners = stage(winners=(2 * WAD, 3 * WAD, 5 * WAD), buckets=1)
    rng = random.Random(4)
    extra = [world.trader(f"extra {i}", 2_000 * WAD) for i in range(3)]
    for _ in range(40):
        world.price(rng.randrange(60, 140) * WAD, seconds=rng.choice((0, 12, 3_600)))
        who = rng.choice(world.people)
        call = rng.choice(("settle", "refresh", "deleverage", "fill", "fill"))
        buyer, seller = rng.sample([*extra, *winners], 2)
        try:
            if call == "fill":
                world.fill(buyer, seller, rng.randrange(1, 4) * WAD, world.oracle.view.price(1)[0])
            else:
                getattr(world.clearing.send, call)(who, sender=KEEPER)
        except Reverted:
            continue
        sides = {True: 0, False: 0}
        for account in world.people:
            held = world.size(account)
            sides[held > 0] += abs(held)
            if held:
                bucket = world.clearing.view.bucket_of(account, 1)
                assert bucket in {entry.bucket_id for entry in queue(world, 1, held > 0)}
        for is_long, held in sides.items():
            in_buckets = sum(entry.size_base for entry in queue(world, 1, is_long))
            assert abs(in_buckets - held) <= len(world.people)
    world.sound()


@pytest.mark.parametrize("market", [0, 1])
def test_pause_stops_no_reduction_of_risk(market: int):
    """Peers 5: a market (or all) paused in the middle; what lowers risk goes on."""
    world, loser, (winner,) = stage(insurance=10**6 * WAD, loser_cash=150 * WAD)
    keeper = world.trader("liquidator", 10_000 * WAD)
    world.clearing.send.pause(market, True, sender=GUARDIAN)
    world.next_block()
    with pytest.raises(Reverted, match=r"^market: paused$"):
        world.fill(loser, winner, WAD, 100 * WAD)
    world.fill(winner, loser, WAD, 100 * WAD)
    world.price(86 * WAD)
    taken = world.clearing.send.liquidate(loser, 1, WAD, keeper, sender=address("liquidator"))
    assert world.clearing.returned(taken, "liquidate", 4) == WAD
    world.price(70 * WAD)
    world.settle(loser, winner, keeper)
    world.clearing.send.refresh(winner, sender=KEEPER)
    world.close_all(loser)
    assert world.size(loser) == 0
    world.next_block()
    world.vault.send.withdraw(keeper, 100 * WAD, KEEPER, sender=address("liquidator"))
    world.sound()


def test_market_that_lost_its_oracle_closes_by_no_force_but_the_other_leg_goes_on():
    """Peers 5: a market delisted by its feed: reductions and the account's other legs go on."""
    world = Stage(prices=(100 * WAD, 100 * WAD))
    loser, winner = world.trader("loser", 300 * WAD), world.trader("winner", 10_000 * WAD)
    others = [world.trader(f"other {i}", 10_000 * WAD) for i in range(2)]
    world.next_block()
    for market in (1, 2):
        world.fill(loser, winner, 10 * WAD, 100 * WAD, market)
    world.price(75 * WAD, 1)
    world.price(75 * WAD, 2)
    world.fill(*others, WAD, 75 * WAD)  # the last price anyone has seen is 75
    world.next_block()
    world.oracle.send.set_broken(1, True, sender=KEEPER)
    assert world.equity(loser) == -200 * WAD
    world.deleverage(loser)
    assert (world.size(loser, 1), world.size(loser, 2)) == (10 * WAD, 0)
    world.fill(winner, others[0], WAD, 80 * WAD, 1)  # both reduce, near the last price
    assert (world.size(winner, 1), world.size(others[0], 1)) == (-9 * WAD, 0)
    world.sound()


def test_keeper_cannot_pick_victims():
    """Peers 6: the outcome of a call is the same whoever calls, and whatever others joined when."""
    outcomes = []
    for order in ((0, 1, 2), (2, 0, 1)):
        world = Stage(prices=(100 * WAD,), buckets=1)
        loser = world.trader("loser", 150 * WAD)
        cash = (200, 2_000, 500)
        winners = [world.trader(f"winner {i}", cash[i] * WAD) for i in range(3)]
        world.next_block()
        for i in order:
            world.fill(loser, winners[i], (2 + i) * WAD, 100 * WAD)
        world.price(80 * WAD)
        for caller in (KEEPER, address("winner 1"), address("loser")):
            with world.chain.rolled_back():
                world.deleverage(loser, caller)
                outcomes.append(seen(world, [loser, *winners]))
    first = outcomes[0]
    # Epochs of ids and times aside, nothing differs.
    for other in outcomes[1:]:
        for key in first:
            if not key.startswith("market"):
                assert other[key] == first[key], key


def test_first_in_line_by_the_published_rule_is_closed_first():
    """Peers 6, S4: with one bucket a call, the calls follow the queue as it stood."""
    world = Stage(prices=(100 * WAD,), buckets=1)
    loser = world.trader("loser", 70 * WAD)
    cash = (1_000, 60, 25, 15)
    winners = [world.trader(f"winner {i}", c * WAD) for i, c in enumerate(cash)]
    world.next_block()
    for winner in winners:
        world.fill(loser, winner, WAD, 100 * WAD)
    world.price(82 * WAD)
    page = queue(world, 1, False)
    promised = [entry.bucket_id for entry in page]
    # One entry price, so leverage decides: 100 over 15, 25, 60, 1,000.
    assert promised == [world.clearing.view.bucket_of(winner, 1) for winner in winners[::-1]]
    assert [entry.score for entry in page] == sorted((e.score for e in page), reverse=True)
    assert [round(entry.score / page[3].score, 9) for entry in page] == [10, 5, 2, 1]
    done = []
    while world.equity(loser) < 0:
        receipt = world.clearing.send.deleverage(loser, sender=world.stranger())
        done += [close.args["bucket_id"] for close in forced_closes(world.clearing, receipt)]
    assert done == promised[: len(done)]
    assert len(done) >= 3
    world.sound()


def test_nobody_can_hold_up_a_resolution_by_touching_it():
    """Peers 8: no timer to reset. Deposits of one unit and idle calls each block change nothing."""
    world, loser, (winner,) = stage(insurance=20 * WAD)
    liquidator = world.trader("liquidator", 10_000 * WAD)
    for at in (88, 86):
        world.price(at * WAD)
        world.deposit(loser, 1)
        world.deposit(winner, 1)
        world.settle(loser, winner)
        world.clearing.send.refresh(loser, sender=world.stranger())
        world.clearing.send.refresh(winner, sender=world.stranger())
        with world.chain.rolled_back():
            world.clearing.send.liquidate(loser, 1, MAX, liquidator, sender=address("liquidator"))
            assert world.size(loser) < 10 * WAD
    world.price(80 * WAD)
    world.deposit(loser, 1)
    world.settle(loser)
    world.clearing.send.refresh(loser, sender=world.stranger())
    assert world.deleverage(loser) == (0, 0)
    assert world.size(winner) == 0


def test_deposit_of_this_block_buys_no_better_rank():
    """Peers 8, 12: what a stranger (or a flash loan) puts in moves no rank in its block."""
    world, _, (winner,) = stage()
    world.vault.send.withdraw(winner, 850 * WAD, KEEPER, sender=address("winner 0"))
    world.price(80 * WAD)
    world.clearing.send.refresh(winner, sender=KEEPER)
    before = world.clearing.view.bucket_of(winner, 1)
    world.deposit(winner, 10**6 * WAD)
    world.clearing.send.refresh(winner, sender=KEEPER)
    assert world.clearing.view.bucket_of(winner, 1) == before
    world.next_block()
    world.clearing.send.refresh(winner, sender=KEEPER)
    assert world.clearing.view.bucket_of(winner, 1) != before


def test_many_counterparties_in_one_call_at_one_price():
    """Peers 9: one counterparty a transaction, the price moving in between."""
    parts = [WAD // 2] * 20
    world, loser, winners = stage(winners=parts, size=10 * WAD, insurance=20 * WAD)
    world.price(80 * WAD)
    receipt = world.clearing.send.deleverage(loser, sender=KEEPER)
    assert {close.args["price"] for close in forced_closes(world.clearing, receipt)} == {83 * WAD}
    assert world.size(loser) == 0
    assert {world.size(winner) for winner in winners} == {0}
    assert {world.equity(winner) for winner in winners} == {1_000 * WAD + 17 * WAD // 2}
    world.sound()


def test_deficit_without_a_winning_counterparty_is_still_resolved():
    """Peers 10: bankruptcy prices that do not overlap: no pair is skipped, no deficit stays."""
    world = Stage(prices=(100 * WAD, 100 * WAD))
    loser, early = world.trader("loser", 150 * WAD), world.trader("early", 1_000 * WAD)
    late = world.trader("late", 1_000 * WAD)
    world.next_block()
    world.fill(loser, early, 10 * WAD, 100 * WAD)
    world.price(70 * WAD)
    world.fill(early, late, 10 * WAD, 70 * WAD)  # early's profit is a claim now; late has none
    world.price(75 * WAD)
    assert world.equity(loser) == -100 * WAD
    before = world.equity(late)
    world.close_all(loser)
    assert world.size(loser) == world.size(late) == 0
    # Late closes at the oracle price; what early has not been paid carries the deficit.
    assert world.equity(late) == before == 950 * WAD
    assert world.clearing.view.shortfall(1) == 100 * WAD
    world.settle(late, early)
    assert world.clearing.view.claims(1) == 100 * WAD
    assert world.clearing.view.unsettled(early) == 100 * WAD
    world.sound()


def test_call_that_can_close_nothing_fails_and_blocks_nothing():
    """Peers 11: a deleverage of zero must not count as done, nor leave the system stuck."""
    world, loser, (winner,) = stage()
    world.price(80 * WAD)
    now = world.chain.timestamp
    for status in (1, 4):
        with world.chain.rolled_back():
            world.oracle.send.set_observation(1, 80 * WAD, now, status, sender=KEEPER)
            before = seen(world, [loser, winner])
            with pytest.raises(Reverted, match=r"^waterfall: nothing to close$"):
                world.deleverage(loser)
            assert seen(world, [loser, winner]) == before
    with pytest.raises(Reverted, match=r"^waterfall: account solvent$"):
        world.deleverage(world.trader("nobody"))
    world.close_all(loser)
    assert world.size(loser) == 0
    with pytest.raises(Reverted, match=r"^waterfall: account solvent$"):
        world.deleverage(loser)


@pytest.mark.parametrize("buckets", [1, 2, 8])
def test_winners_give_the_deficit_and_no_more(buckets: int):
    """Peers 12: overshoot. In however many calls, winners give D' and at most the rounding more."""
    world = Stage(prices=(100 * WAD,), buckets=buckets)
    loser = world.trader("loser", 91 * WAD + 7)
    winners = [world.trader(f"winner {i}", c * WAD) for i, c in enumerate((40, 90, 200, 3_000))]
    world.next_block()
    for i, winner in enumerate(winners):
        world.fill(loser, winner, (1 + i % 2) * WAD + i, 100 * WAD)
    world.donate(INSURANCE, 3 * WAD + 1)
    world.price(79 * WAD)
    deficit, before = -world.equity(loser), {w: world.equity(w) for w in winners}
    calls = 0
    while world.equity(loser) < 0:
        world.deleverage(loser, world.stranger())
        calls += 1
    given = sum(before[winner] - world.equity(winner) for winner in winners)
    insured = 3 * WAD + 1 - world.vault.view.insurance()
    assert insured == 3 * WAD + 1
    assert 0 <= given - (deficit - insured) <= 16 * (calls + 8)
    # Not hit again and again: nobody gives more than its part of what was closed.
    for i, winner in enumerate(winners):
        closed = (1 + i % 2) * WAD + i + world.size(winner)
        assert before[winner] - world.equity(winner) <= 21 * closed
    world.sound()


def test_order_is_that_of_the_calls_start():
    """Peers 12: the rank is not recomputed after each fill, so a winner is not hit repeatedly."""
    world = Stage(prices=(100 * WAD,), buckets=8)
    loser = world.trader("loser", 80 * WAD)
    winners = [world.trader(f"winner {i}", c * WAD) for i, c in enumerate((15, 30, 90))]
    world.next_block()
    for winner in winners:
        world.fill(loser, winner, WAD, 100 * WAD)
    partner = world.trader("partner", 10_000 * WAD)
    world.fill(partner, winners[0], WAD // 4, 100 * WAD)
    world.price(72 * WAD)
    promised = [(entry.bucket_id, entry.size_base) for entry in queue(world, 1, False)]
    receipt = world.clearing.send.deleverage(loser, sender=KEEPER)
    closes = [
        (close.args["bucket_id"], close.args["size"])
        for close in forced_closes(world.clearing, receipt)
    ]
    assert closes[:-1] == promised[: len(closes) - 1]
    assert closes[-1][0] == promised[len(closes) - 1][0]
    assert len({bucket for bucket, _ in closes}) == len(closes)


@pytest.mark.parametrize("left", [1, 10**6, 3 * WAD])
@pytest.mark.parametrize("action", ["close", "grow", "refresh", "settle", "again", "liquidated"])
def test_position_partly_deleveraged_can_still_do_everything(left: int, action: str):
    """Peers 13: a position stuck after a partial ADL by a counter's underflow."""
    world, old, maker = drained(left)
    assert world.size(old) == -left
    liquidator = world.trader("liquidator", 10**5 * WAD)
    if action == "close":
        world.fill(old, maker, left, 100 * WAD)
        assert world.size(old) == 0
    elif action == "grow":
        world.fill(maker, old, WAD, 100 * WAD)
        assert -world.size(old) - left - WAD in (0, 1)  # a short's view is rounded up
    elif action == "again":
        second = world.trader("second", 50 * WAD)
        world.fill(second, old, 5 * WAD, 100 * WAD)
        world.price(80 * WAD)
        world.close_all(second)
        assert -world.size(old) - left in (0, 1)
    elif action == "liquidated":
        owner = address("old")
        spare = world.clearing.view.free_cash(old)
        world.vault.send.withdraw(old, spare, owner, sender=owner)
        world.price(106 * WAD)
        args = old, 1, MAX, liquidator
        if left == 1:  # a wei each of requirement and of loss
            with pytest.raises(Reverted, match=r"^(clearing|liquidation): "):
                world.clearing.send.liquidate(*args, sender=address("liquidator"))
        elif left == 3 * WAD:
            world.clearing.send.liquidate(*args, sender=address("liquidator"))
            assert -world.size(old) < left
    else:
        getattr(world.clearing.send, action)(old, sender=KEEPER)
        assert world.size(old) == -left
    world.settle(old)
    world.sound()


@pytest.mark.parametrize(
    ("equity", "liquidate", "deleverage"),
    [
        (-1, "liquidation: insurance short", ""),
        (0, "", "waterfall: account solvent"),
        (1, "", "waterfall: account solvent"),
        (40 * WAD - 1, "", "waterfall: account solvent"),
        (40 * WAD, "liquidation: account healthy", "waterfall: account solvent"),
        (40 * WAD + 1, "liquidation: account healthy", "waterfall: account solvent"),
    ],
)
def test_each_stage_begins_at_its_boundary(equity: int, liquidate: str, deleverage: str):
    """Peers 14: a comparison the wrong way round: E = -1, 0, 1, MM - 1, MM, MM + 1."""
    world, loser, _ = stage(loser_cash=200 * WAD + equity)
    liquidator = world.trader("liquidator", 10_000 * WAD)
    world.price(80 * WAD)
    assert world.equity(loser) == equity
    assert world.clearing.view.margin(loser)[1] == 40 * WAD

    def expect(reason: str, call) -> None:
        if reason:
            with pytest.raises(Reverted, match=f"^{reason}$"):
                call()
        else:
            with world.chain.rolled_back():
                call()
                assert world.size(loser) < 10 * WAD

    sender = address("liquidator")
    expect(
        liquidate, lambda: world.clearing.send.liquidate(loser, 1, MAX, liquidator, sender=sender)
    )
    expect(deleverage, lambda: world.deleverage(loser))
