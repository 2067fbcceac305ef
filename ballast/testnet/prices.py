"""The price file that publishers replay: a calm in which people trade, a crash, a calm after it."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from ballast.scenario import HEADER, Scenario

CANDLE_SECONDS = 60
DRIFTS_BPS = (0, 40, 80, 40, -40, -80, -40, 0)
"""How far from the crash's first price the calm before it strays: entries in several ticks."""
WAD = 10**18


def write(path: Path, crash: Scenario, before_seconds: int, after_seconds: int) -> None:
    """Write a price file of the crash with calms of so many seconds of the file's own time."""
    before = max(1, before_seconds // CANDLE_SECONDS)
    after = max(1, after_seconds // CANDLE_SECONDS)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(HEADER)
        for coin in crash.coins:
            own = [candle for candle in crash.candles if candle.coin == coin]
            for number in range(before):
                drift = DRIFTS_BPS[number * len(DRIFTS_BPS) // before]
                price = own[0].open * (10_000 + drift) // 10_000
                start = crash.start - (before - number) * CANDLE_SECONDS
                rows.writerow(_row(start, coin, CANDLE_SECONDS, *[price] * 4))
            for c in own:
                rows.writerow(_row(c.start, coin, c.seconds, c.open, c.high, c.low, c.close))
            for number in range(after):
                start = own[-1].end + number * CANDLE_SECONDS
                rows.writerow(_row(start, coin, CANDLE_SECONDS, *[own[-1].close] * 4))


def _row(start: int, coin: str, seconds: int, *prices: int) -> list[str]:
    """`open, high, low, close` in WAD."""
    time = datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [time, coin, f"{seconds}s", *(str(Decimal(price) / WAD) for price in prices)]
