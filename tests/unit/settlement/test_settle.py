"""`settle`: lazy booking, claims pro rata, drawing on open losses; by anyone (S5, S12)."""

from __future__ import annotations

from dataclasses import replace

from tests.support.checks import (
    assert_sound,
    bucket_id,
    emitted,
    pool,
    position_changed,
    refuses,
)
from tests.support.world import KEEPER, OWNER, WAD, ZERO_FEES, World

P = 100 * WAD


def setup(cash: int = 1_000, **options):
    """winner has closed with 100 of profit at 110; loser still holds the other side."""
    world = World(**{"prices": (P,), **options})
    winner = world.trader("winner", cash * WAD)
    loser = world.trader("loser", cash * WAD)
    heir = world.trader("heir", 100_000 * WAD)
    world.next_block()
    world.fill(winner, loser, 10 * WAD, P)
    world.price(110 * WAD)
    world.fill(heir, winner, 10 * WAD, 110 * WAD)
    return world, winner, loser, heir


def settle(world: World, account: bytes):
    return world.clearing.send.settle(account, sender=KEEPER)


def test_who_has_closed_is_paid_from_losers_who_still_hold():
    world, winner, loser, heir = setup()
    assert world.clearing.view.claims(1) == 100 * WAD
    before = world.clearing.view.equity(loser)
    receipt = settle(world, loser)
    edge = bucket_id(110 * WAD, 1, False)
    claims = {"group": 1, "epoch": 1, "shares": 100 * WAD}
    assert emitted(world, receipt) == [
        ("Moved", {"source": loser, "target": pool(1), "amount_quote": 100 * WAD}),
        (
            "ClaimsChanged",
            claims | {"waiting_quote": 0, "credit_index": 2**72, "allotted_quote": 100 * WAD},
        ),
        position_changed(
            loser,
            -10 * WAD,
            110 * WAD,
            edge,
            left_base=10 * WAD,
            realised_quote=-100 * WAD,
        ),
        ("LossDrawn", {"account": loser, "market": 1, "amount_quote": 100 * WAD}),
    ]
    assert world.clearing.view.equity(loser) == before
    assert world.clearing.view.position(loser, 1) == (-10 * WAD, 110 * WAD, 0)
    assert world.clearing.view.claims(1) == 0
    assert world.clearing.view.unsettled(winner) == 100 * WAD
    receipt = settle(world, winner)
    assert emitted(world, receipt) == [
        ("Moved", {"source": pool(1), "target": winner, "amount_quote": 100 * WAD}),
        (
            "ClaimsChanged",
            {
                "group": 1,
                "waiting_quote": 0,
                "shares": 0,
                "epoch": 1,
                "credit_index": 2**72,
                "allotted_quote": 0,
            },
        ),
        (
            "UnsettledChanged",
            {
                "account": winner,
                "group": 1,
                "claim_shares": 0,
                "epoch": 0,
                "credit_index": 0,
                "debt_quote": 0,
            },
        ),
    ]
    assert world.cash(winner) == 1_100 * WAD
    assert_sound(world, [winner, loser, heir])


def test_a_second_call_writes_nothing():
    """S12."""
    world, winner, loser, heir = setup()
    for account in (loser, winner, heir):
        settle(world, account)
    for account in (loser, winner, heir, world.trader("stranger")):
        assert settle(world, account).logs == []


def test_nothing_is_drawn_when_nothing_waits():
    world = World(prices=(P,))
    long, short = (world.trader(label, 1_000 * WAD) for label in ("long", "short"))
    world.fill(long, short, 10 * WAD, P)
    world.price(90 * WAD)
    assert settle(world, long).logs == []
    assert settle(world, short).logs == []
    assert world.clearing.view.position(long, 1) == (10 * WAD, P, -100 * WAD)


