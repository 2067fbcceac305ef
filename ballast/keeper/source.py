"""What a keeper reads of a chain, through a node that may answer late, in part, or not at all.

Every question is repeated a few times before `NodeError`. Nothing is handed on that does not fit
together: headers form a chain, and logs are those of the very block that was asked for. `Moved`
tells that the node's chain changed in between; asking again from the start helps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from ballast.abi import checksum, decode_reason
from ballast.chain import Log
from ballast.errors import BallastError, NodeError, NodeRefused, Reverted
from ballast.keeper.blocks import Entry, Header
from ballast.node import LOG_SPAN, Node

REVERTED = 3
"""The code of a node's error where a call reverts."""
ATTEMPTS = 5
FIRST_WAIT_SECONDS = 0.05
LONGEST_WAIT_SECONDS = 2.0

RawTransaction = tuple[str, int, tuple[Entry, ...]]
"""Hash, index in the block, and logs."""
RawBlock = tuple[Header, list[RawTransaction]]


class Moved(BallastError):
    """The node's chain was reorganised while it was read."""


class Source:
    """A node, asked with patience."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._span = LOG_SPAN

    def ask(self, method: str, *params: Any) -> Any:
        """The result of one request. Raises `NodeError` after `ATTEMPTS`."""
        return _patiently(self.node.ask, method, *params)

    def ask_many(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """The results of many requests. Raises `NodeError` after `ATTEMPTS`."""
        return list(_patiently(self._ask_many, calls, _never))

    def views(self, calls: Sequence[tuple[str, bytes]], block_hash: str) -> list[bytes | None]:
        """What views (address and call data) return after a block; None where one reverts."""
        at = {"blockHash": block_hash}
        requests = [("eth_call", ({"to": to, "data": "0x" + data.hex()}, at)) for to, data in calls]
        found = _patiently(self._ask_many, requests, is_revert)
        return [None if answer is None else bytes.fromhex(answer[2:]) for answer in found]

    def call(self, to: str, data: bytes, block_hash: str, sender: str, value: int) -> bytes:
        """What a call returns after a block. Raises `Reverted`, `NodeError`."""
        request = {"to": to, "data": "0x" + data.hex(), "from": sender, "value": hex(value)}
        try:
            answer = self.ask("eth_call", request, {"blockHash": block_hash})
        except NodeRefused as error:
            raise as_revert(error) from error
        return bytes.fromhex(answer[2:])

    def _ask_many(
        self, calls: Sequence[tuple[str, Sequence[Any]]], is_answer: Callable[[NodeRefused], bool]
    ) -> list[Any]:
        found = self.node.ask_many(calls)
        for place, answer in enumerate(found):
            if isinstance(answer, NodeRefused):
                if not is_answer(answer):
                    raise answer
                found[place] = None
        return found

    def latest(self) -> Header:
        """The node's latest block."""
        found = self.ask("eth_getBlockByNumber", "latest", False)
        if found is None:
            raise NodeError("the node does not say which block is its latest")
        return _header(found)

    def headers(self, numbers: Iterable[int]) -> list[Header | None]:
        """Headers by number; None where the node has no such block."""
        calls = [("eth_getBlockByNumber", (hex(number), False)) for number in numbers]
        return [None if found is None else _header(found) for found in self.ask_many(calls)]

    def recent(self, addresses: Sequence[str], after: Header, last: Header) -> list[RawBlock]:
        """Every block after `after` up to `last`, with some contracts' logs.

        Logs are asked for by the block's hash, so they cannot be another branch's. Raises `Moved`,
        `NodeError`.
        """
        found = [*self.headers(range(after.number + 1, last.number)), last]
        headers: list[Header] = []
        before = after
        for header in found:
            if header is None or header.parent != before.hash:
                raise Moved(f"block {before.number + 1} does not follow block {before.number}")
            headers.append(header)
            before = header
        wanted = list(addresses)
        calls = [
            ("eth_getLogs", ({"address": wanted, "blockHash": header.hash},)) for header in headers
        ]
        try:
            answers = self._ask_many(calls, _never)
        except NodeError as error:
            (there,) = self.headers([last.number])
            if there is None or there.hash != last.hash:
                raise Moved(f"block {last.number} was replaced while logs were read") from error
            answers = self.ask_many(calls)
        return [
            (header, _transactions(logs, header))
            for header, logs in zip(headers, answers, strict=True)
        ]

    def history(self, addresses: Sequence[str], after: Header, last: int) -> list[RawBlock]:
        """Blocks with logs of some contracts after `after`, as far as one answer reaches (`last`
        at most); the last block it reaches is among them in any case.

        Far behind the chain's head. Raises `Moved`, `NodeError`.
        """
        while True:
            end = min(last, after.number + self._span)
            (edge,) = self.headers([end])
            if edge is None:
                raise Moved(f"the node has no block {end}")
            try:
                logs = self._logs(addresses, after.number + 1, end)
            except NodeError:
                if self._span == 1:
                    raise
                self._span = max(1, self._span // 4)
                continue
            break
        self._span = min(LOG_SPAN, self._span * 2)
        by_block: dict[int, list[dict[str, Any]]] = {end: []}
        for log in logs:
            by_block.setdefault(int(log["blockNumber"], 16), []).append(log)
        blocks = []
        for header in self.headers(sorted(by_block)):
            if header is None:
                raise Moved("a block with logs is gone")
            blocks.append((header, _transactions(by_block[header.number], header)))
        if blocks[-1][0].hash != edge.hash:
            raise Moved(f"block {end} was replaced while logs were read")
        return blocks

    def _logs(self, addresses: Sequence[str], first: int, last: int) -> list[dict[str, Any]]:
        wanted = {"address": list(addresses), "fromBlock": hex(first), "toBlock": hex(last)}
        # A span that is too long is not asked for twice; a single block is.
        ask = self.ask if first == last else self.node.ask
        found: list[dict[str, Any]] = ask("eth_getLogs", wanted)
        return found


def is_revert(error: NodeRefused) -> bool:
    """Whether it was the contract that refused, not the node."""
    return error.code == REVERTED or error.words.startswith("execution reverted")


def as_revert(error: NodeRefused) -> BallastError:
    """A node's refusal as `Reverted` if it was the contract that refused, else as it is."""
    if not is_revert(error):
        return error
    data = error.data
    raw = bytes.fromhex(data[2:]) if isinstance(data, str) and data.startswith("0x") else b""
    return Reverted(decode_reason(raw), raw)


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, NodeError) and not (
        isinstance(error, NodeRefused) and is_revert(error)
    )


def _never(error: NodeRefused) -> bool:
    return False


def _patiently(question: Any, *args: Any) -> Any:
    attempts = Retrying(
        retry=retry_if_exception(_may_pass),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS),
        reraise=True,
    )
    return attempts(question, *args)


def _header(found: dict[str, Any]) -> Header:
    return Header(
        int(found["number"], 16), found["hash"], found["parentHash"], int(found["timestamp"], 16)
    )


def _transactions(logs: list[dict[str, Any]], header: Header) -> list[RawTransaction]:
    """A block's logs by transaction. Raises `Moved` where they are of another block."""
    found: dict[int, tuple[str, list[Entry]]] = {}
    for log in sorted(logs, key=lambda log: int(log["logIndex"], 16)):
        if log["blockHash"] != header.hash or log.get("removed"):
            raise Moved(f"logs of another block {header.number}")
        topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
        entry = Entry(
            int(log["logIndex"], 16),
            Log(checksum(log["address"]), topics, bytes.fromhex(log["data"][2:])),
        )
        place = int(log["transactionIndex"], 16)
        found.setdefault(place, (str(log["transactionHash"]), []))[1].append(entry)
    return [(name, place, tuple(entries)) for place, (name, entries) in sorted(found.items())]
