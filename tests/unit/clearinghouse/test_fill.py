"""`fill`: opens, grows, shrinks, flips and closes; fees; everything it refuses (S2, S8, S11)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.checks import (
    assert_sound,
    bucket_id,
    emitted,
    pool,
    position_changed,
    refuses,
)
from tests.support.world import (
    GUARDIAN,
    INSURANCE,
    KEEPER,
    OWNER,
    REAL_FEES,
    VENUE,
    WAD,
    ZERO_FEES,
    World,
    address,
)

P = 100 * WAD


def setup(**options) -> tuple[World, bytes, bytes, bytes]:
    """A world, a buyer and a seller with 1,000 each, and a rival with 100,000."""
    world = World(**{"prices": (P,), **options})
    buyer = world.trader("buyer", 1_000 * WAD)
    seller = world.trader("seller", 1_000 * WAD)
    rival = world.trader("rival", 100_000 * WAD)
    world.next_block()
    return world, buyer, seller, rival


def position(world: World, account: bytes, market: int = 1):
    return world.clearing.view.position(account, market)


def fill_event(buyer, seller, size, price, buyer_fee=0, seller_fee=0, market=1):
    return (
        "Fill",
        {
            "market": market,
            "buyer": buyer,
            "seller": seller,
            "size": size,
            "price": price,
            "buyer_fee_quote": buyer_fee,
            "seller_fee_quote": seller_fee,
        },
    )


def test_opens_two_positions():
    world, buyer, seller, rival = setup()
    receipt = world.fill(buyer, seller, 15 * WAD, P)
    assert emitted(world, receipt) == [
        (
            "PriceFixed",
            {
                "market": 1,
                "price": P,
                "timestamp": world.chain.timestamp,
                "status": 0,
                "funding_index": 0,
            },
        ),
        ("GroupChosen", {"account": buyer, "group": 1}),
        ("GroupChosen", {"account": seller, "group": 1}),
        position_changed(seller, -15 * WAD, P, bucket_id(P, 1, False)),
        fill_event(buyer, seller, 15 * WAD, P),
        position_changed(buyer, 15 * WAD, P, bucket_id(P, 1, True)),
    ]
    assert position(world, buyer) == (15 * WAD, P, 0)
    assert position(world, seller) == (-15 * WAD, P, 0)
    view = world.clearing.view
    assert view.open_interest(1) == (15 * WAD, 15 * WAD)
    assert view.markets_of(buyer) == [1]
    assert view.group_of(buyer) == view.group_of(seller) == 1
    assert view.margin(buyer) == (150 * WAD, 75 * WAD)
    assert view.equity(buyer) == view.backing(buyer) == 1_000 * WAD
    assert_sound(world, [buyer, seller, rival])


def test_grows_at_the_average_price_rounded_against_each_side():
    world, buyer, seller, rival = setup()
    world.fill(buyer, seller, 3 * WAD, P)
    receipt = world.fill(buyer, seller, 4 * WAD, P + 1)
    long_entry = -(-(3 * P + 4 * (P + 1)) // 7)
    short_entry = (3 * P + 4 * (P + 1)) // 7
    assert long_entry == short_entry + 1
    assert emitted(world, receipt) == [
        position_changed(
            seller, -7 * WAD, short_entry, bucket_id(P, 0, False, 2), left_base=3 * WAD
        ),
        fill_event(buyer, seller, 4 * WAD, P + 1),
        position_changed(buyer, 7 * WAD, long_entry, bucket_id(P, 0, True, 2), left_base=3 * WAD),
    ]
    assert world.clearing.view.open_interest(1) == (7 * WAD, 7 * WAD)
    assert_sound(world, [buyer, seller, rival])


def test_shrinks_and_pays_the_winner_from_the_loser():
    world, buyer, seller, rival = setup()
    world.fill(buyer, seller, 10 * WAD, P)
    world.price(110 * WAD)
    receipt = world.fill(seller, buyer, 4 * WAD, 110 * WAD)
    names = [name for name, _ in emitted(world, receipt)]
    assert names == ["PriceFixed", "Moved", "Moved", "PositionChanged", "Fill", "PositionChanged"]
    moves = [args for _, args in emitted(world, receipt, "Moved")]
    assert moves == [
        {"source": seller, "target": pool(1), "amount_quote": 40 * WAD},
        {"source": pool(1), "target": buyer, "amount_quote": 40 * WAD},
    ]
    changes = emitted(world, receipt, "PositionChanged")
    assert changes == [
        position_changed(
            buyer,
            6 * WAD,
            P,
            bucket_id(P, 0, True, 2),
            left_base=10 * WAD,
            realised_quote=40 * WAD,
        ),
        position_changed(
            seller,
            -6 * WAD,
            P,
            bucket_id(P, 0, False, 2),
            left_base=10 * WAD,
            realised_quote=-40 * WAD,
        ),
    ]
    assert position(world, buyer) == (6 * WAD, P, 60 * WAD)
    assert world.cash(buyer) == 1_040 * WAD
    assert world.cash(seller) == 960 * WAD
    assert world.vault.view.pool_of(1) == 0
    assert_sound(world, [buyer, seller, rival])


def test_flips():
    world, buyer, seller, rival = setup()
    world.fill(buyer, seller, 4 * WAD, P)
    world.price(110 * WAD)
    receipt = world.fill(rival, buyer, 9 * WAD, 110 * WAD)
    (flipped, _) = emitted(world, receipt, "PositionChanged")
    assert flipped == position_changed(
        buyer,
        -5 * WAD,
        110 * WAD,
        bucket_id(110 * WAD, 0, False),
        left_base=4 * WAD,
        realised_quote=40 * WAD,
    )
    # The counterparty of the opening has paid nothing yet: the profit waits.
    assert world.clearing.view.unsettled(buyer) == 40 * WAD
    assert world.clearing.view.claims(1) == 40 * WAD
    assert world.clearing.view.open_interest(1) == (9 * WAD, 9 * WAD)
    assert_sound(world, [buyer, seller, rival])


def test_closes_and_leaves_nothing_behind():
    world, buyer, seller, rival = setup()
    world.fill(buyer, seller, 4 * WAD, P)
    world.price(95 * WAD)
    receipt = world.fill(seller, buyer, 4 * WAD, 95 * WAD)
    assert emitted(world, receipt, "PositionChanged") == [
        position_changed(buyer, 0, P, left_base=4 * WAD, realised_quote=-20 * WAD),
        position_changed(seller, 0, P, left_base=4 * WAD, realised_quote=20 * WAD),
    ]
    view = world.clearing.view
    for account in (buyer, seller):
        assert position(world, account) == (0, 0, 0)
        assert view.markets_of(account) == []
        assert view.margin(account) == (0, 0)
    assert view.open_interest(1) == (0, 0)
    assert view.queue(1, True, 0, 9) == view.queue(1, False, 0, 9) == []
    assert (world.cash(buyer), world.cash(seller)) == (980 * WAD, 1_020 * WAD)
    assert_sound(world, [buyer, seller, rival])


def test_opening_and_closing_at_one_price_never_profits():
    """S11."""
    world, buyer, seller, _ = setup(params=REAL_FEES)
    world.fill(buyer, seller, 7 * WAD + 3, P + 7)
    world.fill(seller, buyer, 7 * WAD + 3, P + 7)
    assert world.cash(buyer) < 1_000 * WAD
    assert world.cash(seller) < 1_000 * WAD


def test_both_sides_pay_the_taker_fee_and_it_is_split():
    world, buyer, seller, rival = setup(params=REAL_FEES)
    size, price = 3 * WAD + 1, P + 1
    receipt = world.fill(buyer, seller, size, price)
    notional = size * price // WAD
    fee = notional * 5 // 10_000
    insurance, reserve = fee * 3_000 // 10_000, fee * 2_000 // 10_000
    split = {
        "insurance_quote": insurance,
        "protocol_quote": fee - insurance - reserve,
        "reserve_quote": reserve,
    }
    assert emitted(world, receipt, "Charged") == [
        ("Charged", {"account": who, **split}) for who in (buyer, seller)
    ]
    assert emitted(world, receipt, "Fill") == [fill_event(buyer, seller, size, price, fee, fee)]
    assert world.cash(buyer) == 1_000 * WAD - fee
    vault = world.vault.view
    assert (vault.insurance(), vault.fees(), vault.keeper_reserve()) == tuple(
        2 * part for part in split.values()
    )
    assert_sound(world, [buyer, seller, rival])


def test_a_fee_is_at_most_the_cash_of_who_reduces():
    world, buyer, seller, rival = setup(
        params=replace(REAL_FEES, taker_fee_bps=100, maker_fee_bps=0), prices=(P,)
    )
    world.fill(buyer, seller, 90 * WAD, P)
    assert world.cash(buyer) == 910 * WAD
    world.price(89_890 * WAD // 1_000)
    receipt = world.fill(seller, buyer, 90 * WAD, 89_890 * WAD // 1_000)
    fill = emitted(world, receipt, "Fill")[0][1]
    assert fill["seller_fee_quote"] == 910 * WAD - 90 * (P - 89_890 * WAD // 1_000)
    assert world.cash(buyer) == 0
    assert world.clearing.view.unsettled(buyer) == 0
    assert_sound(world, [buyer, seller, rival])


def with_shortfall(params):
    """A group that owes 40: `broke` went bankrupt, and the winner's profit waits."""
    world, buyer, seller, rival = setup(params=params)
    broke = world.trader("broke", 60 * WAD)
    winner = world.trader("winner", 1_000 * WAD)
    world.fill(broke, winner, 10 * WAD, P)
    world.price(90 * WAD)
    world.fill(
        winner, rival, 10 * WAD, 90 * WAD
    )  # the profit waits, nobody can be deleveraged for it
    world.donate(INSURANCE, 1)
    while world.clearing.view.equity(broke) < 0:
        world.deleverage(broke)
    assert world.clearing.view.shortfall(1) > 0
    return world, buyer, seller, [buyer, seller, rival, broke, winner]


