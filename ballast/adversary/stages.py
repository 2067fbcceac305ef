"""Where a block may begin: books with honest traders, some of them in trouble, and own accounts.

Every stage ends in a fresh block with all prices fixed by the oracle. Amounts are whole quote and
base times WAD; market ONE trades around 100, TWO around 2,000, APART around 1. People have their
cash a block before they trade: cash of the same block would not count for their rank.
"""

from __future__ import annotations

from collections.abc import Callable

from ballast.adversary.arena import ADVERSARY, INSURANCE, RESERVE, STAKER, WAD, Arena

PURSE = 200_000 * WAD
"""What the adversary has in his wallet at the beginning of every stage."""
TRADERS = (
    ("bull A", 1, 97, 400, 2),
    ("bull B", 1, 99, 300, 8),
    ("bull C", 1, 100, 200, 20),
    ("bear A", -1, 103, 400, 3),
    ("bear B", -1, 101, 200, 10),
    ("bear C", -1, 100, 300, 20),
)
"""Honest traders: side, price of ONE at their entry, size in ONE, leverage."""


def _book(arena: Arena, insurance: int = 50_000) -> None:
    """Honest traders on both sides of ONE and TWO, three flat own accounts, a purse."""
    arena.stake(STAKER, insurance * WAD)
    arena.donate(RESERVE, 5_000 * WAD)
    arena.mint(ADVERSARY, PURSE)
    maker = arena.person("maker", 5_000_000 * WAD)
    for label, _, price, size, leverage in TRADERS:
        arena.person(label, 2 * size * price * WAD // leverage + 100 * WAD)
    for label, side, price, size, _ in TRADERS:
        arena.next_block({1: price * WAD, 2: 20 * price * WAD})
        trader = arena.person(label)
        pair = (trader, maker) if side > 0 else (maker, trader)
        for market, part in ((1, size), (2, size // 20)):
            arena.fill(*pair, part * WAD, market)
    for _ in range(3):
        arena.own_account(20_000 * WAD)
    arena.next_block({1: 100 * WAD, 2: 2_000 * WAD})


def normal(arena: Arena) -> None:
    """Nobody is in trouble."""
    _book(arena)


def _whale(arena: Arena) -> None:
    """A whale, long 2,000 ONE from 100 at 20 x, is bankrupt at 93; a bull is not far from it."""
    fish, bear = arena.person("whale", 10_500 * WAD), arena.person("bear D", 100_000 * WAD)
    arena.next_block()
    arena.fill(fish, bear, 1_500 * WAD)
    arena.fill(fish, arena.person("maker"), 500 * WAD)
    arena.next_block({1: 93 * WAD})


def whale(arena: Arena) -> None:
    """A bankrupt whale, insurance to pay for part of it, winners of all ranks."""
    _book(arena)
    _whale(arena)


def uninsured(arena: Arena) -> None:
    """The same, and the fund is empty."""
    _book(arena, insurance=0)
    _whale(arena)


def waiting(arena: Arena) -> None:
    """Winners have closed, an own account among them, and their claims wait for the losers."""
    _book(arena)
    winner, second = arena.own_account(40_000 * WAD), arena.person("bear E", 40_000 * WAD)
    loser = arena.person("bull D", 60_000 * WAD)
    arena.next_block()
    arena.fill(loser, winner, 1_000 * WAD)
    arena.fill(loser, second, 800 * WAD)
    arena.next_block({1: 80 * WAD})
    maker = arena.person("maker")
    arena.fill(winner, maker, 600 * WAD)
    arena.fill(second, maker, 800 * WAD)
    arena.next_block()


def shortfall(arena: Arena) -> None:
    """A deficit was written off: claims, an own one among them, wait for future income."""
    _book(arena, insurance=1_000)
    winner, second = arena.own_account(40_000 * WAD), arena.person("bear E", 40_000 * WAD)
    loser = arena.person("bull D", 21_000 * WAD)
    maker = arena.person("maker")
    arena.next_block()
    arena.fill(loser, winner, 2_000 * WAD)
    arena.fill(loser, second, 2_000 * WAD)
    arena.next_block({1: 80 * WAD})
    arena.fill(winner, maker, 2_000 * WAD)
    arena.fill(second, maker, 2_000 * WAD)
    for label in ("bear A", "bear B", "bear C"):  # nobody is left whose profit could be taken
        bear = arena.person(label)
        arena.fill(bear, maker, -arena.size(bear, 1))
    while arena.equity(loser) < 0:
        arena.deleverage(loser)
    assert arena.house.view.shortfall(1) > 0
    arena.next_block()


def lopsided(arena: Arena) -> None:
    """All shorts of APART are his own; the longs are two honest ones, and one of them bankrupt."""
    _book(arena)
    shorts = arena.own_account(30_000 * WAD)
    longs = [arena.person("long A", 20_000 * WAD), arena.person("long B", 4_500 * WAD)]
    arena.next_block()
    for account in longs:
        arena.fill(account, shorts, 100_000 * WAD, 3)
    arena.next_block({3: WAD * 94 // 100})


def _pair(arena: Arena, at: int) -> None:
    _book(arena)
    long, short = (arena.own_account(4_500 * WAD) for _ in range(2))
    arena.next_block()
    arena.fill(long, short, 1_000 * WAD)
    arena.next_block({1: at * WAD})


def pair(arena: Arena) -> None:
    """His own pair at high leverage: the long side is below maintenance, not bankrupt."""
    _pair(arena, 97)


def broken_pair(arena: Arena) -> None:
    """The same pair, fallen further: the long side is bankrupt; honest winners stand beside."""
    _pair(arena, 80)


def crossed(arena: Arena) -> None:
    """Own cross-margined accounts: each loses in one market what it wins in the other, one more."""
    _book(arena)
    first, second = (arena.own_account(6_000 * WAD) for _ in range(2))
    arena.next_block()
    arena.fill(first, second, 600 * WAD, 1)
    arena.fill(second, first, 30 * WAD, 2)
    _whale(arena)
    arena.next_block({1: 88 * WAD, 2: 1_800 * WAD})


def staker(arena: Arena) -> None:
    """Most of the fund is his, with a redemption that is open, and a whale is bankrupt."""
    _book(arena)
    arena.stake(ADVERSARY, 150_000 * WAD)
    shares = arena.fund.view.balanceOf(ADVERSARY)
    arena.fund.send.request_redeem(shares // 2, sender=ADVERSARY)
    arena.next_block(seconds=arena.fund.view.cooldown_seconds())
    arena.donate(INSURANCE, 7 * WAD)
    _whale(arena)


def drained(arena: Arena) -> None:
    """All but a trifle of the bucket of two long accounts, one of them his, was closed by force."""
    left = 10**13
    arena.mint(ADVERSARY, PURSE)
    maker, rival = arena.person("maker", 5_000_000 * WAD), arena.person("rival", 20_000 * WAD)
    bull, victim = arena.person("bull A", 20_000 * WAD), arena.person("victim", 220 * WAD)
    old, *_ = [arena.own_account(20_000 * WAD) for _ in range(4)]
    arena.next_block({1: 105 * WAD})
    arena.fill(bull, maker, 50 * WAD)
    arena.next_block({1: 100 * WAD})
    for account in (old, rival):
        arena.fill(account, victim, 10 * WAD - left)
        arena.fill(account, maker, left)
    arena.next_block({1: 112 * WAD})
    arena.deleverage(victim)
    arena.next_block({1: 100 * WAD})
    assert 0 < arena.size(old, 1) < 2 * left


STAGES: dict[str, Callable[[Arena], None]] = {
    stage.__name__: stage
    for stage in (
        normal,
        whale,
        uninsured,
        waiting,
        shortfall,
        lopsided,
        pair,
        broken_pair,
        crossed,
        staker,
        drained,
    )
}
