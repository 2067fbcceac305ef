"""The deploy script's wiring in process, with traders who sign orders and publishers who sign
prices: where every operation is staged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ballast import config
from ballast.bench.trace import Transaction
from ballast.client import Ballast
from ballast.config import DeployConfig
from ballast.contract import Contract
from ballast.deploy import deploy, deploy_token
from ballast.evm import Revm
from ballast.signing import Order, account_id, key_from_label

CASH = 100_000
KEEPER = key_from_label("keeper").address
DEPLOYER = key_from_label("deployer").address
TOKEN_UNIT = 10**6
BTC = 1


def local_config(markets: int = 3) -> DeployConfig:
    """The local deployment, its last market repeated until there are so many."""
    asked = config.load(config.PARAMETERS / "local.toml")
    known = list(asked.markets)
    while len(known) < markets:
        known.append(replace(known[-1], symbol=f"COIN{len(known) + 1}"))
    return replace(asked, markets=tuple(known))


class Exchange:
    """A deployment and its traders. Prices are quote per base and sizes base, WAD; cash is whole
    units of quote."""

    def __init__(self, asked: DeployConfig | None = None) -> None:
        self.chain = Revm()
        asked = asked or local_config()
        token = deploy_token(self.chain, DEPLOYER, 6)
        self.client = Ballast.from_deployment(
            self.chain, deploy(self.chain, asked, sender=DEPLOYER, collateral=token)
        )
        self.salt = 0
        self.publishers = [key_from_label(f"publisher {number}") for number in range(3)]
        self.prices: dict[int, int] = {}

    def trader(self, label: str, cash: int = CASH) -> bytes:
        """An account with so much cash."""
        owner = key_from_label(label).address
        amount = cash * TOKEN_UNIT
        self.client.token.send.mint(owner, amount, sender=owner)
        account = account_id(owner)
        self.client.deposit(account, amount, sender=owner)
        return account

    def account(self, label: str) -> bytes:
        """The account of a trader."""
        return account_id(key_from_label(label).address)

    def report(self, price: int, market: int = BTC) -> Transaction:
        """What reports one market's price in a new block; the other markets keep theirs, unsent."""
        self.prices[market] = price
        self.chain.mine()
        reports = self.client.sign_prices({market: price}, self.publishers)
        return self._call(
            self.client.oracle, "report_prices", [report.as_tuple() for report in reports]
        )

    def price(self, price: int, market: int = BTC) -> None:
        """Report one market's price, and all others as they were, in a new block; then begin
        another block."""
        self.prices[market] = price
        self.chain.mine()
        self.client.report_prices(self.prices, self.publishers, sender=KEEPER)
        self.chain.mine()

    def trade(
        self,
        taker: str,
        makers: Sequence[str],
        size: int,
        price: int,
        *,
        buys: bool = True,
        market: int = BTC,
    ) -> Transaction:
        """A taker against makers, `size` with each, in a block with a fresh price."""
        self.price(self.prices.get(market, price), market)
        self.salt += 1
        took = self._order(taker, buys, size * len(makers), price, market)
        made = [self._order(maker, not buys, size, price, market) for maker in makers]
        return self._call(self.client.settlement, "match_orders", took, made, [size] * len(makers))

    def send(self, transaction: Transaction) -> None:
        """Send a transaction without measuring it."""
        self.chain.send(transaction.to, transaction.data, sender=transaction.sender)

    def gas(self, transaction: Transaction) -> int:
        """Send a transaction, cold; its gas."""
        to, data = transaction.to, transaction.data
        return self.chain.send(to, data, sender=transaction.sender, exact_gas=True).gas_used

    def deposit(self, label: str, cash: int) -> Transaction:
        """A deposit into one's own account; the tokens are there and approved."""
        owner = key_from_label(label).address
        return self._call(
            self.client.vault, "deposit", account_id(owner), cash * TOKEN_UNIT, sender=owner
        )

    def withdraw(self, label: str, cash: int, receiver: str | None = None) -> Transaction:
        """A withdrawal, to the owner by default."""
        owner = key_from_label(label).address
        amount, to = cash * TOKEN_UNIT, receiver or owner
        return self._call(
            self.client.vault, "withdraw", account_id(owner), amount, to, sender=owner
        )

    def liquidate(self, victim: str, liquidator: str) -> Transaction:
        """A take-over of as much as is allowed."""
        owner = key_from_label(liquidator).address
        args = (self.account(victim), BTC, 2**256 - 1, account_id(owner))
        return self._call(self.client.clearinghouse, "liquidate", *args, sender=owner)

    def deleverage(self, victim: bytes) -> Transaction:
        """A call by anybody."""
        return self._call(self.client.clearinghouse, "deleverage", victim)

    def settle(self, label: str) -> Transaction:
        """A call by anybody that settles a trader's account."""
        return self._call(self.client.clearinghouse, "settle", self.account(label))

    def mint(self, label: str, cash: int) -> None:
        """Give a trader tokens, approved to the vault."""
        owner = key_from_label(label).address
        self.client.token.send.mint(owner, cash * TOKEN_UNIT, sender=owner)
        self.client.token.send.approve(self.client.vault.address, 2**256 - 1, sender=owner)

    def _order(self, label: str, is_buy: bool, size: int, price: int, market: int) -> object:
        order = Order(self.account(label), market, is_buy, size, price, salt=self.salt)
        return self.client.sign_order(order, key_from_label(label)).as_tuple()

    def _call(
        self, contract: Contract, function: str, *args: object, sender: str = KEEPER
    ) -> Transaction:
        encode: Callable[..., bytes] = getattr(contract.data, function)
        return Transaction(contract.address, encode(*args), sender)
