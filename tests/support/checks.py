"""What tests of the core say over and over: refusals, events in full, bucket ids, S1 and S2."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from ballast.errors import Reverted
from ballast.mirror import Reader
from ballast.model import grid
from tests.support.world import World

SYSTEM_KEYS = [(1).to_bytes(32, "big"), (2).to_bytes(32, "big"), (3).to_bytes(32, "big")]
EXTREMES = (1, 10**18, 2**96 - 1)


def refuses(reason: str) -> Any:
    """A context in which a call must revert with exactly this reason."""
    return pytest.raises(Reverted, match=f"^{re.escape(reason)}$")


def emitted(world: World, receipt: Any, *names: str) -> list[tuple[str, dict[str, Any]]]:
    """Name and arguments of what vault and clearinghouse said, in order (of these names only)."""
    events = world.clearing.interface.decode_logs(receipt.logs, world.clearing.address)
    both = {log.topics[0] for log in receipt.logs}
    assert both <= {*world.clearing.interface.events, *world.vault.interface.events, *_token(world)}
    found = []
    for log in receipt.logs:
        for contract in (world.clearing, world.vault):
            found += contract.interface.decode_logs([log], contract.address)
    assert [e for e in found if e.address == world.clearing.address] == events
    return [(e.name, e.args) for e in found if not names or e.name in names]


def _token(world: World) -> set[bytes]:
    return set(world.token.interface.events)


def bucket_id(price: int, tier: int, is_long: bool, epoch: int = 1) -> int:
    """The id of the bucket for an entry price and a tier."""
    return epoch << 17 | is_long << 16 | tier << 13 | grid.tick_of(price)


def pool(group: int) -> bytes:
    """A pool's ledger key."""
    return (2**64 + group).to_bytes(32, "big")


def position_changed(
    account: bytes, size: int, entry: int, bucket: int = 0, market: int = 1, **rest: int
) -> tuple[str, dict[str, Any]]:
    """The event; what is not given is that of a first join without anything realised."""
    base = 0 if size == 0 else abs(size)
    return (
        "PositionChanged",
        {
            "account": account,
            "market": market,
            "size": size,
            "entry_price": entry,
            "bucket_id": bucket,
            "shares": base,
            "credit_index": 0,
            "left_base": 0,
            "joined_base": base,
            "realised_quote": 0,
        }
        | rest,
    )


def assert_sound(world: World, accounts: Sequence[bytes], dust: int = 100) -> None:
    """S1 (custody) and S2 (zero-sum at every price) over all accounts of the world."""
    caps = {m: world.clearing.view.market_params(m).funding_cap_bps for m in world.markets}
    groups = sorted({world.clearing.view.market_params(m).group for m in world.markets})
    book = Reader(world.clearing, accounts, caps, groups).read()
    balances = sum(a.cash for a in book.accounts.values()) + sum(
        g.pool for g in book.groups.values()
    )
    assert book.total == balances + book.insurance + book.fees + book.keeper_reserve, "S1"
    held = world.token.view.balanceOf(world.vault.address) * world.scale
    assert book.total <= held, "S1"
    for group in groups:
        for prices in ({}, *(dict.fromkeys(world.markets, p) for p in EXTREMES)):
            sizes = sum(len(a.legs) for a in book.accounts.values())
            limit = dust + sizes * (max(prices.values(), default=10**18) // 10**18 + 1)
            assert 0 <= book.dust(group, prices) <= limit, f"S2 at {prices}"
    for market in world.markets:
        longs = shorts = 0
        for account in book.accounts.values():
            size = account.legs[market].signed_size if market in account.legs else 0
            longs, shorts = longs + max(size, 0), shorts - min(size, 0)
        interest = book.markets[market].open_interest
        assert 0 <= interest - longs <= len(accounts), "S2: long views sum to at most the interest"
        assert 0 <= shorts - interest <= len(accounts), "S2: short views sum to at least it"
