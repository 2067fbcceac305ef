"""The state that some calls need, taken off a chain and put on another: in a JSON file it replays
anywhere, without the node that a fork (`Revm.fork`) reads from.

A contract that is one of this project's builds is kept by its name and its immutables, so that a
replay runs the contracts as they are now; any other is kept by its code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, TypeVar

from ballast import build
from ballast.errors import BallastError
from ballast.evm import Revm

_Chain = TypeVar("_Chain", bound=Revm)


@dataclass(frozen=True)
class Contract:
    """A contract (or a sender) as it stands. `code` is `Name:immutables` of a build, or 0x and the
    whole code; slots of zero are left out."""

    code: str
    nonce: int
    slots: dict[str, str]


@dataclass(frozen=True)
class State:
    """Contracts and senders by address, and the block they are found in. Ether is left out."""

    chain_id: int
    block: int
    timestamp: int
    contracts: dict[str, Contract]

    def chain(self, kind: type[_Chain]) -> _Chain:
        """A chain of its own with this state. Raises `BuildError` where a build is missing."""
        chain = kind(self.chain_id, self.timestamp, self.block)
        for address, contract in self.contracts.items():
            slots = {int(slot, 16): int(value, 16) for slot, value in contract.slots.items()}
            chain.put(address, _decoded(contract.code), contract.nonce, slots)
        return chain

    def as_json(self) -> dict[str, Any]:
        """In the form that `from_json` takes."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> State:
        """Read it back. Raises `BallastError`."""
        try:
            contracts = {at: Contract(**parts) for at, parts in data["contracts"].items()}
            return cls(**{**data, "contracts": contracts})
        except (TypeError, KeyError, AttributeError) as error:
            raise BallastError(f"this is no state: {error}") from error


def capture(chain: Revm, run: Callable[[], None]) -> State:
    """What `run` needs of the chain, as it is before it; `run` leaves no trace.

    Raises `SnapshotError` while a snapshot is open that was taken without `exact_gas`.
    """
    contracts = {}
    for address, slots in sorted(chain.watch(run).items()):
        code, nonce = chain.code(address), chain.nonce(address)
        if code or nonce:
            values = {slot: chain.storage(address, slot) for slot in sorted(slots)}
            kept = {hex(slot): hex(value) for slot, value in values.items() if value}
            contracts[address] = Contract(_encoded(code), nonce, kept)
    return State(chain.chain_id, chain.block_number, chain.timestamp, contracts)


@cache
def _builds() -> dict[str, build.Artifact]:
    names = [name for folder in build.FOLDERS for name in build.deployables(folder)]
    return {name: build.artifact(name) for name in names}


def _encoded(code: bytes) -> str:
    for name, made in _builds().items():
        if len(code) == made.runtime_size and code.startswith(made.runtime):
            return f"{name}:{code[len(made.runtime) :].hex()}"
    return "0x" + code.hex()


def _decoded(code: str) -> bytes:
    if code.startswith("0x"):
        return bytes.fromhex(code[2:])
    name, _, immutables = code.partition(":")
    return build.artifact(name).runtime + bytes.fromhex(immutables)
