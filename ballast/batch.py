"""Many views at once: one call to the node for up to a hundred, or one by one on revm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ballast import build
from ballast.abi import decode_reason
from ballast.chain import Chain
from ballast.contract import Contract, Interface
from ballast.errors import BallastError, Reverted
from ballast.evm import Revm

MULTICALL3 = "0xcA11bde05977b3631167028862bE2a173976CA11"
CHUNK = 100
_SOURCE = Path(__file__).resolve().parent / "data" / "BatchReader.vy"


@dataclass(frozen=True, slots=True)
class View:
    """One view to ask for: `View(vault, "balance_of", key)`."""

    contract: Contract
    function: str
    args: tuple[Any, ...]

    def __init__(self, contract: Contract, function: str, *args: Any) -> None:
        object.__setattr__(self, "contract", contract)
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "args", args)


class BatchReader:
    """Asks for many views at a time.

    On a node it goes through Multicall3 where that is deployed, else through a reader of its own,
    which `sender` deploys once (local networks).
    """

    def __init__(self, chain: Chain, sender: str | None = None) -> None:
        self._chain = chain
        self._reader: Contract | None = None
        if isinstance(chain, Revm):
            return
        address = MULTICALL3
        if not chain.code(address):
            if sender is None:
                raise BallastError("no Multicall3 on this chain, and no sender to deploy a reader")
            address, _ = chain.deploy(_reader_code(), sender=sender)
        self._reader = Contract(chain, address, _reader_interface())

    def read(self, views: Sequence[View]) -> list[Any]:
        """The views' results, in order. Raises `Reverted` where one of them does."""
        if self._reader is None:
            return [getattr(view.contract.view, view.function)(*view.args) for view in views]
        results: list[Any] = []
        for start in range(0, len(views), CHUNK):
            results += self._read_chunk(self._reader, views[start : start + CHUNK])
        return results

    def _read_chunk(self, reader: Contract, views: Sequence[View]) -> list[Any]:
        functions = [v.contract.interface.function(v.function, len(v.args)) for v in views]
        calls = [
            (view.contract.address, True, function.encode(view.args))
            for view, function in zip(views, functions, strict=True)
        ]
        found = []
        answers = reader.view.aggregate3(calls)
        for view, function, (success, data) in zip(views, functions, answers, strict=True):
            if not success:
                raise Reverted(f"{view.function}: {decode_reason(data)}", data)
            found.append(function.decode(data))
        return found


@cache
def _reader_artifact() -> build.Artifact:
    return build.compile_file(_SOURCE)


def _reader_code() -> bytes:
    return _reader_artifact().deploy_code()


@cache
def _reader_interface() -> Interface:
    return Interface(_reader_artifact().abi)
