"""What `deleverage` costs against how many counterparties, and over how many buckets.

One world grows: shorts come in one by one through `fill`, and at each mark a copy of it has a long
of the same size go bankrupt, which one call of `deleverage` must close entirely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from ballast.bench.exchange import BTC, DEPLOYER, KEEPER, TOKEN_UNIT, Exchange, local_config
from ballast.config import WAD, AdlConfig
from ballast.deploy import create_address
from ballast.errors import BallastError
from ballast.signing import account_id, key_from_label

COUNTERPARTIES = (1, 10, 100, 1_000, 10_000, 100_000)
BUCKETS = (1, 2, 5, 10, 25, 50, 100, 150, 200)
PRICE = 100_000 * WAD
EACH = WAD // 2_000
"""Base of each counterparty."""

_CASH = 1_000
_RICH = 10**8
_STEP_BPS = 60  # more than a tick of the grid, so that each price has a bucket of its own
_FALL_BPS = 500
_MARGIN_BPS = 300
_LARGEST_STEP_BPS = 900
_BPS = 10_000

Advance = Callable[[int], None]


class Crowd:
    """Shorts of one market against one rich long; the venue is a plain address."""

    def __init__(self) -> None:
        asked = replace(local_config(), adl=AdlConfig(max(BUCKETS)))
        self.exchange = Exchange(asked)
        self._client = self.exchange.client
        self._venue = key_from_label("venue").address
        self._donor = key_from_label("donor").address
        self._client.clearinghouse.send.set_venue(self._venue, True, sender=DEPLOYER)
        self.exchange.mint("donor", 10**12)
        self.exchange.trader("keeper")
        self._other = self.exchange.trader("other", _RICH)
        self._client.donate(1, TOKEN_UNIT // 100, sender=self._donor)
        self.exchange.price(PRICE)
        self.size = 0
        self._count = 0

    @property
    def price(self) -> int:
        """The present price, quote per base WAD."""
        return self.exchange.prices[BTC]

    def join(self) -> None:
        """One more short, at the present price."""
        self._count += 1
        account = account_id(create_address(self._donor, self._count))
        self._deposit(account, _CASH)
        self._fill(self._other, account, EACH)
        self.size += EACH

    def move(self, price: int) -> None:
        """Bring the price there, in steps that the oracle takes without a pause."""
        while self.price != price:
            low = self.price * (_BPS - _LARGEST_STEP_BPS) // _BPS
            high = self.price * (_BPS + _LARGEST_STEP_BPS) // _BPS
            self.exchange.price(min(max(price, low), high))

    def deleverage_gas(self, buckets: int) -> int:
        """The gas of closing a long as large as all shorts together; nothing stays of it.

        Raises `BallastError` where the queue is not what it should be.
        """
        exchange, house = self.exchange, self._client.clearinghouse
        with exchange.chain.rolled_back(exact_gas=True):
            prices = dict(exchange.prices)
            self.move(PRICE)
            bankrupt = account_id(key_from_label("bankrupt").address)
            notional = self.size * PRICE // WAD // WAD
            self._deposit(bankrupt, 1 + notional * _MARGIN_BPS // _BPS)
            self._fill(bankrupt, self._other, self.size)
            exchange.price(PRICE * (_BPS - _FALL_BPS) // _BPS)
            queue = house.view.queue(BTC, False, 0, 256)
            if len(queue) != buckets or sum(entry[4] for entry in queue) != self.size:
                raise BallastError(f"{len(queue)} buckets in the queue, not {buckets}")
            if house.view.equity(bankrupt) >= 0:
                raise BallastError("the long is not bankrupt")
            receipt = house.send.deleverage(bankrupt, sender=KEEPER, exact_gas=True)
            left = house.returned(receipt, "deleverage", 1)
            if left != (0, 0):
                raise BallastError(f"deleverage left notional and deficit {left}")
            exchange.prices = prices
        return receipt.gas_used

    def _deposit(self, account: bytes, cash: int) -> None:
        self._client.vault.send.deposit(account, cash * TOKEN_UNIT, sender=self._donor)

    def _fill(self, buyer: bytes, seller: bytes, size: int) -> None:
        send = self._client.clearinghouse.send.fill
        send(BTC, buyer, seller, size, self.price, sender=self._venue)


def flat(
    marks: tuple[int, ...] = COUNTERPARTIES, advance: Advance = lambda joined: None
) -> Iterator[tuple[int, int]]:
    """Pairs of counterparties and gas, all in one bucket. `advance` hears of each that joined."""
    crowd = Crowd()
    joined = 0
    for mark in marks:
        while joined < mark:
            crowd.join()
            joined += 1
            advance(1)
        yield mark, crowd.deleverage_gas(1)


def buckets(
    marks: tuple[int, ...] = BUCKETS, advance: Advance = lambda joined: None
) -> Iterator[tuple[int, int]]:
    """Pairs of buckets and gas, one counterparty in each."""
    crowd = Crowd()
    joined = 0
    for mark in marks:
        while joined < mark:
            crowd.move(PRICE * (_BPS + _STEP_BPS) ** joined // _BPS**joined)
            crowd.join()
            joined += 1
            advance(1)
        yield mark, crowd.deleverage_gas(mark)
