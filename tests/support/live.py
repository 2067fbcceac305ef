"""A deployment on a local node, with traders who use it, as keepers meet it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ape import accounts, networks
from ape.logging import LogLevel, logger

from ballast import config
from ballast.ape_chain import ApeChain
from ballast.client import Ballast
from ballast.deploy import deploy, deploy_token
from ballast.errors import Reverted
from ballast.node import Node
from ballast.signing import Order, account_id, key_from_label

WAD = 10**18
PUBLISHERS = [key_from_label(f"publisher {i}") for i in range(5)]
PRICES = {1: 100_000 * WAD, 2: 4_000 * WAD, 3: 200 * WAD}
SECOND_GROUP = 3
"""The market that is in a clearing group of its own."""


class Live:
    """A fresh deployment; every transaction is in a block of its own.

    `faucet`: the collateral is the test token with permits, else one without."""

    def __init__(self, url: str, provider: Any, traders: int = 6, faucet: bool = False) -> None:
        self.url = url
        self.node = Node(url)
        self.chain = ApeChain(provider)
        self.sender = self.chain.register(accounts.test_accounts[0])
        self.asked = _two_groups()
        token = None if faucet else deploy_token(self.chain, self.sender)
        self.record = deploy(self.chain, self.asked, sender=self.sender, collateral=token)
        self.ballast = Ballast.from_deployment(self.chain, self.record)
        self.prices = dict(PRICES)
        self._salt = 0
        self.traders = [key_from_label(f"trader {i}") for i in range(traders)]
        self.ballast.token.send.mint(self.sender, 10**12 if faucet else 10**15, sender=self.sender)
        self.ballast.stake(2_000 * 10**6, sender=self.sender)
        for place in range(traders):
            for market in (1, SECOND_GROUP):
                account = self.account(place, market)
                self.ballast.deposit(account, 1_000 * 10**6, sender=self.sender)
        self.report(PRICES)

    def account(self, place: int, market: int = 1) -> bytes:
        """A trader's account; its subaccount in the second group's market."""
        return account_id(self.traders[place].address, int(market == SECOND_GROUP))

    def report(self, prices: dict[int, int], seconds: int = 12) -> None:
        """Reports, in a block of their own; again where a step waits."""
        self.prices.update(prices)
        for _ in range(2):
            self.chain.mine(seconds)
            self.ballast.report_prices(prices, PUBLISHERS[:3], sender=self.sender)
            prices = {m: p for m, p in prices.items() if self.ballast.oracle.view.pending(m)[0]}
            if not prices:
                break

    def move(self, factor: float) -> None:
        """All prices times a factor."""
        self.report({market: int(price * factor) for market, price in self.prices.items()})

    def trade(self, market: int, buyer: int, seller: int, quote: int = 2_000) -> None:
        """Two signed orders at the oracle's price, for this much notional."""
        price = self.ballast.oracle.view.observe(market)[0]
        size = quote * WAD * WAD // price
        orders = []
        for place in (buyer, seller):
            self._salt += 1
            account = self.account(place, market)
            order = Order(account, market, place == buyer, size, price, salt=self._salt)
            orders.append(self.ballast.sign_order(order, self.traders[place]))
        self.ballast.match(orders[0], [orders[1]], [size], sender=self.sender)

    def bustle(self, steps: int, seed: int) -> None:
        """Random trades, deposits, prices, settlements and forced closes; what is refused is left
        out."""
        rnd = random.Random(seed)
        for _ in range(steps):
            kind = rnd.random()
            buyer, seller = rnd.sample(range(len(self.traders)), 2)
            market = rnd.choice(list(PRICES))
            try:
                if kind < 0.5:
                    self.trade(market, buyer, seller, rnd.randrange(100, 3_000))
                elif kind < 0.65:
                    account = self.account(buyer, market)
                    amount = rnd.randrange(1, 400) * 10**6
                    self.ballast.deposit(account, amount, sender=self.sender)
                elif kind < 0.8:
                    self.move(rnd.uniform(0.93, 1.07))
                elif kind < 0.9:
                    self.ballast.settle(self.account(buyer, market), sender=self.sender)
                else:
                    self.ballast.deleverage(self.account(buyer, market), sender=self.sender)
            except Reverted:
                continue

    def mine(self, blocks: int) -> None:
        """Empty blocks."""
        self.node.ask("anvil_mine", hex(blocks))

    def mark(self) -> str:
        """A mark that `back` goes back to, once."""
        return str(self.node.ask("evm_snapshot"))

    def back(self, mark: str) -> None:
        """Undo all blocks since a mark: what is mined now is another branch."""
        assert self.node.ask("evm_revert", mark)


def _two_groups() -> config.DeployConfig:
    asked = config.load(config.PARAMETERS / "local.toml")
    markets = list(asked.markets)
    markets[SECOND_GROUP - 1] = replace(markets[SECOND_GROUP - 1], group=2)
    groups = (*asked.groups, replace(asked.groups[0], group=2))
    return replace(asked, markets=tuple(markets), groups=groups)


@contextmanager
def live(url: str, traders: int = 6, faucet: bool = False) -> Iterator[Live]:
    """The deployment on the node at an address."""
    level = logger.level
    logger.set_level(LogLevel.ERROR)
    settings = {"host": url}
    try:
        with networks.ethereum.local.use_provider(
            "foundry", provider_settings=settings
        ) as provider:
            yield Live(url, provider, traders, faucet)
    finally:
        logger.set_level(level)
