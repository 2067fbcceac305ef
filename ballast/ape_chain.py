"""A chain through Ape's connected provider: the embedded chain, anvil, a testnet.

Senders are registered: eth-account keys on local networks, Ape accounts anywhere. On local networks
transactions are signed and sent directly (Ape's bookkeeping halves the speed of the embedded
chain); elsewhere they go through Ape, with its confirmations and its prompts.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import requests
from eth_account.signers.local import LocalAccount
from web3.exceptions import CannotHandleRequest

from ballast.abi import checksum, decode_reason
from ballast.chain import ZERO_ADDRESS, Log
from ballast.errors import BallastError, NodeError, Reverted

_REVERT_PREFIXES = ("execution reverted: ", "execution reverted")
_HALTS = ("Invalid opcode", "Out of gas", "Insufficient stack", "Stack")
_GAS_PRICE_MARGIN = 2
_GAS_MARGIN = 1.3
_POLL_SECONDS = 0.5
PENDING_SECONDS = 180


@dataclass(frozen=True, slots=True)
class ApeReceipt:
    """What a transaction left. `return_data` is not known on a real chain."""

    gas_used: int
    logs: list[Log]
    block_number: int
    contract_address: str | None
    transaction_hash: str
    return_data: bytes | None = None


class ApeChain:
    """The provider Ape is connected to; satisfies `ballast.chain.Chain`."""

    def __init__(self, provider: Any = None) -> None:
        if provider is None:
            from ape import networks

            provider = networks.provider
        self._provider = provider
        self._web3 = provider.web3
        self._chain_id = int(provider.chain_id)
        self._is_local = bool(provider.network.is_local)
        self._signers: dict[str, Any] = {}
        self._gas_limit = 0

    def register(self, signer: Any) -> str:
        """Let an eth-account key (local networks only) or an Ape account send; its address."""
        key = getattr(signer, "private_key", None)
        if self._is_local and key is not None:
            from eth_account import Account

            signer = Account.from_key(key)
        if isinstance(signer, LocalAccount) and not self._is_local:
            raise BallastError("on a live network, senders are Ape accounts")
        address = checksum(str(signer.address))
        self._signers[address] = signer
        return address

    @cached_property
    def _default_caller(self) -> str | None:
        """Who asks where nobody is named: the embedded chain wants callers that can pay for gas."""
        accounts = self._web3.eth.accounts if self._is_local else []
        return str(accounts[0]) if accounts else None

    @property
    def is_local(self) -> bool:
        """Whether this is a development chain, whose time can be set."""
        return self._is_local

    @property
    def chain_id(self) -> int:
        """The chain's id."""
        return self._chain_id

    @property
    def timestamp(self) -> int:
        """Unix seconds of the latest block: never later than what the next transaction sees."""
        return int(self._web3.eth.get_block("latest")["timestamp"])

    @property
    def block_number(self) -> int:
        """The latest block."""
        return int(self._web3.eth.block_number)

    def nonce(self, address: str) -> int:
        """The nonce of the next transaction of an address."""
        return int(self._web3.eth.get_transaction_count(address))

    def code(self, address: str) -> bytes:
        """The runtime code at an address, b"" where there is none."""
        return bytes(self._web3.eth.get_code(address))

    def balance(self, address: str) -> int:
        """The balance in wei."""
        return int(self._web3.eth.get_balance(address))

    @property
    def gas_price(self) -> int:
        """What a unit of gas costs now, in wei."""
        return int(self._web3.eth.gas_price)

    def settle_pending(self, address: str) -> None:
        """Wait until nothing of an address is left in the pool, so that nothing is sent twice.

        Raises `BallastError` after `PENDING_SECONDS`.
        """
        deadline = time.monotonic() + PENDING_SECONDS
        while self._web3.eth.get_transaction_count(address, "pending") > self.nonce(address):
            if time.monotonic() > deadline:
                raise BallastError(f"transactions of {address} wait in the pool: try again later")
            time.sleep(_POLL_SECONDS)

    def wait_blocks(self, blocks: int) -> None:
        """Wait until the chain has gone on by as many blocks. Raises `BallastError`."""
        target = self.block_number + blocks
        deadline = time.monotonic() + PENDING_SECONDS
        while self.block_number < target:
            if time.monotonic() > deadline:
                raise BallastError(f"no block {target} in {PENDING_SECONDS} s: try again later")
            time.sleep(_POLL_SECONDS)

    def mine(self, seconds: int = 12) -> None:
        """Let `seconds` pass and mine a block. Local networks only."""
        if not self._is_local:
            raise BallastError("time cannot be set on a live network")
        self._provider.set_timestamp(self.timestamp + seconds)
        self._provider.mine(1)

    def snapshot(self) -> Any:
        """Mark the state of a local network."""
        return self._provider.snapshot()

    def revert(self, snapshot: Any) -> None:
        """Return a local network to a marked state."""
        self._provider.restore(snapshot)

    def call(self, to: str, data: bytes, *, sender: str = ZERO_ADDRESS, value: int = 0) -> bytes:
        """What a call returns; it leaves no trace. Raises `Reverted`."""
        return self._call(to, data, sender, value, "latest")

    def send(
        self, to: str, data: bytes, *, sender: str, value: int = 0, gas: int | None = None
    ) -> ApeReceipt:
        """Send a transaction and wait for it. Raises `Reverted`."""
        return self._transact(to, data, sender, value, gas)

    def deploy(self, initcode: bytes, *, sender: str, value: int = 0) -> tuple[str, ApeReceipt]:
        """Create a contract; its address and the receipt. Raises `Reverted`."""
        receipt = self._transact(None, initcode, sender, value, None)
        if receipt.contract_address is None:
            raise BallastError(f"transaction {receipt.transaction_hash} created no contract")
        return receipt.contract_address, receipt

    def _call(self, to: str | None, data: bytes, sender: str, value: int, block: Any) -> bytes:
        request: dict[str, Any] = {"data": data, "value": value}
        if sender != ZERO_ADDRESS:
            request["from"] = sender
        elif self._default_caller is not None:
            request["from"] = self._default_caller
        if to is not None:
            request["to"] = to
        try:
            return bytes(self._web3.eth.call(request, block))
        except Exception as error:  # whatever the node's client raises
            raise reverted(error) from error

    def _transact(
        self, to: str | None, data: bytes, sender: str, value: int, gas: int | None
    ) -> ApeReceipt:
        signer = self._signers.get(checksum(sender))
        if signer is None:
            raise BallastError(f"no signer registered for {sender}")
        if isinstance(signer, LocalAccount):
            return self._send_locally(to, data, signer, value, gas)
        return self._send_through_ape(to, data, signer, value, gas)

    def _send_locally(
        self, to: str | None, data: bytes, signer: LocalAccount, value: int, gas: int | None
    ) -> ApeReceipt:
        eth = self._web3.eth
        latest = eth.get_block("latest")
        transaction = {
            "data": data,
            "value": value,
            "nonce": eth.get_transaction_count(signer.address),
            "gas": gas or int(latest["gasLimit"]),
            "gasPrice": _GAS_PRICE_MARGIN * int(latest.get("baseFeePerGas", 10**9)) + 1,
            "chainId": self._chain_id,
        }
        if to is not None:
            transaction["to"] = to
        raw = signer.sign_transaction(transaction).raw_transaction
        receipt = eth.wait_for_transaction_receipt(eth.send_raw_transaction(raw), poll_latency=0.01)
        if receipt["status"] != 1:
            # The transaction was alone in its block: its state before is the block's before.
            self._call(to, data, signer.address, value, receipt["blockNumber"] - 1)
            raise Reverted("halt: the transaction failed, the same call does not")
        return _receipt(receipt)

    def _send_through_ape(
        self, to: str | None, data: bytes, signer: Any, value: int, gas: int | None
    ) -> ApeReceipt:
        from ape.exceptions import ContractLogicError, TransactionError

        asked: dict[str, Any] = {"from": signer.address, "data": data, "value": value}
        fields: dict[str, Any] = {"sender": signer.address, "data": data, "value": value}
        if to is not None:
            asked["to"] = fields["receiver"] = to
        fields["gas_limit"] = gas or self._estimate(asked)
        transaction = self._provider.network.ecosystem.create_transaction(**fields)
        try:
            made = signer.call(transaction)
        except ContractLogicError as error:
            raise reverted(error) from error
        except TransactionError as error:
            raise BallastError(f"transaction failed: {error}") from error
        return _receipt(self._web3.eth.get_transaction_receipt(made.txn_hash))

    def _estimate(self, asked: dict[str, Any]) -> int:
        """Gas with a margin: a later block finds other things to book than the one estimated on."""
        try:
            return int(self._web3.eth.estimate_gas(asked) * _GAS_MARGIN)
        except Exception as error:  # whatever the node's client raises
            raise reverted(error) from error


