"""A clearing group's pool and the claims that wait for it (SPEC section 4).

losers' cash, insurance --> pool (free + allotted) --> winners' cash

While claims wait, what enters is allotted to all of them pro rata, at once.
"""

from dataclasses import dataclass, field

from ballast.model.exact import AccountId, div_up, pro_rata
from ballast.model.market import Allowance


@dataclass(slots=True)
class Group:
    """Quote units throughout."""

    allowance: Allowance
    """What insurance may pay in the last step of the waterfall."""
    pool: int = 0
    shortfall: int = 0
    waiting: dict[AccountId, int] = field(default_factory=dict)
    allotted: dict[AccountId, int] = field(default_factory=dict)
    allotted_parts: int = 0
    """Sum of amount / waiting over all allotments, 2^64 for one, rounded up: bounds their dust."""

    def waiting_total(self) -> int:
        """`claims(group)`: what the pool has not yet allotted."""
        return sum(self.waiting.values())

    def free(self) -> int:
        """The part of the pool that is nobody's yet."""
        return self.pool - sum(self.allotted.values())

    def claim_of(self, account: AccountId) -> int:
        """Both parts of an account's claim."""
        return self.waiting.get(account, 0) + self.allotted.get(account, 0)

    def receive(self, amount: int) -> None:
        """Money enters the pool; claims that wait are allotted it pro rata."""
        self.pool += amount
        self.allot()

    def allot(self) -> None:
        """What is free in the pool goes to the claims that wait."""
        amount = min(self.free(), self.waiting_total())
        if amount == 0:
            return
        self.allotted_parts += div_up(amount << 64, self.waiting_total())
        owners = list(self.waiting)
        for owner, part in zip(owners, pro_rata(amount, list(self.waiting.values())), strict=True):
            self.allotted[owner] = self.allotted.get(owner, 0) + part
            self.waiting[owner] -= part
            if self.waiting[owner] == 0:
                del self.waiting[owner]

    def collect(self, account: AccountId) -> int:
        """Take an account's allotted part out of the pool; the caller credits its cash."""
        amount = self.allotted.pop(account, 0)
        self.pool -= amount
        return amount

    def pay_or_join(self, account: AccountId, amount: int) -> int:
        """A new claim: paid from the free pool when none waits, the rest joins those that wait.
        Returns what is paid, which the caller credits to cash."""
        paid = 0 if self.waiting else min(amount, self.free())
        self.pool -= paid
        if amount > paid:
            self.waiting[account] = self.waiting.get(account, 0) + amount - paid
        return paid
