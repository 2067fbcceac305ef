"""The collector: gathers M of N signed prices and brings them on chain when it is time to.

A report is due where the oracle has no price yet, where one waits at the breaker (the second report
in a later block confirms or drops it), where the price has moved, and at the heartbeat. Publishers
that lie are outvoted or left out, those that lag or stop are passed over; with fewer than M left
nothing is sent, and the market goes stale on chain, as it should.

Reports carry no nonce: their time is one. A report has to be newer than any the oracle has seen.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from ballast.client import Ballast
from ballast.config import WAD
from ballast.errors import BallastError, ConfigError, Reverted, SourceError
from ballast.publish.choice import Choice, OnChain, choose, due
from ballast.publish.offers import Offers, Pages
from ballast.publish.sources import Clock
from ballast.signing import combine

MAX_REPORTS = 16
PENDING = 2
RULES_SECONDS = 60
LONGEST_PAUSE_SECONDS = 30
# Gas of `report_prices`, bounded from above: a test compares.
GAS_CALL, GAS_REPORT, GAS_SIGNATURE = 60_000, 70_000, 15_000
_LOG = structlog.get_logger("collector")

Submit = Callable[[bytes, int], str]
"""Sends call data to the oracle with a gas limit and waits for it; the transaction's hash.

Raises `Reverted` where the contract refuses, `BallastError` where it could not be sent.
"""


@dataclass(frozen=True)
class Terms:
    """When a report is due, and what does not belong in one.

    `heartbeat_seconds` None: a third of each market's maximal age. A price more than
    `outlier_bps` off the median is left out while M others remain.
    """

    deviation_bps: int = 10
    heartbeat_seconds: int | None = None
    outlier_bps: int = 200
    interval_seconds: float = 2.0
    timeout_seconds: float = 2.0

    def __post_init__(self) -> None:
        if self.deviation_bps < 1 or self.outlier_bps < 1 or self.interval_seconds <= 0:
            raise ConfigError("deviation, outlier bound and interval have to be above zero")


@dataclass(frozen=True)
class _Rules:
    """What the oracle asks for."""

    publishers: set[str]
    threshold: int
    max_age_seconds: dict[int, int]


class Collector:
    """Keeps the signed oracle of one deployment supplied. `submit` sends."""

    def __init__(
        self,
        ballast: Ballast,
        urls: Sequence[str],
        submit: Submit,
        terms: Terms = Terms(),
        clock: Clock = time.time,
    ) -> None:
        if not urls:
            raise ConfigError("no publisher named: nothing to collect from")
        self._ballast, self._submit, self._terms, self._clock = ballast, submit, terms, clock
        self._symbols = self._signed_markets()
        self._pages = Pages(urls, terms.timeout_seconds)
        self._offers = Offers(ballast.report_domain, self._symbols)
        self._rules = self._read_rules()
        self._rules_at = clock()
        self._one_by_one = False
        self._fresh: dict[int, bool] = {}
        self._judged: dict[str, str] = {}
        self._ticked_at = 0.0
        for market, age in self._rules.max_age_seconds.items():
            if self._heartbeat(market) >= age:
                raise ConfigError(
                    f"{self._symbols[market]}: a heartbeat of {self._heartbeat(market)} s lets the "
                    f"price go stale, which it does after {age} s"
                )
        if len(urls) < self._rules.threshold:
            _LOG.warning(
                "too few publishers named", named=len(urls), threshold=self._rules.threshold
            )
        self.metrics = CollectorRegistry()
        self._sent = self._counter("reports_sent", "Reports brought on chain", "symbol", "why")
        self._refused = self._counter("offers_refused", "Offers that do not count", "page")
        self._outliers = self._counter("outliers", "Prices left out or outvoted", "publisher")
        self._silent = self._counter("pages_failed", "Pages without answer", "page")
        self._failures = self._counter("failures", "Rounds that failed, by what", "what")
        self._age = self._gauge("price_age_seconds", "Age of the price on chain", "symbol")
        self._price = self._gauge("price", "Price on chain", "symbol")
        self._signers = self._gauge("signatures", "Signatures in the last report", "symbol")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"ballast_collector_{name}", text, labels, registry=self.metrics)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"ballast_collector_{name}", text, labels, registry=self.metrics)

    # The chain

    def _signed_markets(self) -> dict[int, str]:
        """Symbols of the markets whose price is this oracle's."""
        found = {}
        for symbol, market in self._ballast.markets.items():
            params = self._ballast.clearinghouse.view.market_params(market)
            if params.oracle == self._ballast.oracle.address:
                found[market] = symbol
        if not found:
            raise ConfigError("no market of this deployment takes its price from signed reports")
        return found

    def _read_rules(self) -> _Rules:
        oracle = self._ballast.oracle.view
        ages = {market: oracle.market_parameters(market)[0] for market in self._symbols}
        return _Rules(set(oracle.publishers()), oracle.threshold(), ages)

    def _on_chain(self, market: int) -> OnChain:
        oracle = self._ballast.oracle.view
        try:
            price, timestamp, status = oracle.observe(market)
        except Reverted as error:
            if error.reason != "oracle: no price":
                raise
            return OnChain()
        waiting = oracle.pending(market) if status & PENDING else (0, 0)
        return OnChain(price, timestamp, *waiting)

    def _heartbeat(self, market: int) -> int:
        return self._terms.heartbeat_seconds or self._rules.max_age_seconds[market] // 3

    # A round

    def tick(self) -> int:
        """Read the pages and bring on chain what is due; the number of reports that were sent.

        Raises `BallastError` where the chain does not answer or refuses.
        """
        now = self._clock()
        if now - self._rules_at >= RULES_SECONDS:
            self._rules, self._rules_at = self._read_rules(), now
        # The block decides how old a report is, and its clock may be ahead of ours.
        block_time = max(int(now), self._ballast.chain.timestamp)
        oldest = block_time - max(self._rules.max_age_seconds.values())
        self._offers.forget(oldest)
        self._read_pages(oldest, int(now))
        due_now: list[tuple[int, str, Choice]] = []
        for market, symbol in self._symbols.items():
            known = self._on_chain(market)
            self._show(market, known, block_time)
            choice = self._choice(market, known, block_time, int(now))
            if choice is None:
                continue
            why = due(
                known,
                choice.price,
                block_time,
                self._heartbeat(market),
                self._terms.deviation_bps,
            )
            if why:
                due_now.append((market, why, choice))
                for offer in choice.outliers:
                    self._outliers.labels(offer.publisher).inc()
                    _LOG.warning(
                        "outlier",
                        symbol=symbol,
                        publisher=offer.publisher,
                        price=offer.price / WAD,
                        median=choice.price / WAD,
                    )
        self._ticked_at = now
        return self._send(due_now)

    def _read_pages(self, oldest: int, now: int) -> None:
        for url, page in self._pages.read():
            if isinstance(page, SourceError):
                self._silent.labels(url).inc()
                self._judge(url, "no answer", str(page))
                continue
            reasons = self._offers.add(page, self._rules.publishers, oldest, now)
            self._refused.labels(url).inc(len(reasons))
            self._judge(url, *(["offers refused", reasons[0]] if reasons else ["", ""]))

    def _judge(self, url: str, what: str, reason: str) -> None:
        """Say what is wrong with a page when that changes, not at every look."""
        if what != self._judged.get(url, ""):
            _LOG.warning(what or "page is well again", page=url, reason=reason)
        self._judged[url] = what

    def _choice(self, market: int, known: OnChain, block_time: int, now: int) -> Choice | None:
        # One interval's margin: the report has to be young enough still when it is mined.
        age = self._rules.max_age_seconds[market] - int(self._terms.interval_seconds)
        return choose(
            self._offers.of(market),
            self._rules.threshold,
            known.seen,
            block_time - age,
            now,
            self._terms.outlier_bps,
        )

    def _show(self, market: int, known: OnChain, block_time: int) -> None:
        symbol, age = self._symbols[market], block_time - known.timestamp
        is_fresh = known.price != 0 and age <= self._rules.max_age_seconds[market]
        if known.price != 0:
            self._price.labels(symbol).set(known.price / WAD)
            self._age.labels(symbol).set(age)
            if is_fresh != self._fresh.get(market, is_fresh):
                said = "fresh again" if is_fresh else "stale"
                _LOG.warning(said, symbol=symbol, age_seconds=age)
        self._fresh[market] = is_fresh

    def _send(self, chosen: list[tuple[int, str, Choice]]) -> int:
        """Send the reports together; after a refusal one by one, since one bad report stops all."""
        size = 1 if self._one_by_one else MAX_REPORTS
        refusal: Reverted | None = None
        sent = 0
        for start in range(0, len(chosen), size):
            batch = chosen[start : start + size]
            try:
                self._send_batch(batch)
            except Reverted as error:
                refusal = error
                continue
            sent += len(batch)
        self._one_by_one = refusal is not None
        if refusal is not None:
            raise refusal
        return sent

    def _send_batch(self, batch: list[tuple[int, str, Choice]]) -> None:
        reports = [combine(choice.taken).as_tuple() for _, _, choice in batch]
        signatures = sum(len(choice.taken) for _, _, choice in batch)
        gas = GAS_CALL + GAS_REPORT * len(batch) + GAS_SIGNATURE * signatures
        transaction = self._submit(self._ballast.oracle.data.report_prices(reports), gas)
        for market, why, choice in batch:
            symbol = self._symbols[market]
            self._sent.labels(symbol, why).inc()
            self._signers.labels(symbol).set(len(choice.taken))
            _LOG.info(
                "reported",
                symbol=symbol,
                why=why,
                price=choice.price / WAD,
                signatures=len(choice.taken),
                transaction=transaction,
            )

    # Running

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; failures are logged, counted and waited out."""
        _LOG.info("collecting", markets=sorted(self._symbols.values()), **vars(self._terms))
        pause = self._terms.interval_seconds
        while not stop.is_set():
            try:
                self.tick()
                pause = self._terms.interval_seconds
            except BallastError as error:
                self._failures.labels(type(error).__name__).inc()
                _LOG.error("round failed", error=str(error), kind=type(error).__name__)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            stop.wait(pause)
        self._pages.close()
        _LOG.info("stopped")

    def health(self) -> tuple[int, dict[str, Any]]:
        """`GET /health`: 200 while rounds succeed and every market is fresh, 503 otherwise."""
        longest = self._terms.interval_seconds + self._terms.timeout_seconds
        is_ticking = self._clock() - self._ticked_at <= 5 * longest
        fresh = {self._symbols[market]: known for market, known in self._fresh.items()}
        is_well = is_ticking and bool(fresh) and all(fresh.values())
        return 200 if is_well else 503, {
            "is_well": is_well,
            "ticked_at": int(self._ticked_at),
            "fresh": fresh,
        }

    def pages(self) -> dict[str, Any]:
        """What it serves, by path."""
        return {"/health": self.health}
