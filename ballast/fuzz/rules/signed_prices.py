"""The pull oracle by the rules of design section 7, apart from `SignedPriceOracle`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from ballast.model.market import PENDING, STALE

BPS = 10_000
PRICE_LIMIT = 2**96
SPREAD_SECONDS = 2
MAX_MARKET = 4_095
MAX_AGE_LIMIT = 86_400
MAX_STEP_BPS = 5_000


@dataclass(frozen=True, slots=True)
class Quoted:
    """One publisher's word in a report. `signer` is whose signature it is, "" for nobody's."""

    signer: str
    price: int
    timestamp: int


@dataclass(frozen=True, slots=True)
class Report:
    """A report of one market, as it is sent. `lengths`: how many prices and times go with it."""

    market: int
    quotes: tuple[Quoted, ...]
    lengths: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A report beyond the bound that waits for another; `block` is that of the first."""

    price: int
    timestamp: int
    block: int


@dataclass(slots=True)
class Market:
    """What is in force and what waits. A price of 0: never had one."""

    max_age_seconds: int
    step_bps: int
    price: int = 0
    timestamp: int = 0
    waiting: Waiting | None = None

    @property
    def newest(self) -> int:
        """Time of the newest report seen."""
        return self.waiting.timestamp if self.waiting else self.timestamp

    def is_stale(self, now: int) -> bool:
        """Whether the price in force is too old."""
        return now > self.timestamp + self.max_age_seconds

    def take(self, price: int, timestamp: int, block: int) -> None:
        """A report that counts: in force, or waiting."""
        waiting = self.waiting
        if not self.price or self._is_within(price):
            self.price, self.timestamp, self.waiting = price, timestamp, None
        elif waiting is None or self._is_above(waiting.price) != self._is_above(price):
            self.waiting = Waiting(price, timestamp, block)
        else:
            nearer = min(price, waiting.price, key=lambda level: abs(level - self.price))
            if block > waiting.block:
                self.price, self.timestamp, self.waiting = nearer, timestamp, None
            else:
                self.waiting = Waiting(nearer, timestamp, waiting.block)

    def _is_within(self, price: int) -> bool:
        return abs(price - self.price) * BPS <= self.price * self.step_bps

    def _is_above(self, price: int) -> bool:
        return price > self.price


@dataclass
class SignedPrices:
    """The oracle as a whole."""

    publishers: list[str]
    threshold: int
    markets: dict[int, Market] = field(default_factory=dict)

    # Reports

    def submit(self, reports: Sequence[Report], now: int, block: int) -> set[str]:
        """Take a batch, or leave all as it is: then the reasons it may be refused for. A batch is
        read in order, so those of its first bad report."""
        before = {market: replace(its) for market, its in self.markets.items()}
        for report in reports:
            if reasons := self._refusals(report, now):
                self.markets = before
                return reasons
            prices = sorted(quote.price for quote in report.quotes)
            oldest = min(quote.timestamp for quote in report.quotes)
            lower_median = prices[(len(prices) - 1) // 2]
            self.markets[report.market].take(lower_median, oldest, block)
        return set()

    def _refusals(self, report: Report, now: int) -> set[str]:
        quotes, market = report.quotes, self.markets.get(report.market)
        reasons = set()
        if len(quotes) < self.threshold:
            reasons.add("oracle: below threshold")
        if set(report.lengths) != {len(quotes)}:
            return reasons | {"oracle: length mismatch"}
        if market is None:
            reasons.add("oracle: unknown market")
        if any(not 0 < quote.price < PRICE_LIMIT for quote in quotes):
            reasons.add("oracle: price out of range")
        if any(quote.timestamp > now for quote in quotes):
            reasons.add("oracle: from the future")
        if any(quote.signer not in self.publishers for quote in quotes):
            reasons.add("oracle: bad signature")
        if not is_ascending(quote.signer for quote in quotes if quote.signer):
            reasons.add("oracle: signers not ascending")
        times = [quote.timestamp for quote in quotes]
        if times and max(times) - min(times) > SPREAD_SECONDS:
            reasons.add("oracle: spread too wide")
        if times and market is not None:
            if min(times) < now - market.max_age_seconds:
                reasons.add("oracle: too old")
            if min(times) <= market.newest:
                reasons.add("oracle: not newer")
        return reasons

    # The owner

    def set_market(self, market: int, max_age_seconds: int, step_bps: int) -> set[str]:
        """Reasons against it; with none it is done."""
        reasons = set()
        if not 1 <= market <= MAX_MARKET:
            reasons.add("oracle: bad market")
        if not 1 <= max_age_seconds <= MAX_AGE_LIMIT:
            reasons.add("oracle: bad max age")
        if not 1 <= step_bps <= MAX_STEP_BPS:
            reasons.add("oracle: bad step")
        known = self.markets.get(market)
        if known and (known.max_age_seconds, known.step_bps) == (max_age_seconds, step_bps):
            reasons.add("oracle: no change")
        if reasons:
            return reasons
        if known:
            known.max_age_seconds, known.step_bps = max_age_seconds, step_bps
        else:
            self.markets[market] = Market(max_age_seconds, step_bps)
        return reasons

    def set_publishers(self, publishers: Sequence[str], threshold: int) -> set[str]:
        """Reasons against it; with none it is done."""
        reasons = set()
        if not len(publishers) < 2 * threshold <= 2 * len(publishers):
            reasons.add("oracle: bad threshold")
        if not is_ascending(publishers):
            reasons.add("oracle: publishers not ascending")
        if not reasons:
            self.publishers, self.threshold = list(publishers), threshold
        return reasons

    # Views

    def observe(self, market: int, now: int) -> tuple[int, int, int] | str:
        """Price, time and status of what is in force, or why there is none."""
        known = self.markets.get(market)
        if known is None:
            return "oracle: unknown market"
        if not known.price:
            return "oracle: no price"
        status = STALE * known.is_stale(now) | PENDING * (known.waiting is not None)
        return known.price, known.timestamp, status

    def price(self, market: int, now: int) -> tuple[int, int] | str:
        """The same where it may be used: not stale."""
        said = self.observe(market, now)
        if isinstance(said, str):
            return said
        price, timestamp, status = said
        return "oracle: stale" if status & STALE else (price, timestamp)

    def pending(self, market: int) -> tuple[int, int]:
        """Price and time of what waits, zeros if nothing does."""
        waiting = self.markets[market].waiting
        return (waiting.price, waiting.timestamp) if waiting else (0, 0)


def is_ascending(addresses: Iterable[str]) -> bool:
    """Whether addresses are strictly ascending, and none is zero."""
    numbers = [0, *(int(address, 16) for address in addresses)]
    return all(one < two for one, two in pairwise(numbers))
