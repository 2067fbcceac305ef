"""Accounts and their legs (one leg is an account's position in one market)."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Leg:
    """A position. `closed` and `funding` are results since the last touch that the protocol has
    not yet booked to the account's `u`; sizes are already what forced closes left of them."""

    size: int = 0
    """Size units, negative for a short."""
    entry: int = 0
    """Wei of price."""
    closed: int = 0
    """Quote units: result of forced closes since the last touch."""
    funding: int = 0
    """Quote units: funding since the last touch, negative when owed."""
    tier: int = 0
    tick: int = 0
    fee_cents: int = 0
    """Fees the leg has paid, in hundredths of a quote unit, at most 65,535."""

    def open_result(self, price: int) -> int:
        """Unrealised result of what is still held, quote units."""
        return self.size * (price - self.entry)

    def result(self, price: int, index_delta: int = 0) -> int:
        """V_m in quote units; `index_delta` is funding not yet written to the legs."""
        return self.open_result(price) + self.closed + self.funding - self.size * index_delta

    def take_unbooked(self, index_delta: int = 0) -> int:
        """A touch: hand over what is not booked yet; `index_delta` is funding not yet written to
        the legs, which is then paid in advance."""
        ahead = self.size * index_delta
        unbooked = self.closed + self.funding - ahead
        self.closed, self.funding = 0, ahead
        return unbooked


@dataclass(slots=True)
class Account:
    """Cash and debt in quote units. A claim is kept by the group (claims.py)."""

    group: int = 0
    cash: int = 0
    debt: int = 0
    fresh: int = 0
    """Deposited in block `fresh_block`."""
    fresh_block: int = -1
    legs: dict[int, Leg] = field(default_factory=dict)

    def fresh_now(self, block: int) -> int:
        """What was deposited in this block, quote units."""
        return min(self.cash, self.fresh) if self.fresh_block == block else 0

    def mark_fresh(self, amount: int, block: int) -> None:
        """Note cash as credited from outside in this block, quote units."""
        self.fresh = amount + (self.fresh if self.fresh_block == block else 0)
        self.fresh_block = block
