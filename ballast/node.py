"""A node by its HTTP address, asked for what a fork needs: blocks, logs and storage.

Blocks are numbers. Whatever goes wrong, from no connection to an answer without a result, raises
`NodeError` with the node's own words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import requests

from ballast.abi import checksum
from ballast.chain import Log
from ballast.errors import NodeError

LOG_SPAN = 2_000
"""Blocks asked for at once; fewer where a node finds that too many."""
TOPIC_SPAN = 50_000
"""The same, for one kind of event alone."""

TransactionLogs = tuple[list[Log], int, int]
"""The logs of one transaction, its block's number and its block's time in Unix seconds."""


class Node:
    """A node's JSON-RPC interface over HTTP."""

    def __init__(self, url: str, timeout_seconds: int = 30) -> None:
        if not url.startswith(("http://", "https://")):
            raise NodeError(f"{url!r}: an HTTP address of a node is needed")
        self._url = url
        self._host = urlsplit(url).hostname  # all that messages show: the rest may hold a key
        self._timeout_seconds = timeout_seconds
        self._session = requests.Session()
        self._times: dict[int, int] = {}

    def ask(self, method: str, *params: Any) -> Any:
        """The result of one request. Raises `NodeError`."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        try:
            sent = self._session.post(self._url, json=request, timeout=self._timeout_seconds)
            answer = sent.json()
        except requests.RequestException as error:
            raise NodeError(f"no answer from {self._host}: {type(error).__name__}") from error
        if answer.get("error") or "result" not in answer:
            told = answer.get("error")
            raise NodeError(f"{method}: {told.get('message') if isinstance(told, dict) else told}")
        return answer["result"]

    def chain_id(self) -> int:
        """The id of the node's chain."""
        return int(self.ask("eth_chainId"), 16)

    def block(self, number: int | None = None) -> tuple[int, int]:
        """Number and time (Unix seconds) of a block, the latest by default."""
        found = self.ask("eth_getBlockByNumber", _named(number), False)
        if found is None:
            raise NodeError(f"the node has no block {number}")
        return int(found["number"], 16), int(found["timestamp"], 16)

    def logs(
        self, addresses: Sequence[str], first: int, last: int, topic: bytes | None = None
    ) -> Iterator[TransactionLogs]:
        """All logs of some contracts in blocks `first` to `last`, transaction by transaction.

        `topic` asks for one kind of event alone, and for more blocks at once.
        """
        span = LOG_SPAN if topic is None else TOPIC_SPAN
        while first <= last:
            end = min(last, first + span - 1)
            try:
                found = self._logs(addresses, first, end, topic)
            except NodeError:
                if span == 1:
                    raise
                span = max(1, span // 4)
                continue
            yield from self._by_transaction(found)
            first = end + 1

    def _logs(
        self, addresses: Sequence[str], first: int, last: int, topic: bytes | None
    ) -> list[dict[str, Any]]:
        wanted: dict[str, Any] = {"address": list(addresses)}
        wanted.update(fromBlock=hex(first), toBlock=hex(last))
        if topic is not None:
            wanted["topics"] = ["0x" + topic.hex()]
        found: list[dict[str, Any]] = self.ask("eth_getLogs", wanted)
        return sorted(found, key=_place)

    def _by_transaction(self, found: list[dict[str, Any]]) -> Iterator[TransactionLogs]:
        batches: dict[tuple[int, str], list[Log]] = {}
        for log in found:
            of = int(log["blockNumber"], 16), str(log["transactionHash"])
            topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
            data = bytes.fromhex(log["data"][2:])
            batches.setdefault(of, []).append(Log(checksum(log["address"]), topics, data))
        for (number, _), logs in batches.items():
            yield logs, number, self._time_of(number)

    def _time_of(self, number: int) -> int:
        if number not in self._times:
            self._times[number] = self.block(number)[1]
        return self._times[number]


def _named(number: int | None) -> str:
    return "latest" if number is None else hex(number)


def _place(log: dict[str, Any]) -> tuple[int, int]:
    return int(log["blockNumber"], 16), int(log["logIndex"], 16)
