"""Claims, debts and shortfall to the last unit (design section 2, S2, S3)."""

from __future__ import annotations

from dataclasses import replace

from tests.support.stage import Stage, stage
from tests.support.world import KEEPER, WAD, ZERO_FEES, address

FEE = replace(
    ZERO_FEES,
    initial_margin_bps=1_000,
    taker_fee_bps=50,
    fee_insurance_share_bps=3_000,
    fee_reserve_share_bps=2_000,
)


def waiting(**options) -> tuple[Stage, bytes, list[bytes], bytes]:
    """Two winners have closed at 70 against `late`; 90 and 210 wait while the loser still holds."""
    world, loser, winners = stage(winners=(3 * WAD, 7 * WAD), **options)
    late = world.trader("late", 5_000 * WAD)
    world.price(70 * WAD)
    for winner in winners:
        world.fill(winner, late, -world.size(winner), 70 * WAD)
    return world, loser, winners, late


def test_claims_wait_and_are_equity_but_not_cash():
    """S2: nobody has paid yet, so nobody is paid; equity shows the claim."""
    world, loser, winners, _ = waiting(loser_cash=1_000 * WAD)
    view = world.clearing.view
    assert view.claims(1) == 300 * WAD
    assert world.vault.view.pool_of(1) == 0
    for winner, claim in zip(winners, (90, 210), strict=True):
        assert view.unsettled(winner) == claim * WAD
        assert world.cash(winner) == 1_000 * WAD
        assert view.equity(winner) == (1_000 + claim) * WAD
        assert view.backing(winner) == 1_000 * WAD
        world.settle(winner)  # in vain, and it changes nothing
        assert world.cash(winner) == 1_000 * WAD
    assert view.equity(loser) == 700 * WAD
    world.sound()


def test_settle_of_an_open_loser_pays_claims_pro_rata():
    """Settle draws min(open loss, cash, claims - pool); the entry moves by x / size, E does not."""
    world, loser, winners, _ = waiting(loser_cash=1_000 * WAD)
    world.settle(loser)
    assert world.cash(loser) == 700 * WAD
    assert world.equity(loser) == 700 * WAD
    assert world.clearing.view.position(loser, 1) == (10 * WAD, 70 * WAD, 0)
    assert world.clearing.view.claims(1) == 0
    assert world.vault.view.pool_of(1) == 300 * WAD
    for winner, claim in zip(winners, (90, 210), strict=True):
        world.settle(winner)
        assert 0 <= (1_000 + claim) * WAD - world.cash(winner) <= 1
        assert world.clearing.view.unsettled(winner) == 0
    assert world.vault.view.pool_of(1) <= 2  # dust
    world.sound()


def test_draw_is_limited_by_the_losers_cash_and_shared_by_claims():
    """Settle never creates a debt: a loser with 120 pays 120, to 36 and 84."""
    world, loser, winners, _ = waiting(loser_cash=120 * WAD)
    world.settle(winners[1], loser, winners[0], winners[1])
    assert world.cash(loser) == 0
    assert world.clearing.view.unsettled(loser) == 0
    assert world.clearing.view.position(loser, 1)[:2] == (10 * WAD, 88 * WAD)
    assert world.equity(loser) == -180 * WAD
    for winner, paid, left in zip(winners, (36, 84), (54, 126), strict=True):
        assert 0 <= (1_000 + paid) * WAD - world.cash(winner) <= 1
        assert abs(world.clearing.view.unsettled(winner) - left * WAD) <= 2
    assert world.clearing.view.claims(1) == 180 * WAD
    world.sound()


def test_newcomer_joins_those_who_wait():
    """Pro rata over all that waits at the moment of an inflow, not first come first served."""
    world, loser, winners, late = waiting(loser_cash=1_000 * WAD)
    newest = world.trader("newest", 1_000 * WAD)
    world.price(65 * WAD)
    world.fill(newest, late, 10 * WAD, 65 * WAD)  # late's 20 are short from about 67.5 now
    world.price(60 * WAD)
    world.fill(world.trader("other", 9_000 * WAD), newest, 10 * WAD, 60 * WAD)  # newest loses 50
    assert world.clearing.view.claims(1) == 250 * WAD
    for winner, part in zip(winners, (15, 35), strict=True):
        world.settle(winner)
        assert 0 <= (1_000 + part) * WAD - world.cash(winner) <= 1
    world.price(50 * WAD)
    world.fill(late, world.trader("other"), 10 * WAD, 50 * WAD)
    total, pool = world.clearing.view.claims(1), world.vault.view.pool_of(1)
    assert abs(pool - 100 * WAD) <= 4  # what the other has lost is allotted, not collected yet
    assert total == 325 * WAD
    claim = world.clearing.view.unsettled(late)
    assert abs(claim - 175 * WAD) <= 4
    world.settle(loser)
    assert world.clearing.view.claims(1) == 0  # 500 of open loss pay all of it
    assert world.vault.view.pool_of(1) - pool == total
    before = world.cash(late)
    world.settle(late)
    assert abs(world.cash(late) - before - claim) <= 2
    world.sound()


