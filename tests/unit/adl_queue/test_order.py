"""The queue's order against a plain sort, written from the rule of design section 5."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

import pytest

from tests.support.world import KEEPER, WAD, ZERO_FEES, World
from tests.unit.grid.test_grid import EDGES, LEVERAGE

PARAMS = replace(
    ZERO_FEES, initial_margin_bps=200, maintenance_margin_bps=100, min_notional_quote=WAD
)
HOUSE_CASH = 10**7 * WAD


def score(is_long: bool, tier: int, tick: int, price: int) -> int:
    """Profit from the edge nearest to the price, times leverage, or divided by it; WAD."""
    low, high = EDGES[tick], EDGES[tick + 1]
    if low <= price < high:
        return 0
    nearest = high if price >= high else low
    profit = Fraction(price - nearest if is_long else nearest - price, nearest)
    whole = int(abs(profit) * WAD)
    return whole * LEVERAGE[tier] if profit > 0 else -(whole // LEVERAGE[tier])


def rank(is_long: bool, tier: int, tick: int, price: int) -> tuple[int, int, int]:
    """Sort key: score descending, higher tier, more profitable tick."""
    return -score(is_long, tier, tick, price), -tier, tick if is_long else -tick


class Book:
    """Accounts of one leg each, prices from 40 to 250, of every leverage, against one house."""

    def __init__(self, seed: int, accounts: int) -> None:
        rnd = random.Random(seed)
        self.world = World(PARAMS, prices=(100 * WAD,), buckets=4)
        self.house = self.world.trader("house", HOUSE_CASH)
        self.accounts: list[bytes] = []
        price = 100.0
        for i in range(accounts):
            if i % 4 == 0:
                price = min(250.0, max(40.0, price * rnd.uniform(0.8, 1.25)))
                self.world.price(int(price * WAD))
            at = int(price * WAD * rnd.uniform(0.97, 1.03))
            size = rnd.randrange(WAD, 20 * WAD)
            leverage = rnd.choice((0.7, 1.5, 2.5, 4, 8, 15, 30, 45))
            account = self.world.trader(f"trader {i}", int(size * at // WAD / leverage * 1.05))
            self.world.next_block()
            sides = (account, self.house) if rnd.random() < 0.5 else (self.house, account)
            oracle = self.world.oracle.view.price(1)[0]
            self.world.fill(*sides, size, at if leverage < 8 else oracle)
            self.accounts.append(account)
        self.world.price(int(price * WAD * 1.04))
        for account in self.accounts[::3]:
            self.world.clearing.send.refresh(account, sender=KEEPER)

    def legs(self) -> dict[bytes, tuple[bool, int, int, int]]:
        """By account: side, tier, tick, size. The bucket's id says where it is."""
        view = self.world.clearing.view
        found = {}
        for account in (*self.accounts, self.house):
            size = view.position(account, 1)[0]
            if size:
                bucket = view.bucket_of(account, 1)
                found[account] = (size > 0, (bucket >> 13) & 7, bucket & 8191, abs(size))
        return found

    def sorted_buckets(self, is_long: bool, price: int) -> list[tuple[int, int, int]]:
        """(tier, tick, size) by brute force over the members."""
        sizes: dict[tuple[int, int], int] = {}
        for side, tier, tick, size in self.legs().values():
            if side == is_long:
                sizes[tier, tick] = sizes.get((tier, tick), 0) + size
        order = sorted(sizes, key=lambda place: rank(is_long, *place, price))
        return [(*place, sizes[place]) for place in order]


@pytest.fixture(scope="module")
def book() -> Book:
    return Book(seed=1, accounts=120)


@pytest.mark.parametrize("price", [1, 20, 60, 99, 100, 101, 140, 300, 10**6])
@pytest.mark.parametrize("is_long", [True, False])
def test_queue_is_the_sorted_book(book: Book, price: int, is_long: bool) -> None:
    view = book.world.clearing.view
    with book.world.chain.rolled_back():
        book.world.price(price * WAD)
        expected = book.sorted_buckets(is_long, price * WAD)
        page = view.queue(1, is_long, 0, 256)
        assert [(e.tier, e.tick, e.size_base) for e in page] == expected
        for entry in page:
            assert entry.score == score(is_long, entry.tier, entry.tick, price * WAD)
    assert len(expected) > 20
    assert len({tier for tier, _, _ in expected}) >= 4


def test_every_page_of_the_queue(book: Book) -> None:
    view = book.world.clearing.view
    whole = view.queue(1, True, 0, 256)
    for count in (1, 7, len(whole)):
        pages = [view.queue(1, True, start, count) for start in range(0, len(whole), count)]
        assert [entry for page in pages for entry in page] == whole
    assert view.queue(1, True, len(whole), 10) == []
    assert view.queue(1, True, 0, 0) == []


@pytest.mark.parametrize("price", [60, 100, 170])
def test_adl_rank_counts_what_is_ahead(book: Book, price: int) -> None:
    view = book.world.clearing.view
    with book.world.chain.rolled_back():
        book.world.price(price * WAD)
        interest = view.open_interest(1)[0]
        queues = {side: book.sorted_buckets(side, price * WAD) for side in (True, False)}
        for account, (side, tier, tick, _) in book.legs().items():
            ahead = 0
            for other_tier, other_tick, size in queues[side]:
                if (other_tier, other_tick) == (tier, tick):
                    break
                ahead += size
            band = 5 - min(4, 5 * ahead // interest)
            expected = (score(side, tier, tick, price * WAD), ahead, band)
            assert view.adl_rank(account, 1) == expected


@pytest.mark.parametrize("price", [30, 55, 180, 320])
def test_each_bucket_taken_is_the_best_that_is_left(book: Book, price: int) -> None:
    """S4, from the events alone: by ForcedClose, no better bucket was left with any size in it."""
    world = book.world
    view = world.clearing.view
    with world.chain.rolled_back():
        world.price(price * WAD)
        closed = 0
        for account in book.accounts:
            while view.equity(account) < 0 and view.markets_of(account):
                size = view.position(account, 1)[0]
                left = {
                    (tier, tick): base
                    for tier, tick, base in book.sorted_buckets(size < 0, price * WAD)
                }
                receipt = world.clearing.send.deleverage(account, sender=KEEPER)
                taken = [e for e in world.clearing.events(receipt) if e.name == "ForcedClose"]
                assert 0 < len(taken) <= 4
                for close in taken:
                    place = (close.bucket_id >> 13) & 7, close.bucket_id & 8191
                    best = min(
                        (p for p in left if left[p] > len(book.accounts)),
                        key=lambda p: rank(size < 0, *p, price * WAD),
                    )
                    if close.size > len(book.accounts):  # more than what rounding leaves
                        assert place == best
                    left[place] = left.get(place, 0) - close.size
                closed += len(taken)
        assert closed >= 4
