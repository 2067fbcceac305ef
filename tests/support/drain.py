"""One bucket of the queue that is drained to a few wei, as often as a test asks for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.support.twin import Twin
from tests.support.world import WAD, ZERO_FEES, account_id, address

SIZE = 10 * WAD
NO_INSURANCE = replace(ZERO_FEES, insurance_cap_quote=0, min_notional_quote=WAD)
FUNDED = replace(NO_INSURANCE, premium_cap_bps=500, funding_cap_bps=400, premium_window_seconds=60)


class Drain:
    """One bucket at a price of 100, longs or shorts, drained at 150 or 50."""

    def __init__(self, is_long: bool, left: int, premium: int) -> None:
        params = FUNDED if premium else NO_INSURANCE
        self.premium = premium
        self.twin = Twin(1, retires=premium != 0, params=params, prices=(100 * WAD,), buckets=8)
        self.is_long, self.left = is_long, left
        self.maker = self.person("maker", 10**6)
        self.other = self.person("other", 10**6)
        self.members: list[bytes] = []
        self.near, self.far = (110, 150) if is_long else (90, 50)

    def person(self, label: str, cash: int) -> bytes:
        account = account_id(address(label))
        assert self.twin.deposit(account, cash * WAD)
        return account

    def trade(
        self, member: bytes, against: bytes, size: int, price: int, opens: bool = True
    ) -> None:
        """`member` grows on the bucket's side (or the other one), `against` takes it."""
        sides = (member, against) if self.is_long == opens else (against, member)
        assert self.twin.fill(1, *sides, size, price * WAD)

    def set_premium(self) -> None:
        self.twin.new_block({1: 100 * WAD}, 3_600)
        assert self.twin.fill(1, self.maker, self.other, WAD, (100 + self.premium) * WAD)

    def join(self, members: int) -> None:
        self.set_premium()
        self.twin.new_block({1: 100 * WAD}, 8 * 3_600)
        for _ in range(members):
            member = self.person(f"member {len(self.members)}", 10_000)
            self.members.append(member)
            self.trade(member, self.maker, SIZE + len(self.members), 100)

    def drain(self, round_: int) -> None:
        twin = self.twin
        twin.new_block({1: self.near * WAD})
        total = self.bucket().size_base
        bankrupt = self.person(f"bankrupt {round_}", 1 + 16 * total // WAD)
        twin.new_block({1: self.near * WAD})
        self.trade(bankrupt, self.other, total - self.left, self.near, opens=False)
        twin.new_block({1: self.far * WAD}, 3_600)
        assert twin.deleverage(bankrupt)
        assert self.bucket().size_base == self.left

    def bucket(self) -> Any:
        """The first of the queue."""
        return self.twin.world.clearing.view.queue(1, self.is_long, 0, 1)[0]
