"""Reads revm's journal out of its debug form, the only way pyrevm shows storage changes."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ACCOUNT = re.compile(
    r"(0x[0-9a-f]{40}): Account \{ info: AccountInfo \{ balance: (\d+), nonce: (\d+), "
    r"code_hash: (0x[0-9a-f]{64}), code: .*?\}, storage: \{(.*?)\}, status: ",
)
_SLOT = re.compile(
    r"(\d+): StorageSlot \{ previous_or_original_value: (\d+), present_value: (\d+)[^}]*\}"
)


@dataclass(frozen=True, slots=True)
class Touched:
    """One account of the journal. `slots` maps what was read or written to its original and its
    present value."""

    address: str
    balance: int
    nonce: int
    code_hash: bytes
    slots: dict[int, tuple[int, int]]

    def changed(self) -> dict[int, tuple[int, int]]:
        """The slots whose value is another."""
        return {slot: pair for slot, pair in self.slots.items() if pair[0] != pair[1]}


def parse(journal: str) -> list[Touched]:
    """The accounts in a journal's debug string."""
    state = journal[: journal.index("}, transient_storage: {")]
    found = []
    for address, balance, nonce, code_hash, storage in _ACCOUNT.findall(state):
        slots = {int(slot): (int(old), int(new)) for slot, old, new in _SLOT.findall(storage)}
        digest = bytes.fromhex(code_hash[2:])
        found.append(Touched(address, int(balance), int(nonce), digest, slots))
    count = state.count(": Account {")
    if count != len(found):
        raise AssertionError(f"{count} accounts in the journal, {len(found)} understood")
    return found
