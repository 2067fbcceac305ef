"""What OrderSettlement says of an order, asked with bounds: contract wallets run code of others."""

from __future__ import annotations

from typing import Any

from ballast import contracts
from ballast.chain import ZERO_ADDRESS
from ballast.errors import NodeRefused, Reverted, SigningError
from ballast.keeper.rpc import Rpc
from ballast.relay.kept import Kept
from ballast.signing import owner_of, signer_of

WALLET_GAS = 200_000
"""What a contract wallet may use to look at a signature: its matcher pays for it."""
_MAGIC = bytes.fromhex("1626ba7e") + bytes(28)


class Settlement:
    """The settlement contract, through a node."""

    def __init__(self, rpc: Rpc, address: str) -> None:
        self.address = address
        self._rpc = rpc
        self._interface = contracts.interface(contracts.SETTLEMENT)

    def view(self, name: str, *args: Any) -> Any:
        """What a view answers. Raises `NodeError`."""
        function = self._interface.function(name, len(args))
        data = "0x" + function.encode(args).hex()
        return function.decode(self._rpc.call({"to": self.address, "data": data}))

    def wallet_accepts(self, wallet: str, digest: bytes, signature: bytes) -> bool:
        """Whether a contract wallet takes a signature for its own (EIP-1271), within `WALLET_GAS`.
        Raises `NodeError` where the node does not answer."""
        padded = signature + bytes(-len(signature) % 32)
        data = _MAGIC[:4] + digest + (64).to_bytes(32, "big")
        data += len(signature).to_bytes(32, "big") + padded
        request = {"from": self.address, "to": wallet, "gas": hex(WALLET_GAS)}
        try:
            return self._rpc.call({**request, "data": "0x" + data.hex()})[:32] == _MAGIC
        except (Reverted, NodeRefused):
            return False

    def fault(self, kept: Kept, timestamp: int) -> str | None:
        """Why the contract would refuse to fill an order, as far as the order itself is to blame.
        Raises `NodeError`."""
        order, owner = kept.order, owner_of(kept.order.account)
        if order.expiry < timestamp:
            return "settlement: expired"
        if self.view("is_cancelled", owner, kept.hash):
            return "settlement: cancelled"
        if order.salt < self.view("salt_floor", order.account):
            return "settlement: below salt floor"
        return self._signature_fault(kept, owner, timestamp)

    def _signature_fault(self, kept: Kept, owner: str, timestamp: int) -> str | None:
        try:
            signer = signer_of(kept.hash, kept.signed.signature)
        except SigningError:
            signer = ZERO_ADDRESS
        if signer == owner:
            return None
        if signer != ZERO_ADDRESS:
            until = self.view("delegate_expiry", kept.order.account, signer)
            if timestamp <= until:
                cancelled = self.view("is_cancelled", signer, kept.hash)
                return "settlement: cancelled" if cancelled else None
        if self.wallet_accepts(owner, kept.hash, kept.signed.signature):
            return None
        return "settlement: bad signature"
