"""The contracts' records read from storage directly: a microsecond a word, no call, no copy.

Layouts: contracts/modules/records.vy and contracts/MarginVault.vy; where a variable begins is
asked of the compiler, so that a changed layout is followed.
"""

from __future__ import annotations

from collections.abc import Callable

from eth_utils import keccak

from ballast.build import artifact
from ballast.contract import Contract
from ballast.evm import Revm
from ballast.mirror import CLAIMS_KEY

INSURANCE = (1).to_bytes(32, "big")
"""The insurance fund's ledger key."""


def _word(value: int | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.to_bytes(32, "big")


def mapping_slot(slot: int, *keys: int | bytes) -> int:
    """Where Vyper keeps the value of (nested) mapping keys, each 32 bytes or an integer."""
    place = slot
    for key in keys:
        place = int.from_bytes(keccak(_word(place) + _word(key)), "big")
    return place


class Storage:
    """Words of vault and clearinghouse. Reads see what the last send left, and leave no trace
    that a contract could see (gas apart)."""

    def __init__(self, chain: Revm, vault: Contract, clearing: Contract, token: Contract) -> None:
        self._read = chain._evm.storage
        self._vault, self._clearing, self._token = vault.address, clearing.address, token.address
        records = artifact("Clearinghouse").storage_layout["storage_layout"]["records"]
        self._slots = {name: int(entry["slot"]) for name, entry in records.items()}
        ledger = artifact("MarginVault").storage_layout["storage_layout"]
        self._ledger_slot = int(ledger["_ledger"]["slot"])
        self._places: dict[tuple[str | int | bytes, ...], int] = {}
        self.tokens_held = self._find_balance(token, vault.address)

    def _find_balance(self, token: Contract, holder: str) -> Callable[[], int]:
        """The vault's balance of the token: from its slot, where the layout is a known one."""
        held = int(token.view.balanceOf(holder))
        owner = bytes(12) + bytes.fromhex(holder[2:])
        for slot in range(8):
            for keys in ((slot, owner), (owner, slot)):
                place = int.from_bytes(keccak(_word(keys[0]) + _word(keys[1])), "big")
                if held and self._read(self._token, place) == held:
                    return lambda: int(self._read(self._token, place))
        return lambda: int(token.view.balanceOf(holder))

    def _place(self, name: str, *keys: int | bytes) -> int:
        known = self._places.get((name, *keys))
        if known is None:
            known = self._places[name, *keys] = mapping_slot(self._slots[name], *keys)
        return known

    def ledger(self, key: bytes) -> int:
        """The vault's slot of a key: cash 104, fresh 104, block 48. The insurance fund's holds the
        keeper reserve and the block of the last draw instead."""
        place = self._places.get((key,))
        if place is None:
            place = self._places[(key,)] = mapping_slot(self._ledger_slot, key)
        return int(self._read(self._vault, place))

    def last_draw_block(self) -> int:
        """The block of the last draw on insurance."""
        return self.ledger(INSURANCE) >> 208

    def account(self, account: bytes) -> int:
        """Group, flag, markets."""
        return int(self._read(self._clearing, self._place("_accounts", account)))

    def position(self, account: bytes, market: int) -> tuple[int, int]:
        """Head and tail."""
        place = self._place("_positions", account, market)
        return self._pair(place)

    def unsettled(self, account: bytes) -> tuple[int, int]:
        """Head and tail."""
        return self._pair(self._place("_unsettled", account))

    def bucket(self, key: int) -> tuple[int, int]:
        """Head and tail of a bucket of the queue, or of a group's claims."""
        return self._pair(self._place("_buckets", key))

    def retired(self, key: int, epoch: int) -> tuple[int, int, int]:
        """Size, shares and credit index with which an epoch ended."""
        head, tail = self._pair(self._place("_retired", key, epoch))
        return head & (1 << 104) - 1, head >> 104, signed128(tail)

    def market(self, market: int) -> tuple[int, int, int]:
        """Price, flow and allowance words."""
        return tuple(  # type: ignore[return-value]
            int(self._read(self._clearing, self._place(name, market)))
            for name in ("_prices", "_flows", "_allowances")
        )

    def money(self, group: int) -> int:
        """Allotted 127, whether claims wait 1, shortfall 128."""
        return int(self._read(self._clearing, self._place("_money", group)))

    def group_allowance(self, group: int) -> tuple[int, int]:
        """What a group's last steps have drawn on insurance (wei), and when (seconds)."""
        key = CLAIMS_KEY + group
        word = int(self._read(self._clearing, self._place("_allowances", key)))
        return word >> 128 & (1 << 96) - 1, word >> 224

    def is_paused(self, market: int) -> bool:
        """Whether this market itself is paused."""
        return bool(self._read(self._clearing, self._place("_market_params", market)) >> 237 & 1)

    def _pair(self, place: int) -> tuple[int, int]:
        read, at = self._read, self._clearing
        return int(read(at, place)), int(read(at, place + 1))


def signed128(word: int) -> int:
    """The low 128 bits, signed."""
    value = word & (1 << 128) - 1
    return value - (1 << 128) if value >> 127 else value
