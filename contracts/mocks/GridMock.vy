# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title GridMock
@license AGPL-3.0-only
@notice Test double, not for production: shows the grid's functions, whole pages of edges at a time.
"""

from modules import grid

PAGE: constant(uint256) = 1024


@external
@pure
def edges(start: uint256, count: uint256) -> DynArray[uint256, PAGE]:
    """
    @param start First tick.
    @param count How many, at most 1,024.
    @return The lower edges of the ticks from `start` on.
    """
    page: DynArray[uint256, PAGE] = []
    for i: uint256 in range(count, bound=PAGE):
        page.append(grid._edge(start + i))
    return page


@external
@pure
def ticks(prices: DynArray[uint256, PAGE]) -> DynArray[uint256, PAGE]:
    """
    @param prices WAD, on the grid.
    @return The tick of each price.
    """
    page: DynArray[uint256, PAGE] = []
    for price: uint256 in prices:
        page.append(grid._tick_of(price))
    return page


@external
@pure
def oracle_tick(price: uint256) -> int256:
    """
    @param price WAD.
    @return Its tick; -1 below the grid.
    """
    return grid._oracle_tick(price)


@external
@pure
def tier(notional_quote: uint256, equity_quote: int256) -> uint256:
    """
    @return Leverage tier, 0 to 7.
    """
    return grid._tier_of(notional_quote, equity_quote)


@external
@pure
def score(is_long: bool, tier: uint256, tick: uint256, price: uint256) -> int256:
    """
    @return Score of a bucket at a price, WAD.
    """
    return grid._score(is_long, tier, grid._near_edge(tick, grid._oracle_tick(price), price), price)
