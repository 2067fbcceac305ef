"""A market of traders on a node of its own. Prices and blocks come when the caller says so; keepers
are processes that see nothing but the node's RPC.

    built = build(1_000, folder)          # in process, then sent to a node, whose state is kept
    with Stage(built, another) as stage:  # a node with that state
        stage.report({1: price}); stage.mine()
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eth_typing import HexStr

from ballast import scenario
from ballast.bench.hall import Hall, HallConfig, people
from ballast.bench.hall import build as build_hall
from ballast.bench.onto_node import BLOCK_GAS, Taped, retell
from ballast.client import Ballast
from ballast.errors import NodeError
from ballast.evm import GENESIS_TIME
from ballast.keeper.source import Source
from ballast.keeper.view import BlockView
from ballast.mirror import WAD
from ballast.record import COMPLETE, Record
from ballast.signing import account_id, key_from_label
from ballast.standin import StandIn

CHAIN_ID = 31_337
BLOCK_SECONDS = 12
GAS_LIMIT = 30_000_000
MAX_EXPIRY = 2**40 - 1
GWEI = 10**9
ETHER = 10**18
KEEPERS = [key_from_label(f"keeper {number}") for number in range(5)]
PUBLISHERS = [key_from_label(f"publisher {number}") for number in range(3)]
REPORTER = key_from_label("reporter")
TRADING_SHARE = 0.88
"""Of the traders drawn so many find a counterparty, and have an account."""
RETELL_SECONDS = 120
REPORT_GAS = 2_000_000
REPORT_TIP = 50 * GWEI
"""More than keepers offer, so that a report comes before what it brings about."""
_PENDING = 2


@dataclass(frozen=True)
class Built:
    """A market: its node's state (`folder`), its record, its prices (WAD by market id)."""

    folder: Path
    record: Record
    prices: dict[int, int]
    accounts: int
    timestamp: int
    """Unix seconds of the last block."""


def build(accounts: int, folder: Path, seed: int = 1) -> Built:
    """A market of about so many accounts at the first prices of the crash of 10 October 2025, with
    a rich account for every one of `KEEPERS`. Raises `RetoldError`, `NodeError`."""
    chain = Taped()
    asked = HallConfig(people(int(accounts / TRADING_SHARE), seed))
    hall = build_hall(scenario.read(), asked, chain=chain)
    _fund_keepers(hall)
    record = replace(hall.record, block=0, status=COMPLETE)
    genesis = ("--timestamp", str(GENESIS_TIME - 1), "--order", "fifo")
    with StandIn(
        chain_id=CHAIN_ID,
        block_seconds=0,
        folder=folder,
        base_fee_wei=0,
        answer_seconds=RETELL_SECONDS,
        args=genesis,
    ) as stand_in:
        stand_in.node.ask("evm_setBlockGasLimit", hex(BLOCK_GAS))
        retell(chain.tape, stand_in.node)
    return Built(
        folder,
        record,
        dict(hall.prices),
        len(hall.indexer.accounts),
        chain.timestamp,
    )