def test_fees_pay_a_shortfall_down_first():
    world, buyer, seller, everybody = with_shortfall(REAL_FEES)
    shortfall = world.clearing.view.shortfall(1)
    receipt = world.fill(buyer, seller, WAD, 90 * WAD)
    changed = emitted(world, receipt, "ShortfallChanged")
    fee = 90 * WAD * 5 // 10_000
    part = fee - fee * 2_000 // 10_000
    assert changed == [
        (
            "ShortfallChanged",
            {"group": 1, "account": who, "shortfall_quote": shortfall - (i + 1) * part},
        )
        for i, who in enumerate((buyer, seller))
    ]
    assert_sound(world, everybody)


def test_a_fee_for_the_reserve_alone_pays_no_shortfall_down():
    params = replace(REAL_FEES, fee_insurance_share_bps=0, fee_reserve_share_bps=10_000)
    world, buyer, seller, everybody = with_shortfall(params)
    shortfall, reserve = world.clearing.view.shortfall(1), world.vault.view.keeper_reserve()
    receipt = world.fill(buyer, seller, WAD, 90 * WAD)
    assert emitted(world, receipt, "ShortfallChanged") == []
    assert world.clearing.view.shortfall(1) == shortfall
    assert world.vault.view.keeper_reserve() == reserve + 2 * (90 * WAD * 5 // 10_000)
    assert_sound(world, everybody)


# What it refuses


def test_only_a_venue():
    world, buyer, seller, _ = setup()
    for sender in (OWNER, GUARDIAN, KEEPER, address("buyer")):
        with refuses("clearing: not a venue"):
            world.clearing.send.fill(1, buyer, seller, WAD, P, sender=sender)
        with refuses("clearing: not a venue"):
            world.clearing.send.fill_orders(1, buyer, True, [seller], [WAD], [P], sender=sender)
    world.clearing.send.set_venue(VENUE, False, sender=OWNER)
    with refuses("clearing: not a venue"):
        world.fill(buyer, seller, WAD, P)


@pytest.mark.parametrize(
    ("size", "price", "reason"),
    [
        (0, P, "clearing: zero size"),
        (2**96, P, "clearing: size overflow"),
        (2**256 - 1, P, "clearing: size overflow"),
        (WAD, 120 * WAD + 1, "clearing: price outside band"),
        (WAD, 80 * WAD - 1, "clearing: price outside band"),
        (WAD, 0, "clearing: price outside band"),
        (WAD - 10**16 - 1, P, "clearing: below minimum"),
        (1, P, "clearing: below minimum"),
    ],
)
def test_bad_sizes_and_prices(size, price, reason):
    world, buyer, seller, _ = setup(params=replace(ZERO_FEES, min_notional_quote=99 * WAD))
    with refuses(reason):
        world.fill(buyer, seller, size, price)


@pytest.mark.parametrize("price", [120 * WAD, 80 * WAD])
def test_the_ends_of_the_band_and_the_minimum_are_good(price):
    world, buyer, seller, _ = setup(params=replace(ZERO_FEES, min_notional_quote=99 * WAD))
    world.fill(buyer, seller, WAD - 10**16, price)


def test_self_fill():
    world, buyer, _, _ = setup()
    with refuses("clearing: self fill"):
        world.fill(buyer, buyer, WAD, P)


def test_own_subaccounts_may_trade():
    world, buyer, _, _ = setup()
    second = world.trader("buyer", 1_000 * WAD, sub=1)
    world.fill(buyer, second, WAD, P)


@pytest.mark.parametrize("market", [0, 2, 4_096, 2**256 - 1])
def test_unknown_market(market):
    world, buyer, seller, _ = setup()
    with refuses("market: unknown"):
        world.fill(buyer, seller, WAD, P, market)


def test_market_that_never_had_a_price():
    world, buyer, seller, _ = setup()
    world.clearing.send.list_market(world.params.as_tuple(), sender=OWNER)
    with refuses("market: no price"):
        world.fill(buyer, seller, WAD, P, 2)


def test_account_of_another_group_may_change_when_empty():
    world, buyer, seller, rival = setup(prices=(P, P), groups=(1, 2))
    world.fill(buyer, seller, WAD, P, 1)
    with refuses("account: other group"):
        world.fill(buyer, rival, WAD, P, 2)
    world.fill(seller, buyer, WAD, P, 1)
    receipt = world.fill(buyer, rival, WAD, P, 2)
    assert ("GroupChosen", {"account": buyer, "group": 2}) in emitted(world, receipt)


def test_an_account_with_a_claim_stays_in_its_group():
    world, buyer, seller, rival = setup(prices=(P, P), groups=(1, 2))
    world.fill(buyer, seller, WAD, P, 1)
    world.price(110 * WAD)
    world.fill(rival, buyer, WAD, 110 * WAD, 1)
    assert world.clearing.view.unsettled(buyer) == 10 * WAD
    with refuses("account: other group"):
        world.fill(buyer, world.trader("new", WAD), WAD, P, 2)


def test_seventeenth_market():
    world, buyer, seller, _ = setup(prices=(P,) * 17)
    for market in range(17, 1, -1):
        world.fill(buyer, seller, WAD, P, market)
    assert world.clearing.view.markets_of(buyer) == list(range(2, 18))
    with refuses("account: too many markets"):
        world.fill(buyer, seller, WAD, P, 1)
    world.fill(seller, buyer, WAD, P, 9)
    world.fill(buyer, seller, WAD, P, 1)
    assert world.clearing.view.markets_of(buyer) == [*range(1, 9), *range(10, 18)]


def test_position_cap():
    world, buyer, seller, rival = setup(
        params=replace(ZERO_FEES, position_cap_base=10 * WAD, interest_cap_base=15 * WAD)
    )
    with refuses("clearing: position cap"):
        world.fill(buyer, seller, 10 * WAD + 1, P)
    world.fill(buyer, seller, 10 * WAD, P)
    with refuses("clearing: position cap"):
        world.fill(buyer, rival, WAD, P)


def test_interest_cap():
    world, buyer, seller, rival = setup(
        params=replace(ZERO_FEES, position_cap_base=10 * WAD, interest_cap_base=15 * WAD)
    )
    world.fill(buyer, seller, 10 * WAD, P)
    other = world.trader("other", 1_000 * WAD)
    with refuses("clearing: interest cap"):
        world.fill(rival, other, 5 * WAD + 1, P)
    world.fill(rival, other, 5 * WAD, P)
    # A position that changes hands leaves the interest as it is.
    world.fill(world.trader("heir", 1_000 * WAD), buyer, 10 * WAD, P)


def test_margin_below_initial():
    world, buyer, seller, rival = setup()
    with refuses("margin: below initial"):
        world.fill(buyer, rival, 100 * WAD + 1, P)
    world.fill(buyer, rival, 100 * WAD, P)
    other = world.trader("other", 100_000 * WAD)
    with refuses("margin: below initial"):
        world.fill(other, seller, 100 * WAD + 1, P)
    world.fill(other, seller, 100 * WAD, P)


def test_unpaid_profit_backs_no_new_risk():
    world, buyer, _seller, rival = setup()
    world.fill(buyer, rival, 50 * WAD, P)
    world.price(115 * WAD)
    assert world.clearing.view.equity(buyer) == 1_750 * WAD
    assert world.clearing.view.backing(buyer) == 1_000 * WAD
    most = 1_000 * WAD * 10 * WAD // (115 * WAD) - 50 * WAD
    with refuses("margin: below initial"):
        world.fill(buyer, rival, most + 10, 115 * WAD)
    world.fill(buyer, rival, most, 115 * WAD)


def test_reducing_is_free_above_the_initial_margin_and_never_harms_below_it():
    """S8, and a fill that only reduces must not lower E / MM."""
    world, buyer, _seller, rival = setup()
    world.fill(buyer, rival, 100 * WAD, P)
    world.price(94 * WAD)
    assert world.clearing.view.equity(buyer) < world.clearing.view.margin(buyer)[1]
    with refuses("margin: health would fall"):
        world.fill(rival, buyer, 10 * WAD, 89 * WAD)
    world.fill(rival, buyer, 10 * WAD, 94 * WAD)
    world.fill(rival, buyer, 90 * WAD, 94 * WAD)
    assert world.clearing.view.markets_of(buyer) == []


def test_debt_stops_new_risk_until_it_is_paid():
    world, buyer, seller, rival = setup(prices=(P, P))
    world.fill(buyer, rival, 40 * WAD, P, 1)
    world.fill(buyer, rival, 40 * WAD, P, 2)
    world.chain.mine()
    world.oracle.send.set_price(1, 60 * WAD, sender=OWNER)
    world.oracle.send.set_price(2, 180 * WAD, sender=OWNER)
    world.fill(rival, buyer, 40 * WAD, 60 * WAD, 1)  # realises 1,600 with a cash of 1,000
    assert world.clearing.view.unsettled(buyer) == -600 * WAD
    assert world.clearing.view.equity(buyer) == 2_600 * WAD
    with refuses("margin: debt"):
        world.fill(buyer, seller, WAD, 180 * WAD, 2)
    world.deposit(buyer, 2_000 * WAD)
    world.fill(buyer, seller, WAD, 180 * WAD, 2)
    assert world.clearing.view.unsettled(buyer) == 0
    assert world.cash(buyer) == 1_400 * WAD
    assert_sound(world, [buyer, seller, rival])


def test_a_pause_stops_what_adds_risk_only():
    world, buyer, seller, _rival = setup()
    world.fill(buyer, seller, 4 * WAD, P)
    for market in (1, 0):
        world.clearing.send.pause(market, True, sender=GUARDIAN)
        with refuses("market: paused"):
            world.fill(buyer, seller, WAD, P)
        with refuses("market: paused"):
            world.fill(seller, buyer, 5 * WAD, P)  # a flip
        world.fill(seller, buyer, WAD, P)
        world.clearing.send.pause(market, False, sender=OWNER)
    world.fill(buyer, seller, WAD, P)


@pytest.mark.parametrize(
    ("status", "reason"), [(1, "market: stale price"), (2, "market: price pending")]
)
def test_stale_or_pending_prices_stop_what_adds_risk_only(status, reason):
    world, buyer, seller, rival = setup(prices=(P, P))
    world.fill(buyer, seller, 4 * WAD, P)
    world.next_block()
    now = world.chain.timestamp
    world.oracle.send.set_observation(1, P, now, status, sender=OWNER)
    with refuses(reason):
        world.fill(buyer, seller, WAD, P)
    with refuses(reason):  # a stale loss elsewhere would back new risk
        world.fill(buyer, rival, WAD, P, 2)
    with refuses(reason):
        world.fill(rival, world.trader("new", 99 * WAD), WAD, P)
    world.fill(rival, world.trader("new", 99 * WAD), WAD, P, 2)  # another market is not stopped
    world.fill(seller, buyer, 4 * WAD, P)


def test_a_grace_period_stops_no_trading():
    world, buyer, seller, _ = setup()
    world.next_block()
    world.oracle.send.set_observation(1, P, world.chain.timestamp, 4, sender=OWNER)
    world.fill(buyer, seller, WAD, P)


def test_the_grid_ends_where_entries_end():
    low = 2**32
    world, buyer, seller, _ = setup(prices=(low,))
    with refuses("grid: price out of range"):
        world.fill(buyer, seller, 10**9 * WAD, low - 1)
    world.fill(buyer, seller, 10**9 * WAD, low)
    assert position(world, buyer) == (10**9 * WAD, low, 0)
