"""S10: the lazily settled contracts equal the eager exact model, within the derived dust."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tests.support.twin import Twin
from tests.support.world import REAL_FEES, WAD, ZERO_FEES, account_id, address

PRICES = (100 * WAD, 2_500 * WAD, 3 * WAD // 10, 64_000 * WAD)
GROUPS = (1, 1, 1, 2)
FUNDED = replace(
    REAL_FEES,
    premium_cap_bps=500,
    funding_cap_bps=400,
    price_band_bps=1_500,
    insurance_cap_quote=2_000 * WAD,
    min_notional_quote=5 * WAD,
)
OPENING = 280
STEPS = 900


class Walk:
    """A seeded random walk over the protocol's calls."""

    def __init__(
        self, seed: int, params=FUNDED, traders: int = 140, every: int = 100, levels=()
    ) -> None:
        """`levels`: prices jump between (very nearly) these multiples of the first ones, and fills
        are at the oracle price: the same few buckets are shared, drained and joined again."""
        self.levels = levels
        self.random = random.Random(seed)
        self.twin = Twin(
            every,
            params=params,
            prices=PRICES,
            groups=GROUPS,
            buckets=8,
            reward_bps=2,
            insurance_cap_quote=500 * WAD,
        )
        self.oracle = list(PRICES)
        self.people = [account_id(address(f"trader {seed} {i}")) for i in range(traders)]
        self.homes = {who: 2 if i % 5 == 4 else 1 for i, who in enumerate(self.people)}
        for who in self.people:
            self.twin.deposit(who, self.amount(50, 5_000))
        self.twin.donate("insurance", self.amount(100, 2_000))
        self.twin.donate("reserve", self.amount(10, 100))
        self.next_block(0.0)
        for i in range(OPENING):
            self.fill()
            if i % 20 == 19:
                self.next_block(0.01)

    def positions(self) -> int:
        """Open legs."""
        legs = (leg for m in self.twin.model.state.markets.values() for leg in m.legs.values())
        return sum(leg.size != 0 for leg in legs)

    def amount(self, low: float, high: float) -> int:
        return int(low * (high / low) ** self.random.random() * WAD)

    def next_block(self, gap: float) -> None:
        prices = {}
        for i, market in enumerate(self.twin.world.markets):
            step = self.random.uniform(-gap, gap)
            back = 0.05 * (PRICES[i] / self.oracle[i] - 1)
            self.oracle[i] = max(10**12, int(self.oracle[i] * max(0.4, 1 + step + back)))
            if self.levels:
                near = self.random.uniform(1, 1.001)
                self.oracle[i] = int(PRICES[i] * self.random.choice(self.levels) * near)
            prices[market] = self.oracle[i]
        self.twin.new_block(prices, self.random.choice((1, 12, 60, 3_600)))

    def fill(self) -> None:
        rnd, twin = self.random, self.twin
        market = rnd.choice(twin.world.markets)
        home = GROUPS[market - 1]
        buyer, seller = rnd.sample([w for w in self.people if self.homes[w] == home], 2)
        spread = 0.0 if self.levels else 0.02
        price = int(self.oracle[market - 1] * rnd.uniform(1 - spread, 1 + spread))
        held = twin.size(buyer, market), twin.size(seller, market)
        view = twin.world.clearing.view
        free = min(view.free_cash(buyer), view.free_cash(seller))
        size = int(rnd.uniform(0.2, 8) * max(free, WAD)) * WAD // price
        kind = rnd.random()
        if kind < 0.25 and max(held) > 0:
            size = rnd.choice([h for h in held if h > 0])
        elif kind < 0.35 and max(held) > 1:
            size = rnd.randrange(1, max(held))
        if kind > 0.9:
            twin.fill_orders(market, buyer, True, [(seller, size, price), (seller, size, price)])
        else:
            twin.fill(market, buyer, seller, size, price)

    def step(self) -> None:
        rnd, twin = self.random, self.twin
        kind, who = rnd.random(), rnd.choice(self.people)
        if kind < 0.55:
            self.fill()
        elif kind < 0.60:
            self.twin.deposit(who, self.amount(1, 500))
        elif kind < 0.68:
            twin.withdraw(who, self.amount(1, 500))
        elif kind < 0.78:
            twin.settle(who)
        elif kind < 0.83:
            twin.refresh(who)
        elif kind < 0.86:
            twin.set_adl(rnd.randrange(1, 9))
        elif kind < 0.88:
            self.next_block(0.0)
            market = rnd.choice(twin.world.markets)
            twin.set_oracle(market, self.oracle[market - 1], rnd.randrange(8))
        else:
            self.next_block(rnd.choice((0.002, 0.002, 0.02, 0.02, 0.1, 0.6)))
            self.keepers()

    def keepers(self) -> None:
        """Liquidations and deleveraging, both of them late and partial."""
        rnd, twin = self.random, self.twin
        view = twin.world.clearing.view
        for who in self.people:
            markets = view.markets_of(who)
            equity = view.equity(who)
            if not markets and equity >= 0:
                continue
            if equity < view.margin(who)[1] and markets and rnd.random() < 0.5:
                home = [w for w in self.people if self.homes[w] == self.homes[who] and w != who]
                twin.liquidate(who, rnd.choice(markets), rnd.choice(home))
            if view.equity(who) < 0 and rnd.random() < 0.8:
                for _ in range(rnd.randrange(1, 6)):
                    twin.deleverage(who)


@pytest.mark.parametrize("seed", range(2))
def test_random_walk(seed: int) -> None:
    walk = Walk(seed)
    positions = 0
    for _ in range(STEPS):
        walk.step()
        positions = max(positions, walk.positions())
    walk.twin.compare()
    print(f"\nseed {seed}: at most {positions} positions; {walk.twin.report()}")
    assert positions > 200
    assert walk.twin.model.violations() == []


def test_random_walk_without_fees_or_insurance() -> None:
    params = replace(ZERO_FEES, insurance_cap_quote=0, min_notional_quote=5 * WAD)
    walk = Walk(100, params, traders=25)
    for _ in range(700):
        walk.step()
    walk.twin.compare()
    print(f"\n{walk.twin.report()}")


def test_random_walk_in_shared_buckets() -> None:
    walk = Walk(7, traders=40, every=25, levels=(0.6, 0.8, 1, 1.25))
    for _ in range(600):
        walk.step()
    walk.twin.compare()
    print(f"\n{walk.twin.report()}")
