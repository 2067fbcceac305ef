"""The contracts as `ballast.deploy.deploy` wires them, used only by addresses without any role.

Traders sign with keys; whatever a stranger may do is done by a new stranger each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

from eth_account.signers.local import LocalAccount

from ballast import config
from ballast.build import artifact
from ballast.client import Ballast
from ballast.contract import Contract
from ballast.deploy import deploy, deploy_token
from ballast.evm import Revm
from ballast.signing import Order, SignedOrder, key_from_label
from tests.support.world import MAX, address

WAD = 10**18
PUBLISHERS = [key_from_label(f"publisher {n}") for n in range(5)]
DEPLOYER = address("deployer")
HEARTBEAT = 3_600
SOL, LINK = 3, 4
"""A market priced by the signed oracle, and one priced by a Chainlink feed (both 4 % and 2 %)."""


class Wired:
    """One deployment of parameters/local.toml with a Chainlink market beside."""

    def __init__(self, sol: int = 100 * WAD, link: int = 100 * WAD, reward_bps: int = 2) -> None:
        self.chain = Revm()
        self._strangers: Iterator[int] = count()
        self._salts: Iterator[int] = count()
        token = deploy_token(self.chain, DEPLOYER)
        aggregator = artifact("MockAggregator")
        feed, _ = self.chain.deploy(aggregator.deploy_code(8), sender=DEPLOYER)
        self.feed = Contract(self.chain, feed, aggregator.abi)
        asked = config.load(config.PARAMETERS / "local.toml")
        chainlink = replace(
            asked.markets[SOL - 1],
            symbol="LINK",
            oracle="chainlink",
            feed=feed,
            heartbeat_seconds=HEARTBEAT,
        )
        asked = replace(
            asked,
            markets=(*asked.markets, chainlink),
            adl=replace(asked.adl, reward_bps=reward_bps),
        )
        self.asked = asked
        self.record = deploy(self.chain, asked, sender=DEPLOYER, collateral=token)
        self.ballast = Ballast.from_deployment(self.chain, self.record)
        self.house, self.vault = self.ballast.clearinghouse, self.ballast.vault
        self._round = 0
        self.answer(link)
        self.report(SOL, sol)

    def stranger(self) -> str:
        """An address nobody has seen before."""
        return address(f"stranger {next(self._strangers)}")

    # Prices, as anyone brings them

    def report(self, market: int, price: int) -> None:
        """A report of all publishers; a step beyond the bound is reported once more, later."""
        self.ballast.report_prices({market: price}, PUBLISHERS, sender=self.stranger())
        if self.ballast.oracle.view.pending(market)[0]:
            self.chain.mine()
            self.ballast.report_prices({market: price}, PUBLISHERS, sender=self.stranger())

    def answer(self, price: int, age: int = 0) -> None:
        """A round of LINK's feed."""
        self._round += 1
        time = self.chain.timestamp - age
        args = self._round, price // 10**10, time, time, self._round
        self.feed.send.set_round(*args, sender=DEPLOYER)

    def prices(self, sol: int, link: int, seconds: int = 12) -> None:
        """Both prices, in a new block."""
        self.chain.mine(seconds)
        self.report(SOL, sol)
        self.answer(link)

    # People

    def trader(self, label: str, cash: int) -> LocalAccount:
        """A key whose account 0 a stranger has given `cash` (WAD)."""
        key = key_from_label(label)
        self.deposit(self.account(key), cash)
        return key

    def deposit(self, account: bytes, cash: int) -> None:
        """A stranger deposits for an account (WAD)."""
        payer, units = self.stranger(), cash // 10**12
        self.ballast.token.send.mint(payer, units, sender=payer)
        self.ballast.deposit(account, units, sender=payer)

    def donate(self, key: int, cash: int) -> None:
        """A stranger gives to insurance (1) or the keeper reserve (3)."""
        payer, units = self.stranger(), cash // 10**12
        self.ballast.token.send.mint(payer, units, sender=payer)
        self.ballast.donate(key, units, sender=payer)

    @staticmethod
    def account(key: LocalAccount) -> bytes:
        """The key's account 0."""
        return Ballast.account_id(key.address)

    def sign(
        self, key: LocalAccount, is_buy: bool, size: int, price: int, market: int, **more: Any
    ) -> SignedOrder:
        """An order, each with a salt of its own."""
        order = Order(
            account=self.account(key),
            market=market,
            is_buy=is_buy,
            size=size,
            limit_price=price,
            salt=next(self._salts),
            **more,
        )
        return self.ballast.sign_order(order, key)

    def trade(
        self, buyer: LocalAccount, seller: LocalAccount, size: int, price: int, market: int = SOL
    ) -> None:
        """Two signed orders, matched by a stranger."""
        buy = self.sign(buyer, True, size, price, market)
        sell = self.sign(seller, False, size, price, market)
        self.ballast.match(buy, [sell], [size], sender=self.stranger())

    def liquidate(self, account: bytes, market: int, liquidator: LocalAccount) -> int:
        """As much as is allowed, by a liquidator with an account of its own; base taken."""
        receipt = self.house.send.liquidate(
            account, market, MAX, self.account(liquidator), sender=liquidator.address
        )
        return int(self.house.returned(receipt, "liquidate", 4))
