"""Crumbs: the last wei of a leg, a claim or a loss, which one side alone may hold or see.

What a call does then turns on dust: another market is left, another price fixed, another leg ranked
anew. Here is told where that may be, so that the model can follow the contracts there, and nowhere
else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ballast.fuzz.dust import WAD
from ballast.mirror import Market

if TYPE_CHECKING:
    from ballast.fuzz.accounts import Leg
    from ballast.fuzz.pair import Pair


class Crumbs:
    """Of a pair, as it stands."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self._settling: dict[int, tuple[int, int]] = {}
        """While settling: entry and tier of the account's legs in the contract before it."""

    # Legs

    def are_all(self, account: bytes) -> bool:
        """Whether an account has no more than crumbs of legs in the contracts."""
        return all(map(self._is_crumb, self.pair.holdings.accounts[account].legs.values()))

    def among(self, accounts: list[bytes]) -> bool:
        """Whether one of the accounts may leave a market by its last wei."""
        known = self.pair.holdings.accounts
        return any(
            self._is_crumb(leg)
            for account in accounts
            if account in known
            for leg in known[account].legs.values()
        )

    def _is_crumb(self, leg: Leg) -> bool:
        return leg.size <= self.pair.dust.sizes[leg.market]

    def fixed_apart(self) -> bool:
        """Whether one side alone has fixed a price: it has left a market by its last wei, or drawn
        on a crumb that the other does not see."""
        read, block = self.pair.holdings.storage.market, self.pair.model.block
        return any(
            (market.fixed_block == block) != (Market.decode(*read(number)).block_number == block)
            for number, market in self.pair.model.state.markets.items()
        )

    def turned(self, account: bytes) -> bool:
        """Whether a leg is a losing one on one side alone, by a wei, before or after it is booked:
        it is then closed in another order, and has another share of the deficit."""
        exact = self.pair.model.state
        for market, leg in self.pair.holdings.accounts[account].legs.items():
            its = exact.seen(account).legs.get(market)
            if its is None:
                continue
            price = self.pair.holdings.quotes[market].price
            ours = leg.result < 0, leg.unrealised(price) < 0
            if ours != (exact.result(account, market) < 0, its.open_result(price) < 0):
                return True
        return False

    # Settling: while claims wait it draws on open losses, which ranks these legs anew

    @contextmanager
    def settling(self, account: bytes) -> Iterator[None]:
        """While an account is settled."""
        legs = self.pair.holdings.accounts[account].legs
        self._settling = {market: (leg.entry, leg.tier) for market, leg in legs.items()}
        yield
        self._settling = {}

    def settled(self, touched: list[bytes]) -> bool:
        """Whether settling has moved entries, if at all, by crumbs alone."""
        if not self._settling:
            return False
        holdings, exact = self.pair.holdings, self.pair.model.state
        holdings.touch(touched)
        legs = [(holdings.accounts[who].legs, exact.seen(who).legs) for who in touched]
        return all(
            market not in self._settling or self._has_moved_little(market, leg, its[market])
            for ours, its in legs
            for market, leg in ours.items()
            if market in its and leg.size
        )

    def drawn(self, account: bytes, market: int, ours: Leg, its: Any) -> bool:
        """Whether settling has ranked a leg anew on one side alone, which saw a last crumb of a
        claim, or a loss of a few wei, and has drawn on it. `its`: the model's leg."""
        if market not in self._settling:
            return False
        tier = self._settling[market][1]
        rank = self.pair.model.current_rank(account, market)
        near = (ours.tier, ours.tick) in ((tier, its.tick), rank)
        return near and self._has_moved_little(market, ours, its)

    def _has_moved_little(self, market: int, ours: Leg, its: Any) -> bool:
        """Whether settling has moved the leg's entry by no more than a crumb is worth."""
        entry = self._settling[market][0]
        crumb = 2 + 2 * self.pair.dust.equity() * WAD // ours.size
        return bool(max(abs(ours.entry - entry), abs(its.entry - entry)) <= crumb)
