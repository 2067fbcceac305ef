"""The replay's keeper: settles, liquidates, draws on the fund and deleverages, as anybody could.

It sees the book (one batched read), simulates what it is about to send, and owns one account with
which it takes positions over for as long as its margin lasts. What it cannot take over goes
bankrupt if the price runs on, and is then resolved by insurance and the queue.
"""

from __future__ import annotations

from collections.abc import Callable

from eth_account.signers.local import LocalAccount

from ballast.chain import Receipt
from ballast.errors import Reverted
from ballast.mirror import Account, Book
from ballast.replay.twin import MAX_UINT256, Twin
from ballast.signing import account_id

MAX_ROUNDS = 50
MAX_CALLS_PER_ACCOUNT = 100

Watch = Callable[[str, bytes, Callable[[], Receipt]], None]


class Keeper:
    """Acts until a price leaves nothing to do."""

    def __init__(self, twin: Twin, key: LocalAccount, watch: Watch) -> None:
        self._twin = twin
        self._address = key.address
        self.account = account_id(key.address)
        self._watch = watch

    def act(self, book: Book) -> Book:
        """Do what this book asks for; the book after it."""
        for _ in range(MAX_ROUNDS):
            acted = self._resolve(book) or self._liquidate(book) or self._settle(book)
            if not acted:
                return book
            book = self._twin.read()
        return book

    def _resolve(self, book: Book) -> bool:
        """Close the bankrupt: take-over where insurance pays for it all, else the queue."""
        acted = False
        for account in book.accounts:
            if account == self.account or book.equity(account) >= 0:
                continue
            if self._take_over(account, book.accounts[account]):
                return True
            for _ in range(MAX_CALLS_PER_ACCOUNT):
                if not self._try("deleverage", account):
                    break
                acted = True
            if acted:
                return True
        if book.equity(self.account) < 0:
            return self._try("deleverage", self.account)
        return False

    def _liquidate(self, book: Book) -> bool:
        """Take over from accounts below maintenance, largest legs first."""
        ratios = self._twin.maintenance_bps
        for account, state in book.accounts.items():
            if account == self.account or not state.legs:
                continue
            if 0 <= book.equity(account) < book.requirement(account, ratios) and self._take_over(
                account, state
            ):
                return True
        return False

    def _take_over(self, account: bytes, state: Account) -> bool:
        legs = sorted(state.legs.values(), key=lambda leg: -leg.size * leg.entry_price)
        return any(self._try("liquidate", account, leg.market) for leg in legs if leg.size)

    def _settle(self, book: Book) -> bool:
        """Where claims wait: let an open loss pay them, largest first; then hand out what is
        allotted."""
        for group, money in book.groups.items():
            if not money.claims.size:
                continue
            members = [a for a, state in book.accounts.items() if state.group == group]
            losses = {
                a: min(-sum(min(0, v) for v in book.results(a)), book.accounts[a].cash)
                for a in members
            }
            if members and max(losses.values()) > 0:
                loser = max(members, key=lambda a: losses[a])
                if self._try("settle", loser):
                    return True
        return False

    def collect(self, book: Book) -> None:
        """Hand every account what has been allotted to its claim."""
        for account, state in book.accounts.items():
            if state.claim and book.groups[state.group].allotted:
                self._try("settle", account)

    def _try(self, call: str, account: bytes, market: int = 0) -> bool:
        """Simulate a call and send it if it would pass; whether it was sent."""
        twin, sender = self._twin, self._address
        view = twin.client.clearinghouse.view
        try:
            if call == "liquidate":
                view.liquidate(account, market, MAX_UINT256, self.account, sender=sender)
            elif call == "deleverage":
                view.deleverage(account, sender=sender)
        except Reverted:
            return False
        if call == "liquidate":
            self._watch(
                call,
                account,
                lambda: twin.liquidate(account, market, self.account, sender=sender),
            )
        elif call == "deleverage":
            self._watch(
                call, account, lambda: twin.deleverage(account, self.account, sender=sender)
            )
        else:
            self._watch(call, account, lambda: twin.settle(account, sender=sender))
        return True
