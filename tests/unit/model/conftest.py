"""A small book to test the model with, and a seeded random walk through it."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from ballast.model import WAD, Clearing, MarketParams, ModelError

PARAMS = MarketParams(
    group=1,
    initial_margin_bps=1_000,
    maintenance_margin_bps=500,
    position_cap_base=10**6 * WAD,
    interest_cap_base=10**7 * WAD,
    min_notional_quote=10 * WAD,
    price_band_bps=500,
    maker_fee_bps=0,
    taker_fee_bps=0,
    fee_insurance_share_bps=3_000,
    fee_reserve_share_bps=2_000,
    liquidation_penalty_bps=150,
    liquidator_share_bps=5_000,
    penalty_insurance_share_bps=4_000,
    liquidation_target_bps=12_000,
    min_reward_quote=0,
    insurance_cap_quote=10**9 * WAD,
    insurance_refill_seconds=86_400,
    premium_cap_bps=100,
    funding_cap_bps=75,
    premium_window_seconds=3_600,
)


class Book:
    """A clearing with markets at a price, and short ways to drive it (whole units)."""

    def __init__(self, *markets: MarketParams, price: int = 100, buckets: int = 8) -> None:
        self.model = Clearing(buckets, 0, now=1_000_000, block=1)
        self.markets = [self.model.list_market(params) for params in markets]
        for market in self.markets:
            self.set_price(market, price)

    def set_price(self, market: int, price: float, status: int = 0) -> None:
        """A new block with this price."""
        self.model.advance(0)
        self.model.set_price(market, int(price * WAD), self.model.now, status)

    def fund(self, **cash: int) -> None:
        """Deposit whole units, then a new block."""
        for account, amount in cash.items():
            self.model.deposit(account, amount * WAD)
        self.model.advance(0)

    def trade(self, buyer: str, seller: str, size: int, price: int, market: int = 1) -> None:
        """A fill in whole units."""
        self.model.fill(market, buyer, seller, size * WAD, price * WAD)


class Walk:
    """A random walk: several markets, cross margin, gaps of up to 60 %, idle keepers. Every
    step checks the invariants; refused calls must leave the state as it was."""

    def __init__(self, seed: int, accounts: int = 12, fees: bool = True) -> None:
        self.random = Random(seed)
        base = replace(
            PARAMS,
            maker_fee_bps=2 * fees,
            taker_fee_bps=5 * fees,
            price_band_bps=5_000,
            min_reward_quote=WAD,
            insurance_cap_quote=200 * WAD,
        )
        other = replace(base, group=2, initial_margin_bps=2_000, maintenance_margin_bps=1_000)
        self.book = Book(base, replace(base, initial_margin_bps=300), other)
        self.model = self.book.model
        self.model.set_group(1, 50 * WAD, 3_600)
        self.model.set_adl(self.random.randint(1, 4), 10)
        self.prices = dict.fromkeys(self.book.markets, 100 * WAD)
        self.names = [f"trader{i}" for i in range(accounts)]
        for name in self.names:
            self.model.deposit(name, self.random.randint(50, 5_000) * WAD)
        for group in (1, 2):
            self.model.deposit(f"house{group}", 10**6 * WAD)
        self.model.donate("insurance", 100 * WAD)
        self.model.donate("reserve", 30 * WAD)
        self.done: dict[str, int] = {}
        self.hook: Callable[[str], None] = lambda action: None

    def step(self) -> str:
        """One random action; returns its name."""
        often = ("trade",) * 6 + ("orders",) * 3 + ("cash",) * 3 + ("gap",) * 2
        action = self.random.choice(
            (*often, *("liquidate",) * 3, "settle", "refresh", "deleverage")
        )
        if self._bankrupt() and self.random.random() < 0.3:
            action = "deleverage"
        before = self.digest()
        try:
            getattr(self, f"_{action}")()
            self.done[action] = self.done.get(action, 0) + 1
        except ModelError:
            assert self.digest() == before
        return action

    def digest(self) -> str:
        """The whole state as text."""
        return repr(self.model.state)

    def violations(self) -> list[str]:
        """At the fixed prices and at three random vectors."""
        vectors = [{m: self.random.randrange(1, 1_000 * WAD) for m in self.prices} for _ in "123"]
        return self.model.violations(vectors)

    def _market(self) -> int:
        return self.random.choice(self.book.markets)

    def _house(self, market: int) -> str:
        """A rich account of the market's group: counterparty and liquidator."""
        return "house2" if market == 3 else "house1"

    def _size(self) -> int:
        return self.random.randrange(WAD // 5, 12 * WAD)

    def _near(self, market: int) -> int:
        return self.prices[market] * self.random.choice((980, 1_000, 1_000, 1_020)) // 1_000

    def _held(self, name: str, market: int) -> int:
        position = self.model.position(name, market)
        return abs(int(position.size)) if position else 0

    def _trade(self) -> None:
        market = self._market()
        buyer, seller = self.random.sample([*self.names, *[self._house(market)] * 6], 2)
        size = self.random.choice(
            (self._size(), self._held(buyer, market), self._held(seller, market))
        )
        self.model.fill(market, buyer, seller, size, self._near(market))

    def _orders(self) -> None:
        market = self._market()
        taker, *makers = self.random.sample(self.names, 4)
        sizes = [self._size() for _ in makers]
        prices = [self._near(market) for _ in makers]
        buys = self.random.random() < 0.5
        self.model.fill_orders(market, taker, buys, makers, sizes, prices)

    def _gap(self) -> None:
        self.model.advance(self.random.randint(1, 10_000))
        for market, price in self.prices.items():
            low, high = self.random.choice(((990, 1_010), (930, 1_075), (500, 1_800)))
            price = min(
                max(price * self.random.randint(low, high) // 1_000, WAD // 10), 10**4 * WAD
            )
            self.prices[market] = price
            self.model.set_price(market, price, self.model.now)

    def _settle(self) -> None:
        self.model.settle(self.random.choice(self.names))

    def _refresh(self) -> None:
        self.model.refresh(self.random.choice(self.names))

    def _liquidate(self) -> None:
        size = self.random.choice((2**255, self._size()))
        weak = [name for name in self.names if self.model.equity(name) < self.model.margin(name)[1]]
        account = self.random.choice(weak or self.names)
        market = self.random.choice(self.model.markets_of(account) or [1])
        self.model.liquidate(account, market, size, self._house(market))

    def _cash(self) -> None:
        name = self.random.choice(self.names)
        if self.random.random() < 0.5:
            self.model.deposit(name, self.random.randint(1, 2_000) * WAD)
        else:
            self.model.withdraw(name, self.random.randint(1, 500) * WAD)

    def _deleverage(self) -> None:
        self.model.deleverage(self.random.choice(self._bankrupt() or self.names), "keeper")

    def _bankrupt(self) -> list[str]:
        return [name for name in self.names if self.model.equity(name) < 0]


@pytest.fixture
def params() -> MarketParams:
    """Parameters without fees."""
    return PARAMS


@pytest.fixture
def make_book() -> type[Book]:
    """Book(*markets, price=, buckets=)."""
    return Book


@pytest.fixture
def make_walk() -> type[Walk]:
    """Walk(seed, accounts=, fees=)."""
    return Walk
