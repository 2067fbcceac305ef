"""`deleverage`: order of legs, resuming, insurance and its caps, what waits, write-off, rewards."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.model import grid
from tests.support.checks import assert_sound, bucket_id, emitted, pool, refuses
from tests.support.world import (
    INSURANCE,
    KEEPER,
    OWNER,
    RESERVE,
    WAD,
    ZERO_FEES,
    World,
    account_id,
    address,
)

P = 100 * WAD


def prices(world: World, **by_market: int) -> None:
    """A new block; `m1=80` sets market 1 to 80 quote."""
    world.chain.mine()
    for market in world.markets:
        asked = by_market.get(f"m{market}")
        now = world.oracle.view.price(market)[0] if asked is None else asked * WAD
        world.oracle.send.set_price(market, now, sender=OWNER)


def send(world: World, account: bytes, caller: str = KEEPER):
    return world.clearing.send.deleverage(account, sender=caller)


def closed(world: World, receipt) -> list[tuple[int, int, int]]:
    """(market, size, price) of each forced close."""
    return [(a["market"], a["size"], a["price"]) for _, a in emitted(world, receipt, "ForcedClose")]


def three_legs(cash: int = 400, **options):
    """broke: long 10 in markets 1 to 3; 1 and 3 lose, 2 gains; D = 100."""
    world = World(**{"prices": (P, P, P), **options})
    broke = world.trader("broke", cash * WAD)
    rival = world.trader("rival", 100_000 * WAD)
    world.next_block()
    for market in (1, 2, 3):
        world.fill(broke, rival, 10 * WAD, P, market)
    prices(world, m1=70, m2=110, m3=70)
    assert world.clearing.view.equity(broke) == -100 * WAD
    return world, broke, rival


def test_unpaid_profit_counts_where_solvency_is_asked_for():
    world, saved, _ = three_legs()
    world.deposit(saved, 150 * WAD)
    assert world.clearing.view.equity(saved) == 50 * WAD
    assert world.clearing.view.backing(saved) == -50 * WAD
    with refuses("waterfall: account solvent"):
        send(world, saved)


def test_profitable_legs_first_at_the_oracle_price_then_losers_in_ascending_id():
    world, broke, rival = three_legs()
    receipt = send(world, broke)
    assert world.clearing.returned(receipt, "deleverage", 1) == (0, 0)
    # D_1 = 50 of 600 lost; D_3 = what is left.
    assert closed(world, receipt) == [
        (2, 10 * WAD, 110 * WAD),
        (1, 10 * WAD, 75 * WAD),
        (3, 10 * WAD, 75 * WAD),
    ]
    assert world.clearing.view.equity(broke) == 0
    assert world.clearing.view.markets_of(broke) == []
    assert_sound(world, [broke, rival])


def test_a_call_takes_so_many_buckets_over_all_legs_and_resumes():
    world, broke, rival = three_legs(buckets=1)
    steps = []
    for _ in range(3):
        receipt = send(world, broke)
        steps += closed(world, receipt)
    assert steps == [
        (2, 10 * WAD, 110 * WAD),
        (1, 10 * WAD, 75 * WAD),
        (3, 10 * WAD, 75 * WAD),
    ]
    with refuses("waterfall: account solvent"):
        send(world, broke)
    assert_sound(world, [broke, rival])


def test_it_ends_where_the_account_is_solvent_again():
    """Several calls, and a price that recovers between them."""
    world, broke, _rival = three_legs(buckets=1)
    send(world, broke)
    prices(world, m1=95)
    with refuses("waterfall: account solvent"):
        send(world, broke)
    assert world.clearing.view.markets_of(broke) == [1, 3]


def test_insurance_is_split_by_the_losses_and_comes_first():
    """S6."""
    world, broke, _rival = three_legs()
    world.donate(INSURANCE, 30 * WAD)
    receipt = send(world, broke)
    drawn = [(a["market"], a["amount_quote"]) for _, a in emitted(world, receipt, "InsuranceDrawn")]
    assert drawn == [(1, 30 * WAD)]  # I_1 = min(30, MM 35, D_1 50)
    assert closed(world, receipt)[1:] == [(1, 10 * WAD, 72 * WAD), (3, 10 * WAD, 75 * WAD)]
    assert world.vault.view.insurance() == 0


def test_a_markets_allowance_and_the_legs_maintenance_cap_the_draw():
    world, broke, rival = three_legs(params=replace(ZERO_FEES, insurance_cap_quote=20 * WAD))
    world.donate(INSURANCE, 1_000 * WAD)
    receipt = send(world, broke)
    drawn = [(a["market"], a["amount_quote"]) for _, a in emitted(world, receipt, "InsuranceDrawn")]
    assert drawn == [(1, 20 * WAD), (3, 20 * WAD)]
    world, broke, rival = three_legs()
    world.donate(INSURANCE, 1_000 * WAD)
    receipt = send(world, broke)
    drawn = [(a["market"], a["amount_quote"]) for _, a in emitted(world, receipt, "InsuranceDrawn")]
    assert drawn == [(1, 35 * WAD), (3, 35 * WAD)]
    assert_sound(world, [broke, rival])


@pytest.mark.parametrize("status", [1, 4])
def test_legs_without_a_usable_price_wait_and_the_others_go_on(status):
    world, broke, rival = three_legs()
    now = world.chain.timestamp
    world.oracle.send.set_observation(1, 70 * WAD, now, status, sender=OWNER)
    receipt = send(world, broke)
    assert [m for m, _, _ in closed(world, receipt)] == [2, 3]
    left = world.clearing.returned(receipt, "deleverage", 1)
    assert left == (700 * WAD, 50 * WAD)
    with refuses("waterfall: nothing to close"):
        send(world, broke)
    prices(world, m1=70)
    assert closed(world, send(world, broke)) == [(1, 10 * WAD, 75 * WAD)]
    assert_sound(world, [broke, rival])


def test_a_waiting_breaker_stops_nothing():
    world, broke, _rival = three_legs()
    for market in (1, 2, 3):
        price = world.oracle.view.price(market)[0]
        now = world.chain.timestamp
        world.oracle.send.set_observation(market, price, now, 2, sender=OWNER)
    assert world.deleverage(broke) == (0, 0)


def test_solvent_accounts_are_left_alone():
    """S6: ADL only when E < 0."""
    world = World()
    trader = world.trader("trader", 100 * WAD)
    rival = world.trader("rival", 100_000 * WAD)
    world.fill(trader, rival, 10 * WAD, P)
    for account in (trader, rival, world.trader("stranger"), bytes(32), INSURANCE):
        with refuses("waterfall: account solvent"):
            send(world, account)
    world.price(90 * WAD)
    assert world.clearing.view.equity(trader) == 0
    with refuses("waterfall: account solvent"):
        send(world, trader)
    world.price(90 * WAD - 1)
    send(world, trader)


def test_no_member_is_closed_at_a_loss_and_members_in_profit_carry_the_rest():
    """S3. `late` entered near the oracle price: it is closed at its edge, `early` gives more."""
    world = World()
    broke = world.trader("broke", 100 * WAD)
    early, late = (world.trader(label, 10_000 * WAD) for label in ("early", "late"))
    other = world.trader("other", 100_000 * WAD)
    world.next_block()
    world.fill(broke, early, 5 * WAD, P)
    world.price(86 * WAD)
    world.fill(other, late, 5 * WAD, 86 * WAD)
    world.price(P)
    world.fill(broke, other, 5 * WAD, P)
    world.price(84 * WAD)
    equity = world.clearing.view.equity(broke)
    assert equity == -60 * WAD
    before = {who: world.clearing.view.equity(who) for who in (early, late)}
    receipt = send(world, broke)
    edge = grid.edge(grid.tick_of(86 * WAD))
    taken_of_late = 5 * WAD * (edge - 84 * WAD) // WAD
    first, second = closed(world, receipt)
    assert second == (1, 5 * WAD, edge)
    rest = -(-(60 * WAD - taken_of_late) * WAD // (5 * WAD))
    assert first[:2] == (1, 5 * WAD)
    assert abs(first[2] - (84 * WAD + rest)) <= 1
    # 1 wei: a member's view is rounded against it.
    assert before[late] - world.clearing.view.equity(late) - taken_of_late in (0, 1)
    assert world.clearing.view.equity(late) >= 10_000 * WAD
    assert_sound(world, [broke, early, late, other])


def test_what_the_queue_cannot_carry_is_written_off_at_the_end():
    world = World(insurance_cap_quote=30 * WAD)
    broke = world.trader("broke", 100 * WAD)
    winner = world.trader("winner", 10_000 * WAD)
    heir = world.trader("heir", 10_000 * WAD)
    world.next_block()
    world.fill(broke, winner, 10 * WAD, P)
    world.price(85 * WAD)
    world.fill(winner, heir, 10 * WAD, 85 * WAD)  # the profit waits; heir has none to give
    assert world.clearing.view.claims(1) == 150 * WAD
    receipt = send(world, broke)
    assert world.clearing.returned(receipt, "deleverage", 1) == (0, 0)
    assert closed(world, receipt) == [(1, 10 * WAD, 85 * WAD)]
    assert emitted(world, receipt, "ShortfallChanged") == [
        ("ShortfallChanged", {"group": 1, "account": broke, "shortfall_quote": 50 * WAD})
    ]
    view = world.clearing.view
    assert view.shortfall(1) == 50 * WAD
    assert view.claims(1) == 50 * WAD
    assert view.unsettled(broke) == world.cash(broke) == 0
    assert 0 <= 150 * WAD - view.unsettled(winner) <= 1  # an allotment's rounding
    world.clearing.send.settle(winner, sender=KEEPER)
    assert 0 <= 10_100 * WAD - world.cash(winner) <= 1
    assert view.unsettled(winner) == 50 * WAD
    assert view.equity(heir) == 10_000 * WAD, "its cash pays nobody's loss (S3)"
    assert_sound(world, [broke, winner, heir])


def test_insurance_pays_the_residue_within_the_groups_allowance():
    world = World(insurance_cap_quote=30 * WAD, params=replace(ZERO_FEES, insurance_cap_quote=0))
    broke = world.trader("broke", 100 * WAD)
    winner = world.trader("winner", 10_000 * WAD)
    heir = world.trader("heir", 10_000 * WAD)
    world.donate(INSURANCE, 1_000 * WAD)
    world.next_block()
    world.fill(broke, winner, 10 * WAD, P)
    world.price(85 * WAD)
    world.fill(winner, heir, 10 * WAD, 85 * WAD)
    receipt = send(world, broke)
    assert emitted(world, receipt, "InsuranceDrawn", "ShortfallChanged") == [
        ("InsuranceDrawn", {"group": 1, "market": 0, "account": broke, "amount_quote": 30 * WAD}),
        ("ShortfallChanged", {"group": 1, "account": broke, "shortfall_quote": 20 * WAD}),
    ]
    assert ("Moved", {"source": INSURANCE, "target": pool(1), "amount_quote": 30 * WAD}) in emitted(
        world, receipt
    )
    assert world.vault.view.insurance() == 970 * WAD
    assert_sound(world, [broke, winner, heir])


def test_a_debt_without_a_position_is_written_off():
    """`under` is itself bankrupt when the queue reaches it: it is closed at the oracle price, and
    what its cash does not pay is a debt without a position."""
    world = World(prices=(70 * WAD,))
    under, broke = (world.trader(label, 100 * WAD) for label in ("under", "broke"))
    one, two = (world.trader(label, 10_000 * WAD) for label in ("one", "two"))
    everyone = [under, broke, one, two]
    world.next_block()
    world.fill(one, under, 10 * WAD, 70 * WAD)
    world.price(P)
    world.fill(broke, two, 10 * WAD, P)
    world.price(85 * WAD)
    world.fill(two, one, 10 * WAD, 85 * WAD)
    assert world.clearing.view.claims(1) == 300 * WAD
    receipt = send(world, broke)
    assert closed(world, receipt) == [(1, 10 * WAD, 85 * WAD)]
    view = world.clearing.view
    assert view.position(under, 1) == (0, 70 * WAD, -150 * WAD)
    assert view.equity(under) == -50 * WAD
    assert view.shortfall(1) == 50 * WAD
    receipt = send(world, under)
    assert closed(world, receipt) == []
    assert emitted(world, receipt, "ShortfallChanged") == [
        ("ShortfallChanged", {"group": 1, "account": under, "shortfall_quote": 100 * WAD})
    ]
    assert emitted(world, receipt, "InsuranceDrawn") == []
    assert view.claims(1) == 100 * WAD
    assert view.unsettled(under) == view.equity(under) == 0
    with refuses("waterfall: account solvent"):
        send(world, under)
    assert_sound(world, everyone)


def test_a_bankrupt_cannot_trade_its_way_out():
    world = World()
    broke = world.trader("broke", 100 * WAD)
    rival = world.trader("rival", 100_000 * WAD)
    world.next_block()
    world.fill(broke, rival, 10 * WAD, P)
    world.price(85 * WAD)
    for size in (WAD, 10 * WAD):
        with refuses("margin: health would fall"):
            world.fill(rival, broke, size, 85 * WAD)


FEES = replace(ZERO_FEES, taker_fee_bps=20)


def test_the_caller_is_rewarded_from_the_reserve():
    world, broke, rival = three_legs(params=FEES, cash=406, reward_bps=10)
    world.donate(RESERVE, 100 * WAD)
    receipt = send(world, broke, address("anyone"))
    reward = (700 + 1_100 + 700) * WAD * 10 // 10_000
    assert emitted(world, receipt, "Moved")[-1] == (
        "Moved",
        {
            "source": RESERVE,
            "target": account_id(address("anyone")),
            "amount_quote": reward,
        },
    )
    assert world.vault.view.keeper_reserve() == 100 * WAD - reward
    assert_sound(world, [broke, rival, account_id(address("anyone"))])


def test_the_reward_is_at_most_the_legs_fees():
    """A pair of one's own accounts must not go bankrupt for it."""
    world, broke, _ = three_legs(params=FEES, cash=406, reward_bps=100)
    world.donate(RESERVE, 100 * WAD)
    send(world, broke)
    assert world.cash(account_id(KEEPER)) == 3 * 2 * WAD  # 20 bps of 1,000, three times
    world, broke, _ = three_legs(reward_bps=100)
    world.donate(RESERVE, 100 * WAD)
    send(world, broke)
    assert world.cash(account_id(KEEPER)) == 0


