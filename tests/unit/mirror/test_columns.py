"""The columns decide as the chain does: equity, margin and rank equal the views exactly."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from ballast.columns import Columns
from ballast.errors import Reverted
from ballast.indexer import Indexer
from tests.support.world import KEEPER, OWNER, REAL_FEES, WAD, World

P = 100 * WAD
PRICES = (P, 7 * WAD)
FUNDED = replace(
    REAL_FEES,
    premium_cap_bps=500,
    funding_cap_bps=400,
    price_band_bps=2_000,
    insurance_cap_quote=300 * WAD,
    min_notional_quote=10**12,
)


def followed(**options) -> tuple[World, Indexer]:
    """A world whose every transaction an indexer is shown."""
    world = World(**options)
    indexer = Indexer(world.vault.address, world.clearing.address)

    def show(receipt) -> None:
        indexer.apply(receipt.logs, world.chain.block_number, world.chain.timestamp)

    show(world.clearing.send.set_group(1, 0, 86_400, sender=OWNER))
    topic = next(t for t, e in world.clearing.interface.events.items() if e.name == "MarketSet")
    for market in world.markets:
        params = world.clearing.view.market_params(market)
        receipt = world.clearing.send.set_market(market, tuple(params), sender=OWNER)
        receipt.logs.sort(key=lambda log: log.topics[0] != topic)
        show(receipt)
    send = world.chain.send

    def shown(*args, **kwargs):
        receipt = send(*args, **kwargs)
        show(receipt)
        return receipt

    world.chain.send = shown  # type: ignore[method-assign]
    return world, indexer


def compare(world: World, columns: Columns) -> None:
    """Every account: exactly the views, and floats within their error."""
    view, now = world.clearing.view, world.chain.timestamp
    prices = {market: view.price(market)[0] for market in world.markets}
    columns.update(now)
    screen, ranks = columns.screen(prices), columns.ranks(prices)
    places: dict[int, int] = {}
    for number, account in enumerate(columns.names):
        equity, maintenance = view.equity(account), view.margin(account)[1]
        assert columns.exact(number, prices) == (equity, maintenance)
        assert abs(screen.equity[number] - equity / WAD) <= screen.error[number] + 1e-18
        assert abs(screen.maintenance[number] - maintenance / WAD) <= screen.error[number] + 1e-18
        assert screen.bankrupt[number] == (equity < 0)
        assert screen.liquidatable[number] == (0 <= equity < maintenance)
        for market, slot in columns.slots(number).items():
            size, entry, _ = view.position(account, market)
            shown = view.adl_rank(account, market)
            key = columns.keys[columns.bucket[slot]]
            places[slot] = key
            assert columns.size[slot] == pytest.approx(size / WAD, rel=1e-15)
            if size:
                assert columns.entry[slot] == entry / WAD
                assert ranks.buckets[key] == shown
                assert ranks.band[slot] == shown[2]
    held = np.flatnonzero(columns.bucket[: columns.legs])
    assert set(held) == set(places)


def attempt(call) -> None:
    try:
        call()
    except Reverted:
        return


@pytest.mark.parametrize("seed", range(3))
def test_columns_equal_the_views(seed: int) -> None:
    rnd = random.Random(seed)
    world, indexer = followed(params=FUNDED, prices=PRICES, reward_bps=3, buckets=2)
    columns = Columns(indexer)
    world.donate((1).to_bytes(32, "big"), 50 * WAD)
    people = [world.trader(f"trader {i}", rnd.randrange(50, 3_000) * WAD) for i in range(12)]
    rich = world.trader("liquidator", 10**6 * WAD)
    prices = list(PRICES)
    clearing = world.clearing.send
    for _ in range(30):
        market = rnd.choice(world.markets)
        prices[market - 1] = prices[market - 1] * rnd.randrange(800, 1_250) // 1_000
        world.price(prices[market - 1], market, rnd.randrange(12, 4_000))
        for _ in range(6):
            buyer, seller = rnd.sample([*people, rich], 2)
            size = rnd.randrange(1, 2_000) * WAD * 10 // prices[market - 1] * WAD // 7
            at = prices[market - 1] * rnd.randrange(950, 1_050) // 1_000
            attempt(lambda b=buyer, s=seller, q=size, p=at, m=market: world.fill(b, s, q, p, m))
        for account in rnd.sample(people, 6):
            attempt(
                lambda a=account, m=market: clearing.liquidate(
                    a, m, 2**256 - 1, rich, sender="0x" + rich[:20].hex()
                )
            )
            attempt(lambda a=account: world.deleverage(a, KEEPER))
            attempt(lambda a=account: clearing.settle(a, sender=KEEPER))
        compare(world, columns)


def test_a_screen_follows_funding_without_renewal() -> None:
    world, indexer = followed(params=FUNDED)
    columns = Columns(indexer)
    long, short = world.trader("long", 1_000 * WAD), world.trader("short", 1_000 * WAD)
    world.fill(long, short, 10 * WAD, P * 102 // 100)
    world.next_block(600)
    world.fill(long, short, 10 * WAD, P * 105 // 100)
    columns.update(world.chain.timestamp)
    world.next_block(3 * 86_400)
    prices, now = {1: P}, world.chain.timestamp
    screen = columns.screen(prices, now)
    for account, number in columns.number.items():
        equity = world.clearing.view.equity(account)
        assert columns.exact(number, prices, now)[0] == equity
        assert abs(screen.equity[number] - equity / WAD) <= screen.error[number]
    compare(world, columns)


def test_thresholds_are_decided_in_integers() -> None:
    """One wei below, at and above each threshold: floats cannot tell, the decision must."""
    world, indexer = followed(params=replace(FUNDED, taker_fee_bps=0, maker_fee_bps=0))
    columns = Columns(indexer)
    long, short = world.trader("long", 600 * WAD), world.trader("short", 10**6 * WAD)
    world.fill(long, short, 10**20 + 7, P)
    columns.update(world.chain.timestamp)
    number = columns.number[long]
    seen = set()
    for target in (0, 1):
        low, high = 90 * WAD, P
        while high - low > 1:
            middle = (low + high) // 2
            equity, needed = columns.exact(number, {1: middle})
            low, high = (middle, high) if equity < needed * target else (low, middle)
        for price in (low - 1, low, high, high + 1):
            equity, needed = columns.exact(number, {1: price})
            screen = columns.screen({1: price})
            assert screen.bankrupt[number] == (equity < 0)
            assert screen.liquidatable[number] == (0 <= equity < needed)
            assert screen.examined == 1
            seen.add((bool(screen.bankrupt[number]), bool(screen.liquidatable[number])))
    assert seen == {(True, False), (False, True), (False, False)}
