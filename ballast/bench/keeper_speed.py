"""How long a keeper's follower takes: from nothing, at a restart, at a block, at another branch.

The logs are real: a market of so many accounts is traded on the in-process chain. They are dealt
into blocks of `PER_BLOCK` transactions and told by a node in the same process, so that what a node
and its connection take is left out.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from eth_utils import keccak

from ballast import contracts, scenario
from ballast.abi import checksum
from ballast.bench.hall import Followed, HallConfig, build, people
from ballast.chain import Log
from ballast.evm import RevmReceipt
from ballast.keeper.follower import DEPTH, Follower
from ballast.keeper.store import open_store
from ballast.node import Node
from ballast.record import Record

PER_BLOCK = 20
BRANCH = 64
ROUNDS = 20
_CHAIN_ID = 31_337


class Recorded(Followed):
    """A chain that keeps what every transaction left."""

    def __init__(self) -> None:
        super().__init__()
        self.transactions: list[tuple[Sequence[Log], int]] = []

    def send(self, to: str, data: bytes, *, sender: str, **options: Any) -> RevmReceipt:
        """As of `Revm`."""
        receipt = super().send(to, data, sender=sender, **options)
        self.transactions.append((receipt.logs, self.timestamp))
        return receipt


class Told(Node):
    """A node that tells transactions by the block. `branch` is in the hash of every block from
    `forked` on."""

    def __init__(self, transactions: Sequence[tuple[Sequence[Log], int]]) -> None:
        super().__init__("http://in-process")
        dealt = [transactions[i : i + PER_BLOCK] for i in range(0, len(transactions), PER_BLOCK)]
        self.blocks: list[tuple[list[list[dict[str, Any]]], int]] = [([], 0)]
        for number, block in enumerate(dealt, 1):
            raw = [
                [_raw(log, number, place) for log in logs] for place, (logs, _) in enumerate(block)
            ]
            self.blocks.append((raw, block[-1][1]))
        self.head = len(self.blocks) - 1
        self.forked, self.branch = len(self.blocks), 0

    def _hash(self, number: int) -> str:
        return f"0x{self.branch if number >= self.forked else 0:032x}{number:032x}"

    def _post(self, request: Any) -> Any:
        if isinstance(request, list):
            return [self._answer(one) for one in request]
        return self._answer(request)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        result = getattr(self, "_" + request["method"])(*request["params"])
        return {"id": request["id"], "result": result}

    def _eth_chainId(self) -> str:  # noqa: N802
        return hex(_CHAIN_ID)

    def _eth_getBlockByNumber(self, name: str, whole: bool) -> dict[str, Any] | None:  # noqa: N802
        number = self.head if name == "latest" else int(name, 16)
        if number > self.head:
            return None
        return {
            "number": hex(number),
            "hash": self._hash(number),
            "parentHash": self._hash(number - 1) if number else "0x" + "00" * 32,
            "timestamp": hex(self.blocks[number][1]),
        }

    def _eth_getLogs(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:  # noqa: N802
        if "blockHash" in wanted:
            tail = range(self.head, max(0, self.head - DEPTH) - 1, -1)
            numbers = [n for n in tail if self._hash(n) == wanted["blockHash"]]
        else:
            first, last = int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)
            numbers = list(range(first, last + 1))
        addresses = set(wanted["address"])
        return [
            {**log, "blockHash": own, "logIndex": hex(place)}
            for number, own in ((number, self._hash(number)) for number in numbers)
            for place, log in enumerate(log for logs in self.blocks[number][0] for log in logs)
            if log["address"] in addresses
        ]


def _raw(log: Log, number: int, place: int) -> dict[str, Any]:
    return {
        "address": log.address,
        "topics": ["0x" + topic.hex() for topic in log.topics],
        "data": "0x" + log.data.hex(),
        "blockNumber": hex(number),
        "transactionIndex": hex(place),
        "transactionHash": "0x" + keccak(number.to_bytes(8, "big") + bytes([place])).hex(),
    }


def measure(accounts: int, seed: int) -> dict[str, float]:
    """Seconds, by what they were spent on."""
    chain = Recorded()
    hall = build(scenario.read(), HallConfig(people(accounts, seed)), chain=chain)
    prices = dict(hall.prices)
    for step in range(ROUNDS):
        hall.chain.mine()
        hall.report({market: price * (1_000 + step) // 1_000 for market, price in prices.items()})
    reports = chain.transactions[-ROUNDS:]
    node = Told(chain.transactions[:-ROUNDS])
    client = hall.client
    names = {
        contracts.VAULT: client.vault,
        contracts.CLEARINGHOUSE: client.clearinghouse,
        contracts.SIGNED_ORACLE: client.oracle,
        contracts.CHAINLINK_ORACLE: client.chainlink,
    }
    addresses = {name: checksum(contract.address) for name, contract in names.items()}
    kept = Record(_CHAIN_ID, 0, client.vault.address, {}, {}, "", addresses)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'keeper.db'}"
        store = open_store(url)
        follower = Follower(node, store, kept)
        found = {"from nothing": _seconds(follower.catch_up)}
        found["accounts"] = len(follower.indexer.accounts)
        found["logs"] = store.logs_after(0)
        began = time.perf_counter()
        again = Follower(node, open_store(url), kept)
        again.catch_up()
        found["restart"] = time.perf_counter() - began
        node.forked, node.branch = node.head - BRANCH + 1, 1
        found[f"another branch of {BRANCH} blocks"] = _seconds(follower.catch_up)
        took = []
        for logs, timestamp in reports:
            node.head += 1
            raw = [_raw(log, node.head, 0) for log in logs]
            node.blocks.append(([raw], timestamp))
            began = time.perf_counter()
            follower.catch_up()
            follower.columns.screen(prices, timestamp)
            took.append(time.perf_counter() - began)
        found["block with a report, screened: median"] = statistics.median(took)
        found["block with a report, screened: worst"] = max(took)
        save = follower.indexer.state
        found["checkpoint"] = _seconds(lambda: store.save(node.head, "measured", save()))
    return found


def _seconds(what: Callable[[], Any]) -> float:
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


@click.command()
@click.option("--accounts", default=11_000, show_default=True, type=click.IntRange(10))
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0))
def cli(accounts: int, seed: int) -> None:
    """Measure a keeper's follower."""
    for what, figure in measure(accounts, seed).items():
        click.echo(
            f"{what:40} {figure:,}" if what in ("accounts", "logs") else f"{what:40} {figure:.3f} s"
        )


if __name__ == "__main__":
    cli()
