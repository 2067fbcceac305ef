"""Many transactions of many people at once: sent without waiting for each, then all waited for."""

from __future__ import annotations

import time
from typing import Any

from eth_account.signers.local import LocalAccount

from ballast.errors import BallastError
from ballast.keeper.rpc import Rpc

SETTLE_SECONDS = 60
_GAS = 500_000


class Pipeline:
    """Not for several threads. Fees are twice the base fee of the moment."""

    def __init__(self, rpc: Rpc, chain_id: int) -> None:
        self._rpc, self._chain_id = rpc, chain_id
        self._nonces: dict[str, int] = {}
        self._sent: list[tuple[str, str]] = []

    def send(self, key: LocalAccount, to: str, data: bytes, gas: int = _GAS) -> None:
        """Hand a transaction in; `settle` waits for it."""
        if key.address not in self._nonces:
            self._nonces[key.address] = self._rpc.nonce(key.address, "pending")
        head = self._rpc.head()
        tip = self._rpc.tip()
        transaction: dict[str, Any] = {
            "to": to,
            "data": data,
            "value": 0,
            "gas": gas,
            "nonce": self._nonces[key.address],
            "chainId": self._chain_id,
            "maxFeePerGas": 2 * (head.base_fee if head else 0) + tip,
            "maxPriorityFeePerGas": tip,
        }
        raw = key.sign_transaction(transaction).raw_transaction
        name = self._rpc.send_raw("0x" + bytes(raw).hex())
        self._nonces[key.address] += 1
        self._sent.append((name, f"{key.address} to {to}, {data[:4].hex()}"))

    def settle(self) -> list[str]:
        """Wait for all that was sent; what failed on chain. Raises `BallastError` where one
        does not get into a block."""
        deadline = time.monotonic() + SETTLE_SECONDS
        failed = []
        for name, what in self._sent:
            while (receipt := self._rpc.receipt(name)) is None:
                if time.monotonic() > deadline:
                    raise BallastError(f"{what}: not in a block after {SETTLE_SECONDS} s")
                time.sleep(0.2)
            if int(receipt["status"], 16) != 1:
                failed.append(what)
        self._sent.clear()
        return failed
