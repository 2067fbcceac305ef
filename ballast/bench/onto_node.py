"""A market built on the in-process chain, brought onto a node: the same transactions in the same
blocks at the same times, sent again, so that the node has the logs a follower reads.

The senders have no keys: the node lets anybody send (anvil's impersonation). Addresses are the same
as in process as long as a deployer creates before it calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ballast.bench.hall import Followed
from ballast.errors import BallastError
from ballast.evm import RevmReceipt
from ballast.node import Node

AT_ONCE = 500
ENOUGH_WEI = 10**30
GAS = 30_000_000
"""What every transaction may use. Most use far less: the node has to take thousands a block."""
BLOCK_GAS = 10**12


class RetoldError(BallastError):
    """The node did not do what the in-process chain did."""


@dataclass(frozen=True, slots=True)
class Told:
    """A transaction as it was sent; `to` None creates a contract. Block, Unix seconds, and
    what came of it."""

    block: int
    timestamp: int
    sender: str
    to: str | None
    data: bytes
    receipt: RevmReceipt


class Taped(Followed):
    """A chain that keeps what was sent to it."""

    def __init__(self) -> None:
        super().__init__()
        self.tape: list[Told] = []

    def send(self, to: str, data: bytes, *, sender: str, **options: Any) -> RevmReceipt:
        """As of `Revm`."""
        receipt = super().send(to, data, sender=sender, **options)
        self.tape.append(Told(self.block_number, self.timestamp, sender, to, data, receipt))
        return receipt

    def deploy(self, initcode: bytes, *, sender: str, **options: Any) -> tuple[str, RevmReceipt]:
        """As of `Revm`."""
        address, receipt = super().deploy(initcode, sender=sender, **options)
        told = Told(self.block_number, self.timestamp, sender, None, initcode, receipt)
        self.tape.append(told)
        return address, receipt


def retell(tape: Sequence[Told], node: Node) -> None:
    """Send everything again. The node is an anvil that nobody else uses, without a base fee, with
    a genesis before the tape's beginning and blocks of `BLOCK_GAS`. Raises `RetoldError`,
    `NodeError`."""
    node.ask("anvil_autoImpersonateAccount", True)
    node.ask("evm_setAutomine", False)
    for sender in sorted({told.sender for told in tape}):
        node.ask("anvil_setBalance", sender, hex(ENOUGH_WEI))
    for (_, timestamp), block in groupby(tape, key=lambda told: (told.block, told.timestamp)):
        _mine(list(block), timestamp, node)
    node.ask("anvil_autoImpersonateAccount", False)


def _mine(block: Sequence[Told], timestamp: int, node: Node) -> None:
    for some in _chunks([_request(told) for told in block]):
        for answer in node.ask_many([("eth_sendTransaction", (request,)) for request in some]):
            if isinstance(answer, BallastError):
                raise RetoldError(f"the node refuses a transaction: {answer}")
    node.ask("evm_setNextBlockTimestamp", timestamp)
    node.ask("evm_mine")
    (number, _) = node.block()
    there = [
        [log["topics"], log["data"]]
        for log in node.ask("eth_getLogs", {"fromBlock": hex(number), "toBlock": hex(number)})
    ]
    here = [
        [["0x" + topic.hex() for topic in log.topics], "0x" + log.data.hex()]
        for told in block
        for log in told.receipt.logs
    ]
    if here != there:
        raise RetoldError(f"block {number} has {len(there)} logs on the node, here {len(here)}")


def _request(told: Told) -> dict[str, str]:
    request = {"from": told.sender, "data": "0x" + told.data.hex(), "gas": hex(GAS)}
    request |= {"gasPrice": "0x0"}
    return request if told.to is None else request | {"to": told.to}


def _chunks(requests: Sequence[dict[str, str]]) -> Iterator[Sequence[dict[str, str]]]:
    for start in range(0, len(requests), AT_ONCE):
        yield requests[start : start + AT_ONCE]
