"""The price file of a testnet run: the crash as it was, between two calms."""

from __future__ import annotations

from pathlib import Path

from ballast import scenario
from ballast.testnet import prices


def test_the_crash_stands_between_two_calms(tmp_path: Path) -> None:
    crash, file = scenario.read(), tmp_path / "prices.csv"
    prices.write(file, crash, 1_200, 600)
    told = scenario.read(file)
    assert told.start == crash.start - 1_200
    assert told.end == crash.end + 600
    assert all(not told.holes(coin) for coin in told.coins)
    steps = {step.timestamp: step.prices for step in told.steps()}
    for step in crash.steps():
        assert step.prices.items() <= steps[step.timestamp].items()
    first = {candle.coin: candle.open for candle in reversed(crash.candles)}
    for time, seen in steps.items():
        if time < crash.start:
            for coin, price in seen.items():
                assert abs(price - first[coin]) * 10_000 <= max(prices.DRIFTS_BPS) * first[coin]


def test_a_calm_has_at_least_one_candle(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    prices.write(file, scenario.read(), 0, 0)
    assert scenario.read(file).start == scenario.read().start - prices.CANDLE_SECONDS


def test_endless_prices_turn_round_without_a_step(tmp_path: Path) -> None:
    crash, file = scenario.read(), tmp_path / "prices.csv"
    length = crash.end - crash.start
    prices.write_endless(file, crash, 600, 3 * length)
    told = scenario.read(file)
    assert (told.start, told.end) == (crash.start - 600, crash.end + 2 * length)
    assert all(not told.holes(coin) for coin in told.coins)
    for coin in told.coins:
        own = sorted((c for c in told.candles if c.coin == coin), key=lambda c: c.start)
        there = [c for c in own if crash.start <= c.start < crash.end]
        back = [c for c in own if crash.end <= c.start < crash.end + length]
        assert [(c.open, c.close) for c in back] == [(c.close, c.open) for c in reversed(there)]
        assert there[-1].close == back[0].open
        assert back[-1].close == own[-len(there)].open
