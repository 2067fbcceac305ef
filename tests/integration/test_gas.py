"""The gas of every hot operation against the committed snapshot, and S9: flat in counterparties,
linear in buckets.

Each figure is that of a cold transaction in a block of its own, price fixing included; base cost
and call data count. Counterparties come in through `fill`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from ballast.bench import rows
from ballast.bench.exchange import Exchange
from ballast.config import WAD
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


def test_orders_and_prices(gas_snapshot: Snapshot) -> None:
    """Trades through signed orders: two flat accounts into an empty and an occupied bucket,
    increase, close; a report."""
    exchange = Exchange()
    price = 100_000 * WAD
    for label in ("a", "b", "c", "d"):
        exchange.trader(label)
    exchange.send(exchange.report(price))

    def trade(name: str, buyer: str, seller: str) -> None:
        gas_snapshot(name, exchange.gas(exchange.trade(buyer, [seller], WAD, price)))

    gas_snapshot("price report, 1 market, 3 publishers", exchange.gas(exchange.report(price)))
    trade("trade, flat accounts, empty buckets", "a", "b")
    trade("trade, flat accounts, occupied buckets", "c", "d")
    trade("increase", "a", "b")
    trade("partial close", "b", "a")
    trade("close", "b", "a")
    trade("trade, open accounts", "c", "d")


def test_rows(gas_snapshot: Snapshot) -> None:
    """The rows of docs/BENCHMARKS.md."""
    for measured in rows.run_all():
        gas_snapshot(f"row: {measured.row.name}", measured.breakdown.gas_used)
