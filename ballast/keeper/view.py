"""A chain as it is after one block, for contracts' views: nothing can be sent."""

from __future__ import annotations

from typing import Any, NoReturn

from ballast.chain import ZERO_ADDRESS
from ballast.errors import BallastError
from ballast.keeper.blocks import Header
from ballast.keeper.source import Source


class BlockView:
    """Satisfies `ballast.chain.Chain` as far as reading goes. Raises `NodeError`, also where the
    node does not have the block's state."""

    def __init__(self, source: Source, block: Header) -> None:
        self._source = source
        self._block = block

    @property
    def chain_id(self) -> int:
        """The chain's id."""
        return int(self._source.ask("eth_chainId"), 16)

    @property
    def timestamp(self) -> int:
        """The block's time, Unix seconds."""
        return self._block.timestamp

    @property
    def block_number(self) -> int:
        """The block."""
        return self._block.number

    def call(self, to: str, data: bytes, *, sender: str = ZERO_ADDRESS, value: int = 0) -> bytes:
        """What a call returns. Raises `Reverted`."""
        return self._source.call(to, data, self._block.hash, sender, value)

    def nonce(self, address: str) -> int:
        """The number of an address's transactions."""
        return int(self._source.ask("eth_getTransactionCount", address, self._at), 16)

    def code(self, address: str) -> bytes:
        """The runtime code at an address, b"" where there is none."""
        return bytes.fromhex(self._source.ask("eth_getCode", address, self._at)[2:])

    @property
    def _at(self) -> dict[str, str]:
        return {"blockHash": self._block.hash}

    def send(self, to: str, data: bytes, **options: Any) -> NoReturn:
        """Raises `BallastError`."""
        raise BallastError("a view of a block cannot send")

    def deploy(self, initcode: bytes, *, sender: str) -> NoReturn:
        """Raises `BallastError`."""
        raise BallastError("a view of a block cannot deploy")

    def mine(self, seconds: int = 0) -> NoReturn:
        """Raises `BallastError`."""
        raise BallastError("a view of a block cannot go on")
