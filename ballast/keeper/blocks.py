"""Blocks as a keeper sees them: the contracts' logs, and their events decoded."""

from __future__ import annotations

from dataclasses import dataclass

from ballast.abi import Event
from ballast.chain import Log


@dataclass(frozen=True, slots=True)
class Header:
    """A block's number, hash, parent's hash (hex) and time (Unix seconds)."""

    number: int
    hash: str
    parent: str
    timestamp: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A log and its place in its block."""

    index: int
    log: Log


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction that left logs of the contracts.

    `events` are the decoded ones of vault, clearinghouse, oracles and what else the follower was
    asked to tell of (`Event.address` tells whose), in order.
    """

    hash: str
    index: int
    entries: tuple[Entry, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A block that was taken in.

    With `is_rewind` it is one the mirror was put to: what was told of other blocks after it is
    void, and what was told before may not be all. It has no transactions then; those of the blocks
    after it follow.
    """

    header: Header
    transactions: tuple[Transaction, ...] = ()
    is_rewind: bool = False

    @property
    def number(self) -> int:
        """The block's number."""
        return self.header.number

    @property
    def hash(self) -> str:
        """The block's hash, hex."""
        return self.header.hash

    @property
    def timestamp(self) -> int:
        """The block's time, Unix seconds."""
        return self.header.timestamp