def test_the_reward_ends_with_the_reserve():
    world, broke, _rival = three_legs(params=FEES, cash=406, reward_bps=100)
    world.donate(RESERVE, WAD)
    send(world, broke)
    assert world.vault.view.keeper_reserve() == 0
    assert world.cash(account_id(KEEPER)) == WAD


def test_who_calls_changes_nothing_but_the_reward():
    """S4."""
    outcomes = []
    for caller in (KEEPER, OWNER, address("rival"), address("broke")):
        world, broke, _rival = three_legs(buckets=2)
        receipt = send(world, broke, caller)
        outcomes.append(emitted(world, receipt))
    assert all(outcome == outcomes[0] for outcome in outcomes)


def test_shorts_are_closed_against_longs_below_the_price():
    world = World()
    broke = world.trader("broke", 100 * WAD)
    rival = world.trader("rival", 100_000 * WAD)
    world.next_block()
    world.fill(rival, broke, 10 * WAD, P)
    world.price(115 * WAD)
    assert world.clearing.view.equity(broke) == -50 * WAD
    receipt = send(world, broke)
    assert closed(world, receipt) == [(1, 10 * WAD, 110 * WAD)]
    world.clearing.send.settle(rival, sender=KEEPER)
    assert world.cash(rival) == 100_100 * WAD
    assert_sound(world, [broke, rival])


