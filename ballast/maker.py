"""An example of a market maker: quotes around the oracle's price, leaning against what it holds.

It quotes `levels` bids and asks a market, the nearest `half_spread_bps` off its fair price, which
is the oracle's moved against its position: at `max_position_quote` by a whole half spread
(inventory skew, after Avellaneda and Stoikov, "High-frequency trading in a limit order book", 2008,
without their risk terms). The side that would pass `max_position_quote` is left out. Orders are
post-only and die within `expiry_seconds`, so that a maker that is killed leaves nothing behind.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from itertools import count

import structlog
from eth_account.signers.local import LocalAccount

from ballast.errors import BallastError
from ballast.relay.client import Answer, RelayClient, RelayError
from ballast.signing import Order, account_id, sign_order

WAD = 10**18
BPS = 10_000
DIGITS = 6
"""Of a quote's price: as many as people read."""
LIFE_LEFT_SECONDS = 15
"""Quotes with less to live are renewed."""
_log = structlog.get_logger("maker")


@dataclass(frozen=True)
class MakerSettings:
    """What is quoted. Distances are bps of the price, `size_quote` a level's notional and
    `max_position_quote` a market's (whole quote)."""

    half_spread_bps: float = 8.0
    step_bps: float = 6.0
    levels: int = 3
    size_quote: float = 2_000.0
    max_position_quote: float = 20_000.0
    requote_bps: float = 3.0
    expiry_seconds: int = 60
    interval_seconds: float = 2.0


@dataclass(frozen=True)
class Quote:
    """`size` base WAD, `price` quote per base WAD."""

    is_buy: bool
    price: int
    size: int


@dataclass
class _Standing:
    """What a market's quotes were made of, and their hashes."""

    price: int
    position: int
    until: float
    hashes: list[str] = field(default_factory=list)


def quotes(price: int, position: int, settings: MakerSettings) -> list[Quote]:
    """Bids and asks, nearest first, at an oracle price (WAD) and a position (base WAD, signed)."""
    held = position * price / WAD / WAD / settings.max_position_quote
    skew_bps = -max(-1.0, min(1.0, held)) * settings.half_spread_bps
    made = []
    for is_buy in (True, False):
        side = 1 if is_buy else -1
        room = settings.max_position_quote * (1 - side * held)
        for level in range(settings.levels):
            room -= settings.size_quote
            if room < 0:
                break
            off_bps = skew_bps - side * (settings.half_spread_bps + level * settings.step_bps)
            at = _rounded(price * (1 + off_bps / BPS))
            made.append(Quote(is_buy, at, int(settings.size_quote * 10**6) * 10**12 * WAD // at))
    return made


def _rounded(price: float) -> int:
    unit = int(10 ** max(0, len(str(int(price))) - DIGITS))
    return round(price / unit) * unit


class Maker:
    """One account's quotes on one relay, for the markets named (default: all).

    A price the chain would not trade at (stale, waiting, none) takes the quotes off. What the
    relay refuses is logged and tried again at the next look.
    """

    def __init__(
        self,
        relay: RelayClient,
        key: LocalAccount,
        settings: MakerSettings,
        symbols: tuple[str, ...] = (),
        sub: int = 0,
    ) -> None:
        """Raises `BallastError` for a market that is not there."""
        self._relay, self._key, self._settings = relay, key, settings
        self.account = account_id(key.address, sub)
        listed = relay.markets()
        if unknown := set(symbols) - set(listed):
            raise BallastError(f"no market {', '.join(unknown)}: there is {', '.join(listed)}")
        self._symbols = {listed[symbol]: symbol for symbol in symbols or listed}
        self._standing: dict[int, _Standing] = {}
        self._salts = count(time.time_ns())

    def run(self, stop: threading.Event) -> None:
        """Quote until `stop` is set, then take the quotes off."""
        while not stop.is_set():
            try:
                self.step()
            except RelayError as error:
                _log.warning("not quoted", code=error.code, error=str(error))
            stop.wait(self._settings.interval_seconds)
        for market in list(self._standing):
            self._take_off(market)

    def wanted(self) -> dict[str, list[Quote]]:
        """What would be quoted now, by symbol. Raises `RelayError`."""
        positions = self._positions()
        return {
            self._symbols[told["market"]]: quotes(
                int(told["price"]), positions.get(told["market"], 0), self._settings
            )
            for told in self._relay.prices()
            if told["market"] in self._symbols and _is_good(told)
        }

    def step(self) -> None:
        """Look once, and quote anew where the price, the position or time has gone on. Raises
        `RelayError`."""
        positions = self._positions()
        for told in self._relay.prices():
            market = told["market"]
            if market not in self._symbols:
                continue
            if not _is_good(told):
                self._take_off(market)
            elif self._is_due(market, int(told["price"]), positions.get(market, 0)):
                self._take_off(market)
                self._put_on(market, int(told["price"]), positions.get(market, 0))

    def _positions(self) -> dict[int, int]:
        told = self._relay.account(self.account)
        return {leg["market"]: int(leg["size"]) for leg in told["positions"]}

    def _is_due(self, market: int, price: int, position: int) -> bool:
        standing = self._standing.get(market)
        if standing is None or time.time() > standing.until - LIFE_LEFT_SECONDS:
            return True
        moved = abs(price - standing.price) * BPS > self._settings.requote_bps * standing.price
        return moved or position != standing.position

    def _put_on(self, market: int, price: int, position: int) -> None:
        until = int(time.time()) + self._settings.expiry_seconds
        standing = self._standing[market] = _Standing(price, position, until)
        for quote in quotes(price, position, self._settings):
            order = Order(
                self.account,
                market,
                quote.is_buy,
                quote.size,
                quote.price,
                post_only=True,
                expiry=until,
                salt=next(self._salts),
            )
            try:
                kept = self._relay.place(sign_order(self._relay.domain(), order, self._key))
            except RelayError as error:
                _log.info("refused", market=self._symbols[market], code=error.code)
                continue
            standing.hashes.append(kept["hash"])

    def _take_off(self, market: int) -> None:
        standing = self._standing.pop(market, None)
        for order_hash in standing.hashes if standing else ():
            try:
                self._relay.cancel(order_hash, self._key)
            except RelayError as error:
                if error.code == "unreachable":
                    break  # they die by themselves


def _is_good(told: Answer) -> bool:
    return int(told["price"]) > 0 and not (told["stale"] or told["pending"])
