"""Traders with money of the faucet's, who trade signed orders with each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

from eth_account.signers.local import LocalAccount

from ballast import population
from ballast.client import MAX_UINT256, Ballast
from ballast.errors import BallastError
from ballast.keeper.rpc import Rpc
from ballast.population import PopulationConfig, Trade
from ballast.signing import Order, account_id, key_from_label
from ballast.standin import StandIn
from ballast.testnet.pipeline import Pipeline

WAD = 10**18
COIN_WEI = 10**18
SPARE_MARGIN = 0.02
MOST_NOTIONAL = 600_000.0
"""Of one trader, whole quote: more would need more than the faucet gives in a day."""
BATCH = 40
"""Trades signed at one price."""
MATCH_GAS = 1_000_000

Say = Callable[[str], None]


class People:
    """The traders, and the relay that brings their orders on chain."""

    def __init__(self, node: StandIn, look: Callable[[], Ballast], traders: int, seed: int) -> None:
        """`look` gives the deployment as it is after the latest block."""
        config = PopulationConfig(traders=traders, seed=seed, max_notional_quote=MOST_NOTIONAL)
        self._node, self._look, self._config = node, look, config
        self._client = client = look()
        self._pipeline = Pipeline(Rpc(node.url), node.chain_id)
        self.traders = population.draw(sorted(client.markets), config)
        self.keys = [key_from_label(trader.label) for trader in self.traders]
        self.accounts = [account_id(key.address) for key in self.keys]
        self._relay = key_from_label("relay")
        self._salts = count(1)
        self._unit = 10 ** int(client.token.view.decimals())

    def fund(self, key: LocalAccount, whole: int, *, stake: bool = False) -> None:
        """Native coin, and `whole` quote of the faucet's, deposited or staked in the fund."""
        client, amount = self._client, whole * self._unit
        self._node.fund(key.address, COIN_WEI)
        spender = client.fund if stake else client.vault
        self._pipeline.send(key, client.token.address, client.token.data.mint(key.address, amount))
        approve = client.token.data.approve(spender.address, MAX_UINT256)
        self._pipeline.send(key, client.token.address, approve)
        if stake:
            data = client.fund.data.deposit(amount, key.address)
        else:
            data = client.vault.data.deposit(account_id(key.address), amount)
        self._pipeline.send(key, spender.address, data)

    def settle(self) -> None:
        """Wait for all that was sent. Raises `BallastError` where some of it failed."""
        if failed := self._pipeline.settle():
            raise BallastError(f"{len(failed)} transactions failed, the first from {failed[0]}")

    def arrive(self, prices: dict[str, int]) -> list[Trade]:
        """Everybody deposits the margin of the trades that are returned, planned at these prices
        (WAD)."""
        trades = population.plan_trades(self.traders, prices, self._config)
        held = [0.0] * len(self.traders)
        for trade in trades:
            for who in (trade.buyer, trade.seller):
                held[who] += trade.size_base / WAD * trade.price / WAD
        for trader, key, notional in zip(self.traders, self.keys, held, strict=True):
            self.fund(key, int(notional * (1 / trader.leverage + SPARE_MARGIN)) + 50)
        self.settle()
        self._node.fund(self._relay.address, COIN_WEI)
        return trades

    def trade(self, trades: Sequence[Trade], say: Say) -> int:
        """Each trade at the oracle's price of its moment; how many passed."""
        passed = 0
        for start in range(0, len(trades), BATCH):
            some = trades[start : start + BATCH]
            observe = self._look().oracle.view.observe
            prices = {coin: observe(market)[0] for coin, market in self._client.markets.items()}
            for trade in some:
                self._match(replace(trade, price=prices[trade.coin]))
            passed += len(some) - len(self._pipeline.settle())
            say(f"{passed} of {len(trades)} trades")
        return passed

    def _match(self, trade: Trade) -> None:
        client, market = self._client, self._client.markets[trade.coin]
        signed = []
        for who, is_buy in ((trade.buyer, True), (trade.seller, False)):
            order = Order(
                self.accounts[who],
                market,
                is_buy,
                trade.size_base,
                trade.price,
                salt=next(self._salts),
            )
            signed.append(client.sign_order(order, self.keys[who]))
        taker, maker = (order.as_tuple() for order in signed)
        data = client.settlement.data.match_orders(taker, [maker], [trade.size_base])
        self._pipeline.send(self._relay, client.settlement.address, data, MATCH_GAS)