def test_the_rest_of_a_leg_rejoins_at_tier_7():
    world = World(buckets=1)
    broke = world.trader("broke", 100 * WAD)
    rivals = [world.trader(f"rival {i}", cash * WAD) for i, cash in enumerate((100, 10_000))]
    world.next_block()
    for rival in rivals:
        world.fill(broke, rival, 5 * WAD, P)
    world.price(85 * WAD)
    assert world.deleverage(broke) == (5 * 85 * WAD, 25 * WAD)
    assert world.clearing.view.position(broke, 1)[0] == 5 * WAD
    assert world.clearing.view.bucket_of(broke, 1) == bucket_id(P, 7, True)
    assert world.clearing.view.position(rivals[0], 1)[0] == 0, "the higher leverage goes first"
    assert world.deleverage(broke) == (0, 0)


def test_direct_calls_are_refused():
    world = World()
    engine = world.clearing.at(world.clearing.view.WATERFALL())
    with refuses("waterfall: call the clearinghouse"):
        engine.send.deleverage(bytes(32), sender=KEEPER)


def test_several_accounts_in_one_call():
    """One after another; who is solvent is passed over, and the caller has the rewards of all."""
    world = World(prices=(P,))
    rival, sound = world.trader("rival", 10**6 * WAD), world.trader("sound", 10**4 * WAD)
    broke = [world.trader(f"broke {number}", 110 * WAD) for number in range(3)]
    world.next_block()
    for account in (*broke, sound):
        world.fill(account, rival, 10 * WAD, P)
    prices(world, m1=80)
    with world.chain.rolled_back():
        for account in broke:
            send(world, account)
        apart = [world.clearing.view.equity(who) for who in (rival, sound, *broke)]
    named = [broke[0], sound, broke[1], broke[0], broke[2]]
    receipt = world.clearing.send.deleverage_many(named, sender=KEEPER)
    assert world.clearing.returned(receipt, "deleverage_many", 1) == 3
    assert [args["account"] for _, args in emitted(world, receipt, "Deleveraged")] == broke
    assert [world.clearing.view.equity(who) for who in (rival, sound, *broke)] == apart
    assert_sound(world, [rival, sound, *broke])


def test_none_of_several_is_bankrupt():
    world = World(prices=(P,))
    receipt = world.clearing.send.deleverage_many([world.trader("sound")], sender=KEEPER)
    assert world.clearing.returned(receipt, "deleverage_many", 1) == 0
    assert emitted(world, receipt) == []
