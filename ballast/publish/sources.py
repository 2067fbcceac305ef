"""Where a publisher's prices come from: a replayed file, a JSON page, the median of several.

Prices are quote per base, WAD; times Unix seconds. A source that cannot answer raises
`SourceError`; one that has nothing for a coin leaves it out.
"""

from __future__ import annotations

import time
import tomllib
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Protocol

import httpx
import structlog

from ballast import scenario
from ballast.errors import ConfigError, ScenarioError, SourceError
from ballast.scenario import Scenario
from ballast.web import http_url, read_json

BPS = 10_000
MAX_PRICE = 2**96 - 1
_EXACT = Context(prec=120)
_LOG = structlog.get_logger("source")

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Quote:
    """A price (WAD), and the time (Unix seconds) at which the source had it."""

    price: int
    timestamp: int


class Source(Protocol):
    """Anything that knows prices."""

    name: str

    def quotes(self) -> dict[str, Quote]:
        """The latest quote of each symbol. Raises `SourceError`."""


class ReplaySource:
    """A price file, played from `start` (Unix seconds) on at `speed` times its own pace.

    Publishers that name the same `start` say the same. A hole in the file, or its end, shows as
    quotes that grow old.
    """

    def __init__(
        self,
        told: Scenario,
        start: float,
        speed: float = 1.0,
        name: str = "replay",
        clock: Clock = time.time,
    ) -> None:
        if speed <= 0:
            raise ConfigError(f"speed: {speed} is not above 0")
        self.name = name
        self._start, self._speed, self._clock = start, speed, clock
        self._first = told.start
        self._times: dict[str, list[int]] = {}
        self._prices: dict[str, list[int]] = {}
        for step in told.steps():
            for coin, price in step.prices.items():
                self._times.setdefault(coin, []).append(step.timestamp)
                self._prices.setdefault(coin, []).append(price)

    def quotes(self) -> dict[str, Quote]:
        """What the file said last, as of now."""
        then = self._first + (self._clock() - self._start) * self._speed
        found = {}
        for coin, times in self._times.items():
            place = bisect_right(times, then) - 1
            if place >= 0:
                said = self._start + (times[place] - self._first) / self._speed
                found[coin] = Quote(self._prices[coin][place], int(said))
        return found


class HttpJsonSource:
    """A JSON page. `paths` maps symbols to where their price is: `data.0.last` is
    `page["data"][0]["last"]`, a number or a decimal string.

    `time_path` is where the page says its time (Unix seconds, or milliseconds with
    `time_in_milliseconds`); without it a quote is as old as the answer.
    """

    def __init__(
        self,
        url: str,
        paths: Mapping[str, str],
        timeout_seconds: float = 5.0,
        time_path: str | None = None,
        time_in_milliseconds: bool = False,
        clock: Clock = time.time,
    ) -> None:
        self.name = http_url(url, "source").host  # the rest may hold a key
        self._url, self._paths, self._clock = url, dict(paths), clock
        self._timeout_seconds = timeout_seconds
        self._time_path = time_path
        self._ticks = 1_000 if time_in_milliseconds else 1
        self._client = httpx.Client(follow_redirects=False)

    def quotes(self) -> dict[str, Quote]:
        """The page's prices. Raises `SourceError`."""
        now = int(self._clock())
        page = read_json(
            self._client, self._url, self.name, self._timeout_seconds, parse_float=Decimal
        )
        when = now
        if self._time_path is not None:
            when = int(_number(_at(page, self._time_path, self.name), self.name)) // self._ticks
        return {
            symbol: Quote(wad(_at(page, path, self.name), self.name), min(when, now))
            for symbol, path in self._paths.items()
        }


