"""Every call made twice: on the chain, and in the exact reference model.

`Twin` is what the replay acts through. A call the chain refuses raises `Reverted` and does not
reach the model; a call the model refuses after the chain made it raises `Disagreement`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eth_account.signers.local import LocalAccount

from ballast import model
from ballast.chain import Receipt
from ballast.client import Ballast
from ballast.config import DeployConfig
from ballast.contract import Event
from ballast.errors import BallastError
from ballast.mirror import Book, Reader
from ballast.signing import Order

MAX_UINT256 = 2**256 - 1
INSURANCE, KEEPER_RESERVE = 1, 3


class Disagreement(BallastError):
    """The chain made a call that the reference model refuses."""


class Twin:
    """A fresh deployment and its model, kept in step. Amounts are WAD."""

    def __init__(self, client: Ballast, config: DeployConfig, accounts: Sequence[bytes]) -> None:
        self.client = client
        self.config = config
        self.scale = int(client.vault.view.scale())
        self.market_ids = dict(client.markets)
        self.calls = 0
        self._model = model.Clearing(
            config.adl.buckets_per_call,
            config.adl.reward_bps,
            now=client.chain.timestamp,
            block=client.chain.block_number,
        )
        for group in config.groups:
            self._model.set_group(group.group, group.insurance_cap_quote, group.refill_seconds)
        names = list(model.MarketParams.__dataclass_fields__)
        for market in config.markets:
            params = {name: getattr(market, name) for name in names}
            self._model.list_market(model.MarketParams(**params))
        self._ages = {
            client.markets[market.symbol]: market.max_age_seconds for market in config.markets
        }
        self._reports: dict[int, tuple[int, int, int]] = {}
        caps = {client.markets[m.symbol]: m.funding_cap_bps for m in config.markets}
        self.reader = Reader(
            client.clearinghouse, accounts, caps, [group.group for group in config.groups]
        )

    @property
    def model(self) -> model.Clearing:
        """The model, at the time of the last call."""
        return self._model

    @property
    def maintenance_bps(self) -> dict[int, int]:
        """Maintenance ratio of each market."""
        return {self.market_ids[m.symbol]: m.maintenance_margin_bps for m in self.config.markets}

    def read(self) -> Book:
        """The chain's book at the oracle's prices."""
        book = self.reader.read()
        book.prices = {market: price for market, (price, _, _) in self._reports.items()}
        return book

    def events(self, receipt: Receipt) -> list[Event]:
        """The clearinghouse's events in a receipt."""
        return self.client.clearinghouse.events(receipt)

    # Calls

    def deposit(self, account: bytes, amount: int, *, sender: str) -> None:
        """Deposit WAD quote."""
        self._both(
            lambda: self.client.deposit(account, amount // self.scale, sender=sender),
            lambda: self._model.deposit(account, amount),
        )

    def stake(self, amount: int, *, sender: str) -> None:
        """Stake WAD quote in the insurance fund."""
        self._both(
            lambda: self.client.stake(amount // self.scale, sender=sender),
            lambda: self._model.stake(amount),
        )

    def donate_to_reserve(self, amount: int, *, sender: str) -> None:
        """Give WAD quote to the keeper reserve."""
        self._both(
            lambda: self.client.donate(KEEPER_RESERVE, amount // self.scale, sender=sender),
            lambda: self._model.donate("reserve", amount),
        )

    def trade(
        self, buy: Order, buyer: LocalAccount, sell: Order, seller: LocalAccount, *, sender: str
    ) -> None:
        """Match a buying taker with a selling maker through signed orders."""
        client = self.client
        taker, maker = client.sign_order(buy, buyer), client.sign_order(sell, seller)
        self._both(
            lambda: client.match(taker, [maker], [sell.size], sender=sender),
            lambda: self._model.fill_orders(
                buy.market, buy.account, True, [sell.account], [sell.size], [sell.limit_price]
            ),
        )

    def report(
        self, prices: Mapping[int, int], publishers: Sequence[LocalAccount], *, sender: str
    ) -> None:
        """Report prices (market ids, WAD); a step the breaker holds is reported again a block
        later."""
        self.client.report_prices(prices, publishers, sender=sender)
        waiting = self._observe(prices)
        if waiting:
            self.client.chain.mine(1)
            again = {market: prices[market] for market in waiting}
            self.client.report_prices(again, publishers, sender=sender)
            self._observe(again)
        self._catch_up()

    def settle(self, account: bytes, *, sender: str) -> Receipt:
        """Settle an account."""
        return self._both(
            lambda: self.client.settle(account, sender=sender),
            lambda: self._model.settle(account),
        )

    def liquidate(self, account: bytes, market: int, liquidator: bytes, *, sender: str) -> Receipt:
        """Take over as much of a leg as is allowed."""
        return self._both(
            lambda: self.client.liquidate(account, market, liquidator, sender=sender),
            lambda: self._model.liquidate(account, market, MAX_UINT256, liquidator),
        )

    def deleverage(self, account: bytes, caller: bytes, *, sender: str) -> Receipt:
        """One `deleverage` call."""
        return self._both(
            lambda: self.client.deleverage(account, sender=sender),
            lambda: self._model.deleverage(account, caller),
        )

    def _both(self, on_chain: Callable[[], Receipt], in_model: Callable[[], Any]) -> Receipt:
        receipt = on_chain()
        self.calls += 1
        self._catch_up()
        try:
            in_model()
        except model.ModelError as error:
            raise Disagreement(f"the chain made a call the model refuses: {error}") from error
        return receipt

    # Time and prices

    def wait_until(self, timestamp: int) -> None:
        """Let the chain's time reach `timestamp` (it may be past it)."""
        ahead = timestamp - self.client.chain.timestamp
        if ahead > 0:
            self.client.chain.mine(ahead)

    def _observe(self, markets: Mapping[int, int]) -> list[int]:
        """Take over what the oracle now holds; the markets whose step waits."""
        waiting = []
        for market in markets:
            price, timestamp, status = self.client.oracle.view.observe(market)
            self._reports[market] = (price, timestamp, status & model.PENDING)
            if status & model.PENDING:
                waiting.append(market)
        return waiting

    def _catch_up(self) -> None:
        """Bring the model to the chain's block, with the oracle's prices as they stand in it."""
        chain = self.client.chain
        self._model.now, self._model.block = chain.timestamp, chain.block_number
        for market, (price, timestamp, pending) in self._reports.items():
            is_stale = self._model.now - timestamp > self._ages[market]
            status = pending | (model.STALE if is_stale else 0)
            self._model.set_price(market, price, timestamp, status)
