"""Views that tell what a call would do: they must be right to the unit."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace

import pytest

from ballast.errors import Reverted
from ballast.mirror import Reader
from ballast.model import grid
from tests.support.checks import emitted, refuses
from tests.support.world import (
    INSURANCE,
    KEEPER,
    MAX,
    OWNER,
    REAL_FEES,
    WAD,
    ZERO_FEES,
    World,
    address,
)

P = 100 * WAD
FUNDED = replace(REAL_FEES, premium_cap_bps=500, funding_cap_bps=400, insurance_cap_quote=100 * WAD)


def book(seed: int, params=FUNDED, traders: int = 12, gap: float = 0.06, decimals: int = 18):
    """A world in which a seeded crowd has traded, won, lost, been closed and waits for claims."""
    rnd = random.Random(seed)
    world = World(params=params, prices=(P, 7 * WAD), reward_bps=1, buckets=3, decimals=decimals)
    people = [world.trader(f"t{i}", rnd.randrange(100, 1_000) * WAD) for i in range(traders)]
    world.donate(INSURANCE, 20 * WAD)
    last = {market: world.oracle.view.price(market)[0] for market in world.markets}

    def next_block(seconds: int, step: float) -> None:
        world.chain.mine(seconds)
        for market in world.markets:
            last[market] = int(last[market] * rnd.uniform(1 - step, 1 + step))
            world.oracle.send.set_price(market, last[market], sender=OWNER)

    for _ in range(12):
        next_block(rnd.choice((12, 600, 7_200)), gap)
        for _ in range(12):
            market = rnd.choice(world.markets)
            price = int(last[market] * rnd.uniform(0.98, 1.02))
            size = int(rnd.uniform(20, 2_000) * WAD * WAD / last[market])
            one, other = rnd.sample(people, 2)
            with suppress(Reverted):
                world.fill(one, other, size, price, market)
        for who in rnd.sample(people, 4):
            with suppress(Reverted):
                world.deleverage(who)
        world.clearing.send.settle(rnd.choice(people), sender=KEEPER)
    next_block(3_600, 2 * gap)
    return world, people


SEEDS = range(4)


@pytest.mark.parametrize("decimals", [6, 18])
@pytest.mark.parametrize("seed", SEEDS)
def test_free_cash_is_what_withdraw_accepts(seed, decimals):
    world, people = book(seed, decimals=decimals)
    for i, account in enumerate(people):
        free = world.clearing.view.free_cash(account) // world.scale
        owner = address(f"t{i}")
        with world.chain.rolled_back(), pytest.raises(Reverted):
            world.vault.send.withdraw(account, free + 1, KEEPER, sender=owner)
        if free:
            with world.chain.rolled_back():
                world.vault.send.withdraw(account, free, KEEPER, sender=owner)


@pytest.mark.parametrize("seed", SEEDS)
def test_preview_is_what_deleverage_then_does(seed):
    found = 0
    for gap in (0.06, 0.12, 0.2):
        world, people = book(seed, gap=gap)
        for account in people:
            preview = [tuple(s) for s in world.clearing.view.preview_deleverage(account)]
            with world.chain.rolled_back():
                if not preview:
                    with pytest.raises(Reverted, match=r"^waterfall: (account solvent|nothing to)"):
                        world.clearing.send.deleverage(account, sender=KEEPER)
                    continue
                receipt = world.clearing.send.deleverage(account, sender=KEEPER)
                done = [
                    (a["market"], a["bucket_id"], a["size"], a["price"])
                    for _, a in emitted(world, receipt, "ForcedClose")
                ]
                found += len(preview)
                first = [slice_ for slice_ in done if slice_[0] == done[0][0]]
                assert preview == first
    assert found


@pytest.mark.parametrize("seed", SEEDS)
def test_max_liquidation_is_what_liquidate_takes(seed):
    found = 0
    for gap in (0.06, 0.12):
        world, people = book(seed, gap=gap)
        liquidator = world.trader("liquidator", 10**6 * WAD)
        sender = address("liquidator")
        for account in people:
            for market in world.markets:
                size, price = world.clearing.view.max_liquidation(account, market)
                with world.chain.rolled_back():
                    if size == 0:
                        with pytest.raises(Reverted):
                            world.clearing.send.liquidate(
                                account, market, MAX, liquidator, sender=sender
                            )
                        continue
                    found += 1
                    receipt = world.clearing.send.liquidate(
                        account, market, MAX, liquidator, sender=sender
                    )
                    ((_, args),) = emitted(world, receipt, "Liquidated")
                    assert (args["size"], args["price"]) == (size, price)
    assert found


# liquidation_price


@pytest.mark.parametrize("is_long", [True, False])
@pytest.mark.parametrize(("size", "cash"), [(10, 150), (33, 1_234), (1_000, 12_345)])
def test_liquidation_price_is_exact(is_long, size, cash):
    world = World()
    trader = world.trader("trader", cash * WAD)
    rival = world.trader("rival", 10**7 * WAD)
    world.next_block()
    sides = (trader, rival) if is_long else (rival, trader)
    world.fill(*sides, size * WAD + 1, P)
    edge = world.clearing.view.liquidation_price(trader, 1)
    assert (edge < P) == is_long
    beyond = -1 if is_long else 1
    for price, works in ((edge - beyond, False), (edge, False), (edge + beyond, True)):
        with world.chain.rolled_back():
            world.price(price)
            assert (world.clearing.view.liquidation_price(trader, 1) == price) == works or not works
            if works:
                world.clearing.send.liquidate(trader, 1, WAD, rival, sender=address("rival"))
            else:
                with refuses("liquidation: account healthy"):
                    world.clearing.send.liquidate(trader, 1, WAD, rival, sender=address("rival"))


def test_liquidation_price_of_who_cannot_be_or_already_is():
    world = World()
    rich, poor = world.trader("rich", 10_000 * WAD), world.trader("poor", 101 * WAD)
    rival = world.trader("rival", 10**7 * WAD)
    world.next_block()
    view = world.clearing.view
    assert view.liquidation_price(rich, 1) == 0
    world.fill(rich, rival, 10 * WAD, P)
    assert view.liquidation_price(rich, 1) == 0
    world.fill(poor, rival, 10 * WAD, P)
    world.price(90 * WAD)
    assert view.liquidation_price(poor, 1) == 90 * WAD


# The queue


def crowd(count: int):
    """`count` longs at different entries and leverages; the price then rises to 130."""
    world = World(prices=(100 * WAD,))
    rival = world.trader("rival", 10**8 * WAD)
    people = [world.trader(f"t{i}", (150 + 37 * (i * 7 % 11)) * WAD) for i in range(count)]
    world.next_block()
    for i, account in enumerate(people):
        price = (82 + i * 37 // count) * WAD
        world.fill(account, rival, (3 + i % 5) * WAD, price)
    world.price(105 * WAD)
    return world, people, rival


def expected_queue(world, people):
    """By brute force: (score, tier, tick, size) of each bucket, in order."""
    price = world.clearing.view.price(1)[0]
    sizes: dict[int, int] = {}
    for account in people:
        bucket = world.clearing.view.bucket_of(account, 1)
        sizes[bucket] = sizes.get(bucket, 0) + world.clearing.view.position(account, 1)[0]
    entries = []
    for bucket, size in sizes.items():
        tier, tick = bucket >> 13 & 7, bucket & 8191
        entries.append((bucket, grid.score(True, tier, tick, price), tier, tick, size))
    return sorted(entries, key=lambda e: (-e[1], -e[2], e[3]))


def test_queue_in_order_and_in_pages():
    world, people, _ = crowd(40)
    expected = expected_queue(world, people)
    queue = world.clearing.view.queue
    assert [tuple(e) for e in queue(1, True, 0, 256)] == expected
    assert [tuple(e) for e in queue(1, True, 0, MAX)] == expected
    pages = [tuple(e) for start in range(0, 60, 7) for e in queue(1, True, start, 7)]
    assert pages == expected
    assert queue(1, True, len(expected), 5) == []
    assert queue(1, True, MAX, 5) == []
    assert queue(1, True, 0, 0) == []
    assert queue(2, True, 0, 9) == []
    assert len(queue(1, False, 0, 9)) == 1 or queue(1, False, 0, 9)


def test_adl_rank():
    world, people, rival = crowd(40)
    expected = expected_queue(world, people)
    total = sum(entry[4] for entry in expected)
    assert world.clearing.view.open_interest(1) == (total, total)
    bands = set()
    for account in people:
        bucket = world.clearing.view.bucket_of(account, 1)
        place = [entry[0] for entry in expected].index(bucket)
        ahead = sum(entry[4] for entry in expected[:place])
        band = 5 - min(4, 5 * ahead // total)
        bands.add(band)
        assert world.clearing.view.adl_rank(account, 1) == (expected[place][1], ahead, band)
    assert bands == {1, 2, 3, 4, 5}
    assert world.clearing.view.adl_rank(world.trader("stranger"), 1) == (0, 0, 0)
    assert world.clearing.view.adl_rank(rival, 1)[1:] == (0, 5)


def test_bucket_and_retired():
    world, people, _ = crowd(3)
    bucket = world.clearing.view.bucket_of(people[0], 1)
    size, shares, epoch, credit, funding = world.clearing.view.bucket(1, bucket)
    assert (size, shares, epoch, credit, funding) == (3 * WAD, 3 * WAD, 1, 0, 0)
    assert world.clearing.view.bucket(1, 5) == (0, 0, 0, 0, 0)
    assert world.clearing.view.retired(1 << 32 | bucket & 2**17 - 1, 1) == (0, 0, 0)


# The mirror


@pytest.mark.parametrize("seed", SEEDS)
def test_the_mirror_equals_the_views(seed):
    world, people = book(seed)
    caps = dict.fromkeys(world.markets, world.params.funding_cap_bps)
    reader = Reader(world.clearing, [*people, b"\7" * 32], caps, [1])
    mirror = reader.read()
    view, vault = world.clearing.view, world.vault.view
    mirror.prices = {m: view.price(m)[0] for m in world.markets}
    im = dict.fromkeys(world.markets, world.params.initial_margin_bps)
    mm = dict.fromkeys(world.markets, world.params.maintenance_margin_bps)
    for account in reader.accounts:
        a = mirror.accounts[account]
        assert a.cash == vault.balance_of(account)
        assert a.group == view.group_of(account)
        assert a.unsettled == view.unsettled(account)
        assert list(a.legs) == view.markets_of(account)
        assert mirror.equity(account) == view.equity(account)
        assert mirror.backing(account) == view.backing(account)
        wanted = mirror.requirement(account, im), mirror.requirement(account, mm)
        assert wanted == view.margin(account)
        for market, leg in a.legs.items():
            size, entry, result = view.position(account, market)
            assert (leg.signed_size, leg.entry_price) == (size, entry)
            assert leg.result(mirror.price(market)) == result
            assert leg.bucket_id == view.bucket_of(account, market)
    for market in world.markets:
        assert mirror.markets[market].open_interest == view.open_interest(market)[0]
        now = mirror.markets[market].funding_at(world.chain.timestamp, caps[market])
        assert now == view.funding(market)[0]
    assert mirror.groups[1].claims.size == view.claims(1)
    assert mirror.groups[1].shortfall == view.shortfall(1)
    assert mirror.groups[1].pool == vault.pool_of(1)
    assert (mirror.insurance, mirror.fees, mirror.keeper_reserve, mirror.total) == (
        vault.insurance(),
        vault.fees(),
        vault.keeper_reserve(),
        vault.total(),
    )


def test_account_id():
    world = World()
    assert (
        world.clearing.view.account_id(KEEPER, 7) == bytes.fromhex(KEEPER[2:]) + bytes(11) + b"\7"
    )
    assert world.clearing.view.account_id(OWNER, 2**96 - 1)[20:] == b"\xff" * 12


def test_direct_calls_are_refused():
    world = World()
    lens = world.clearing.at(world.clearing.view.LENS())
    account, market = b"\1" * 32, 1
    for name, args in {
        "equity": (account,),
        "backing": (account,),
        "unsettled": (account,),
        "margin": (account,),
        "price": (market,),
        "free_cash": (account,),
        "markets_of": (account,),
        "group_of": (account,),
        "open_interest": (market,),
        "funding": (market,),
        "price_status": (market,),
        "claims": (1,),
        "shortfall": (1,),
        "insurance_left": (market,),
        "operator_expiry": (KEEPER, KEEPER),
        "max_liquidation": (account, market),
        "liquidation_price": (account, market),
        "adl_rank": (account, market),
        "queue": (market, True, 0, 1),
        "bucket": (market, 0),
        "bucket_of": (account, market),
        "preview_deleverage": (account,),
        "read": ([], [], []),
        "retired": (1, 1),
        "guardian": (),
        "venues": (KEEPER,),
        "is_paused": (market,),
        "market_params": (market,),
        "group_params": (1,),
        "adl_params": (),
    }.items():
        with refuses("lens: call the clearinghouse"):
            getattr(lens.view, name)(*args)
        getattr(world.clearing.view, name)(*args)
    assert ZERO_FEES.group == 1
