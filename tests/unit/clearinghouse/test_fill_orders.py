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
