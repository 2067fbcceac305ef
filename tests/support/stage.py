"""A world that remembers who is in it, and the scene most failure modes begin with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ballast.config import MarketParams
from ballast.contract import Contract
from tests.support.sound import assert_sound
from tests.support.world import INSURANCE, OWNER, WAD, ZERO_FEES, World, address


class Stage(World):
    """A `World` that knows all its accounts, so that it can be checked as a whole."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.people: list[bytes] = []
        self._strangers = 0

    def trader(self, label: str, cash: int = 0, sub: int = 0) -> bytes:
        """An account with some cash (WAD), remembered."""
        account = super().trader(label, cash, sub)
        if account not in self.people:
            self.people.append(account)
        return account

    def stranger(self) -> str:
        """An address nobody has seen before."""
        self._strangers += 1
        return address(f"stranger {self._strangers}")

    def settle(self, *accounts: bytes) -> None:
        """Strangers settle accounts."""
        for account in accounts:
            self.clearing.send.settle(account, sender=self.stranger())

    def close_all(self, account: bytes, calls: int = 50) -> None:
        """Strangers deleverage until no deficit is left."""
        for _ in range(calls):
            if self.deleverage(account, self.stranger())[1] == 0:
                return
        raise AssertionError("still a deficit")

    def equity(self, account: bytes) -> int:
        """E of an account."""
        return int(self.clearing.view.equity(account))

    def size(self, account: bytes, market: int = 1) -> int:
        """Signed size of a leg."""
        return int(self.clearing.view.position(account, market)[0])

    def reconfigure(self, market: int = 1, **changes: Any) -> None:
        """The owner changes parameters of a market."""
        group = self.clearing.view.market_params(market).group
        asked = replace(self.params, group=group, **changes)
        self.clearing.send.set_market(market, asked.as_tuple(), sender=OWNER)

    def sound(self, groups: Sequence[int] = (1,)) -> None:
        """S1, S2 and equal open interest."""
        assert_sound(self, self.people, groups)


def stage(
    loser_cash: int = 150 * WAD,
    size: int = 10 * WAD,
    winners: Sequence[int] = (10 * WAD,),
    insurance: int = 0,
    params: MarketParams = ZERO_FEES,
    **options: Any,
) -> tuple[Stage, bytes, list[bytes]]:
    """A loser is long `size` from 100 against winners who are short from 100, each with 1,000.

    The price is still 100.
    """
    world = Stage(params, **options)
    loser = world.trader("loser", loser_cash)
    held = [world.trader(f"winner {i}", 1_000 * WAD) for i in range(len(winners))]
    world.next_block()
    for winner, part in zip(held, winners, strict=True):
        world.fill(loser, winner, part, 100 * WAD)
    assert sum(winners) == size
    if insurance:
        world.donate(INSURANCE, insurance)
    return world, loser, held


def drained(left: int, size: int = 10 * WAD) -> tuple[Stage, bytes, bytes]:
    """`old` is short `size` from 100; all but `left` of it has been closed by force at 89."""
    world = Stage()
    old, maker = world.trader("old", 10**5 * WAD), world.trader("maker", 10**6 * WAD)
    victim = world.trader("victim", (size - left) * 10 + 1)
    far = world.trader("far", 10**5 * WAD)
    world.price(90 * WAD)
    world.fill(maker, far, 2 * WAD, 90 * WAD)  # behind `old` in the queue
    world.price(100 * WAD)
    world.fill(victim, old, size - left, 100 * WAD)
    if left:
        world.fill(maker, old, left, 100 * WAD)
    world.price(89 * WAD)
    world.deleverage(victim)
    world.price(100 * WAD)
    return world, old, maker


def forced_closes(contract: Contract, receipt: Any) -> list[Any]:
    """The forced closes in a receipt."""
    return [event for event in contract.events(receipt) if event.name == "ForcedClose"]
