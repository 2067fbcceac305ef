"""Who of several keepers goes first, without a word between them.

Keepers are strangers, but their transactions are in the chain. Whoever has lately sent one has a
place in the order, which is drawn anew for every account and block: the first acts at once, the
second a turn later, and so on; and each looks at the node's pool right before it sends. So where
all keep to it, and a transaction gets around within a turn, nothing is done twice.

- One account in `OPEN` nobody's place comes first at: who has no place yet begins there.
- Who has none goes last elsewhere; and while nobody has, all wait for a time drawn by lot.
- Who has lately paid for nothing too often goes half a turn later: somebody keeps to no order.
- Nobody need keep to it. What is left to others and not done after `PATIENCE` blocks (and one more
  for each place) is done at once, in spite of what the pool says. A block in which some of it was
  done counts a quarter.

Waits are in turns, and end after the `LAST`: an order of a thousand names holds nobody up.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

LAST = 3
"""The place of everybody after the third."""
OPEN = 8
NAMES = 16
"""So many have a place: those seen last."""
PATIENCE = 3
PROGRESS = 0.25
FORGET_BLOCKS = 300
"""After so many blocks without a transaction a place is lost."""
SETBACK = 0.5
VAIN_LEAST, VAIN_SHARE = 2, 0.2
"""What came to nothing, of what was sent lately, beyond which one lets others go first."""


class Turns:
    """The order as one keeper sees it."""

    def __init__(self, address: str) -> None:
        self._own = address.lower()
        self._seen: dict[str, int] = {}
        self._left: dict[bytes, float] = {}
        self._moved: set[bytes] = set()
        self._block = b""
        self._names: list[str] = []
        self._setback = 0.0

    def saw(self, senders: Iterable[str], block: int) -> None:
        """These had keepers' transactions in a block."""
        self._seen.update((sender.lower(), block) for sender in senders)

    def moved(self, accounts: Iterable[bytes]) -> None:
        """Some of what was to be done for these was done since the last look."""
        self._moved.update(accounts)

    def begin(self, block: int, block_hash: str, sent: int, vain: int) -> None:
        """A new block; so many of one's own were mined lately, and so many of them for nothing."""
        self._seen = {name: at for name, at in self._seen.items() if at > block - FORGET_BLOCKS}
        self._names = sorted(self._seen, key=lambda name: (-self._seen[name], name))[:NAMES]
        self._block = bytes.fromhex(block_hash[2:])
        is_often = vain >= VAIN_LEAST and vain > sent * VAIN_SHARE
        self._setback = SETBACK if is_often else 0.0

    def wait(self, account: bytes) -> float:
        """How long to wait before one acts for an account, in turns."""
        if self.is_overdue(account):
            return 0.0
        is_open = _drawn(account + self._block) % OPEN == 0
        if not self._names:
            return self._setback + LAST * self._lot()
        if self._own not in self._names:
            after = 0 if is_open else min(len(self._names), LAST)
            return self._setback + after + self._lot()
        is_alone = self._names == [self._own]
        return self._setback + self._place(account + self._block) + (is_open and not is_alone)

    def is_overdue(self, account: bytes) -> bool:
        """Whether an account was left to others for so long that they cannot be relied on."""
        left = self._left.get(account, 0)
        return left >= PATIENCE and left >= PATIENCE + self._place(account)

    def leave(self, accounts: Iterable[bytes]) -> None:
        """At this block these accounts were left to others, and no more."""
        self._left = {
            account: self._left.get(account, 0) + (PROGRESS if account in self._moved else 1)
            for account in accounts
        }
        self._moved = set()

    def _place(self, drawn: bytes) -> int:
        own = _drawn(self._own.encode() + drawn)
        others = (name for name in self._names if name != self._own)
        return min(LAST, sum(_drawn(name.encode() + drawn) < own for name in others))

    def _lot(self) -> float:
        return _drawn(self._own.encode() + self._block) / 2**64


def _drawn(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")
