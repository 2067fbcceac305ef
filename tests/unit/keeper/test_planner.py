"""What the planner says is what the chain takes: plans of in-process states, carried out."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from ballast.bench.hall import Followed
from ballast.columns import Columns
from ballast.config import MarketParams
from ballast.errors import Reverted
from ballast.indexer import Indexer
from ballast.keeper.actions import (
    DELEVERAGE_MANY,
    FOR_EVER,
    LIQUIDATE_MANY,
    Action,
    Kind,
    halves,
)
from ballast.keeper.planner import Plan, plan
from ballast.keeper.situation import Batch, PlanSettings, Situation
from ballast.keeper.takeover import terms
from tests.support.world import (
    KEEPER,
    OWNER,
    REAL_FEES,
    RESERVE,
    WAD,
    World,
    account_id,
)

P = 100 * WAD
OWN = account_id(KEEPER)
GWEI = 10**9
PARAMS = replace(REAL_FEES, premium_cap_bps=0, funding_cap_bps=0)
WANTED = PlanSettings(liquidator=OWN, native_quote=2_000 * WAD)


class Book:
    """A world, a mirror of it, and a keeper's account in it."""

    def __init__(self, prices: tuple[int, ...] = (P,), cash: int = 0, buckets: int = 8) -> None:
        chain = Followed()
        self.world = World(PARAMS, prices, reward_bps=2, buckets=buckets, chain=chain)
        indexer = Indexer(self.world.vault.address, self.world.clearing.address)
        chain.follow(indexer)
        self.columns = Columns(indexer)
        self.world.donate(RESERVE, 1_000 * WAD)
        if cash:
            self.world.deposit(OWN, cash)

    def situation(self, gas_price: int = GWEI, **more) -> Situation:
        world, now = self.world, self.world.chain.timestamp
        self.columns.update(now)
        seen = {market: world.oracle.view.observe(market) for market in world.markets}
        params = {
            market: MarketParams(*world.clearing.view.market_params(market))
            for market in world.markets
        }
        return Situation(
            columns=self.columns,
            timestamp=now,
            prices={market: price for market, (price, _, _) in seen.items()},
            statuses={market: status for market, (_, _, status) in seen.items()},
            params=params,
            adl_params=world.clearing.view.adl_params(),
            gas_price=gas_price,
            **more,
        )

    def plan(self, settings: PlanSettings = WANTED, **more) -> Plan:
        return plan(self.situation(**more), settings, self.world.clearing.address)

    def carry_out(self, made: Plan) -> None:
        """Every action, none of which may revert."""
        for action in made.actions:
            self.world.chain.send(action.target, action.data, sender=KEEPER)

    def equity(self, account: bytes) -> int:
        return self.world.clearing.view.equity(account)

    def is_low(self, account: bytes) -> bool:
        return self.equity(account) < self.world.clearing.view.margin(account)[1]


def kinds(made: Plan) -> list[str]:
    return [str(action.kind) for action in made.actions]


