"""What must hold after every step of a directed test, and what a step has changed.

`assert_sound` looks at S1, S2 and the open interest; `seen` is all that the views show, for tests
that something changes nothing, or the same whoever calls.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.support.world import INSURANCE, RESERVE, World

FEES = (2).to_bytes(32, "big")
WEI_A_LEG = 16
"""Roundings a leg has seen in a directed test, at most (docs/INVARIANTS.md has the real bound)."""


def unrealised(size: int, entry: int, price: int) -> int:
    """As positions.vy rounds it."""
    if size >= 0:
        return size * price // 10**18 + (-size * entry // 10**18)
    return -size * entry // 10**18 + (size * price // 10**18)


def dust(world: World, accounts: Iterable[bytes], group: int, numerator: int, half: int = 2) -> int:
    """S2's dust of a group with all its prices times numerator / half; wei of quote."""
    view = world.clearing.view
    owed = 0
    for account in accounts:
        if view.group_of(account) != group:
            continue
        owed += view.unsettled(account)
        for market in view.markets_of(account):
            size, entry, result = view.position(account, market)
            price = view.price(market)[0]
            booked = result - unrealised(size, entry, price)
            owed += booked + unrealised(size, entry, max(1, price * numerator // half))
    return int(world.vault.view.pool_of(group) + view.shortfall(group) - owed)


def assert_sound(world: World, accounts: Iterable[bytes], groups: Iterable[int] = (1,)) -> None:
    """S1 and S2 (at the prices now, at nothing, halved and doubled), and equal open interest.

    `accounts` must be all that ever traded.
    """
    everyone, view = list(accounts), world.clearing.view
    held = world.token.view.balanceOf(world.vault.address) * world.scale
    assert world.vault.view.total() <= held
    balances = sum(world.cash(key) for key in [*everyone, INSURANCE, FEES, RESERVE])
    balances += sum(world.vault.view.pool_of(group) for group in groups)
    assert balances <= world.vault.view.total()
    highest = max(view.price(market)[0] for market in world.markets) // 10**18 + 1
    for group in groups:
        for numerator in (0, 1, 2, 4):
            left = dust(world, everyone, group, numerator)
            # An entry misses up to a wei of price, a credit up to a wei and shares / 2^72.
            sizes = sum(view.open_interest(market)[0] // 10**18 for market in world.markets)
            assert 0 <= left <= WEI_A_LEG * (len(everyone) + 1) * (highest * 2 + sizes)
    for market in world.markets:
        interest = view.open_interest(market)[0]
        for is_long in (True, False):
            assert sum(entry.size_base for entry in queue(world, market, is_long)) == interest


def queue(world: World, market: int, is_long: bool) -> list[Any]:
    """All buckets of one side, in order."""
    found: list[Any] = []
    while True:
        page = world.clearing.view.queue(market, is_long, len(found), 256)
        found += page
        if len(page) < 256:
            return found


def seen(world: World, accounts: Iterable[bytes], groups: Iterable[int] = (1,)) -> dict[str, Any]:
    """Everything the views show of these accounts, the markets, the groups and the vault."""
    view, vault = world.clearing.view, world.vault.view
    shown: dict[str, Any] = {}
    for account in accounts:
        legs = {
            market: (
                view.position(account, market),
                view.bucket_of(account, market),
                view.adl_rank(account, market),
                view.max_liquidation(account, market),
            )
            for market in view.markets_of(account)
        }
        shown[account.hex()] = (
            vault.cash_of(account),
            view.unsettled(account),
            view.equity(account),
            view.backing(account),
            view.margin(account),
            view.free_cash(account),
            view.group_of(account),
            legs,
        )
    for market in world.markets:
        shown[f"market {market}"] = (
            view.price(market),
            view.price_status(market),
            view.funding(market),
            view.open_interest(market),
            view.insurance_left(market),
            [
                (entry, view.bucket(market, entry.bucket_id))
                for is_long in (True, False)
                for entry in queue(world, market, is_long)
            ],
        )
    for group in groups:
        shown[f"group {group}"] = vault.pool_of(group), view.claims(group), view.shortfall(group)
    shown["vault"] = vault.insurance(), vault.fees(), vault.keeper_reserve(), vault.total()
    return shown
