"""A chain by its node's address, with keys that sign here: what a script, a bot or a notebook of a
trader's uses `ballast.client` on.

    chain = NodeChain("http://127.0.0.1:8545", Account.from_key(os.environ["KEY"]))
    ballast = Ballast.from_deployment(chain, record.load(path))
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from eth_account.signers.local import LocalAccount

from ballast.abi import checksum
from ballast.chain import ZERO_ADDRESS, Log
from ballast.errors import BallastError, NodeError, Reverted
from ballast.keeper.rpc import Head, Rpc

GAS_MARGIN = 1.3
"""A later block finds other things to book than the one estimated on."""
PENDING_SECONDS = 180
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class NodeReceipt:
    """What a transaction left. A node does not tell what it returned."""

    transaction_hash: str
    block_number: int
    gas_used: int
    logs: list[Log]
    contract_address: str | None
    return_data: bytes | None = None


class NodeChain:
    """Satisfies `ballast.chain.Chain`. Each transaction is estimated (a refusal costs nothing),
    offered at twice the base fee and the node's tip, and waited for. Not for several threads.

    Every method raises `NodeError` where the node does not answer.
    """

    def __init__(self, url: str, *keys: LocalAccount) -> None:
        self.rpc = Rpc(url)
        self._keys = {str(key.address): key for key in keys}
        self._chain_id: int | None = None

    def register(self, key: LocalAccount) -> str:
        """Let a key send; its address."""
        self._keys[str(key.address)] = key
        return str(key.address)

    @property
    def chain_id(self) -> int:
        """The chain's id."""
        if self._chain_id is None:
            self._chain_id = int(self.rpc.ask("eth_chainId"), 16)
        return self._chain_id

    @property
    def timestamp(self) -> int:
        """Unix seconds of the latest block."""
        return self._head().timestamp

    @property
    def block_number(self) -> int:
        """The latest block."""
        return self._head().number

    def nonce(self, address: str) -> int:
        """The number of an address's transactions."""
        return self.rpc.nonce(address)

    def code(self, address: str) -> bytes:
        """The runtime code at an address, b"" where there is none."""
        return bytes.fromhex(str(self.rpc.ask("eth_getCode", address, "latest"))[2:])

    def call(self, to: str, data: bytes, *, sender: str = ZERO_ADDRESS, value: int = 0) -> bytes:
        """What a call returns; it leaves no trace. Raises `Reverted`."""
        return self.rpc.call(_request(to, data, sender, value))

    def send(self, to: str, data: bytes, *, sender: str, value: int = 0) -> NodeReceipt:
        """Send a transaction and wait for it. Raises `Reverted`."""
        return self._transact(to, data, sender, value)

    def deploy(self, initcode: bytes, *, sender: str) -> tuple[str, NodeReceipt]:
        """Create a contract; its address and the receipt. Raises `Reverted`."""
        receipt = self._transact(None, initcode, sender, 0)
        if receipt.contract_address is None:
            raise BallastError(f"transaction {receipt.transaction_hash} created no contract")
        return receipt.contract_address, receipt

    def mine(self, seconds: int = 0) -> NoReturn:
        """Raises `BallastError`."""
        raise BallastError("a node's time cannot be set")

    def _head(self) -> Head:
        head = self.rpc.head()
        if head is None:
            raise NodeError("the node does not say which block is its latest")
        return head

    def _transact(self, to: str | None, data: bytes, sender: str, value: int) -> NodeReceipt:
        key = self._keys.get(checksum(sender))
        if key is None:
            raise BallastError(f"no key of {sender} is registered")
        request = _request(to, data, sender, value)
        tip = self.rpc.tip()
        transaction: dict[str, Any] = {
            "data": data,
            "value": value,
            "gas": int(self.rpc.estimate(request) * GAS_MARGIN),
            "nonce": self.rpc.nonce(sender, "pending"),
            "chainId": self.chain_id,
            "maxFeePerGas": 2 * self._head().base_fee + tip,
            "maxPriorityFeePerGas": tip,
        }
        if to is not None:
            transaction["to"] = to
        raw = key.sign_transaction(transaction).raw_transaction
        found = self._awaited(self.rpc.send_raw("0x" + bytes(raw).hex()))
        if int(found["status"], 16) != 1:
            self.rpc.call(request, hex(int(found["blockNumber"], 16) - 1))  # says why
            raise Reverted("halt: the transaction failed, the same call does not")
        return _receipt(found)

    def _awaited(self, name: str) -> Mapping[str, Any]:
        deadline = time.monotonic() + PENDING_SECONDS
        while (found := self.rpc.receipt(name)) is None:
            if time.monotonic() > deadline:
                raise BallastError(f"{name} is in no block after {PENDING_SECONDS} s: look later")
            time.sleep(POLL_SECONDS)
        return found


def _request(to: str | None, data: bytes, sender: str, value: int) -> dict[str, Any]:
    made = {"from": sender, "data": "0x" + data.hex(), "value": hex(value)}
    return made if to is None else {**made, "to": to}


def _receipt(found: Mapping[str, Any]) -> NodeReceipt:
    address = found.get("contractAddress")
    logs = [
        Log(
            checksum(log["address"]),
            [bytes.fromhex(topic[2:]) for topic in log["topics"]],
            bytes.fromhex(log["data"][2:]),
        )
        for log in found["logs"]
    ]
    return NodeReceipt(
        str(found["transactionHash"]),
        int(found["blockNumber"], 16),
        int(found["gasUsed"], 16),
        logs,
        checksum(address) if address else None,
    )
