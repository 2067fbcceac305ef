"""A take-over of a short below the grid's lowest price must not cost it more than oracle price and
penalty.

`liquidation._liquidate` lifted the penalised price to `grid.MIN_PRICE` (2^32 wei), so that the
liquidator's entry lies on the grid. Under an oracle price below that, the account bought back at
several times the oracle price, and the liquidator had the difference: a healthy margin was turned
into a bankruptcy (S7).
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.errors import Reverted
from tests.support.world import MAX, WAD, ZERO_FEES, World, address

PARAMS = replace(
    ZERO_FEES,
    position_cap_base=2**96 - 1,
    interest_cap_base=2**96 - 1,
    min_notional_quote=10**12,
)


def test_a_short_is_taken_over_at_the_oracle_price_below_the_grid():
    listed_at = 5 * 10**9  # wei of quote: just above the grid's lowest price, 2^32
    fallen_to = 10**9
    world = World(params=PARAMS, prices=(listed_at, 100 * WAD))
    small_coin = 10**10 * WAD
    account = world.trader("account", 60 * WAD)
    other = world.trader("other", 10_000 * WAD)
    keeper = world.trader("keeper's", 10_000 * WAD)
    world.next_block()
    world.fill(other, account, small_coin, listed_at)
    world.fill(account, other, WAD, 100 * WAD, 2)
    world.price(fallen_to, 1)
    world.price(WAD // 2, 2)  # +40 in the small coin, -99.5 in the other
    view = world.clearing.view
    before = view.equity(account)
    assert 0 <= before < view.margin(account)[1]

    # A keeper would have to enter below the grid: refused. Nobody pays more than the oracle says.
    with pytest.raises(Reverted, match="grid: price out of range"):
        world.clearing.send.liquidate(account, 1, MAX, keeper, sender=address("keeper's"))
    assert view.max_liquidation(account, 1)[1] <= fallen_to * 105 // 100
    assert view.equity(account) == before