def test_it_draws_no_more_than_the_cash():
    world, winner, loser, heir = setup()
    world.price(250 * WAD)
    assert world.clearing.view.equity(loser) == -500 * WAD
    world.fill(heir, world.trader("other", 99_999 * WAD), WAD, 250 * WAD)
    settle(world, loser)
    assert world.cash(loser) == 900 * WAD
    assert world.clearing.view.unsettled(loser) == 0
    # More claims: now the cash is what limits.
    world.fill(world.trader("other"), heir, 11 * WAD, 250 * WAD)
    settle(world, loser)
    assert world.cash(loser) == 0
    assert world.clearing.view.unsettled(loser) == 0
    assert world.clearing.view.equity(loser) == -500 * WAD
    assert_sound(world, [winner, loser, heir, world.trader("other")])


def test_it_never_realises_an_open_profit():
    world, winner, loser, heir = setup()
    world.price(105 * WAD)
    # heir entered at 110 and loses, loser's short from 100 loses less than its entry says.
    settle(world, heir)
    assert world.clearing.view.position(heir, 1) == (10 * WAD, 105 * WAD, 0)
    settle(world, heir)
    assert world.clearing.view.unsettled(heir) == 0
    assert world.clearing.view.claims(1) == 50 * WAD
    assert_sound(world, [winner, loser, heir])


def test_claims_are_paid_pro_rata():
    """Whoever calls first is not served first."""
    world = World(prices=(P,))
    big, small = (world.trader(label, 1_000 * WAD) for label in ("big", "small"))
    loser = world.trader("loser", 1_000 * WAD)
    heir = world.trader("heir", 100_000 * WAD)
    world.next_block()
    world.fill(big, loser, 6 * WAD, P)
    world.fill(small, loser, 2 * WAD, P)
    world.price(120 * WAD)
    world.fill(heir, big, 6 * WAD, 120 * WAD)
    world.fill(heir, small, 2 * WAD, 120 * WAD)
    assert world.clearing.view.claims(1) == 160 * WAD
    world.fill(loser, heir, 4 * WAD, 120 * WAD)  # pays 80 in
    settle(world, small)
    assert world.cash(small) == 1_000 * WAD + 20 * WAD
    settle(world, big)
    assert world.cash(big) == 1_000 * WAD + 60 * WAD
    assert world.clearing.view.unsettled(big) == 60 * WAD
    assert world.clearing.view.unsettled(small) == 20 * WAD
    assert_sound(world, [big, small, loser, heir])


def test_a_debt_is_paid_from_cash_that_came_later():
    world = World(prices=(P, P))
    debtor = world.trader("debtor", 500 * WAD)
    rival = world.trader("rival", 100_000 * WAD)
    world.next_block()
    world.fill(debtor, rival, 20 * WAD, P, 1)
    world.fill(rival, debtor, 20 * WAD, P, 2)
    world.chain.mine()
    world.oracle.send.set_price(1, 70 * WAD, sender=OWNER)
    world.oracle.send.set_price(2, 70 * WAD, sender=OWNER)
    receipt = world.fill(rival, debtor, 20 * WAD, 70 * WAD, 1)
    assert emitted(world, receipt, "UnsettledChanged")[0][1]["debt_quote"] == 100 * WAD
    assert settle(world, debtor).logs == []
    world.deposit(debtor, 30 * WAD)
    receipt = settle(world, debtor)
    assert emitted(world, receipt, "Moved") == [
        ("Moved", {"source": debtor, "target": pool(1), "amount_quote": 30 * WAD})
    ]
    assert emitted(world, receipt, "UnsettledChanged")[0][1]["debt_quote"] == 70 * WAD
    assert_sound(world, [debtor, rival])


def test_a_stale_leg_is_not_drawn_upon():
    world, _winner, loser, _heir = setup()
    world.chain.mine()
    world.oracle.send.set_observation(1, 110 * WAD, world.chain.timestamp, 1, sender=OWNER)
    assert settle(world, loser).logs == []
    world.price(110 * WAD)
    assert settle(world, loser).logs != []


