"""The funding index: its formula, zero-sum, independent of the path; and one price a block."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.mirror import _truncated
from tests.support.checks import assert_sound, emitted
from tests.support.world import KEEPER, OWNER, WAD, ZERO_FEES, World

P = 100 * WAD
HOURS_8 = 8 * 3600
FUNDED = replace(ZERO_FEES, premium_cap_bps=500, funding_cap_bps=100, premium_window_seconds=3_600)


def setup(params=FUNDED, **options):
    world = World(params=params, **options)
    long, short = (world.trader(label, 10_000 * WAD) for label in ("long", "short"))
    world.next_block()
    return world, long, short


def ema(average: int, price: int, oracle: int, elapsed: int, cap_bps=500, window=3_600) -> int:
    cap = cap_bps * 10**14
    premium = min(max(price * WAD // oracle - WAD, -cap), cap)
    return average + _truncated((premium - average) * elapsed, window + elapsed)


@pytest.mark.parametrize("price", [102 * WAD, 98 * WAD + 1, 120 * WAD, 80 * WAD])
def test_index_and_rate_by_the_formula(price):
    world, long, short = setup()
    assert world.clearing.view.funding(1) == (0, 0)
    world.fill(long, short, 10 * WAD, price)  # 12 s after the listing
    average = ema(0, price, P, 12)
    cap = 100 * 10**14
    rate = min(max(average, -cap), cap)
    assert world.clearing.view.funding(1) == (0, rate)
    world.next_block(3_600)
    index = _truncated(rate * P * 3_600, HOURS_8 * WAD)
    assert world.clearing.view.funding(1) == (index, rate)
    assert (index > 0) == (price > P)
    first = index  # of 10 base, then of 11
    world.fill(long, short, WAD, price)
    average = ema(average, price, P, 3_600)
    rate = min(max(average, -cap), cap)
    assert world.clearing.view.funding(1) == (index, rate)
    world.price(110 * WAD, seconds=100)
    # The price of the interval is the one fixed before it.
    index += _truncated(rate * P * 100, HOURS_8 * WAD)
    assert world.clearing.view.funding(1)[0] == index
    receipt = world.fill(short, long, WAD, 110 * WAD)
    assert emitted(world, receipt, "PriceFixed")[0][1]["funding_index"] == index
    paid = 11 * index - first
    long_result = world.clearing.view.position(long, 1)[2] + world.clearing.view.unsettled(long)
    assert abs(long_result + world.cash(long) - 10_000 * WAD - 11 * (110 * WAD - price) + paid) < 99
    assert_sound(world, [long, short])


def test_the_rate_is_capped():
    world, long, short = setup()
    world.next_block(36_000)
    world.fill(long, short, 10 * WAD, 120 * WAD)
    assert world.clearing.view.funding(1)[1] == 100 * 10**14


def test_it_is_zero_sum_within_the_dust():
    world, long, short = setup()
    world.fill(long, short, 10 * WAD + 7, 105 * WAD)
    world.next_block(12_345)
    one = world.clearing.view.position(long, 1)[2]
    other = world.clearing.view.position(short, 1)[2]
    assert one < -50 * WAD < 50 * WAD < other
    assert -20 <= one + other <= 0
    assert_sound(world, [long, short])


def test_it_does_not_depend_on_how_often_anybody_looks():
    world, long, short = setup()
    world.fill(long, short, 10 * WAD, 105 * WAD)
    with world.chain.rolled_back():
        world.next_block(7_200)
        once = world.clearing.view.funding(1)[0]
        at_once = world.clearing.view.position(long, 1)[2]
    for _ in range(72):
        world.next_block(100)
        for account in (long, short):
            world.clearing.send.settle(account, sender=KEEPER)
        world.clearing.send.refresh(long, sender=KEEPER)
    assert 0 <= once - world.clearing.view.funding(1)[0] <= 72, "truncated once a touch"
    equity = world.clearing.view.equity(long)
    assert abs(equity - 10_000 * WAD - at_once) <= 10 * 72
    assert_sound(world, [long, short], dust=500)


def test_a_second_fill_in_one_second_weighs_nothing():
    world, long, short = setup()
    world.fill(long, short, 10 * WAD, 101 * WAD)
    rate = world.clearing.view.funding(1)[1]
    world.fill(long, short, 50 * WAD, 120 * WAD)
    assert world.clearing.view.funding(1)[1] == rate


def test_a_market_without_funding_takes_no_samples():
    world, long, short = setup(params=replace(FUNDED, funding_cap_bps=0))
    world.fill(long, short, 10 * WAD, 120 * WAD)
    world.next_block(36_000)
    assert world.clearing.view.funding(1) == (0, 0)
    world.clearing.send.set_market(
        1, replace(world.params, funding_cap_bps=100).as_tuple(), sender=OWNER
    )
    world.next_block(12)
    world.fill(long, short, WAD, 105 * WAD)
    assert world.clearing.view.funding(1)[1] == ema(0, 105 * WAD, P, 12)


# One price a block


def test_one_price_a_block():
    world, long, short = setup()
    world.fill(long, short, 10 * WAD, P)
    fixed = world.clearing.view.price(1)
    world.oracle.send.set_price(1, 150 * WAD, sender=OWNER)
    assert world.clearing.view.price(1) == fixed
    assert world.clearing.view.position(long, 1)[2] == 0
    assert emitted(world, world.fill(long, short, WAD, P), "PriceFixed") == []
    world.chain.mine()
    assert world.clearing.view.price(1)[0] == 150 * WAD
    assert world.clearing.view.position(long, 1)[2] == 550 * WAD


def test_before_its_first_use_a_view_shows_what_would_be_fixed():
    world, _long, _short = setup()
    world.oracle.send.set_price(1, 150 * WAD, sender=OWNER)
    assert world.clearing.view.price(1) == (150 * WAD, world.chain.timestamp)
    assert world.clearing.view.price_status(1) == 0


# Broken oracles


def broken(world):
    world.oracle.send.set_broken(1, True, sender=OWNER)


def no_price(world):
    world.oracle.send.set_observation(1, 0, world.chain.timestamp, 0, sender=OWNER)


def too_large(world):
    world.oracle.send.set_observation(1, 2**96, world.chain.timestamp, 0, sender=OWNER)


def from_the_future(world):
    world.oracle.send.set_observation(1, P, world.chain.timestamp + 1, 0, sender=OWNER)


def bad_status(world):
    world.oracle.send.set_observation(1, P, world.chain.timestamp, 8, sender=OWNER)


@pytest.mark.parametrize("harm", [broken, no_price, too_large, from_the_future, bad_status])
def test_a_broken_oracle_leaves_the_last_price_stale_and_stops_this_market_alone(harm):
    world, long, short = setup(prices=(P, P))
    world.fill(long, short, 10 * WAD, P, 1)
    world.price(110 * WAD, 2)
    harm(world)
    view = world.clearing.view
    assert view.price(1)[0] == P
    assert (view.price_status(1), view.price_status(2)) == (1, 0)
    receipt = world.fill(short, long, WAD, P, 1)
    fixed = emitted(world, receipt, "PriceFixed")[0][1]
    assert (fixed["price"], fixed["status"]) == (P, 1)
    other = world.trader("other", 1_000 * WAD)
    world.fill(other, world.trader("else", 1_000 * WAD), WAD, 110 * WAD, 2)


@pytest.mark.parametrize("status", [0, 1, 2, 3, 4, 5, 6, 7])
def test_status_bits_are_kept(status):
    world, _long, _short = setup()
    world.oracle.send.set_observation(1, P, world.chain.timestamp, status, sender=OWNER)
    assert world.clearing.view.price_status(1) == status


def test_an_oracle_that_is_no_oracle():
    world, _long, _short = setup()
    strange = replace(world.params, oracle=world.token.address)
    world.clearing.send.list_market(strange.as_tuple(), sender=OWNER)
    assert world.clearing.view.price(2) == (0, 0)
    assert world.clearing.view.price_status(2) == 1
