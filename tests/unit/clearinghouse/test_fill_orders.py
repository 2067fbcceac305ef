"""`fill_orders`: one taker, several makers, each at its own price; maker and taker fees."""

from __future__ import annotations

import pytest

from tests.support.checks import assert_sound, emitted, refuses
from tests.support.world import REAL_FEES, VENUE, WAD, World

P = 100 * WAD


def setup():
    world = World(params=REAL_FEES)
    taker = world.trader("taker", 10_000 * WAD)
    makers = [world.trader(f"maker {i}", 10_000 * WAD) for i in range(3)]
    world.next_block()
    return world, taker, makers


@pytest.mark.parametrize("buys", [True, False])
def test_each_maker_at_its_own_price_and_fee(buys):
    world, taker, makers = setup()
    sizes = [WAD, 2 * WAD, 3 * WAD + 1]
    prices = [P, P + WAD, P - WAD]
    receipt = world.clearing.send.fill_orders(1, taker, buys, makers, sizes, prices, sender=VENUE)
    expected = []
    for maker, size, price in zip(makers, sizes, prices, strict=True):
        notional = size * price // WAD
        fees = {taker: notional * 5 // 10_000, maker: notional * 2 // 10_000}
        buyer, seller = (taker, maker) if buys else (maker, taker)
        expected.append(
            (
                "Fill",
                {
                    "market": 1,
                    "buyer": buyer,
                    "seller": seller,
                    "size": size,
                    "price": price,
                    "buyer_fee_quote": fees[buyer],
                    "seller_fee_quote": fees[seller],
                },
            )
        )
    assert emitted(world, receipt, "Fill") == expected
    assert len(emitted(world, receipt, "PriceFixed")) == 1
    size, entry, _ = world.clearing.view.position(taker, 1)
    cost = sum(s * p for s, p in zip(sizes, prices, strict=True))
    assert size == (sum(sizes) if buys else -sum(sizes))
    assert abs(entry * sum(sizes) - cost) <= 3 * sum(sizes)
    assert (entry * sum(sizes) >= cost) == buys
    assert_sound(world, [taker, *makers])


def test_no_makers_is_nothing():
    world, taker, _ = setup()
    receipt = world.clearing.send.fill_orders(1, taker, True, [], [], [], sender=VENUE)
    assert receipt.logs == []


@pytest.mark.parametrize(("sizes", "prices"), [(1, 2), (2, 1), (0, 2), (3, 2), (2, 3)])
def test_length_mismatch(sizes, prices):
    world, taker, makers = setup()
    with refuses("clearing: length mismatch"):
        world.clearing.send.fill_orders(
            1, taker, True, makers[:2], [WAD] * sizes, [P] * prices, sender=VENUE
        )


def test_one_that_fails_undoes_all():
    world, taker, makers = setup()
    sizes = [WAD, WAD, 10**5 * WAD]
    with refuses("margin: below initial"):
        world.clearing.send.fill_orders(1, taker, True, makers, sizes, [P] * 3, sender=VENUE)
    with refuses("clearing: self fill"):
        world.clearing.send.fill_orders(
            1, taker, True, [makers[0], taker], [WAD] * 2, [P] * 2, sender=VENUE
        )
    assert world.clearing.view.open_interest(1) == (0, 0)


def test_the_taker_is_placed_once_after_its_last_maker():
    """It flips on its way, and one maker is named twice."""
    world, taker, makers = setup()
    world.fill(taker, makers[2], 3 * WAD, P)
    world.price(102 * WAD)
    chosen = [makers[0], makers[1], makers[0]]
    sizes, prices = [2 * WAD, 2 * WAD, WAD], [102 * WAD, 103 * WAD, 102 * WAD]
    receipt = world.clearing.send.fill_orders(1, taker, False, chosen, sizes, prices, sender=VENUE)
    changes = [args for _, args in emitted(world, receipt, "PositionChanged")]
    assert [change["account"] for change in changes] == [*chosen, taker]
    last = changes[-1]
    assert (last["size"], last["left_base"], last["joined_base"]) == (-2 * WAD, 3 * WAD, 2 * WAD)
    assert last["realised_quote"] == 2 * 2 * WAD + 3 * WAD
    assert last["entry_price"] == (103 + 102) * WAD // 2
    assert [change["size"] for change in changes[:3]] == [2 * WAD, 2 * WAD, 3 * WAD]
    assert world.clearing.view.open_interest(1) == (5 * WAD, 5 * WAD)
    assert_sound(world, [taker, *makers])


def test_the_taker_is_judged_by_what_it_is_left_with():
    """Between its makers it may stand under the minimum; in the end it may not."""
    world, taker, makers = setup()
    world.fill(taker, makers[2], WAD, P)
    dust = WAD // 1_000
    with refuses("clearing: below minimum"):
        world.clearing.send.fill_orders(
            1, taker, False, makers[:1], [WAD - dust], [P], sender=VENUE
        )
    with refuses("clearing: below minimum"):
        world.clearing.send.fill_orders(
            1, taker, False, makers[:2], [WAD - dust, 2 * dust], [P] * 2, sender=VENUE
        )
    world.clearing.send.fill_orders(
        1, taker, False, makers[:2], [WAD - dust, WAD], [P] * 2, sender=VENUE
    )
    assert world.clearing.view.position(taker, 1)[0] == dust - WAD
    assert_sound(world, [taker, *makers])
