"""What the adversary could carry home if everything was wound up at the prices of the moment.

Bankrupt accounts are resolved, his legs are closed with the honest maker at the oracle price, and
everybody is settled, so that losers who still hold pay the claims that wait. What is not cash then
waits for future income, and is not counted.
"""

from __future__ import annotations

from ballast.adversary.arena import Arena
from ballast.errors import Reverted


def money(arena: Arena) -> int:
    """Cash, wallet and stake after winding up. Changes the arena: roll it back."""
    people = [*arena.others, *arena.own]
    for account in people:
        arena.resolve(account)
    for account in arena.own:
        close(arena, account)
    for _ in range(2):
        arena.settle(*people)
    cash = sum(min(_cash(arena, a), max(0, arena.equity(a))) for a in arena.own)
    return cash + arena.wallet() + arena.staked()


def _cash(arena: Arena, account: bytes) -> int:
    return int(arena.vault.view.balance_of(account))


def close(arena: Arena, account: bytes) -> None:
    """Close an account's legs with the maker at the oracle price, as far as it is accepted."""
    for market in arena.house.view.markets_of(account):
        size = arena.size(account, market)
        pair = (account, arena.maker) if size < 0 else (arena.maker, account)
        try:
            arena.fill(*pair, abs(size), market)
        except Reverted:
            continue