def crowd(book: Book, rnd: random.Random, count: int = 12) -> list[bytes]:
    """Traders of all leverages, in every market, against each other."""
    world = book.world
    accounts = []
    for number in range(count):
        size = rnd.randrange(1, 50) * WAD
        market = rnd.choice(world.markets)
        price = world.oracle.view.price(market)[0]
        notional = size * price // WAD
        long = world.trader(f"long {number}", notional * rnd.randrange(6, 20) // 100)
        short = world.trader(f"short {number}", notional * rnd.randrange(6, 20) // 100)
        world.next_block()
        world.fill(long, short, size, price, market)
        accounts += [long, short]
    return accounts


@pytest.mark.parametrize("seed", range(6))
def test_a_crash_is_resolved_by_its_plans_alone(seed: int) -> None:
    rnd = random.Random(seed)
    book = Book((P, 7 * WAD), cash=50_000 * WAD)
    accounts = crowd(book, rnd)
    acted: set[str] = set()
    for step in range(12):
        market = rnd.choice(book.world.markets)
        price = book.world.oracle.view.price(market)[0]
        changes = (88, 112) if step % 6 == 5 else (94, 97, 98, 102, 103, 106)
        book.world.price(price * rnd.choice(changes) // 100, market)
        for _ in range(20):
            made = book.plan(gas_price=1)
            low = sum(book.equity(a) >= 0 and book.is_low(a) for a in accounts)
            assert made.bankrupt == sum(book.equity(a) < 0 for a in accounts)
            assert made.liquidatable == low
            if not made.actions:
                break
            acted |= set(kinds(made))
            book.carry_out(made)
        assert all(book.equity(a) >= 0 for a in accounts)
        assert not any(book.is_low(a) for a in accounts)
    view = book.world.clearing.view
    assert view.backing(OWN) >= view.margin(OWN)[0] > 0
    assert {"deleverage", "liquidate"} <= acted


@pytest.mark.parametrize("seed", range(4))
def test_terms_are_those_of_the_chain(seed: int) -> None:
    rnd = random.Random(seed)
    book = Book((P, 7 * WAD))
    accounts = crowd(book, rnd)
    seen = 0
    for change in (98, 99, 98, 99, 98, 99, 98, 98, 99, 98):
        for market in book.world.markets:
            price = book.world.oracle.view.price(market)[0]
            book.world.price(price * change // 100, market)
        now = book.situation()
        funding = book.columns.indexer.funding(now.timestamp)
        for account in accounts:
            number = book.columns.number[account]
            equity, needed = book.columns.exact(number, now.prices, now.timestamp)
            if not 0 <= equity < needed:
                continue
            for market, leg in book.columns.indexer.account(account, funding).legs.items():
                most = terms(equity, needed, leg, now.prices[market], now.params[market])
                there = book.world.clearing.view.max_liquidation(account, market)
                assert most.size == there[0]
                seen += 1
    assert seen > 5


def low_long(book: Book, size: int = 100 * WAD) -> bytes:
    """A long below maintenance, against a short that is well."""
    world = book.world
    notional = size * P // WAD
    long = world.trader("long", notional * 6 // 100)
    short = world.trader("short", notional)
    world.fill(long, short, size, P)
    world.price(P * 96 // 100)
    assert book.equity(long) >= 0
    assert book.is_low(long)
    return long


def test_a_small_liquidator_takes_a_part() -> None:
    book = Book(cash=200 * WAD)
    long = low_long(book)
    (action,) = [a for a in book.plan().actions if a.kind is Kind.LIQUIDATE]
    most, _ = book.world.clearing.view.max_liquidation(long, 1)
    assert 0 < action.size < most
    book.world.chain.send(action.target, action.data, sender=KEEPER)
    size, _, _ = book.world.clearing.view.position(OWN, 1)
    assert size == action.size
    # What it took is nine tenths of what it could.
    view = book.world.clearing.view
    assert view.margin(OWN)[0] <= view.backing(OWN) < view.margin(OWN)[0] * 6 // 5


def test_nothing_is_taken_over_without_margin_or_by_the_account_itself() -> None:
    for cash in (0, 10**12):
        book = Book(cash=cash)
        low_long(book)
        assert Kind.LIQUIDATE not in kinds(book.plan())
    book = Book(cash=10_000 * WAD)
    long = low_long(book)
    assert Kind.LIQUIDATE in kinds(book.plan())
    assert Kind.LIQUIDATE not in kinds(book.plan(bound_quote=10_000 * WAD))
    assert Kind.LIQUIDATE not in kinds(book.plan(busy=frozenset({long})))
    assert Kind.LIQUIDATE not in kinds(book.plan(replace(WANTED, liquidator=long)))
    assert Kind.LIQUIDATE not in kinds(book.plan(replace(WANTED, liquidator=None)))


def several_low(book: Book, count: int) -> None:
    """Longs below maintenance, against shorts that are well."""
    world = book.world
    for number in range(count):
        long = world.trader(f"long {number}", 600 * WAD)
        world.fill(long, world.trader(f"short {number}", 10_000 * WAD), 100 * WAD, P)
    world.price(P * 96 // 100)


def liquidations(made: Plan) -> list[Action]:
    return [action for action in made.actions if action.kind is Kind.LIQUIDATE]


def test_several_take_overs_go_into_one_transaction_once_that_is_allowed() -> None:
    book = Book(cash=10**6 * WAD)
    several_low(book, LIQUIDATE_MANY + 3)
    batch = book.world.batch.address
    alone = book.plan()
    assert len(liquidations(alone)) == LIQUIDATE_MANY + 3
    asking = book.plan(batch=Batch(batch, is_allowed=False))
    assert liquidations(asking) == liquidations(alone)
    (allow,) = [action for action in asking.actions if action.kind is Kind.ALLOW]
    book.world.chain.send(allow.target, allow.data, sender=KEEPER)
    assert book.world.clearing.view.operator_expiry(KEEPER, batch) == FOR_EVER
    made = book.plan(batch=Batch(batch, is_allowed=True))
    assert [len(action.parts) for action in liquidations(made)] == [LIQUIDATE_MANY, 3]
    for name in ("reward_quote", "margin_quote", "gas"):
        total = sum(getattr(action, name) for action in liquidations(alone))
        assert sum(getattr(action, name) for action in liquidations(made)) == total
    book.carry_out(made)
    for action in liquidations(alone):
        assert not book.is_low(action.accounts[0])


def test_one_take_over_needs_no_batch() -> None:
    book = Book(cash=10**6 * WAD)
    several_low(book, 1)
    for is_allowed in (False, True):
        made = book.plan(batch=Batch(book.world.batch.address, is_allowed))
        assert [a.target for a in liquidations(made)] == [book.world.clearing.address]


def test_a_batch_of_take_overs_is_halved() -> None:
    book = Book(cash=10**6 * WAD)
    several_low(book, 3)
    (whole,) = liquidations(book.plan(batch=Batch(book.world.batch.address, is_allowed=True)))
    one, two = halves(whole)
    assert (one.target, len(two.parts)) == (book.world.clearing.address, 2)
    assert one.accounts + two.accounts == whole.accounts
    for action in (one, two):
        book.world.clearing.send.set_operator(book.world.batch.address, FOR_EVER, sender=KEEPER)
        book.world.chain.send(action.target, action.data, sender=KEEPER)
    assert not any(book.is_low(account) for account in whole.accounts)
    assert halves(one) == []


def test_margin_is_not_used_twice_in_one_plan() -> None:
    book = Book(cash=600 * WAD)
    world = book.world
    for number in range(4):
        long = world.trader(f"long {number}", 600 * WAD)
        world.fill(long, world.trader(f"short {number}", 10_000 * WAD), 100 * WAD, P)
    world.price(P * 96 // 100)
    made = book.plan(replace(WANTED, kinds=frozenset({Kind.LIQUIDATE})))
    assert 1 < len(made.actions) <= 4
    assert sum(action.margin_quote for action in made.actions) <= 600 * WAD
    book.carry_out(made)


def test_what_does_not_pay_for_its_gas_is_left() -> None:
    book = Book(cash=10_000 * WAD)
    low_long(book)
    only = replace(WANTED, kinds=frozenset({Kind.LIQUIDATE}))
    (action,) = book.plan(only).actions
    reward = action.reward_quote
    # 600,000 gas at 2,000 quote a coin: a gwei is 1.2 quote.
    dearest = (reward // WAD) * 10 // 12
    assert book.plan(only, gas_price=dearest * GWEI).actions
    assert not book.plan(only, gas_price=(dearest + 2) * GWEI).actions
    assert not book.plan(replace(only, min_profit_quote=reward)).actions
    before = book.world.clearing.view.equity(OWN)
    book.carry_out(book.plan(only))
    gained = book.world.clearing.view.equity(OWN) - before
    assert reward <= gained <= reward + 2 * WAD


def test_bankrupt_accounts_come_first_and_in_batches() -> None:
    book = Book(cash=100_000 * WAD)
    world = book.world
    shorts = [world.trader(f"short {n}", 100_000 * WAD) for n in range(3)]
    count = DELEVERAGE_MANY + 3
    longs = [world.trader(f"long {n}", (600 + n) * WAD) for n in range(count)]
    for n, long in enumerate(longs):
        world.fill(long, shorts[n % 3], 100 * WAD, P)
    low = world.trader("low", 1_150 * WAD)
    world.fill(low, shorts[0], 100 * WAD, P)
    world.price(P * 90 // 100)
    made = book.plan()
    assert kinds(made)[:3] == ["deleverage", "deleverage", "liquidate"]
    first, second = made.actions[:2]
    assert first.accounts == tuple(longs[:DELEVERAGE_MANY])  # the deepest first
    assert len(second.accounts) == 3
    left, right = halves(first)
    assert left.accounts + right.accounts == first.accounts
    assert left.key != right.key != first.key
    book.carry_out(made)
    assert all(book.equity(long) >= 0 for long in longs)
    # Gone already: nothing reverts, nothing is done.
    returned = world.chain.call(first.target, first.data, sender=KEEPER)
    assert int.from_bytes(returned, "big") == 0


def test_an_account_that_meets_many_buckets_is_called_as_often() -> None:
    book = Book(buckets=1)
    world = book.world
    # Five shorts at five entries: five buckets, of which a call takes one.
    long = world.trader("long", 3_000 * WAD)
    for n in range(5):
        world.price(P * (100 + n) // 100)
        world.fill(long, world.trader(f"short {n}", 50_000 * WAD), 20 * WAD, P * (100 + n) // 100)
    other = world.trader("other", 130 * WAD)
    world.fill(other, world.trader("short 4"), 15 * WAD, P * 104 // 100)
    world.price(P * 70 // 100)
    (action,) = [a for a in book.plan().actions if a.kind is Kind.DELEVERAGE]
    assert action.accounts.count(long) == 5
    assert action.accounts.count(other) >= 1
    world.chain.send(action.target, action.data, sender=KEEPER)
    assert world.clearing.view.position(long, 1)[0] == 0
    assert book.equity(long) >= 0
    assert book.equity(other) >= 0


def test_a_stale_market_is_left_alone() -> None:
    book = Book(cash=10_000 * WAD)
    low_long(book)
    world = book.world
    bankrupt = world.trader("bankrupt", 600 * WAD)
    world.fill(bankrupt, world.trader("rich", 50_000 * WAD), 100 * WAD, P * 96 // 100)
    world.price(P * 88 // 100)
    assert {"deleverage"} <= set(kinds(book.plan()))
    now = book.situation()
    for status in (1, 4):
        frozen = replace(now, statuses={1: status})
        made = plan(frozen, WANTED, world.clearing.address)
        assert not {"deleverage", "liquidate"} & set(kinds(made))


def test_losers_settle_while_claims_wait() -> None:
    book = Book()
    world = book.world
    loser, winner = world.trader("loser", 5_000 * WAD), world.trader("winner", 5_000 * WAD)
    small = world.trader("small", 300 * WAD)
    world.fill(loser, winner, 100 * WAD, P)
    world.fill(small, winner, WAD, P)
    world.price(P * 90 // 100)
    # The winner closes against a newcomer: nobody has paid yet.
    world.fill(winner, world.trader("newcomer", 20_000 * WAD), 101 * WAD, P * 90 // 100)
    waiting = world.clearing.view.claims(1)
    assert waiting > 900 * WAD
    made = book.plan()
    assert [a.accounts for a in made.actions if a.kind is Kind.SETTLE] == [(loser,), (small,)]
    assert made.waiting == {1: waiting}
    dear = replace(WANTED, min_settle_quote=50 * WAD)
    assert [a.accounts for a in book.plan(dear).actions if a.kind is Kind.SETTLE] == [(loser,)]
    book.carry_out(made)
    assert world.clearing.view.claims(1) < 10 * WAD
    assert Kind.SETTLE not in kinds(book.plan())


def test_winners_in_a_wrong_tier_are_refreshed_a_few_at_a_time() -> None:
    book = Book()
    world = book.world
    longs = [world.trader(f"long {n}", 1_100 * WAD) for n in range(6)]
    short = world.trader("short", 100_000 * WAD)
    world.next_block()
    for n, long in enumerate(longs):
        world.fill(long, short, (50 + n) * WAD, P)
    assert Kind.REFRESH not in kinds(book.plan())
    for step in (110, 121, 133):
        world.price(P * step // 100)
    made = book.plan()
    refreshed = [a.accounts[0] for a in made.actions if a.kind is Kind.REFRESH]
    assert refreshed == longs[:1:-1]  # four, the largest first
    book.carry_out(made)
    rest = book.plan(replace(WANTED, max_refresh=9))
    assert [a.accounts[0] for a in rest.actions] == longs[1::-1]
    book.carry_out(rest)
    assert book.plan().actions == []
    # A repeated call writes nothing (S12): the planner would not ask for it.
    receipt = world.chain.send(made.actions[0].target, made.actions[0].data, sender=KEEPER)
    assert receipt.logs == []


def test_only_what_is_asked_for() -> None:
    book = Book(cash=10_000 * WAD)
    low_long(book)
    assert book.plan(replace(WANTED, kinds=frozenset({Kind.SETTLE}))).actions == []


def test_a_stranger_may_not_use_anothers_margin() -> None:
    book = Book(cash=10_000 * WAD)
    low_long(book)
    (action,) = book.plan(replace(WANTED, kinds=frozenset({Kind.LIQUIDATE}))).actions
    with pytest.raises(Reverted, match="not the operator"):
        book.world.chain.send(action.target, action.data, sender=OWNER)
