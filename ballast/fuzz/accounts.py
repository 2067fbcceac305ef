"""An account, its legs and their buckets in whole wei, by the contracts' own arithmetic."""

from __future__ import annotations

from dataclasses import dataclass, field

from ballast.fuzz.dust import WAD

MASK_104 = (1 << 104) - 1


@dataclass(slots=True)
class Quote:
    """What results are taken at: the price of a market and its funding index."""

    price: int
    funding_index: int


@dataclass(slots=True, eq=False)
class Leg:
    """A position. The first fields are its record; size, credit and result are as of now."""

    market: int
    is_long: bool
    key: int
    bucket_id: int
    epoch: int
    recorded: int
    entry: int
    fee_cents: int
    shares: int
    index: int
    cost: int
    """Cost basis of the recorded size."""
    size: int = 0
    credit: int = 0
    result: int = 0
    is_behind: bool = False
    """Whether its epoch has ended with it as a member."""

    @property
    def tier(self) -> int:
        """Leverage tier of its bucket."""
        return self.bucket_id >> 13 & 7

    @property
    def tick(self) -> int:
        """Entry tick of its bucket."""
        return self.bucket_id & 8191

    def unrealised(self, price: int) -> int:
        """Open result of the present size at a price."""
        if self.is_long:
            return self.size * price // WAD + (-self.size * self.entry // WAD)
        return self.size * self.entry // WAD + (-self.size * price // WAD)

    def result_at(self, price: int) -> int:
        """V at a price."""
        if self.is_long:
            return self.credit - self.cost + self.size * price // WAD
        return self.credit - self.cost + (-self.size * price // WAD)


@dataclass(slots=True)
class Bucket:
    """A bucket, funding included."""

    words: tuple[int, int]
    size: int
    shares: int
    epoch: int
    credit_index: int
    members: list[Leg] = field(default_factory=list)


@dataclass(slots=True)
class Account:
    """One account, in wei."""

    group: int = 0
    flagged: bool = False
    ledger_word: int = 0
    debt: int = 0
    claim_shares: int = 0
    claim_epoch: int = 0
    claim_index: int = 0
    waiting: int = 0
    """The part of its claim that the pool has not been allotted to."""
    allotted: int = 0
    """The part that it has, to be collected at the next touch."""
    legs: dict[int, Leg] = field(default_factory=dict)

    @property
    def cash(self) -> int:
        """Its ledger balance."""
        return self.ledger_word & MASK_104

    def fresh(self, block: int) -> int:
        """What came in during a block."""
        if self.ledger_word >> 208 != block:
            return 0
        return min(self.cash, self.ledger_word >> 104 & MASK_104)

    @property
    def unsettled(self) -> int:
        """u."""
        return self.waiting + self.allotted - self.debt

    @property
    def equity(self) -> int:
        """E."""
        return self.cash + self.unsettled + sum(leg.result for leg in self.legs.values())

    @property
    def backing(self) -> int:
        """B."""
        losses = sum(min(0, leg.result) for leg in self.legs.values())
        return self.cash + min(0, self.unsettled) + losses
