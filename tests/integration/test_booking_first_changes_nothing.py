"""What legs have realised and not booked is set apart in the arithmetic of `deleverage` and
`liquidate`: whoever books the account before gets, or spares, nobody anything (S3, S10).
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.errors import Reverted
from tests.support.checks import assert_sound
from tests.support.world import KEEPER, MAX, OWNER, WAD, ZERO_FEES, World, address

P = 100 * WAD
PARAMS = replace(
    ZERO_FEES,
    premium_cap_bps=1_000,
    funding_cap_bps=400,
    premium_window_seconds=60,
    insurance_cap_quote=100 * WAD,
)
PRICES = {1: 97, 2: 100, 3: 70}
NAMES = ("broke", "rival", "other", "dead", "rich")


def unbooked(cash: int) -> tuple[World, dict[str, bytes]]:
    """`broke` is long in three markets. In 1 it has been paid funding, in 2 a part of its leg was
    closed by force at a profit; neither is booked. In 3 it has lost. `dead` is gone."""
    world = World(params=PARAMS, prices=(P, P, P), insurance_cap_quote=50 * WAD)
    world.donate((1).to_bytes(32, "big"), 500 * WAD)
    money = {"broke": cash, "dead": 50, "rich": 10**5, "rival": 10**4, "other": 10**5}
    who = {name: world.trader(name, money[name] * WAD) for name in NAMES}
    world.next_block(3_600)
    world.fill(who["broke"], who["rival"], 10 * WAD, P, 1)
    world.next_block(3_600)
    world.fill(who["other"], who["rival"], WAD, 85 * WAD, 1)
    world.fill(who["broke"], who["dead"], 4 * WAD, P, 2)
    world.fill(who["broke"], who["other"], 6 * WAD, P, 2)
    world.fill(who["broke"], who["other"], 20 * WAD, P, 3)
    world.price(130 * WAD, 2)
    world.deleverage(who["dead"])
    world.chain.mine(8 * 3_600)
    for market, price in PRICES.items():
        world.oracle.send.set_price(market, price * WAD, sender=OWNER)
    return world, who


def outcome(world: World, who: dict[str, bytes]) -> list[int]:
    view = world.clearing.view
    equities = [view.equity(account) for account in who.values()]
    left = view.position(who["broke"], 3)[0]
    return [*equities, left, world.vault.view.insurance(), view.shortfall(1)]


def resolve(world: World, who: dict[str, bytes]) -> None:
    for _ in range(8):
        try:
            world.deleverage(who["broke"])
        except Reverted:
            return


def take_over(world: World, who: dict[str, bytes]) -> None:
    world.clearing.send.liquidate(who["broke"], 3, MAX, who["rich"], sender=address("rich"))


@pytest.mark.parametrize(
    ("cash", "act", "low", "high"),
    [
        (400, resolve, -200, -100),
        (460, take_over, -70, -1),
        (560, take_over, 1, 100),
    ],
    ids=["deleverage", "bankrupt take-over", "liquidation"],
)
def test_booking_first_changes_nothing(cash, act, low, high):
    world, who = unbooked(cash)
    view, broke = world.clearing.view, who["broke"]
    assert low * WAD < view.equity(broke) < high * WAD
    assert view.unsettled(broke) == 0
    assert view.claims(1) == 0
    assert all(abs(view.position(broke, market)[2]) > 0 for market in (1, 2, 3))
    ends = []
    for books_first in (True, False):
        with world.chain.rolled_back():
            if books_first:
                world.clearing.send.refresh(broke, sender=KEEPER)
            before = outcome(world, who)
            act(world, who)
            ends.append(outcome(world, who))
            assert ends[-1] != before
            assert_sound(world, who.values())
    assert max(abs(one - other) for one, other in zip(*ends, strict=True)) <= 16
