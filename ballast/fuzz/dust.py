"""How far the contracts may be from exact arithmetic: docs/INVARIANTS.md, section "Dust", in code.

The model is eager and exact, the contracts lazy and in whole wei, so they differ by what the
roundings of the calls so far can have moved. `Dust` adds these up; nothing else is tolerated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from ballast.mirror import CLAIMS_KEY

WAD = 10**18


@dataclass
class Dust:
    """How far the contracts may be from exact arithmetic (docs/INVARIANTS.md, "Dust")."""

    roundings: int = 0
    """Wei of quote that roundings have moved between accounts, at most."""
    sizes: Counter[int] = field(default_factory=Counter)
    """By market: wei of base that roundings have moved between legs, at most."""
    highest: Counter[int] = field(default_factory=Counter)
    """By market: highest price so far."""
    funding: Counter[int] = field(default_factory=Counter)
    """By market: how far the funding index has travelled, up and down."""
    shares: Counter[int] = field(default_factory=Counter)
    """By market, or claims key: the most shares a bucket has had."""
    allotments: int = 0
    """Sum over all allotments of amount / waiting, 2^64 for one."""

    def credit_grain(self, key: int) -> int:
        """What one credit of a bucket loses to all its members by 2^-72 a share; wei of quote."""
        return self.shares[key] >> 72

    def book(self, markets: Iterable[int], group: int) -> None:
        """An account is touched and booked: per leg two credits and two cost bases, and an epoch's
        conversion; a claim left and joined, collected, allotted."""
        self.roundings += 6 + 2 * self.credit_grain(CLAIMS_KEY + group)
        for market in markets:
            self.roundings += 6 + 2 * self.credit_grain(market)
            self.sizes[market] += 1

    def place(self, market: int, size: int) -> None:
        """A leg of `size` gets a new entry (rounded to a wei of price) and a new bucket: its view
        and its shares are rounded, and so are proceeds, fee and shares of the fee."""
        self.roundings += -(-size // WAD) + 8 + 2 * self.credit_grain(market)
        self.sizes[market] += 3

    def take(self, market: int, size: int, buckets: int) -> None:
        """`buckets` are closed at a distance rounded to a wei of price: twice (the contract's sum
        of caps is floored, too), and each one's proceeds and credit per share are rounded."""
        grain = self.credit_grain(market)
        self.roundings += 2 * -(-size // WAD) + 6 + (6 + grain) * buckets
        self.sizes[market] += buckets

    def penalty(self, market: int, size: int, price: int, legs: int) -> None:
        """A penalty rate is rounded to 1e-18 of the notional, its price to a wei, and MM enters it
        with the dust of all legs."""
        self.roundings += 2 * (size * price // WAD // WAD + 1) + -(-size // WAD) + legs
        self.roundings += self.size_value()

    def share_of_losses(self, ratio: Fraction) -> None:
        """A deficit is split by open losses: their dust counts by deficit over losses."""
        self.roundings += int(2 * ratio * self.equity()) + 1

    def size_value(self) -> int:
        """What the dust of sizes is worth at the highest prices so far."""
        return sum(
            -(-size * (self.highest[market] + self.funding[market]) // WAD)
            for market, size in self.sizes.items()
        )

    def equity(self) -> int:
        """Bound on the sum of what accounts and the system's balances are off, wei of quote."""
        return self.roundings + self.size_value() + 1

    def money(self) -> int:
        """The same for cash and u apart: an allotment of a share of what waits moves twice that
        share of the claims' dust from the one to the other."""
        return (self.equity() * ((1 << 64) + 2 * self.allotments) >> 64) + 1

    def system(self, prices: dict[int, int], legs: int) -> int:
        """Bound on S2's dust of a group at a price: besides, each view rounds three times."""
        worth = sum(
            -(-(self.sizes[m] + legs) * (price + self.funding[m]) // WAD)
            for m, price in prices.items()
        )
        return self.roundings + 3 * legs + worth

    def unpaid_funding(self, markets: Iterable[int]) -> int:
        """How far S2's dust may be below zero: funding on the wei that an epoch's conversion has
        rounded off a long's shares, or onto a short's."""
        return sum(-(-self.sizes[m] * self.funding[m] // WAD) for m in markets)
