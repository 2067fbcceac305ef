# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title MockOracle
@license AGPL-3.0-only
@notice Test double, not for production: a price source whose prices, times and status are set at will.
"""

from interfaces import IPriceOracle

implements: IPriceOracle

STALE: constant(uint256) = 1


struct Observation:
    price: uint256
    timestamp: uint256
    status: uint256


is_broken: public(HashMap[uint256, bool])
_observations: HashMap[uint256, Observation]


@external
def set_price(market: uint256, price: uint256):
    """
    @notice Sets a market's price, as of now and with nothing wrong.
    @param market The market.
    @param price WAD quote per base.
    """
    self._observations[market] = Observation(price=price, timestamp=block.timestamp, status=0)


@external
def set_observation(market: uint256, price: uint256, timestamp: uint256, status: uint256):
    """
    @notice Sets everything about a market, sense or no sense.
    @param market The market.
    @param price WAD quote per base; zero for none.
    @param timestamp Unix seconds.
    @param status Status bits: 1 stale, 2 pending, 4 grace.
    """
    self._observations[market] = Observation(price=price, timestamp=timestamp, status=status)


@external
def set_broken(market: uint256, is_broken: bool):
    """
    @notice Makes every question about a market revert.
    @param market The market.
    @param is_broken Whether it does.
    """
    self.is_broken[market] = is_broken


@view
@external
def price(market: uint256) -> (uint256, uint256):
    o: Observation = self._observe(market)
    assert o.status & STALE == 0, "oracle: stale"
    return o.price, o.timestamp


@view
@external
def observe(market: uint256) -> (uint256, uint256, uint256):
    o: Observation = self._observe(market)
    return o.price, o.timestamp, o.status


@view
@internal
def _observe(market: uint256) -> Observation:
    assert not self.is_broken[market], "oracle: broken"
    o: Observation = self._observations[market]
    assert o.price != 0, "oracle: no price"
    return o
