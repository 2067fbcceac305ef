"""A node by its HTTP address, asked for what forks and keepers need: blocks, logs, storage, views.

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
from ballast.errors import NodeError, NodeRefused

LOG_SPAN = 2_000
"""Blocks asked for at once; fewer where a node finds that too many."""
TOPIC_SPAN = 50_000
"""The same, for one kind of event alone."""

BATCH = 50
"""Requests sent at once."""

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
        self._takes_batches = True

    def ask(self, method: str, *params: Any) -> Any:
        """The result of one request. Raises `NodeError`; `NodeRefused` where the node says why."""
        return _result(method, self._post(_request(1, method, params)))

    def ask_many(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """The results of many requests (method and parameters), in order, by the batch; one by one
        where a node takes none. A request that was refused leaves its `NodeRefused` as the result.
        Raises `NodeError`."""
        found: list[Any] = []
        for start in range(0, len(calls), BATCH):
            found += self._ask_batch(calls[start : start + BATCH])
        return found

    def _ask_batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        answers: Any = None
        if self._takes_batches and len(calls) > 1:
            answers = self._post([_request(i, *call) for i, call in enumerate(calls)])
            self._takes_batches = isinstance(answers, list)
        if not isinstance(answers, list):
            answers = [self._post(_request(i, *call)) for i, call in enumerate(calls)]
        by_id = {a.get("id"): a for a in answers if isinstance(a, dict)}
        found: list[Any] = []
        for number, (method, _) in enumerate(calls):
            try:
                found.append(_result(method, by_id.get(number)))
            except NodeRefused as error:
                found.append(error)
        return found

    def _post(self, request: Any) -> Any:
        try:
            sent = self._session.post(self._url, json=request, timeout=self._timeout_seconds)
            return sent.json()
        except requests.RequestException as error:
            raise NodeError(f"no answer from {self._host}: {type(error).__name__}") from error

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


def _request(number: int, method: str, params: Sequence[Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}


def _result(method: str, answer: Any) -> Any:
    """What an answer holds. Raises `NodeError`, `NodeRefused`."""
    if not isinstance(answer, dict):
        raise NodeError(f"{method}: the node's answer is none of JSON-RPC")
    told = answer.get("error")
    if not told and "result" in answer:
        return answer["result"]
    if not isinstance(told, dict):
        raise NodeRefused(method, str(told))
    code, words = int(told.get("code", 0)), str(told.get("message"))
    raise NodeRefused(method, words, code, told.get("data"))


def _named(number: int | None) -> str:
    return "latest" if number is None else hex(number)


def _place(log: dict[str, Any]) -> tuple[int, int]:
    return int(log["blockNumber"], 16), int(log["logIndex"], 16)
