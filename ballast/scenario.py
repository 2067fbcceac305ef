"""Price files as a time-ordered sequence of reports.

A price file is CSV, `t_utc,coin,interval,open,high,low,close`: any coins, mixed intervals, lines in
any order, holes of any length (no reports then). Each candle gives four prices, a quarter of its
interval apart: open, low, high, close when it rises (or stays), open, high, low, close when it
falls. Prices are quote per base, WAD.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Context, Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path

from ballast.errors import ScenarioError

HEADER = ("t_utc", "coin", "interval", "open", "high", "low", "close")
CRASH_2025_10_10 = Path(__file__).resolve().parent / "data" / "crash_2025_10_10.csv"
POINTS = 4
MAX_PRICE = 2**96 - 1
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_INTERVAL = re.compile(r"^([1-9]\d{0,5})([smhd])$")
_COIN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,31}$")
_EXACT = Context(prec=120)


@dataclass(frozen=True, slots=True)
class Candle:
    """One line of a price file: Unix seconds, seconds, prices WAD."""

    line: int
    coin: str
    start: int
    seconds: int
    open: int
    high: int
    low: int
    close: int

    @property
    def end(self) -> int:
        """The first second after the candle."""
        return self.start + self.seconds

    def points(self) -> list[tuple[int, int]]:
        """Its four prices and their times, in the order the price is taken to have moved."""
        middle = (self.low, self.high) if self.close >= self.open else (self.high, self.low)
        prices = (self.open, *middle, self.close)
        return [(self.start + i * self.seconds // POINTS, price) for i, price in enumerate(prices)]


@dataclass(frozen=True, slots=True)
class Step:
    """A moment with at least one report: Unix seconds, and the prices (WAD) reported then."""

    timestamp: int
    prices: dict[str, int]


@dataclass(frozen=True)
class Scenario:
    """The candles of a price file, ordered by time; see `read`."""

    candles: tuple[Candle, ...]

    @property
    def coins(self) -> list[str]:
        """The coins, in alphabetical order."""
        return sorted({candle.coin for candle in self.candles})

    @property
    def start(self) -> int:
        """The first second."""
        return min(candle.start for candle in self.candles)

    @property
    def end(self) -> int:
        """The first second after the last candle."""
        return max(candle.end for candle in self.candles)

    def longest_interval(self, coin: str) -> int:
        """Seconds of a coin's longest candle; between reports without a hole passes a quarter."""
        return max(candle.seconds for candle in self.candles if candle.coin == coin)

    def holes(self, coin: str) -> list[tuple[int, int]]:
        """Times without candles between a coin's first and last: (first second, first after)."""
        own = [candle for candle in self.candles if candle.coin == coin]
        return [
            (before.end, after.start) for before, after in pairwise(own) if after.start > before.end
        ]

    def steps(self) -> list[Step]:
        """All reports, by time."""
        moments: dict[int, dict[str, int]] = {}
        for candle in self.candles:
            for moment, price in candle.points():
                moments.setdefault(moment, {})[candle.coin] = price
        return [Step(moment, moments[moment]) for moment in sorted(moments)]


def read(path: Path = CRASH_2025_10_10) -> Scenario:
    """Read a price file; without a path, the crash of 10 October 2025.

    Raises `ScenarioError` naming the file and the line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return parse(file, path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path.name}: cannot be read ({error})") from error


def parse(lines: Iterable[str], name: str = "prices") -> Scenario:
    """Read a price file's lines. Raises `ScenarioError` naming the line."""
    candles = list(_candles(lines, name))
    if not candles:
        raise ScenarioError(f"{name}: no candles")
    candles.sort(key=lambda candle: (candle.start, candle.coin))
    last: dict[str, Candle] = {}
    for candle in candles:
        before = last.get(candle.coin)
        if before is not None and before.end > candle.start:
            raise ScenarioError(
                f"{name}, line {candle.line}: overlaps line {before.line} ({candle.coin})"
            )
        last[candle.coin] = candle
    return Scenario(tuple(candles))


def _candles(lines: Iterable[str], name: str) -> Iterator[Candle]:
    reader = csv.reader(lines, strict=True)
    try:
        for row in reader:
            where = f"{name}, line {reader.line_num}"
            if reader.line_num == 1:
                if tuple(cell.strip() for cell in row) != HEADER:
                    raise ScenarioError(f"{where}: the header must be {','.join(HEADER)}")
            elif any(cell.strip() for cell in row):
                yield _candle([cell.strip() for cell in row], reader.line_num, where)
    except csv.Error as error:
        raise ScenarioError(f"{name}, line {reader.line_num}: {error}") from error


def _candle(row: list[str], line: int, where: str) -> Candle:
    if len(row) != len(HEADER):
        raise ScenarioError(f"{where}: {len(HEADER)} fields expected, got {len(row)}")
    time, coin, interval, *figures = row
    if not _COIN.match(coin):
        raise ScenarioError(f"{where}: {coin!r} is no coin")
    opened, high, low, close = (
        _price(text, field, where) for text, field in zip(figures, HEADER[3:], strict=True)
    )
    if not low <= min(opened, close) <= max(opened, close) <= high:
        raise ScenarioError(f"{where}: open and close do not lie between low and high")
    seconds = _seconds(interval, where)
    return Candle(line, coin, _time(time, where), seconds, opened, high, low, close)


def _seconds(text: str, where: str) -> int:
    match = _INTERVAL.match(text)
    if not match:
        raise ScenarioError(f"{where}: interval {text!r} is not like 30s, 1m, 4h, 1d")
    seconds = int(match[1]) * _UNITS[match[2]]
    if seconds < POINTS:
        raise ScenarioError(f"{where}: interval {text!r} is too short for {POINTS} prices")
    return seconds


def _time(text: str, where: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ScenarioError(f"{where}: {text!r} is no time like 2025-10-10T20:45:00Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment.microsecond or moment.timestamp() <= 0:
        raise ScenarioError(f"{where}: {text!r} is not a whole second after 1970")
    return int(moment.timestamp())


def _price(text: str, field: str, where: str) -> int:
    try:
        scaled = Decimal(text).scaleb(18, _EXACT)
        price = int(scaled)
    except (InvalidOperation, ValueError, OverflowError):
        raise ScenarioError(f"{where}: {field} {text!r} is no price") from None
    if scaled != price:
        raise ScenarioError(f"{where}: {field} {text!r} has more than 18 decimals")
    if not 0 < price <= MAX_PRICE:
        raise ScenarioError(f"{where}: {field} {text!r} is not above 0 and below 2^96 wei")
    return price
