"""Prices at will, from the mock oracle."""

from __future__ import annotations

from ballast.contract import Contract
from tests.support.world import OWNER


class MockOracles:
    """See `ballast.fuzz.arena.Oracles`."""

    def __init__(self, oracle: Contract) -> None:
        self.oracle = oracle

    def set_price(self, market: int, price: int, status: int = 0) -> None:
        """Whatever the market's oracle shall say."""
        now = self.oracle.chain.timestamp
        self.oracle.send.set_observation(market, price, now, status, sender=OWNER)
