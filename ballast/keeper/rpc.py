"""A node that is asked again: what a keeper reads from it and sends to it.

A request without an answer, or one turned away for its frequency, is repeated a few times, further
and further apart. Every one may be repeated, sending too: a node that has a transaction says so.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from ballast.errors import BallastError, NodeError, NodeRefused
from ballast.keeper.source import as_revert
from ballast.node import Node

_TOO_OFTEN = (-32005, -32029, 429)
_TOO_OFTEN_WORDS = ("rate limit", "too many requests", "limit exceeded")


@dataclass(frozen=True)
class Head:
    """A block: number, hash, base fee (wei a gas), gas limit, time (Unix seconds)."""

    number: int
    hash: str
    base_fee: int
    gas_limit: int
    timestamp: int


@dataclass(frozen=True)
class Simulated:
    """What came of a simulated call: the gas it needs at most, what it returned, its logs; or why
    it failed (a `Reverted`, or what the node said)."""

    gas: int
    returned: bytes
    logs: list[dict[str, Any]]
    error: BallastError | None


class Rpc(Node):
    """A node's interface for one that sends transactions. Amounts are wei, gas in units.

    Every method raises `NodeError` where the node gives no answer after `attempts` requests, and
    `NodeRefused` where its answer is an error.
    """

    def __init__(self, url: str, timeout_seconds: int = 10, attempts: int = 4) -> None:
        super().__init__(url, timeout_seconds)
        self._retrying = Retrying(
            retry=retry_if_exception(_may_pass),
            stop=stop_after_attempt(attempts),
            wait=wait_exponential_jitter(initial=0.1, max=3, jitter=0.1),
            reraise=True,
        )

    def ask(self, method: str, *params: Any) -> Any:
        """The result of one request, asked again where that may help."""
        return self._retrying(super().ask, method, *params)

    def head(self, number: int | None = None) -> Head | None:
        """A block, the latest by default; None where there is no such block (any more)."""
        name = "latest" if number is None else hex(number)
        found = self.ask("eth_getBlockByNumber", name, False)
        if found is None:
            return None
        return Head(
            int(found["number"], 16),
            str(found["hash"]),
            int(found.get("baseFeePerGas") or "0x0", 16),
            int(found["gasLimit"], 16),
            int(found["timestamp"], 16),
        )

    def nonce(self, address: str, at: str = "latest") -> int:
        """The number of an address's transactions, at `latest` or `pending`."""
        return int(self.ask("eth_getTransactionCount", address, at), 16)

    def balance(self, address: str) -> int:
        """An address's native coin, wei."""
        return int(self.ask("eth_getBalance", address, "latest"), 16)

    def tip(self) -> int:
        """What the node would give a block's builder, wei a gas; 0 where it does not say."""
        try:
            return int(self.ask("eth_maxPriorityFeePerGas"), 16)
        except NodeRefused:
            return 0

    def call(self, request: dict[str, Any], at: str = "latest") -> bytes:
        """What a call returns. Raises `Reverted`."""
        try:
            return bytes.fromhex(str(self.ask("eth_call", request, at))[2:])
        except NodeRefused as error:
            raise as_revert(error) from error

    def estimate(self, request: dict[str, Any], at: str = "latest") -> int:
        """The gas a transaction needs. Raises `Reverted`."""
        try:
            return int(self.ask("eth_estimateGas", request, at), 16)
        except NodeRefused as error:
            raise as_revert(error) from error

    def simulate(self, requests: Sequence[dict[str, Any]], at: str) -> list[Simulated]:
        """Calls one after the other in a block of their own upon `at`, in one question; each has
        the gas it names. Raises `NodeRefused` also where a node knows no `eth_simulateV1`."""
        limit = hex(sum(int(request["gas"], 16) for request in requests))
        block = {"blockOverrides": {"gasLimit": limit}, "calls": list(requests)}
        found = self.ask("eth_simulateV1", {"blockStateCalls": [block]}, at)
        return [_simulated(call) for call in found[0]["calls"]]

    def senders(
        self, number: int, targets: Collection[str], selectors: Collection[str]
    ) -> set[str]:
        """Who called one of some functions (`0x` and four bytes) of some contracts (lower case) in
        a block, successfully or not."""
        found = self.ask("eth_getBlockByNumber", hex(number), True) or {}
        return {
            str(sent["from"])
            for sent in found.get("transactions", [])
            if (sent.get("to") or "").lower() in targets and sent["input"][:10] in selectors
        }

    def receipts(self, hashes: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The receipts of those transactions that are in the chain, in one question."""
        calls = [("eth_getTransactionReceipt", (name,)) for name in hashes]
        found: dict[str, dict[str, Any]] = {}
        for name, answer in zip(hashes, self._retrying(self.ask_many, calls), strict=True):
            if isinstance(answer, NodeRefused):
                answer = self.receipt(name)
            if answer and answer.get("blockNumber"):
                found[name] = answer
        return found

    def receipt(self, transaction_hash: str) -> dict[str, Any] | None:
        """A transaction's receipt, None while it is not in the chain."""
        found: dict[str, Any] | None = self.ask("eth_getTransactionReceipt", transaction_hash)
        return found if found and found.get("blockNumber") else None

    def knows(self, transaction_hash: str) -> bool:
        """Whether a transaction is in the chain or the node's pool."""
        return self.ask("eth_getTransactionByHash", transaction_hash) is not None

    def send_raw(self, raw: str) -> str:
        """Hand a signed transaction in; its hash."""
        return str(self.ask("eth_sendRawTransaction", raw))

    def send_all(self, raws: Sequence[str]) -> list[NodeRefused | None]:
        """Hand signed transactions in together; of each why it was refused, asked once."""
        calls = [("eth_sendRawTransaction", (raw,)) for raw in raws]
        answers = self._retrying(self.ask_many, calls)
        return [answer if isinstance(answer, NodeRefused) else None for answer in answers]


def _simulated(call: dict[str, Any]) -> Simulated:
    used = int(call["gasUsed"], 16)
    # What is used is after refunds, which are a fifth at most; the limit has to do before them.
    needed = int(call.get("maxUsedGas") or "0x0", 16) or -(-used * 5 // 4)
    returned = bytes.fromhex(str(call.get("returnData") or "0x")[2:])
    error = None
    if int(call["status"], 16) == 0:
        told = call.get("error") or {}
        words = str(told.get("message") or "execution reverted")
        data = told.get("data") or "0x" + returned.hex()
        error = as_revert(NodeRefused("eth_simulateV1", words, int(told.get("code", 0)), data))
    return Simulated(needed, returned, list(call.get("logs") or []), error)


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, NodeRefused):
        words = error.words.lower()
        return error.code in _TOO_OFTEN or any(known in words for known in _TOO_OFTEN_WORDS)
    return isinstance(error, NodeError)
