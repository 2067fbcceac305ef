"""An in-process chain on revm, fast enough to fuzz on.

pyrevm keeps everything since its creation in one open journal, as if it were one transaction: what
is touched stays warm, and `transient` storage stays. Here

- transient storage is cleared after every send;
- gas is that of a real transaction only for sends with `exact_gas`: they first move the journal
  into revm's database, so that all storage and all accounts are cold and their original value is
  the present one. This costs about a millisecond beside the call. The gas of other sends is not
  shown (`gas_used` raises) because it would be too low.

Blocks are explicit: sends stay in one block until `mine`. Gas is free and senders need no key; any
address without code can send.

`Revm.fork` begins with the state of a node at a block: what is read comes from there at its first
use, what is written stays here. Everything above holds for a fork as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import pyrevm
from eth_utils import keccak

from ballast import journal, opcodes
from ballast.abi import checksum, decode_reason
from ballast.chain import ZERO_ADDRESS, Log
from ballast.errors import BallastError, NodeError, Reverted, SnapshotError
from ballast.node import Node

SPEC = "CANCUN"
GENESIS_TIME = 1_760_000_000
_COMPACT_EVERY = 10_000
_PADDING = 33
_REVERT = re.compile(r"^Revert \{ gas_used: \d+, output: 0x([0-9a-f]*) \}$")
_NODE_MESSAGE = re.compile(r'message: "(.*?)"')
_HALT = re.compile(r"^Halt \{ reason: (.*), gas_used: \d+ \}$")


class RevmReceipt:
    """What a send leaves. Logs are decoded when asked for."""

    __slots__ = ("__dict__", "_exact", "_result", "contract_address", "return_data")

    def __init__(
        self, result: Any, return_data: bytes, exact: bool, contract_address: str | None = None
    ) -> None:
        self._result = result
        self._exact = exact
        self.return_data = return_data
        self.contract_address = contract_address

    @property
    def gas_used(self) -> int:
        """Gas as a real transaction is charged: base, call data, execution, refunds deducted."""
        if not self._exact:
            raise BallastError("gas is known of sends with exact_gas=True only (see ballast.evm)")
        return int(self._result.gas_used)

    @cached_property
    def logs(self) -> list[Log]:
        """The logs, in order."""
        found = []
        for log in self._result.logs:
            topics, data = log.data
            found.append(Log(checksum(log.address), topics, data))
        return found


@dataclass(slots=True)
class _Mark:
    """An open snapshot: a checkpoint of the journal or, if that was clean, a place in `_undo`."""

    number: int
    checkpoint: Any
    undo_length: int
    block_number: int
    timestamp: int


class Revm:
    """An in-process chain; see the module's docstring. It satisfies `ballast.chain.Chain`."""

    def __init__(
        self,
        chain_id: int = 31_337,
        timestamp: int = GENESIS_TIME,
        block_number: int = 1,
        exact_gas: bool = False,
        origin: tuple[str, int] | None = None,
    ) -> None:
        """`origin`: a node's address and the block whose state this chain begins with."""
        env = pyrevm.Env(cfg=pyrevm.CfgEnv(chain_id=chain_id))
        if origin is None:
            self._evm = pyrevm.EVM(env=env, spec_id=SPEC)
        else:
            url, block = origin
            self._evm = pyrevm.EVM(env=env, fork_url=url, fork_block=str(block), spec_id=SPEC)
        self._chain_id = chain_id
        self._exact_gas = exact_gas
        self._marks: list[_Mark] = []
        self._next_mark = 0
        self._undo: list[tuple[Any, ...]] = []
        self._codes: dict[bytes, bytes] = {}
        self._dirty = False
        self._watched: dict[str, set[int]] | None = None
        self._sends = 0
        self.set_block(block_number, timestamp)
        self._base = self._evm.snapshot()

    @classmethod
    def fork(cls, url: str, block: int | None = None) -> Self:
        """A chain with the state that the node at `url` (HTTP) has after `block` (default: its
        latest), in a block of its own one number and one second later.

        State is read from the node as it is first used, so the node must keep the state of that
        block for as long as the fork is used. Raises `NodeError`, here or at any later call, where
        the node does not answer or does not know.
        """
        node = Node(url)
        number, timestamp = node.block(block)
        return cls(node.chain_id(), timestamp + 1, number + 1, origin=(url, number))

    # Block and time

    @property
    def chain_id(self) -> int:
        """The chain's id."""
        return self._chain_id

    @property
    def timestamp(self) -> int:
        """Unix seconds of the current block."""
        return self._timestamp

    @property
    def block_number(self) -> int:
        """The current block, which the next send is in."""
        return self._block_number

    def set_block(self, number: int, timestamp: int) -> None:
        """Set the current block's number and its time in Unix seconds."""
        self._block_number, self._timestamp = number, timestamp
        self._evm.set_block_env(pyrevm.BlockEnv(number=number, timestamp=timestamp))

    def mine(self, seconds: int = 12, blocks: int = 1) -> None:
        """End the block: the next one comes `seconds` later (`blocks` later by number)."""
        self.set_block(self._block_number + blocks, self._timestamp + seconds)

    # Calls

    def call(self, to: str, data: bytes, *, sender: str = ZERO_ADDRESS, value: int = 0) -> bytes:
        """What a call returns; it leaves no trace. Raises `Reverted`."""
        evm = self._evm
        checkpoint = None if self._watched is not None else evm.snapshot()
        try:
            return evm.message_call(sender, to, data, value)
        except RuntimeError as error:
            raise _failure(error) from None
        finally:
            if checkpoint is not None:
                evm.revert(checkpoint)

    def send(
        self,
        to: str,
        data: bytes,
        *,
        sender: str,
        value: int = 0,
        gas: int | None = None,
        exact_gas: bool | None = None,
    ) -> RevmReceipt:
        """Run a transaction in the current block and keep what it did. Raises `Reverted`."""
        exact = self._prepare(exact_gas)
        evm = self._evm
        try:
            output = evm.message_call(sender, to, data, value, gas)
        except RuntimeError as error:
            if self._watched is not None:
                self._watch_refused(to, lambda: evm.message_call(sender, to, data, value, gas))
            raise _failure(error) from None
        evm.reset_transient_storage()
        return RevmReceipt(evm.result, output, exact)

    def deploy(
        self, initcode: bytes, *, sender: str, value: int = 0, exact_gas: bool | None = None
    ) -> tuple[str, RevmReceipt]:
        """Create a contract; its address and the receipt. Raises `Reverted`."""
        exact = self._prepare(exact_gas)
        try:
            address = checksum(self._evm.deploy(sender, initcode, value))
        except RuntimeError as error:
            raise _failure(error) from None
        self._evm.reset_transient_storage()
        return address, RevmReceipt(self._evm.result, b"", exact, address)

    def _prepare(self, exact_gas: bool | None) -> bool:
        exact = self._exact_gas if exact_gas is None else exact_gas
        self._sends += 1
        if exact or (self._sends % _COMPACT_EVERY == 0 and self._can_flush()):
            self.flush()
        self._dirty = True
        return exact

    # State

    def nonce(self, address: str) -> int:
        """The nonce of the next creation by `address` (calls do not raise it on this chain)."""
        return int(self._peek(lambda evm: evm.basic(address).nonce))

    def code(self, address: str) -> bytes:
        """The runtime code at an address, b"" where there is none."""
        return bytes(self._peek(lambda evm: self._read_code(address)))

    def balance(self, address: str) -> int:
        """The balance in wei."""
        return int(self._peek(lambda evm: evm.get_balance(address)))

    def set_balance(self, address: str, wei: int) -> None:
        """Set a balance in wei."""
        self._evm.set_balance(address, wei)
        self._dirty = True

    def storage(self, address: str, slot: int) -> int:
        """The value of a storage slot."""
        return int(self._peek(lambda evm: evm.storage(address, slot)))

    def put(
        self,
        address: str,
        code: bytes | None = None,
        nonce: int | None = None,
        slots: Mapping[int, int] | None = None,
    ) -> None:
        """Write an account outright, past all code; what is not given stays as it is.

        Raises `SnapshotError` while a snapshot is open that was taken without `exact_gas`.
        """
        self.flush()
        if code is not None or nonce is not None:
            self.code(address)  # remembered by its hash
            old = self._peek(lambda evm: evm.basic(address))
            before = old.balance, old.nonce, bytes(old.code_hash)
            digest = before[2] if code is None else keccak(code)
            if code is not None:
                self._codes[digest] = code
            if self._marks:
                self._undo.append((address, *before))
            self._insert_account(
                address, old.balance, old.nonce if nonce is None else nonce, digest
            )
        for slot, value in (slots or {}).items():
            if self._marks:
                self._undo.append((address, slot, self.storage(address, slot)))
            _insert_slot(self._evm, address, slot, value)

    def watch(self, run: Callable[[], None]) -> dict[str, set[int]]:
        """Which slots of which accounts `run` reads or writes here; `run` leaves no trace.

        Sends (refused ones as well, slowly) and views are seen. A `call` that writes is kept until
        `run` ends. Raises `SnapshotError` as `flush` does.
        """
        mark = self.snapshot(exact_gas=True)
        seen: dict[str, set[int]] = {}
        self._watched = seen
        try:
            run()
            self._note()
        finally:
            self._watched = None
            self.revert(mark)
        return seen

    def _note(self) -> None:
        """What is watched: everything in the journal, which is about to forget it."""
        if self._watched is not None:
            for account in journal.parse(self._evm.journal_str):
                slots = self._watched.setdefault(checksum(account.address), set())
                slots.update(account.slots)

    def _watch_refused(self, to: str, again: Callable[[], Any]) -> None:
        assert self._watched is not None
        for address, slots in opcodes.reads(to, opcodes.traced(self._evm, again)).items():
            self._watched.setdefault(address, set()).update(slots)

    def _read_code(self, address: str) -> bytes:
        """The code as deployed: pyrevm shows what it has analysed with 33 bytes of padding."""
        digest = bytes(self._evm.basic(address).code_hash or b"")
        if digest not in self._codes:
            code = bytes(self._evm.get_code(address) or b"")
            self._codes[digest] = code if keccak(code) == digest else code[:-_PADDING]
        return self._codes[digest]

    def _peek(self, read: Any) -> Any:
        """Read without warming what is read."""
        checkpoint = None if self._watched is not None else self._evm.snapshot()
        try:
            return read(self._evm)
        except RuntimeError as error:
            raise _failure(error) from None
        finally:
            if checkpoint is not None:
                self._evm.revert(checkpoint)

    # Snapshots

    def snapshot(self, exact_gas: bool = False) -> int:
        """Mark the present state (block and time included); `revert` returns to it.

        Snapshots nest. Exact gas can be measured while a snapshot is open only if it was taken
        with `exact_gas`, which costs a flush.
        """
        if exact_gas or self._exact_gas:
            self.flush()
        checkpoint = self._evm.snapshot() if self._dirty else None
        self._next_mark += 1
        self._marks.append(
            _Mark(self._next_mark, checkpoint, len(self._undo), self._block_number, self._timestamp)
        )
        return self._next_mark

    def revert(self, snapshot: int) -> None:
        """Return to a snapshot and drop it and all later ones. Raises `SnapshotError`."""
        mark = self._find(snapshot)
        self._note()
        while True:
            last = self._marks.pop()
            if last.checkpoint is not None:
                self._evm.revert(last.checkpoint)
            else:
                self._undo_to(last.undo_length)
            if last is mark:
                break
        self.set_block(mark.block_number, mark.timestamp)

    def release(self, snapshot: int) -> None:
        """Drop a snapshot and all later ones and keep the state. Raises `SnapshotError`."""
        mark = self._find(snapshot)
        while True:
            last = self._marks.pop()
            if last.checkpoint is not None:
                self._evm.commit()
            if last is mark:
                break
        if not self._marks:
            self._undo.clear()

    @contextmanager
    def rolled_back(self, exact_gas: bool = False) -> Iterator[None]:
        """Undo everything done in the `with` block at its end."""
        snapshot = self.snapshot(exact_gas)
        try:
            yield
        finally:
            self.revert(snapshot)

    def _find(self, snapshot: int) -> _Mark:
        for mark in self._marks:
            if mark.number == snapshot:
                return mark
        raise SnapshotError(f"no open snapshot {snapshot}")

    # The journal and the database

    def _can_flush(self) -> bool:
        return self._watched is None and all(mark.checkpoint is None for mark in self._marks)

    def flush(self) -> None:
        """Move the journal into the database: everything is cold afterwards.

        Raises `SnapshotError` while a snapshot is open that needs the journal.
        """
        if not self._dirty:
            return
        if not self._can_flush():
            raise SnapshotError("exact gas needs snapshots that were taken with exact_gas=True")
        changes = journal.parse(self._evm.journal_str)
        for change in changes:
            self._read_code(change.address)
        self._evm.revert(self._base)
        for change in changes:
            self._write(change)
        self._base = self._evm.snapshot()
        self._dirty = False

    def _write(self, change: journal.Touched) -> None:
        evm, address = self._evm, change.address
        keep_undo = bool(self._marks)
        checkpoint = evm.snapshot()
        old = evm.basic(address)
        evm.revert(checkpoint)
        before_account = (old.balance, old.nonce, old.code_hash)
        after_account = (change.balance, change.nonce, change.code_hash)
        if before_account != after_account:
            if keep_undo:
                self._undo.append((address, *before_account))
            self._insert_account(address, *after_account)
        for slot, (before, after) in change.changed().items():
            if keep_undo:
                self._undo.append((address, slot, before))
            _insert_slot(evm, address, slot, after)

    def _undo_to(self, length: int) -> None:
        evm = self._evm
        evm.revert(self._base)
        while len(self._undo) > length:
            entry = self._undo.pop()
            if len(entry) == 4:
                self._insert_account(*entry)
            else:
                _insert_slot(evm, *entry)
        self._base = evm.snapshot()
        self._dirty = False

    def _insert_account(self, address: str, balance: int, nonce: int, code_hash: bytes) -> None:
        code = self._codes.get(code_hash)
        # The stub of pyrevm 0.3.7 lacks `balance`.
        info = pyrevm.AccountInfo(balance=balance, nonce=nonce, code=code)  # type: ignore[call-arg]
        self._evm.insert_account_info(address, info)


def _insert_slot(evm: Any, address: str, slot: int, value: int) -> None:
    """Write a slot into the database (pyrevm writes into the journal what is loaded there)."""
    checkpoint = evm.snapshot()
    evm.insert_account_storage(address, slot, value)
    evm.revert(checkpoint)


def _failure(error: RuntimeError) -> BallastError:
    """The typed error in pyrevm's message."""
    message = str(error)
    if match := _REVERT.match(message):
        data = bytes.fromhex(match[1])
        return Reverted(decode_reason(data), data)
    if match := _HALT.match(message):
        return Reverted(f"halt: {match[1]}")
    if message.startswith("Database("):
        told = _NODE_MESSAGE.search(message)
        return NodeError(f"the forked node: {told[1] if told else 'no answer'}")
    return Reverted(f"halt: {message}")
