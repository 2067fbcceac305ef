"""Where a transaction's gas goes, unit by unit.

pyrevm prints a trace too slowly to take whole transactions apart (see `ballast.opcodes`). So the
transaction is measured on revm and then run again, on the very state it began with, by a second EVM
in the same process (py-evm), whose instructions are wrapped: each reports the gas before and after
it. Every category is a sum of such differences. Cold and warm accesses, new and changed slots are
told apart by what was charged. The sum must be what revm charged, to the unit, or
`BreakdownError` is raised; so two implementations agree on every figure shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from eth.constants import BLANK_ROOT_HASH
from eth.db.atomic import AtomicDB
from eth.vm.execution_context import ExecutionContext
from eth.vm.forks.cancun.computation import CancunComputation
from eth.vm.forks.cancun.state import CancunState
from eth.vm.message import Message

from ballast.abi import checksum
from ballast.errors import BallastError
from ballast.evm import Revm, RevmReceipt

BASE_GAS = 21_000
BYTE_GAS = 16
ZERO_BYTE_GAS = 4
_GAS_LIMIT = 10**9
_REFUND_QUOTIENT = 5
_COLD_SLOT = 2_100
_COLD_ACCOUNT = 2_600
_WARM = 100
_NEW_SLOT = 20_000
_CHANGED_SLOT = 2_900
_WARM_WRITES = (_WARM, _CHANGED_SLOT, _NEW_SLOT)
_ECRECOVER = (1).to_bytes(20, "big")

CATEGORIES = {
    "base": "the transaction itself",
    "calldata": "bytes of the call",
    "cold writes": "writes to a slot that was not touched before",
    "warm writes": "writes to one that was",
    "cold reads": "first reads of a slot",
    "warm reads": "further reads of a slot",
    "transient": "reentrancy locks",
    "cold accounts": "first touch of a contract, beyond a warm one",
    "calls": "calls, without what the callee spends",
    "signatures": "ecrecover",
    "events": "logs",
    "hashing": "keccak",
    "memory": "growth of memory",
    "compute": "arithmetic, stack and jumps",
    "refund": "slots cleared",
}
_CALLS = {0xF1: "CALL", 0xF2: "CALLCODE", 0xF4: "DELEGATECALL", 0xFA: "STATICCALL"}
_ACCOUNTS = {0x31, 0x3B, 0x3C, 0x3F}  # BALANCE, EXTCODESIZE, EXTCODECOPY, EXTCODEHASH
_SIMPLE = {0x20: "hashing", 0x5C: "transient", 0x5D: "transient"}
_SIMPLE |= dict.fromkeys(range(160, 165), "events")


class BreakdownError(BallastError):
    """The two EVMs disagree, or a transaction failed that should be measured."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """What is sent."""

    to: str
    data: bytes
    sender: str


@dataclass(slots=True)
class Breakdown:
    """Gas by category (they sum to `gas_used`; `refund` is negative), and how often things were
    done: slots made, changed and left, cold and warm reads, calls, signatures, logs."""

    gas_used: int
    gas: dict[str, int]
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Block:
    """The block a transaction is in."""

    number: int
    timestamp: int
    chain_id: int


@dataclass(frozen=True, slots=True)
class Account:
    """An account a transaction touches, as it was before."""

    code: bytes
    slots: Mapping[int, int]


def calldata_gas(data: bytes) -> int:
    """What the bytes of a call cost."""
    zeros = data.count(0)
    return ZERO_BYTE_GAS * zeros + BYTE_GAS * (len(data) - zeros)


def measure(chain: Revm, transaction: Transaction) -> tuple[RevmReceipt, Breakdown]:
    """Send a transaction, cold, and take its gas apart. Raises `Reverted`, `BreakdownError`."""
    to, data, sender = transaction.to, transaction.data, transaction.sender
    touched = chain.watch(lambda: _discard(chain.send(to, data, sender=sender)))
    accounts = {
        address: Account(chain.code(address), {s: chain.storage(address, s) for s in slots})
        for address, slots in touched.items()
    }
    block = Block(chain.block_number, chain.timestamp, chain.chain_id)
    breakdown = replay(transaction, accounts, block)
    receipt = chain.send(to, data, sender=sender, exact_gas=True)
    if receipt.gas_used != breakdown.gas_used:
        raise BreakdownError(f"revm charged {receipt.gas_used}, py-evm {breakdown.gas_used}")
    return receipt, breakdown


def replay(transaction: Transaction, accounts: Mapping[str, Account], block: Block) -> Breakdown:
    """Run a transaction on the accounts given and say where its gas went."""
    recorder = _Recorder()
    state = _state(recorder, accounts, block)
    sender, to = (bytes.fromhex(a[2:]) for a in (transaction.sender, transaction.to))
    state.mark_address_warm(sender)
    state.mark_address_warm(to)
    message = Message(
        gas=_GAS_LIMIT,
        to=to,
        sender=sender,
        value=0,
        data=transaction.data,
        code=accounts[checksum(transaction.to)].code,
    )
    context = state.get_transaction_context_class()(gas_price=0, origin=sender)
    done = state.computation_class.apply_message(state, message, context)
    if done.is_error:
        raise BreakdownError(f"the transaction failed: {done.error!r}")
    calldata = calldata_gas(transaction.data)
    charged = BASE_GAS + calldata + _GAS_LIMIT - done.get_gas_remaining()
    refund = min(done.get_gas_refund(), charged // _REFUND_QUOTIENT)
    gas = {name: recorder.gas[name] for name in CATEGORIES}
    gas |= {"base": BASE_GAS, "calldata": calldata, "refund": -refund}
    if sum(gas.values()) != charged - refund:
        raise BreakdownError(f"categories sum to {sum(gas.values())}, not {charged - refund}")
    return Breakdown(charged - refund, gas, dict(sorted(recorder.counts.items())))


def _discard(_: Any) -> None:
    return None


def _state(recorder: _Recorder, accounts: Mapping[str, Account], block: Block) -> Any:
    class Computation(CancunComputation):
        opcodes: ClassVar = {
            code: recorder.wrapped(code, opcode)
            for code, opcode in CancunComputation.opcodes.items()
        }

    class State(CancunState):
        computation_class = Computation

    context = ExecutionContext(
        coinbase=bytes(20),
        timestamp=block.timestamp,
        block_number=block.number,
        difficulty=0,
        mix_hash=bytes(32),
        gas_limit=_GAS_LIMIT,
        prev_hashes=(),
        chain_id=block.chain_id,
        base_fee_per_gas=0,
        excess_blob_gas=0,
    )
    state = State(AtomicDB(), context, BLANK_ROOT_HASH)
    for address, account in accounts.items():
        raw = bytes.fromhex(address[2:])
        if account.code:
            state.set_code(raw, account.code)
        for slot, value in account.slots.items():
            if value:
                state.set_storage(raw, slot, value)
    state.lock_changes()
    return state


class _Recorder:
    """Sums gas by category while an EVM runs."""

    def __init__(self) -> None:
        self.gas: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()

    def wrapped(self, code: int, opcode: Any) -> Callable[..., Any]:
        """The instruction, reporting what it costs."""
        is_call = code in _CALLS

        def run(computation: Any) -> None:
            before, size = computation.get_gas_remaining(), len(computation._memory)
            children = len(computation.children)
            try:
                opcode(computation=computation)
            finally:  # STOP and RETURN leave by an exception
                cost = before - computation.get_gas_remaining()
                grown = _memory_gas(len(computation._memory)) - _memory_gas(size)
                self.gas["memory"] += grown
                if is_call:
                    for child in computation.children[children:]:
                        cost -= self._callee(child)
                self._book(code, cost - grown)

        return run

    def _callee(self, child: Any) -> int:
        """What a callee spent; a precompile has no instructions of its own to report it."""
        spent: int = child.msg.gas - child.get_gas_remaining()
        if child.msg.code_address == _ECRECOVER:
            self.gas["signatures"] += spent
            self.counts["signatures"] += 1
        elif child.msg.code_address in child.precompiles:
            self.gas["compute"] += spent
        return spent

    def _book(self, code: int, cost: int) -> None:
        if code == 0x54:
            name = "cold reads" if cost >= _COLD_SLOT else "warm reads"
            self.counts[name] += 1
        elif code == 0x55:
            cold = cost - _COLD_SLOT in _WARM_WRITES
            name = "cold writes" if cold else "warm writes"
            self.counts[_kind_of_write(cost)] += 1
        elif code in _CALLS or code in _ACCOUNTS:
            beyond = _COLD_ACCOUNT - _WARM if cost >= _COLD_ACCOUNT else 0
            self.gas["cold accounts"] += beyond
            self.counts["cold accounts"] += bool(beyond)
            self.counts["calls"] += code in _CALLS
            name, cost = "calls", cost - beyond
        else:
            name = _SIMPLE.get(code, "compute")
            self.counts["events"] += name == "events"
        self.gas[name] += cost


def _kind_of_write(cost: int) -> str:
    if cost >= _NEW_SLOT:
        return "slots made"
    return "slots changed" if cost >= _CHANGED_SLOT else "writes without effect"


def _memory_gas(size: int) -> int:
    words = (size + 31) // 32
    return 3 * words + words * words // 512
