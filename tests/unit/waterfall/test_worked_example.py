"""The worked example of design section 6, to the last unit."""

from __future__ import annotations

import pytest

from ballast.errors import Reverted
from tests.support.world import INSURANCE, MAX, WAD, World, account_id, address


def at_80(a_cash: int = 150, a_size: int = 10, buckets: int = 8) -> tuple[World, bytes, bytes, bytes]:
    """A: long from 100. B: short 4 from 120. C: short 6 from 100. Market at 80, pool 80, insurance 20."""
    world = World(prices=(120 * WAD,), buckets=buckets)
    a = world.trader("a", a_cash * WAD)
    b = world.trader("b", 100 * WAD)
    c = world.trader("c", 200 * WAD)
    other = world.trader("other", 10_000 * WAD)
    world.fill(other, b, 4 * WAD, 120 * WAD)
    world.price(100 * WAD)
    world.fill(a, c, 6 * WAD if a_size == 10 else 5 * WAD, 100 * WAD)
    if a_size == 10:
        world.fill(a, other, 4 * WAD, 100 * WAD)
    else:
        world.fill(other, c, 1 * WAD, 100 * WAD)
    world.price(80 * WAD)
    world.donate(INSURANCE, 20 * WAD)
    return world, a, b, c


def test_insurance_first_then_both_buckets_at_83():
    world, a, b, c = at_80()
    assert world.vault.view.pool_of(1) == 80 * WAD
    assert world.clearing.view.equity(a) == -50 * WAD

    assert world.deleverage(a) == (0, 0)

    assert world.vault.view.insurance() == 0
    assert world.vault.view.pool_of(1) == 250 * WAD
    for account in (b, c):
        world.clearing.send.settle(account, sender=address("anyone"))
    assert world.cash(b) == (100 + 148) * WAD
    assert world.cash(c) == (200 + 102) * WAD
    assert world.cash(a) == 0
    assert world.vault.view.pool_of(1) == 0
    assert world.clearing.view.shortfall(1) == 0
    assert world.clearing.view.open_interest(1) == (0, 0)
