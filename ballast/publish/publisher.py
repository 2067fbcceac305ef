"""One publisher: reads its source, refuses what it should not sign, and serves what it signed.

Reports of several publishers count together only if their times lie within 2 s, so everybody signs
at the same moments: at the multiples of the interval, by his own clock. The last few rounds are
kept, so that a collector finds a moment for which enough of them have signed.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from eth_account.signers.local import LocalAccount
from prometheus_client import CollectorRegistry, Counter, Gauge

from ballast.config import BPS, WAD
from ballast.errors import ConfigError, SourceError
from ballast.publish.sources import MAX_PRICE, Clock, Quote, Source
from ballast.signing import Domain, SignedPrice, sign_price

ROUNDS_KEPT = 10
_LOG = structlog.get_logger("publisher")


@dataclass(frozen=True)
class Limits:
    """What a publisher does not sign.

    A quote older than `max_age_seconds`. A price further than `jump_bps` from the last one signed,
    until another quote at least `confirm_seconds` later says the same within that bound.
    """

    max_age_seconds: int = 30
    jump_bps: int = 1_000
    confirm_seconds: int = 10

    def __post_init__(self) -> None:
        if self.max_age_seconds <= 0 or self.jump_bps <= 0 or self.confirm_seconds < 0:
            raise ConfigError("a publisher's limits have to be above zero")


class Guard:
    """Judges a publisher's quotes, symbol by symbol."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._signed: dict[str, int] = {}
        self._waiting: dict[str, Quote] = {}

    def refusal(self, symbol: str, quote: Quote, now: int) -> str:
        """Why a quote is not to be signed at `now` (Unix seconds); "" if it is."""
        if not 0 < quote.price <= MAX_PRICE:
            return "price out of range"
        if now - quote.timestamp > self._limits.max_age_seconds:
            return "source is stale"
        last = self._signed.get(symbol)
        if last is not None and not self._near(quote.price, last):
            waiting = self._waiting.get(symbol)
            if waiting is None or not self._near(quote.price, waiting.price):
                self._waiting[symbol] = Quote(quote.price, now)
                return "jump waits for confirmation"
            if (
                quote.timestamp <= waiting.timestamp
                or now - waiting.timestamp < self._limits.confirm_seconds
            ):
                return "jump waits for confirmation"
        self._waiting.pop(symbol, None)
        self._signed[symbol] = quote.price
        return ""

    def _near(self, price: int, other: int) -> bool:
        return abs(price - other) * BPS <= other * self._limits.jump_bps


class Publisher:
    """Signs a source's prices of `markets` (ids by symbol) for one oracle (`domain`)."""

    def __init__(
        self,
        source: Source,
        signer: LocalAccount,
        domain: Domain,
        markets: Mapping[str, int],
        limits: Limits = Limits(),
        interval_seconds: int = 2,
        clock: Clock = time.time,
    ) -> None:
        if interval_seconds < 1:
            raise ConfigError(f"interval: {interval_seconds} s is below one second")
        self.source, self.markets = source, dict(markets)
        self.interval_seconds = interval_seconds
        self.address = signer.address
        self._signer, self._domain, self._clock = signer, domain, clock
        self._guard = Guard(limits)
        self._rounds: deque[list[SignedPrice]] = deque(maxlen=ROUNDS_KEPT)
        self._last_stamp = 0
        self.metrics = CollectorRegistry()
        self._signed = Counter(
            "ballast_publisher_signed", "Reports signed", ["symbol"], registry=self.metrics
        )
        self._refused = Counter(
            "ballast_publisher_refused",
            "Quotes not signed",
            ["symbol", "reason"],
            registry=self.metrics,
        )
        self._failures = Counter(
            "ballast_publisher_source_failures", "Source without answer", registry=self.metrics
        )
        self._price = Gauge(
            "ballast_publisher_price", "Last price signed", ["symbol"], registry=self.metrics
        )

    def tick(self) -> list[SignedPrice]:
        """Sign one round, unless this moment's is signed already; what was signed."""
        stamp = self._stamp()
        if stamp <= self._last_stamp:
            return []
        self._last_stamp = stamp
        try:
            quotes = self.source.quotes()
        except SourceError as error:
            self._failures.inc()
            _LOG.warning("source failed", source=self.source.name, error=str(error))
            return []
        # The source's answer took a while; what is signed is the price at the moment asked for.
        signed = [
            report
            for symbol, market in self.markets.items()
            if (report := self._sign(symbol, market, quotes.get(symbol), stamp)) is not None
        ]
        if signed:
            self._rounds.append(signed)
        return signed

    def _stamp(self) -> int:
        return int(self._clock()) // self.interval_seconds * self.interval_seconds

    def _sign(
        self, symbol: str, market: int, quote: Quote | None, stamp: int
    ) -> SignedPrice | None:
        refusal = "source has none"
        if quote is not None:
            refusal = self._guard.refusal(symbol, quote, stamp)
        if quote is None or refusal:
            self._refused.labels(symbol, refusal).inc()
            _LOG.warning("not signed", symbol=symbol, reason=refusal)
            return None
        self._signed.labels(symbol).inc()
        self._price.labels(symbol).set(quote.price / WAD)
        return sign_price(self._domain, market, quote.price, stamp, self._signer)

    def run(self, stop: threading.Event) -> None:
        """Sign at every multiple of the interval until `stop` is set."""
        _LOG.info("publishing", publisher=self.address, source=self.source.name)
        while not stop.is_set():
            self.tick()
            now = self._clock()
            stop.wait(self.interval_seconds - now % self.interval_seconds)
        _LOG.info("stopped", publisher=self.address)

    # Pages

    def reports(self) -> tuple[int, dict[str, Any]]:
        """`GET /reports`: the last rounds, newest first; whole numbers as strings."""
        return 200, {
            "publisher": self.address,
            "chain_id": self._domain.chain_id,
            "oracle": self._domain.contract,
            "reports": [
                {
                    "market": report.market,
                    "price": str(report.price),
                    "timestamp": report.timestamp,
                    "signature": "0x" + report.signature.hex(),
                }
                for signed in reversed(list(self._rounds))
                for report in signed
            ],
        }

    def health(self) -> tuple[int, dict[str, Any]]:
        """`GET /health`: 200 while rounds are signed, 503 when the last one is too old."""
        newest = list(self._rounds)[-1] if self._rounds else []
        signed_at = newest[0].timestamp if newest else 0
        is_well = self._stamp() - signed_at <= 5 * self.interval_seconds
        return 200 if is_well else 503, {
            "publisher": self.address,
            "is_well": is_well,
            "signed_at": signed_at,
            "markets": len(newest),
        }

    def pages(self) -> dict[str, Any]:
        """What it serves, by path."""
        return {"/reports": self.reports, "/health": self.health}