def test_direct_calls_are_refused():
    world = World()
    engine = world.clearing.at(world.clearing.view.SETTLEMENT())
    for call in (
        lambda: engine.send.settle(b"\1" * 32, sender=KEEPER),
        lambda: engine.send.refresh(b"\1" * 32, sender=KEEPER),
        lambda: engine.send.release(b"\1" * 32, 0, sender=KEEPER),
    ):
        with refuses("settlement: call the clearinghouse"):
            call()


CAPS = replace(
    ZERO_FEES,
    min_notional_quote=10**12,
    position_cap_base=2**96 - 1,
    interest_cap_base=2**96 - 1,
)


def test_a_long_entry_is_drawn_no_lower_than_the_grid():
    low = 2**32
    world = World(prices=(low + 40, P), params=CAPS)
    loser = world.trader("loser", 10**16)
    others = [world.trader(label, 10**24) for label in ("winner", "heir", "short")]
    winner, heir, short = others
    world.next_block()
    world.fill(loser, short, 10**25, low + 40, 1)
    world.fill(winner, heir, WAD, P, 2)
    world.price(110 * WAD, 2)
    world.fill(short, winner, WAD, 110 * WAD, 2)
    assert world.clearing.view.claims(1) == 10 * WAD
    world.price(low - 100, 1)
    before = world.clearing.view.equity(loser)
    receipt = settle(world, loser)
    assert emitted(world, receipt, "LossDrawn")[0][1]["amount_quote"] == 40 * 10**7
    assert world.clearing.view.position(loser, 1) == (10**25, low, -100 * 10**7)
    assert world.clearing.view.equity(loser) == before
    assert settle(world, loser).logs == []
    assert_sound(world, [loser, *others])


def test_a_leg_at_the_end_of_the_grid_does_not_hold_up_the_next():
    low = 2**32
    world = World(prices=(low, P), params=CAPS)
    loser, *others = (world.trader(label, 10**24) for label in ("loser", "winner", "short"))
    winner, short = others
    world.next_block()
    world.fill(loser, short, 10**25, low, 1)
    world.fill(winner, loser, WAD, P, 2)
    world.price(110 * WAD, 2)
    world.fill(short, winner, WAD, 110 * WAD, 2)
    world.price(low - 100, 1)
    receipt = settle(world, loser)
    assert emitted(world, receipt, "LossDrawn") == [
        ("LossDrawn", {"account": loser, "market": 2, "amount_quote": 10 * WAD})
    ]
    assert_sound(world, [loser, *others])


def test_a_short_entry_is_drawn_no_higher_than_the_grid():
    top = 2**96 - 1
    entry = top - top // 100
    world = World(prices=(top,), params=CAPS)
    accounts = [world.trader(label, 2**87) for label in ("winner", "loser", "heir")]
    winner, loser, heir = accounts
    world.next_block()
    world.fill(winner, loser, 10**15, entry)
    world.fill(heir, winner, 10**15, top)
    assert world.clearing.view.claims(1) > 0
    settle(world, loser)
    size, drawn, _ = world.clearing.view.position(loser, 1)
    assert size == -(10**15)
    assert top - 1_000 <= drawn <= top
    assert world.clearing.view.claims(1) <= 1
    assert_sound(world, accounts)


def test_settling_others_costs_them_at_most_dust():
    """S5: equity changes by less than the documented wei."""
    world = World(prices=(P,), params=CAPS)
    traders = [world.trader(f"t{i}", (1_000 + i) * WAD + i) for i in range(6)]
    world.next_block()
    for i, account in enumerate(traders[:5]):
        world.fill(account, traders[5], WAD + 7 * i + 1, P + i)
    world.price(111 * WAD + 1)
    for account in traders[:3]:
        size = world.clearing.view.position(account, 1)[0]
        world.fill(traders[4], account, size, 111 * WAD)
    for _ in range(3):
        for account in traders:
            before = world.clearing.view.equity(account)
            settle(world, account)
            assert 0 <= before - world.clearing.view.equity(account) <= 3
    assert_sound(world, traders)
    assert world.clearing.view.claims(1) <= 5
