"""Tries actions out on a node, without sending them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from ballast import contracts
from ballast.errors import BallastError, NodeRefused, Reverted
from ballast.keeper.actions import OUTRACED, Action, Kind, does_nothing, taken_alone
from ballast.keeper.rpc import Rpc, Simulated
from ballast.mirror import recorded_tiers

MAX_GAS = 15_000_000
"""Below what one transaction may use where the chain bounds it (2^24)."""
SHORT_OF_GAS = "batch: out of gas"
_UNKNOWN_METHOD = -32_601


class Outraced(BallastError):
    """Nothing is left to be done: somebody else was faster, or the price has come back."""


@dataclass(frozen=True)
class Tried:
    """What is left to be done of an action, and the gas it needs."""

    action: Action
    gas: int


class Trial:
    """Calls as one address would make them."""

    def __init__(self, rpc: Rpc, address: str) -> None:
        self.address = address
        self._rpc = rpc
        self._simulates = True

    def each(self, actions: Sequence[Action], at: str = "pending") -> list[Tried | BallastError]:
        """Actions one after the other, in one question where the node takes it: what each would do
        after those before it, or why nothing (as `needed` raises)."""
        simulated = self._simulated(actions, at)
        return [self._one(*pair, at) for pair in zip(actions, simulated, strict=True)]

    def _simulated(self, actions: Sequence[Action], at: str) -> Sequence[Simulated | None]:
        requests = [self._request(action) for action in actions]
        for place in dict.fromkeys((at, "latest")):
            if requests and self._simulates:
                try:
                    return self._rpc.simulate(requests, place)
                except NodeRefused as error:
                    self._simulates = error.code != _UNKNOWN_METHOD
        return [None] * len(actions)

    def _one(self, action: Action, found: Simulated | None, at: str) -> Tried | BallastError:
        try:
            if found is None or _is_short(found):
                return Tried(action, self._needed_at(action, at))
            with _outraced():
                if found.error is not None:
                    raise found.error
            if does_nothing(action.kind, found.returned) or not did_something(found.logs):
                raise Outraced("nothing is left to be done")
            return Tried(taken_alone(action, found.returned), found.gas)
        except (Outraced, Reverted, NodeRefused) as error:
            return error

    def _request(self, action: Action) -> dict[str, str]:
        data = "0x" + action.data.hex()
        return {"from": self.address, "to": action.target, "data": data, "gas": hex(MAX_GAS)}

    def needed(self, action: Action) -> int:
        """The gas an action needs now, what is in the pool counted in.

        Raises `Outraced` where it would do nothing, `Reverted` where it would fail otherwise, and
        `NodeRefused` where the node cannot tell (it needs more gas than a block has).
        """
        return self._needed_at(action, "pending")

    def _needed_at(self, action: Action, at: str) -> int:
        try:
            return self._needed(action, at)
        except NodeRefused:
            # Not every node has a pending block.
            return self._needed(action, "latest")

    def _needed(self, action: Action, at: str) -> int:
        data = "0x" + action.data.hex()
        if action.kind is Kind.DELEVERAGE:
            self.call(action.kind, action.target, data, at)
        if action.kind is Kind.REFRESH and self._stands_right(action, at):
            raise Outraced("ranked already")
        request = {"from": self.address, "to": action.target, "data": data}
        with _outraced():
            return self._rpc.estimate(request, at)

    def _stands_right(self, action: Action, at: str) -> bool:
        read = contracts.interface(contracts.CLEARINGHOUSE).function("read", 3)
        data = "0x" + read.encode((list(action.accounts), [], [])).hex()
        words = read.decode(self._rpc.call({"to": action.target, "data": data}, at))
        return recorded_tiers(words) <= {action.tier}

    def call(self, kind: Kind, target: str, data: str, at: str) -> None:
        """Whether a call would do something at a block. Raises `Outraced`, `Reverted`."""
        with _outraced():
            returned = self._rpc.call({"from": self.address, "to": target, "data": data}, at)
        if does_nothing(kind, returned):
            raise Outraced("nothing is left to be done")


def did_something(logs: Sequence[dict[str, Any]]) -> bool:
    """Whether a transaction left more than the prices that any first use in a block fixes."""
    return any(log["topics"][:1] != [_price_fixed()] for log in logs)


@cache
def _price_fixed() -> str:
    events = contracts.interface(contracts.CLEARINGHOUSE).events.values()
    (topic,) = {event.topic for event in events if event.name == "PriceFixed"}
    return "0x" + topic.hex()


def _is_short(found: Simulated) -> bool:
    """Whether the gas for all of them has run out at this one: it is tried by itself."""
    error = found.error
    return isinstance(error, NodeRefused) or (
        isinstance(error, Reverted) and error.reason == SHORT_OF_GAS
    )


@contextmanager
def _outraced() -> Iterator[None]:
    try:
        yield
    except Reverted as error:
        if error.reason in OUTRACED:
            raise Outraced(error.reason) from error
        raise