class MedianSource:
    """The lower median of several sources, symbol by symbol, at the oldest of their times.

    Quotes older than `max_age_seconds` do not count, nor do those further than `max_spread_bps`
    from the median; a symbol with fewer than `minimum` left is left out.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        minimum: int,
        max_spread_bps: int,
        max_age_seconds: int,
        clock: Clock = time.time,
    ) -> None:
        if not 1 <= minimum <= len(sources):
            raise ConfigError(f"minimum: {minimum} of {len(sources)} sources cannot be had")
        self.name = f"median of {len(sources)}"
        self._sources, self._minimum, self._clock = list(sources), minimum, clock
        self._max_spread_bps, self._max_age_seconds = max_spread_bps, max_age_seconds

    def quotes(self) -> dict[str, Quote]:
        """The medians. Raises `SourceError` where too few sources answer."""
        told: dict[str, list[Quote]] = {}
        answered = 0
        for source in self._sources:
            try:
                quotes = source.quotes()
            except SourceError as error:
                _LOG.warning("source failed", source=source.name, error=str(error))
                continue
            answered += 1
            for symbol, quote in quotes.items():
                told.setdefault(symbol, []).append(quote)
        if answered < self._minimum:
            raise SourceError(f"{answered} of {len(self._sources)} sources answer")
        found = {}
        for symbol, quotes_ in told.items():
            middle = self._middle(quotes_)
            if middle is None:
                _LOG.warning("sources disagree", symbol=symbol, quotes=len(quotes_))
            else:
                found[symbol] = middle
        return found

    def _middle(self, quotes: list[Quote]) -> Quote | None:
        oldest = self._clock() - self._max_age_seconds
        fresh = [quote for quote in quotes if quote.timestamp >= oldest]
        if len(fresh) < self._minimum:
            return None
        middle = lower_median([quote.price for quote in fresh])
        near = [
            quote
            for quote in fresh
            if abs(quote.price - middle) * BPS <= middle * self._max_spread_bps
        ]
        if len(near) < self._minimum:
            return None
        price = lower_median([quote.price for quote in near])
        return Quote(price, min(quote.timestamp for quote in near))


def lower_median(prices: Sequence[int]) -> int:
    """The median, the lower one of two: the contract's."""
    return sorted(prices)[(len(prices) - 1) // 2]


def wad(value: Any, name: str) -> int:
    """A number or decimal string as WAD, rounded down. Raises `SourceError`."""
    price = int(_number(value, name).scaleb(18, _EXACT))
    if not 0 < price <= MAX_PRICE:
        raise SourceError(f"{name}: {value!r} is not above 0 and below 2^96 wei")
    return price


def _number(value: Any, name: str) -> Decimal:
    try:
        if isinstance(value, bool):
            raise ValueError("a truth value")
        number = Decimal(value)
    except (InvalidOperation, TypeError, ValueError) as error:
        raise SourceError(f"{name}: {value!r} is no number") from error
    if not number.is_finite() or number.adjusted() > 60:
        raise SourceError(f"{name}: {value!r} is no number")
    return number


def _at(page: Any, path: str, name: str) -> Any:
    found = page
    for part in path.split("."):
        try:
            found = found[int(part)] if isinstance(found, list) else found[part]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise SourceError(f"{name}: the page has nothing at {path!r}") from error
    return found


# The file that names sources


@dataclass(frozen=True)
class _Http:
    url: str
    prices: dict[str, str]
    timeout_seconds: float = 5.0
    time_path: str | None = None
    time_in_milliseconds: bool = False


@dataclass(frozen=True)
class _Replay:
    file: str
    start: float | None = None
    speed: float = 1.0


@dataclass(frozen=True)
class _File:
    source: list[dict[str, Any]] = field(default_factory=list)
    minimum: int = 1
    max_spread_bps: int = 200
    max_age_seconds: int = 30


def load(path: Path, clock: Clock = time.time) -> Source:
    """The source a TOML file describes (docs/PUBLISHING.md). Raises `ConfigError`."""
    try:
        asked = _File(**tomllib.loads(path.read_text()))
        sources = [_source(entry, path.parent, clock) for entry in asked.source]
    except (OSError, tomllib.TOMLDecodeError, TypeError, ScenarioError) as error:
        raise ConfigError(f"{path.name}: {error}") from error
    if not sources:
        raise ConfigError(f"{path.name}: no [[source]]")
    if len(sources) == 1:
        return sources[0]
    return MedianSource(sources, asked.minimum, asked.max_spread_bps, asked.max_age_seconds, clock)


def replay(file: Path, start: float | None, speed: float, clock: Clock = time.time) -> ReplaySource:
    """A price file played from `start` on, by default from now. Raises `ScenarioError`."""
    began = clock() if start is None else start
    return ReplaySource(scenario.read(file), began, speed, file.name, clock)


def _source(entry: dict[str, Any], folder: Path, clock: Clock) -> Source:
    fields = dict(entry)
    kind = fields.pop("kind", None)
    if kind == "http":
        http = _Http(**fields)
        return HttpJsonSource(
            http.url,
            http.prices,
            http.timeout_seconds,
            http.time_path,
            http.time_in_milliseconds,
            clock,
        )
    if kind == "replay":
        asked = _Replay(**fields)
        return replay(folder / asked.file, asked.start, asked.speed, clock)
    raise ConfigError(f"source: kind {kind!r} is neither 'http' nor 'replay'")