def test_shortfall_is_written_and_paid_down_by_fee_income():
    """Insurance's and the protocol's part of fees go to the shortfall first, then where they go."""
    world, loser, winners, late = waiting(loser_cash=280 * WAD, params=FEE)
    # Fees so far: 0.5 % of each fill, from both sides. The loser has paid 5.
    assert world.cash(loser) == 275 * WAD
    world.price(65 * WAD)
    insured = world.vault.view.insurance()
    world.close_all(loser)
    late_gain = 50 * WAD
    short = 350 * WAD - 275 * WAD
    given = late_gain  # late's open gain carries as much of it as its tick's edge allows
    view = world.clearing.view
    written = view.shortfall(1)
    assert 0 < short - insured - written <= given
    assert world.vault.view.insurance() == 0
    world.sound()
    a, b = world.trader("a", 10**5 * WAD), world.trader("b", 10**5 * WAD)
    fees, reserve = world.vault.view.fees(), world.vault.view.keeper_reserve()
    before = view.claims(1)
    world.fill(a, b, 10 * WAD, 65 * WAD)  # 3.25 of each: 80 % of 6.5 pay 5.2 down
    assert written - view.shortfall(1) == 52 * WAD // 10
    assert before - view.claims(1) == 52 * WAD // 10
    assert world.vault.view.fees() == fees
    assert world.vault.view.insurance() == 0
    assert world.vault.view.keeper_reserve() - reserve == 13 * WAD // 10
    world.sound()
    while view.shortfall(1):
        world.next_block()
        last = view.shortfall(1)
        world.fill(a, b, 10 * WAD, 65 * WAD)
    assert last <= 52 * WAD // 10
    rest = 52 * WAD // 10 - last
    assert world.vault.view.fees() - fees + world.vault.view.insurance() == rest
    world.settle(*winners, late, *winners)
    for winner, claim in zip(winners, (90, 210), strict=True):
        assert 0 <= view.claims(1) <= 8
        paid = (1_000 + claim) * WAD - world.cash(winner)
        entry, close = claim * WAD * 100 // 30 // 200, claim * WAD * 70 // 30 // 200
        assert 0 <= paid - entry - close <= 8
    world.sound()


def test_debt_is_paid_by_the_next_deposit():
    """A claim cancels own debt first; a debt is paid from cash as soon as anybody settles."""
    world = Stage(prices=(100 * WAD, 100 * WAD))
    debtor, maker = world.trader("debtor", 250 * WAD), world.trader("maker", 10_000 * WAD)
    late = world.trader("late", 10_000 * WAD)
    world.next_block()
    world.fill(debtor, maker, 10 * WAD, 100 * WAD, 1)
    world.fill(debtor, maker, 10 * WAD, 100 * WAD, 2)
    world.price(145 * WAD, 2)
    world.price(60 * WAD, 1)
    # 400 lost, 450 won on paper; the losing leg is closed first: 150 remain as debt.
    world.fill(late, debtor, 10 * WAD, 60 * WAD, 1)
    assert (world.cash(debtor), world.clearing.view.unsettled(debtor)) == (0, -150 * WAD)
    assert world.equity(debtor) == 300 * WAD
    with world.chain.rolled_back():
        world.deposit(debtor, 100 * WAD)
        world.settle(debtor)
        assert (world.cash(debtor), world.clearing.view.unsettled(debtor)) == (0, -50 * WAD)
        world.deposit(debtor, 100 * WAD)
        world.settle(debtor)
        assert (world.cash(debtor), world.clearing.view.unsettled(debtor)) == (50 * WAD, 0)
        world.sound()
    world.fill(late, debtor, 10 * WAD, 145 * WAD, 2)
    # 450 won: 150 cancel the debt, 300 wait for maker's loss or are paid from the pool.
    assert world.cash(debtor) + world.clearing.view.unsettled(debtor) == 300 * WAD
    world.settle(maker, debtor)
    assert 0 <= 300 * WAD - world.cash(debtor) <= 2
    world.sound()


def test_several_legs_with_claims_and_debts_end_to_the_last_unit():
    """Three markets, both sides, a bankruptcy in one and gains in two: everybody's end is exact."""
    world = Stage(prices=(100 * WAD,) * 3)
    a, b, c = (
        world.trader(name, cash * WAD) for name, cash in (("a", 300), ("b", 900), ("c", 900))
    )
    world.next_block()
    world.fill(a, b, 10 * WAD, 100 * WAD, 1)  # a long 1
    world.fill(c, a, 4 * WAD, 100 * WAD, 2)  # a short 2
    world.fill(b, c, 5 * WAD, 100 * WAD, 3)
    world.price(90 * WAD, 2)
    world.price(110 * WAD, 3)
    world.price(64 * WAD, 1)
    assert [world.equity(who) for who in (a, b, c)] == [-20 * WAD, 1_310 * WAD, 810 * WAD]
    world.sound()
    receipt = world.clearing.send.deleverage(a, sender=KEEPER)
    events = [e for e in world.clearing.events(receipt) if e.name == "Deleveraged"]
    # Profitable legs first, at the oracle price; then the losing one, 2 beyond it.
    assert [(e.args["market"], e.args["deficit_quote"]) for e in events] == [
        (2, 0),
        (1, 20 * WAD),
    ]
    closes = [e for e in world.clearing.events(receipt) if e.name == "ForcedClose"]
    assert [e.args["price"] for e in closes] == [90 * WAD, 66 * WAD]
    world.settle(a, b, c, a, b, c)
    assert [world.equity(who) for who in (a, b, c)] == [0, 1_290 * WAD, 810 * WAD]
    assert world.clearing.view.shortfall(1) == 0
    world.fill(c, b, 5 * WAD, 110 * WAD, 3)
    world.settle(a, b, c, b)
    assert [world.cash(who) for who in (a, b, c)] == [0, 1_290 * WAD, 810 * WAD]
    assert world.vault.view.pool_of(1) == 0
    for who, cash in (("b", 1_290), ("c", 810)):
        world.next_block()
        world.vault.send.withdraw(world.trader(who), cash * WAD, address(who), sender=address(who))
    assert world.vault.view.total() == world.token.view.balanceOf(world.vault.address) == 0