def _fund_keepers(hall: Hall) -> None:
    """Each could carry the whole book, so that nothing is left for want of margin; and lets the
    batch contract take over for it."""
    interest = sum(hall.indexer.interest(m) * price // WAD for m, price in hall.prices.items())
    for key in KEEPERS:
        hall.pay(account_id(key.address), interest)
        hall.client.clearinghouse.send.set_operator(
            hall.client.batch.address, MAX_EXPIRY, sender=key.address
        )


class Stage:
    """A node with a built market on it, which mines only by `mine`.

    `base_fee` (wei a gas) is that of the next blocks. `timestamp` is the last block's.
    """

    def __init__(self, built: Built, folder: Path) -> None:
        self.built, self.folder = built, folder
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(built.folder / "state.json", folder / "state.json")
        self.stand_in = StandIn(
            chain_id=CHAIN_ID,
            block_seconds=0,
            folder=folder,
            args=("--no-mining", "--timestamp", str(built.timestamp)),
        )
        self.node = self.stand_in.node
        self.source = Source(self.node)
        self.record_path = folder / "deployment.json"
        built.record.save(self.record_path)
        self.prices = dict(built.prices)
        self.timestamp = built.timestamp
        self.base_fee = GWEI // 10
        self._reported = built.timestamp

    def __enter__(self) -> Stage:
        self.stand_in.start()
        self.node.ask("evm_setBlockGasLimit", hex(GAS_LIMIT))
        for key in (REPORTER, *KEEPERS):
            self.node.ask("anvil_setBalance", key.address, hex(10 * ETHER))
        self.start = self.node.block()[0]
        return self

    def __exit__(self, *_: object) -> None:
        if self.stand_in.is_running:
            self.stand_in.kill()

    @property
    def url(self) -> str:
        """The node's address."""
        return self.stand_in.url

    def client(self) -> Ballast:
        """The contracts as they are after the last block, for views."""
        return Ballast.from_deployment(
            BlockView(self.source, self.source.latest()), self.built.record
        )

    def mine(self, seconds: int = BLOCK_SECONDS) -> float:
        """A block of what is in the pool, so long after the last one by its time. Returns when it
        was there (of `time.time`)."""
        self.timestamp += seconds
        self.node.ask("anvil_setNextBlockBaseFeePerGas", hex(self.base_fee))
        self.node.ask("evm_setNextBlockTimestamp", self.timestamp)
        self.node.ask("evm_mine")
        return time.time()

    def reorganise(self, blocks: int) -> None:
        """Replace the last blocks by empty ones; what was reported in them is reported again."""
        self.stand_in.reorganise(blocks)
        self.timestamp = self._reported = self.node.block()[1]

    def report(self, prices: Mapping[int, int], seconds: int = BLOCK_SECONDS) -> None:
        """Put signed prices (WAD) into the pool, for a block `seconds` after the last one."""
        self.prices.update(prices)
        self._reported = max(self._reported + 1, self.timestamp + seconds)
        self._send_reports(dict(prices))

    def report_again(self, seconds: int = BLOCK_SECONDS) -> bool:
        """The same prices once more, of those markets where a step waits for a second report; False
        where there are none."""
        view = self.client().oracle.view
        waiting = [m for m in self.prices if view.observe(m)[2] & _PENDING]
        if waiting:
            self.report({market: self.prices[market] for market in waiting}, seconds)
        return bool(waiting)

    def _send_reports(self, prices: dict[int, int]) -> None:
        client = self.client()
        reports = client.sign_prices(prices, PUBLISHERS, self._reported)
        data = client.oracle.data.report_prices([report.as_tuple() for report in reports])
        fee = self.base_fee + REPORT_TIP
        signed = REPORTER.sign_transaction(
            {
                "chainId": CHAIN_ID,
                "nonce": int(
                    self.node.ask("eth_getTransactionCount", REPORTER.address, "pending"), 16
                ),
                "to": HexStr(client.oracle.address),
                "data": data,
                "value": 0,
                "gas": REPORT_GAS,
                "gasPrice": fee,
            }
        )
        self.node.ask("eth_sendRawTransaction", "0x" + bytes(signed.raw_transaction).hex())

    def receipts(self, sender: str) -> list[dict[str, Any]]:
        """Receipts of an address's transactions since the stage began, in order."""
        numbers = range(self.start + 1, self.node.block()[0] + 1)
        found: list[dict[str, Any]] = []
        calls = [("eth_getBlockReceipts", (hex(number),)) for number in numbers]
        for answer in self._asked(calls):
            found += [r for r in answer if r["from"].lower() == sender.lower()]
        return found

    def _asked(self, calls: Sequence[tuple[str, Sequence[object]]]) -> list[list[dict[str, Any]]]:
        found = self.node.ask_many(calls)
        for answer in found:
            if isinstance(answer, NodeError):
                raise answer
        return found
