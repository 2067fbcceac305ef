"""Tries actions out on a node, without sending them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ballast import contracts
from ballast.errors import BallastError, NodeRefused, Reverted
from ballast.keeper.actions import OUTRACED, Action, Kind, does_nothing
from ballast.keeper.rpc import Rpc
from ballast.mirror import recorded_tiers


class Outraced(BallastError):
    """Nothing is left to be done: somebody else was faster, or the price has come back."""


class Trial:
    """Calls as one address would make them."""

    def __init__(self, rpc: Rpc, address: str) -> None:
        self.address = address
        self._rpc = rpc

    def needed(self, action: Action) -> int:
        """The gas an action needs now, what is in the pool counted in.

        Raises `Outraced` where it would do nothing, `Reverted` where it would fail otherwise, and
        `NodeRefused` where the node cannot tell (it needs more gas than a block has).
        """
        try:
            return self._needed(action, "pending")
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


@contextmanager
def _outraced() -> Iterator[None]:
    try:
        yield
    except Reverted as error:
        if error.reason in OUTRACED:
            raise Outraced(error.reason) from error
        raise
