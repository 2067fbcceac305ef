"""What a chain must offer, so that one client works on the in-process EVM and through Ape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

ZERO_ADDRESS = "0x" + "00" * 20


@dataclass(frozen=True, slots=True)
class Log:
    """A raw log: the emitting address (checksummed), topics and data."""

    address: str
    topics: list[bytes]
    data: bytes


class Receipt(Protocol):
    """What a transaction that succeeded leaves."""

    @property
    def gas_used(self) -> int:
        """Gas as charged to the sender: base, call data, execution, refunds deducted."""

    @property
    def logs(self) -> Sequence[Log]:
        """The logs, in order."""

    @property
    def return_data(self) -> bytes | None:
        """What the outer call returned; None where the chain does not tell."""


class Chain(Protocol):
    """A chain: raw calls and transactions, addresses as checksummed hex strings.

    A call or transaction that reverts raises `ballast.errors.Reverted`.
    """

    @property
    def chain_id(self) -> int: ...

    @property
    def timestamp(self) -> int:
        """Unix seconds the next transaction sees, as far as it is known."""

    @property
    def block_number(self) -> int: ...

    def call(self, to: str, data: bytes, *, sender: str = ..., value: int = ...) -> bytes:
        """What a call returns; it leaves no trace."""

    def send(self, to: str, data: bytes, *, sender: str, value: int = ...) -> Receipt:
        """Send a transaction and wait for it."""

    def deploy(self, initcode: bytes, *, sender: str) -> tuple[str, Receipt]:
        """Create a contract; its address and the receipt."""

    def nonce(self, address: str) -> int:
        """The nonce of the next transaction (for a contract address: the next creation)."""

    def code(self, address: str) -> bytes:
        """The runtime code at an address, b"" where there is none."""

    def mine(self, seconds: int = ...) -> None:
        """End the block and let `seconds` pass, where the chain's time can be set."""
