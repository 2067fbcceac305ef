"""Price files that publishers replay: a calm in which people trade, a crash, and what comes after.

A crash is followed by a calm, or, without an end, by its own prices backwards and forwards again.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from ballast.scenario import HEADER, Candle, Scenario

CANDLE_SECONDS = 60
DRIFTS_BPS = (0, 40, 80, 40, -40, -80, -40, 0)
"""How far from the crash's first price the calm before it strays: entries in several ticks."""
WAD = 10**18


def write(path: Path, crash: Scenario, before_seconds: int, after_seconds: int) -> None:
    """A price file of the crash with calms of so many seconds of the file's own time."""
    after = [
        _flat(last, last.end + number * CANDLE_SECONDS, last.close)
        for last in _ends(crash)
        for number in range(max(1, after_seconds // CANDLE_SECONDS))
    ]
    _save(path, [*_calm(crash, before_seconds), *crash.candles, *after])


def write_endless(path: Path, crash: Scenario, before_seconds: int, seconds: int) -> None:
    """A price file of a calm, then of the crash forwards and backwards, by turns, for at least as
    many seconds."""
    length, candles = crash.end - crash.start, _calm(crash, before_seconds)
    for turn in range(-(-seconds // length)):
        shift = turn * length
        for c in crash.candles:
            if turn % 2:
                start = crash.start + (crash.end - c.end) + shift
                candles.append(replace(c, start=start, open=c.close, close=c.open))
            else:
                candles.append(replace(c, start=c.start + shift))
    _save(path, candles)


def _calm(crash: Scenario, seconds: int) -> list[Candle]:
    """Candles that end where the crash begins."""
    count, made = max(1, seconds // CANDLE_SECONDS), []
    for first in _firsts(crash):
        for number in range(count):
            drift = DRIFTS_BPS[number * len(DRIFTS_BPS) // count]
            start = crash.start - (count - number) * CANDLE_SECONDS
            made.append(_flat(first, start, first.open * (10_000 + drift) // 10_000))
    return made


def _flat(like: Candle, start: int, price: int) -> Candle:
    return replace(
        like, start=start, seconds=CANDLE_SECONDS, open=price, high=price, low=price, close=price
    )


def _firsts(crash: Scenario) -> list[Candle]:
    return [min(_of(crash, coin), key=lambda c: c.start) for coin in crash.coins]


def _ends(crash: Scenario) -> list[Candle]:
    return [max(_of(crash, coin), key=lambda c: c.start) for coin in crash.coins]


def _of(crash: Scenario, coin: str) -> list[Candle]:
    return [candle for candle in crash.candles if candle.coin == coin]


def _save(path: Path, candles: Iterable[Candle]) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(HEADER)
        for c in candles:
            time = datetime.fromtimestamp(c.start, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            prices = (str(Decimal(price) / WAD) for price in (c.open, c.high, c.low, c.close))
            rows.writerow([time, c.coin, f"{c.seconds}s", *prices])
