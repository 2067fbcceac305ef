"""The gas of every hot operation against the committed snapshot, and S9: flat in counterparties,
linear in buckets.

Each figure is that of a cold transaction in a block of its own, price fixing included; base cost
and call data count. Counterparties come in through `fill`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from ballast import config
from ballast.client import Ballast
from ballast.config import WAD
from ballast.deploy import deploy, deploy_token
from ballast.evm import Revm
from ballast.signing import Order, account_id, key_from_label
from tests.support.world import DONOR, INSURANCE, KEEPER, REAL_FEES, World, address

Snapshot = Callable[[str, int], None]
BUCKET_LIMIT = 40_000
PRICE = 100 * WAD


@cache
def deleverage_gas(counterparties: int = 1, buckets: int = 1) -> int:
    """Gas of one call that closes a long against so many shorts, spread over so many buckets."""
    world = World(prices=(PRICE,), buckets=200)
    each = WAD
    size = each * max(counterparties, buckets)
    big = world.trader("bankrupt", size * 11)
    other = world.trader("other", size * 1_000)
    for bucket in range(buckets):
        price = PRICE + bucket * WAD
        if bucket:
            world.price(price)
        world.fill(other, world.trader(f"short {bucket}", 20 * WAD), each, price)
    for number in range(counterparties - buckets):
        world.fill(other, world.trader(f"more {number}", 20 * WAD), each, PRICE)
    world.price(PRICE)
    world.fill(big, other, size, PRICE)
    world.donate(INSURANCE, WAD)
    world.price(85 * WAD)
    queue = world.clearing.view.queue(1, False, 0, 256)
    assert sum(entry[4] for entry in queue) == size
    assert len(queue) == buckets
    assert world.clearing.view.equity(big) < 0
    receipt = world.clearing.send.deleverage(big, sender=KEEPER, exact_gas=True)
    assert world.clearing.returned(receipt, "deleverage", 1) == (0, 0)
    return int(receipt.gas_used)


@pytest.mark.parametrize("counterparties", [1, 100, 10_000])
def test_deleverage_counterparties(counterparties: int, gas_snapshot: Snapshot) -> None:
    """S9: within 2 % of one counterparty, however many there are."""
    gas = deleverage_gas(counterparties=counterparties)
    assert gas <= deleverage_gas() * 1.02
    gas_snapshot(f"deleverage, {counterparties} counterparties", gas)


@pytest.mark.parametrize("buckets", [1, 10, 50])
def test_deleverage_buckets(buckets: int, gas_snapshot: Snapshot) -> None:
    """S9: at most a constant for each further bucket."""
    gas = deleverage_gas(buckets=buckets)
    assert gas <= deleverage_gas() + (buckets - 1) * BUCKET_LIMIT
    gas_snapshot(f"deleverage, {buckets} buckets", gas)


def test_vault(gas_snapshot: Snapshot) -> None:
    """Deposits into a fresh and an existing account, and a withdrawal."""
    world = World(REAL_FEES)
    account = world.trader("trader")
    world.mint(DONOR, 1_000 * WAD)
    for name in ("deposit, fresh account", "deposit"):
        world.next_block()
        receipt = world.vault.send.deposit(account, 100 * WAD, sender=DONOR, exact_gas=True)
        gas_snapshot(name, receipt.gas_used)
    world.next_block()
    receipt = world.vault.send.withdraw(
        account, 50 * WAD, address("receiver"), sender=address("trader"), exact_gas=True
    )
    gas_snapshot("withdraw", receipt.gas_used)


def test_settle_and_liquidate(gas_snapshot: Snapshot) -> None:
    """Settling what a forced close left, and a standard liquidation."""
    world = World(REAL_FEES)
    long, short, keeper = (world.trader(name, 1_000 * WAD) for name in ("long", "short", "keeper"))
    world.fill(long, short, 100 * WAD, PRICE)
    world.price(92 * WAD)
    receipt = world.clearing.send.liquidate(
        long, 1, 2**256 - 1, keeper, sender=address("keeper"), exact_gas=True
    )
    gas_snapshot("liquidate", receipt.gas_used)
    world.price(70 * WAD)
    while world.clearing.view.equity(keeper) < 0:
        world.deleverage(keeper)
    world.next_block()
    receipt = world.clearing.send.settle(short, sender=KEEPER, exact_gas=True)
    gas_snapshot("settle", receipt.gas_used)


class Exchange:
    """The deploy script's wiring, with signed orders and signed prices."""

    def __init__(self) -> None:
        self.chain = Revm()
        deployer = key_from_label("deployer").address
        token = deploy_token(self.chain, deployer, 6)
        asked = config.load(config.PARAMETERS / "local.toml")
        self.client = Ballast.from_deployment(
            self.chain, deploy(self.chain, asked, sender=deployer, collateral=token)
        )
        self.salt = 0
        self.publishers = [key_from_label(f"publisher {number}") for number in range(3)]

    def trader(self, label: str) -> bytes:
        """An account with 100,000 of cash."""
        owner = key_from_label(label).address
        self.client.token.send.mint(owner, 10**11, sender=owner)
        account = account_id(owner)
        self.client.deposit(account, 10**11, sender=owner)
        return account

    def report(self, price: int) -> int:
        """A report of BTC's price in a new block; its gas."""
        self.chain.mine()
        reports = self.client.sign_prices({1: price}, self.publishers)
        args: Any = [report.as_tuple() for report in reports]
        send = self.client.oracle.send.report_prices
        return int(send(args, sender=KEEPER, exact_gas=True).gas_used)

    def trade(self, buyer: str, seller: str, size: int, price: int) -> int:
        """A taker's buy against one maker's sell, in a new block; its gas."""
        self.report(price)
        self.chain.mine()
        self.salt += 1
        taker, maker = (
            self.client.sign_order(
                Order(
                    account_id(key_from_label(who).address), 1, buys, size, price, salt=self.salt
                ),
                key_from_label(who),
            )
            for who, buys in ((buyer, True), (seller, False))
        )
        send = self.client.settlement.send.match_orders
        receipt = send(taker.as_tuple(), [maker.as_tuple()], [size], sender=KEEPER, exact_gas=True)
        return int(receipt.gas_used)


def test_orders_and_prices(gas_snapshot: Snapshot) -> None:
    """Trades through signed orders: two flat accounts into an empty and an occupied bucket,
    increase, close; a report."""
    exchange = Exchange()
    price = 100_000 * WAD
    for label in ("a", "b", "c", "d"):
        exchange.trader(label)
    exchange.report(price)
    gas_snapshot("price report, 1 market, 3 publishers", exchange.report(price))
    gas_snapshot("trade, flat accounts, empty buckets", exchange.trade("a", "b", WAD, price))
    gas_snapshot("trade, flat accounts, occupied buckets", exchange.trade("c", "d", WAD, price))
    gas_snapshot("increase", exchange.trade("a", "b", WAD, price))
    gas_snapshot("partial close", exchange.trade("b", "a", WAD, price))
    gas_snapshot("close", exchange.trade("b", "a", WAD, price))
    gas_snapshot("trade, open accounts", exchange.trade("c", "d", WAD, price))
