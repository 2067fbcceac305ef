"""People who trade now and then with whoever quotes, so that an exchange of bots has a tape."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from eth_account.signers.local import LocalAccount

from ballast.relay.client import RelayClient, RelayError
from ballast.signing import Order, account_id, sign_order

WAD = 10**18
EXPIRY_SECONDS = 15
BOUND_BPS = 50
"""How far from the oracle's price a taker would still trade."""
MEAN_PAUSE_SECONDS = 3.0
LEAST_QUOTE, MOST_QUOTE = 200, 4_000


class Takers:
    """Each trade is one of these keys', at random in market, side and size; what a relay refuses
    (no margin, no price) does not happen."""

    def __init__(self, relay: RelayClient, keys: Sequence[LocalAccount], seed: int) -> None:
        self._relay, self._keys = relay, list(keys)
        self._dice = random.Random(seed)

    def pause(self) -> float:
        """Seconds until the next trade."""
        return min(self._dice.expovariate(1 / MEAN_PAUSE_SECONDS), 4 * MEAN_PAUSE_SECONDS)

    def step(self) -> None:
        """One taker's order."""
        key, is_buy = self._dice.choice(self._keys), self._dice.random() < 0.5
        quote = self._dice.randrange(LEAST_QUOTE, MOST_QUOTE)
        try:
            told = self._dice.choice(self._relay.prices())
            price = int(told["price"])
            if not price:
                return
            order = Order(
                account_id(key.address),
                told["market"],
                is_buy,
                quote * 10**6 * WAD // price * 10**12,
                price * (10_000 + (BOUND_BPS if is_buy else -BOUND_BPS)) // 10_000,
                expiry=int(time.time()) + EXPIRY_SECONDS,
                salt=time.time_ns(),
            )
            self._relay.place(sign_order(self._relay.domain(), order, key))
        except RelayError:
            return
