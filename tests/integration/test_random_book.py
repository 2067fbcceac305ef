"""Large random books through crashes: everybody bankrupt is resolved, and what is written off is
never more than profit that nobody has been paid (S2, S3; design section 6, step 4)."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from ballast.errors import Reverted
from tests.support.world import INSURANCE, KEEPER, WAD, ZERO_FEES, World

MARKETS = 16
PARAMS = replace(
    ZERO_FEES,
    initial_margin_bps=200,
    maintenance_margin_bps=100,
    taker_fee_bps=5,
    insurance_cap_quote=1_000 * WAD,
    min_notional_quote=WAD,
)
LEVERAGES = (0.8, 1.6, 2.5, 4, 8, 15, 30, 45)


class Book:
    """Two groups of 16 markets. In each: accounts with a leg in all 16, and accounts with a few."""

    def __init__(self, seed: int) -> None:
        self.random = rnd = random.Random(seed)
        self.price = [10 ** rnd.uniform(-2, 5) for _ in range(2 * MARKETS)]
        self.world = World(
            PARAMS,
            prices=tuple(int(price * WAD) for price in self.price),
            groups=(1,) * MARKETS + (2,) * MARKETS,
            buckets=2,
            insurance_cap_quote=20 * WAD,
        )
        self.world.donate(INSURANCE, 300 * WAD)
        self.accounts: dict[int, list[bytes]] = {1: [], 2: []}
        wide = {group: [self.open(group, MARKETS, i) for i in range(6)] for group in (1, 2)}
        for i in range(6, 120):
            group = rnd.choice((1, 2))
            self.open(group, rnd.randrange(1, 5), i)
            if i % 16 == 0:
                self.move(0.03)
        view = self.world.clearing.view
        assert any(len(view.markets_of(a)) == 16 for group in (1, 2) for a in wide[group])

    def open(self, group: int, legs: int, label: int) -> bytes:
        """An account of some leverage, its legs against a house with cash of its own."""
        rnd, world = self.random, self.world
        leverage = LEVERAGES[label % len(LEVERAGES)]
        notional = 1_000 * WAD
        cash = int(notional * legs / leverage * 1.05) + WAD
        account = world.trader(f"trader {group} {label}", cash)
        house = world.trader(f"house {group} {label}", int(cash * rnd.uniform(1.05, 4)))
        self.accounts[group] += [account, house]
        world.next_block()
        offset = (group - 1) * MARKETS
        for market in sorted(rnd.sample(range(1 + offset, 1 + offset + MARKETS), legs)):
            sides = (account, house) if rnd.random() < 0.5 else (house, account)
            price = world.oracle.view.price(market)[0]
            world.fill(*sides, notional * WAD // price, price, market)
        return account

    def move(self, gap: float) -> None:
        """All prices, up or down by as much as `gap`."""
        self.world.chain.mine(12)
        for market in self.world.markets:
            change = 1 + self.random.choice((-1, 1)) * self.random.uniform(0, gap)
            price = int(self.world.oracle.view.price(market)[0] * change)
            self.world.oracle.send.set_price(market, price, sender=KEEPER)

    def everybody(self) -> list[bytes]:
        return self.accounts[1] + self.accounts[2]

    def places(self) -> set[tuple[int, bool, int, int]]:
        """All occupied buckets: market, side, tier, tick."""
        view = self.world.clearing.view
        return {
            (market, is_long, entry.tier, entry.tick)
            for market in self.world.markets
            for is_long in (False, True)
            for entry in view.queue(market, is_long, 0, 256)
        }

    def resolve(self) -> int:
        """Deleverages until nobody is bankrupt; calls it took."""
        world, calls = self.world, 0
        while bankrupt := [a for a in self.everybody() if world.clearing.view.equity(a) < 0]:
            for account in bankrupt:
                # Another one's resolution may have paid this one's claim, never the reverse.
                if world.clearing.view.equity(account) >= 0:
                    continue
                try:
                    world.deleverage(account)
                except Reverted as refusal:
                    # Booking rounds: an equity of minus a few wei of views can be zero once booked.
                    if refusal.reason != "waterfall: account solvent":
                        raise
                    world.clearing.send.settle(account, sender=KEEPER)
                calls += 1
            assert calls < 5_000
        return calls

    def unpaid_profit(self, group: int) -> int:
        """Claims that wait and open profit, of all accounts of a group."""
        view = self.world.clearing.view
        profit = 0
        for account in self.accounts[group]:
            profit += max(0, view.unsettled(account))
            for market in view.markets_of(account):
                profit += max(0, view.position(account, market)[2])
        return profit


@pytest.mark.parametrize("seed", range(3))
def test_no_account_stays_unresolved(seed: int) -> None:
    book = Book(seed)
    view, vault = book.world.clearing.view, book.world.vault.view
    places = book.places()
    assert len(places) >= 50
    tiers: set[int] = set()
    calls = 0
    for gap in (0.1, 0.3, 0.6, 0.6):
        book.move(gap)
        for account in book.everybody()[::3]:
            book.world.clearing.send.refresh(account, sender=KEEPER)
        tiers |= {tier for _, _, tier, _ in book.places()}
        calls += book.resolve()
        for group in (1, 2):
            assert view.shortfall(group) <= book.unpaid_profit(group)
        assert vault.total() <= book.world.token.view.balanceOf(book.world.vault.address)
    assert tiers == set(range(8))
    assert calls > 100
    for account in book.everybody():
        assert view.equity(account) >= 0
        if not view.markets_of(account):
            assert view.unsettled(account) >= 0
    lost = [view.shortfall(group) // WAD for group in (1, 2)]
    print(f"\nseed {seed}: {len(places)} buckets, {calls} calls, shortfalls {lost}")
