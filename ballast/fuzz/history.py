"""What a deployment has been through, from its logs: who has an account in it, and by how much its
roundings can have moved S2's dust (docs/INVARIANTS.md, "Dust")."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ballast import contracts
from ballast.abi import Event
from ballast.fuzz.dust import Dust
from ballast.indexer import Indexer
from ballast.mirror import CLAIMS_KEY, bucket_key
from ballast.node import Node, TransactionLogs
from ballast.record import Record

MOST_LEGS = 16


@dataclass
class History:
    """What was read up to a block."""

    accounts: list[bytes]
    """Everybody who ever had anything in the vault or the clearinghouse."""
    dust: Dust = field(default_factory=Dust)
    """What the roundings of all calls so far add up to, at most."""


def read(node: Node, kept: Record, last_block: int) -> History:
    """The history of a recorded deployment up to a block. Raises `NodeError`, and `IndexerError`
    where the logs are not whole."""
    vault, house = kept.contracts[contracts.VAULT], kept.contracts[contracts.CLEARINGHOUSE]
    return follow(node.logs([vault, house], kept.block, last_block), vault, house)


def follow(batches: Iterable[TransactionLogs], vault: str, house: str) -> History:
    """The same from logs at hand, transaction by transaction."""
    indexer, dust = Indexer(vault, house), Dust()
    interface = contracts.interface(contracts.CLEARINGHOUSE)
    indexes: dict[int, int] = {}
    for logs, number, timestamp in batches:
        indexer.apply(logs, number, timestamp)
        for event in interface.decode_logs(logs, house):
            if event.name == "PositionChanged" and event.bucket_id:
                held = indexer.buckets[bucket_key(event.market, event.bucket_id)].shares
                dust.shares[event.market] = max(dust.shares[event.market], held)
            _count(dust, indexes, event)
    return History(indexer.accounts, dust)


def _count(dust: Dust, indexes: dict[int, int], event: Event) -> None:
    """Adds what the call behind an event can have rounded."""
    if event.name == "PriceFixed":
        market, index = event.market, event.funding_index
        dust.highest[market] = max(dust.highest[market], event.price)
        dust.funding[market] += abs(index - indexes.get(market, 0))
        indexes[market] = index
    elif event.name == "PositionChanged":
        dust.book([event.market], 0)
        dust.place(event.market, max(abs(event.size), event.left_base, event.joined_base))
    elif event.name == "ForcedClose":
        dust.take(event.market, event.size, 1)
    elif event.name == "Liquidated":
        dust.penalty(event.market, event.size, event.price, MOST_LEGS)
    elif event.name == "ClaimsChanged":
        key = CLAIMS_KEY + event.group
        dust.shares[key] = max(dust.shares[key], event.shares)
    elif event.name == "UnsettledChanged":
        dust.book((), event.group)
