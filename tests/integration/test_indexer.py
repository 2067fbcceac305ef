"""An indexer that sees logs alone holds the book the chain's views show, to the last unit."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from ballast.errors import Reverted
from ballast.indexed import IndexerError
from ballast.indexer import Indexer
from ballast.mirror import CLAIMS_KEY, Reader
from tests.support.world import (
    INSURANCE,
    KEEPER,
    MAX,
    OWNER,
    REAL_FEES,
    RESERVE,
    VENUE,
    WAD,
    World,
    account_id,
    address,
)

P = 100 * WAD
PRICES = (P, 7 * WAD, 2_500 * WAD)
GROUPS = (1, 1, 2)
FUNDED = replace(
    REAL_FEES,
    premium_cap_bps=500,
    funding_cap_bps=400,
    price_band_bps=2_000,
    insurance_cap_quote=300 * WAD,
    min_notional_quote=10**12,
)


class Followed:
    """A world whose every transaction is shown to an indexer, from the first one on."""

    def __init__(self, **options) -> None:
        self.world = World(**options)
        self.indexer = Indexer(self.world.vault.address, self.world.clearing.address)
        self.logs: list[tuple[list, int, int]] = []
        chain = self.world.chain
        send = chain.send

        def followed(*args, **kwargs):
            receipt = send(*args, **kwargs)
            self.logs.append((receipt.logs, chain.block_number, chain.timestamp))
            self.take_twice()
            return receipt

        # The deployment's own calls are replayed: listing and groups come before the first trade.
        self.replay_setup(options)
        chain.send = followed  # type: ignore[method-assign]

    def replay_setup(self, options) -> None:
        world = self.world
        groups = options.get("groups") or (1,) * len(world.markets)
        for group in sorted(set(groups)):
            cap = options.get("insurance_cap_quote", 0)
            receipt = world.clearing.send.set_group(group, cap, 86_400, sender=OWNER)
            self.indexer.apply(receipt.logs, world.chain.block_number, world.chain.timestamp)
        for market in world.markets:
            params = world.clearing.view.market_params(market)
            receipt = world.clearing.send.set_market(market, tuple(params), sender=OWNER)
            logs = sorted(receipt.logs, key=lambda log: log.topics[0] != _topic(world, "MarketSet"))
            self.indexer.apply(logs, world.chain.block_number, world.chain.timestamp)

    def take_twice(self) -> None:
        """The last transaction in, back, and in again: it leaves no trace when it is taken back."""
        before = self.known()
        changes = self.indexer.watch()
        self.indexer.apply(*self.logs[-1])
        self.indexer.undo(changes)
        assert self.known() == before
        self.indexer.apply(*self.logs[-1])

    def known(self) -> dict[str, list[str]]:
        """All that the indexer knows, in an order of its own."""
        return {name: sorted(map(repr, rows)) for name, rows in self.indexer.state().items()}

    def compare(self) -> None:
        """Everything, exactly."""
        world, indexer = self.world, self.indexer
        reader = Reader(world.clearing, indexer.accounts, indexer.funding_caps_bps, indexer.groups)
        read, known = reader.read(), indexer.book(world.chain.timestamp)
        assert known.groups == read.groups
        assert known.markets == read.markets
        for account, there in read.accounts.items():
            assert known.accounts[account] == there, account.hex()
        assert known == read
        view = world.clearing.view
        for key, bucket in indexer.buckets.items():
            stored = view.bucket(key >> 32, key & 2**17 - 1)
            fields = bucket.size, bucket.shares, bucket.epoch, bucket.credit_index
            assert (*fields, bucket.funding_index) == tuple(stored)
        for (key, epoch), ended in indexer.retired.items():
            assert tuple(view.retired(key, epoch)) == ended
        for market in world.markets:
            for is_long in (False, True):
                queue = view.queue(market, is_long, 0, 256)
                side = {
                    key & 2**16 - 1: bucket.size
                    for key, bucket in indexer.buckets.items()
                    if key >> 32 == market and (key >> 16 & 1) == is_long and bucket.size
                }
                assert {e.tier << 13 | e.tick: e.size_base for e in queue} == side


def _topic(world: World, name: str) -> bytes:
    return next(t for t, e in world.clearing.interface.events.items() if e.name == name)


def attempt(call) -> bool:
    try:
        call()
    except Reverted:
        return False
    return True


@pytest.mark.parametrize("seed", range(4))
def test_random_activity(seed):
    rnd = random.Random(seed)
    f = Followed(
        params=FUNDED,
        prices=PRICES,
        groups=GROUPS,
        reward_bps=3,
        buckets=4,
        insurance_cap_quote=50 * WAD,
    )
    world, send, vault = f.world, f.world.clearing.send, f.world.vault.send
    people = [(f"t{i}", world.trader(f"t{i}", rnd.randrange(100, 2_000) * WAD)) for i in range(24)]
    homes = {who: 2 if i % 5 == 0 else 1 for i, (_, who) in enumerate(people)}
    world.donate(INSURANCE, 40 * WAD)
    world.donate(RESERVE, 10 * WAD)
    riches = {group: account_id(OWNER, group) for group in (1, 2)}
    for rich in riches.values():
        world.deposit(rich, 10**6 * WAD)
    oracle = dict(zip(world.markets, PRICES, strict=True))

    def next_block() -> None:
        world.chain.mine(rnd.choice((1, 12, 600, 7_200)))
        gap = rnd.choice((0.01, 0.05, 0.3))
        for market in world.markets:
            back = 0.1 * (PRICES[market - 1] / oracle[market] - 1)
            oracle[market] = int(oracle[market] * (1 + back + rnd.uniform(-gap, gap)))
            if rnd.random() < 0.95:
                world.oracle.send.set_price(market, oracle[market], sender=OWNER)

    for step in range(700):
        kind = rnd.random()
        label, who = rnd.choice(people)
        market = rnd.choice(world.markets)
        near = [w for _, w in people if homes[w] == GROUPS[market - 1]]
        price = int(oracle[market] * rnd.uniform(0.95, 1.05))
        if kind < 0.4:
            size = int(rnd.uniform(10, 3_000) * WAD * WAD / price)
            pair = rnd.sample(near, 2)
            attempt(lambda: world.fill(*pair, size, price, market))  # noqa: B023
        elif kind < 0.5:
            makers = rnd.sample(near, 4)
            taker = makers.pop()
            sizes = [int(rnd.uniform(10, 900) * WAD * WAD / price) for _ in makers]
            prices = [int(price * rnd.uniform(0.99, 1.01)) for _ in makers]
            args = (market, taker, rnd.random() < 0.5, makers, sizes, prices)
            attempt(lambda: send.fill_orders(*args, sender=VENUE))  # noqa: B023
        elif kind < 0.6:
            attempt(lambda: send.settle(who, sender=KEEPER))  # noqa: B023
        elif kind < 0.66:
            attempt(lambda: send.refresh(who, sender=KEEPER))  # noqa: B023
        elif kind < 0.7:
            world.deposit(who, rnd.randrange(1, 300) * WAD)
        elif kind < 0.76:
            amount = rnd.randrange(1, 300) * WAD
            attempt(lambda: vault.withdraw(who, amount, KEEPER, sender=address(label)))  # noqa: B023
        elif kind < 0.84:
            for weak in near:
                if world.clearing.view.max_liquidation(weak, market)[0]:
                    rich = riches[GROUPS[market - 1]]
                    size = rnd.choice((MAX, WAD))
                    attempt(lambda: send.liquidate(weak, market, size, rich, sender=OWNER))  # noqa: B023
                    break
        elif kind < 0.93:
            attempt(lambda: send.deleverage(who, sender=KEEPER))  # noqa: B023
        else:
            next_block()
        if step % 50 == 0:
            f.compare()
    fees = world.vault.view.fees()
    if fees:
        vault.collect_fees(fees, KEEPER, sender=OWNER)
    f.compare()
    world.chain.mine(3_600)
    f.compare()
    names = {e.name for logs, _, _ in f.logs for e in world.clearing.interface.decode_logs(logs)}
    assert {"ForcedClose", "Liquidated", "LossDrawn", "ClaimsChanged", "UnsettledChanged"} <= names


def test_parameters_that_change():
    f = Followed(params=FUNDED, prices=(P,))
    world = f.world
    loser, winner = (world.trader(label, 100 * WAD) for label in ("loser", "winner"))
    world.donate(INSURANCE, 1_000 * WAD)
    world.next_block(3_600)
    world.fill(loser, winner, 5 * WAD, 104 * WAD)
    world.price(82 * WAD)
    world.deleverage(loser)
    assert f.indexer.book(world.chain.timestamp).markets[1].insurance_used > 0
    assert world.clearing.view.funding(1)[1] > 0
    params = world.clearing.view.market_params(1)
    for changes in ({"insurance_cap_quote": 900 * WAD}, {"funding_cap_bps": 0}, {}):
        world.next_block(7_200)
        asked = tuple(params._replace(**changes))
        receipt = world.clearing.send.set_market(1, asked, sender=OWNER)
        f.indexer.apply(receipt.logs, world.chain.block_number, world.chain.timestamp)
        f.compare()
    assert world.clearing.view.funding(1)[1] == 0


def drained(f: Followed, is_long: bool):
    """A bucket with members that is drained by 2^32 and joined again: its epoch is retired."""
    world = f.world
    one, two = (world.trader(label, 10_000 * WAD) for label in ("one", "two"))
    maker = world.trader("maker", 10**6 * WAD)
    second = world.trader("second maker", 10**6 * WAD)
    fodder = world.trader("fodder", 200 * WAD)

    def trade(buyer, seller, size, price):
        world.fill(*((buyer, seller) if is_long else (seller, buyer)), size, price)

    world.next_block()
    trade(one, maker, 6 * WAD, P)
    trade(two, maker, 4 * WAD + 1, P)
    up, far = (110, 150) if is_long else (90, 50)
    world.price(up * WAD)
    trade(second, fodder, 10 * WAD - 10**8, up * WAD)
    world.price(far * WAD)
    while world.clearing.view.equity(fodder) < 0:
        world.deleverage(fodder)
    world.price(P)
    return one, two, maker, trade


@pytest.mark.parametrize("is_long", [True, False])
def test_retired_epochs(is_long):
    f = Followed(params=replace(FUNDED, initial_margin_bps=1_000), prices=(P,), buckets=1)
    one, two, maker, trade = drained(f, is_long)
    f.compare()
    third = f.world.trader("third", 10_000 * WAD)
    f.world.next_block(3_600)
    trade(third, maker, 2 * WAD, P)
    f.compare()
    assert f.indexer.retired
    f.world.next_block(3_600)
    f.compare()
    trade(two, one, WAD, P)  # out of the old epoch, into the new one
    f.compare()
    for account in (one, two, third, maker):
        f.world.clearing.send.settle(account, sender=KEEPER)
        f.compare()


def test_claims_of_several_epochs():
    """Claims are paid down to a few wei of many shares, then joined anew."""
    f = Followed(params=replace(FUNDED, taker_fee_bps=0, maker_fee_bps=0), prices=(P,))
    world = f.world
    winners = [world.trader(f"w{i}", 1_000 * WAD) for i in range(3)]
    loser = world.trader("loser", 10_000 * WAD)
    heir, other = (world.trader(label, 10**6 * WAD) for label in ("heir", "other"))
    world.next_block()
    world.fill(heir, other, 100 * WAD, P)
    for winner in winners:
        world.fill(winner, loser, 3 * WAD, P)
    price = P
    for _ in range(4):
        price += 10 * WAD
        world.price(price, seconds=1)
        for winner in winners:
            held = world.clearing.view.position(winner, 1)[0]
            world.fill(heir, winner, held // 2, price)
            f.compare()
        # The loser closes until a few wei are left to wait.
        waiting = world.clearing.view.claims(1)
        held = -world.clearing.view.position(loser, 1)[0]
        entry = world.clearing.view.position(loser, 1)[1]
        size = min(held // 2, (waiting - 7) * WAD // (price - entry))
        world.fill(loser, heir, size, price)
        f.compare()
        world.clearing.send.settle(winners[0], sender=KEEPER)
        f.compare()
    epochs = {key for key in f.indexer.retired if key[0] == CLAIMS_KEY + 1}
    assert epochs
    for account in (*winners, loser, heir):
        world.clearing.send.settle(account, sender=KEEPER)
        f.compare()


def test_missing_logs_are_noticed():
    f = Followed(params=FUNDED, prices=(P,))
    world = f.world
    buyer, seller = (world.trader(label, 1_000 * WAD) for label in ("buyer", "seller"))
    world.fill(buyer, seller, WAD, P)
    late = Indexer(world.vault.address, world.clearing.address)
    with pytest.raises(IndexerError):
        late.apply(*_withdrawal(f, seller))
    lost = Followed(params=FUNDED, prices=(P,))
    one, other = (lost.world.trader(label, 1_000 * WAD) for label in ("buyer", "seller"))
    lost.world.fill(one, other, 2 * WAD, P)
    logs, block, now = lost.logs[-1]
    with pytest.raises(IndexerError, match="two positions"):
        lost.indexer.apply(logs[-2:-1], block, now)


def _withdrawal(f: Followed, account: bytes):
    f.world.chain.mine()
    f.world.vault.send.withdraw(account, WAD, KEEPER, sender=address("seller"))
    return f.logs[-1]