def _receipt(receipt: Any) -> ApeReceipt:
    address = receipt.get("contractAddress")
    return ApeReceipt(
        gas_used=int(receipt["gasUsed"]),
        logs=[
            Log(checksum(log["address"]), [bytes(t) for t in log["topics"]], bytes(log["data"]))
            for log in receipt["logs"]
        ],
        block_number=int(receipt["blockNumber"]),
        contract_address=checksum(address) if address else None,
        transaction_hash="0x" + bytes(receipt["transactionHash"]).hex(),
    )


def reverted(error: Exception) -> Exception:
    """A node's or Ape's error as `Reverted` if it is a revert, as `NodeError` where there was no
    answer (the request may hold whole contracts: it is not shown), as `BallastError` otherwise."""
    if isinstance(error, (requests.RequestException, CannotHandleRequest, TimeoutError)):
        return NodeError(f"the node does not answer ({type(error).__name__})")
    data = getattr(error, "data", None)
    if isinstance(data, str) and data.startswith("0x"):
        raw = bytes.fromhex(data[2:])
        return Reverted(decode_reason(raw), raw)
    name, message = type(error).__name__, str(getattr(error, "message", None) or error)
    if "EVM error " in message:
        return Reverted("halt: " + message.split("EVM error ")[1].rstrip("'}"))
    if name not in ("ContractLogicError", "TransactionFailed", "ContractPanicError"):
        return BallastError(f"{name}: {message}")
    for prefix in _REVERT_PREFIXES:
        if message.startswith(prefix):
            return Reverted(_clean(message[len(prefix) :]))
    return Reverted("" if message in ("Transaction failed.", "0x") else _clean(message))


def _clean(reason: str) -> str:
    """The embedded chain's words for a revert without a reason, and for a halt."""
    if reason.startswith("b'"):
        return ""
    return f"halt: {reason}" if reason.startswith(_HALTS) else reason
