"""The invariants a replay checks after every step: S1, S2, S3 and S6, against the exact model.

Tolerance. A call rounds each amount it books by less than 4 wei an account (positions.vy,
ledger.vy), each view of a member's size by less than 1 wei of base (worth the price) and each
credit by less than 1 wei + shares / 2^72 (share_buckets.vy); an averaged entry price is rounded by
less than 1 wei a base (trading.vy). An account takes part in a call at most once as party and once
as member of a bucket, so after n calls an account's figures lie within `n (6 + 2 price + size +
size / 2^72)` wei of the exact ones, and a group's sum within that for each account.
"""

from __future__ import annotations

from collections.abc import Iterable

from ballast.mirror import WAD, Book
from ballast.replay.twin import Twin

SCALES = ((1, 1), (1, 10), (10, 1))
"""S2 is checked at the prices, at a tenth of them and at ten times them."""


def tolerance(twin: Twin, book: Book) -> int:
    """Wei of quote by which one account may differ from the exact model."""
    worth = sum(-(-book.price(market) // WAD) for market in book.markets)
    largest = max((m.open_interest for m in book.markets.values()), default=0)
    return twin.calls * (6 + 2 * worth + largest // WAD + (largest >> 72))


def violations(twin: Twin, book: Book) -> tuple[list[str], int]:
    """What is wrong with a book, and the largest dust seen in it (wei of quote)."""
    slack = tolerance(twin, book)
    found = custody(twin, book)
    dust = 0
    for group in book.groups:
        for times, over in SCALES:
            left = book.dust(group, {m: book.price(m) * times // over for m in book.markets})
            if not 0 <= left <= slack * times * max(1, len(book.accounts)):
                found.append(f"S2: group {group}: dust of {left} wei at {times}/{over} the prices")
        dust = max(dust, book.dust(group))
    found += compare(twin, book, slack)
    found += [f"model: {line}" for line in twin.model.violations()]
    return found, dust


def custody(twin: Twin, book: Book) -> list[str]:
    """S1: the ledger sums to its total, and the vault holds the tokens."""
    held = sum(a.cash for a in book.accounts.values()) + sum(g.pool for g in book.groups.values())
    held += book.insurance + book.fees + book.keeper_reserve
    tokens = twin.client.token.view.balanceOf(twin.client.vault.address) * twin.scale
    if held == book.total <= tokens:
        return []
    return [f"S1: balances {held}, total {book.total}, tokens {tokens}"]


def compare(twin: Twin, book: Book, slack: int) -> list[str]:
    """S10, and with it the prices and amounts of S3 and S6: the chain against the model."""
    exact = twin.model
    found = []

    def check(name: str, seen: int, expected: object, within: int) -> None:
        if abs(seen - expected) > within:  # type: ignore[operator]
            found.append(f"model: {name}: {seen} on chain, {float(expected):.0f} exact")  # type: ignore[arg-type]

    for account, state in book.accounts.items():
        name = account.hex()[:10]
        check(f"{name} cash", state.cash, exact.cash(account), slack)
        check(f"{name} unsettled", state.unsettled, exact.unsettled(account), slack)
        check(f"{name} equity", book.equity(account), exact.equity(account), slack)
        for market in exact.markets_of(account):
            position = exact.position(account, market)
            leg = state.legs.get(market)
            size = position.size if position else 0
            check(f"{name} size in {market}", leg.signed_size if leg else 0, size, twin.calls)
    for group, money in book.groups.items():
        sums = slack * max(1, len(book.accounts))
        check(f"pool {group}", money.pool, exact.pool_of(group), sums)
        check(f"claims {group}", money.claims.size, exact.claims(group), sums)
        check(f"shortfall {group}", money.shortfall, exact.shortfall(group), sums)
    check("insurance", book.insurance, exact.insurance(), slack)
    check("reserve", book.keeper_reserve, exact.keeper_reserve(), slack)
    return found


def profit_only(
    before: Book, after: Book, bankrupt: bytes, markets: Iterable[int], slack: int
) -> list[str]:
    """S3: forced closes in these markets cost nobody more than the profit he had not been paid
    there."""
    closed = set(markets)
    found = []
    for account, state in before.accounts.items():
        if account == bankrupt:
            continue
        lost = before.equity(account) - after.equity(account)
        results = (leg.result(before.price(m)) for m, leg in state.legs.items() if m in closed)
        unpaid = sum(max(0, result) for result in results)
        if lost > unpaid + slack:
            name = account.hex()[:10]
            found.append(f"S3: {name} lost {lost} with {unpaid} of unpaid profit in {closed}")
    return found
