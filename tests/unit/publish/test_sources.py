"""Where prices come from: replayed files, JSON pages over real HTTP, and medians."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from ballast import scenario
from ballast.errors import ConfigError, ScenarioError, SourceError
from ballast.publish.sources import (
    HttpJsonSource,
    MedianSource,
    Quote,
    ReplaySource,
    load,
    lower_median,
    wad,
)
from ballast.web import serving

WAD = 10**18
LINES = [
    "t_utc,coin,interval,open,high,low,close",
    "2025-10-10T20:00:00Z,BTC,1m,100,120,90,110",
    "2025-10-10T20:10:00Z,BTC,1m,50,50,50,50",
    "2025-10-10T20:00:30Z,ETH,1m,4,4,4,4",
]


class Told:
    """A source that says what it is told."""

    def __init__(self, name: str, quotes: dict[str, Quote] | None) -> None:
        self.name = name
        self._quotes = quotes

    def quotes(self) -> dict[str, Quote]:
        if self._quotes is None:
            raise SourceError(f"{self.name} is down")
        return self._quotes


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_replay_keeps_the_files_pace() -> None:
    clock = Clock(1_000)
    source = ReplaySource(scenario.parse(LINES), start=1_000, speed=10, clock=clock)
    assert source.quotes() == {"BTC": Quote(100 * WAD, 1_000)}
    clock.now = 1_003  # half a minute of the file
    assert source.quotes() == {"BTC": Quote(120 * WAD, 1_003), "ETH": Quote(4 * WAD, 1_003)}
    clock.now = 1_059  # in the hole: as old as it is
    assert source.quotes()["BTC"] == Quote(110 * WAD, 1_004)
    clock.now = 1_060
    assert source.quotes()["BTC"] == Quote(50 * WAD, 1_060)
    clock.now = 9_000  # the file is over
    assert source.quotes()["BTC"].timestamp == 1_064


def test_replay_has_not_begun() -> None:
    clock = Clock(999)
    assert ReplaySource(scenario.parse(LINES), start=1_000, clock=clock).quotes() == {}
    with pytest.raises(ConfigError, match="speed"):
        ReplaySource(scenario.parse(LINES), start=0, speed=0)


@pytest.fixture
def url() -> Iterator[str]:
    pages: dict[str, Any] = {
        "/good": (200, {"t": 1_500_000, "data": [{"last": "100.5"}, {"last": 4.1}]}),
        "/zero": (200, {"data": [{"last": 0}, {"last": 1}]}),
        "/words": (200, {"data": [{"last": "much"}, {"last": 1}]}),
        "/nan": (200, {"data": [{"last": "NaN"}, {"last": 1}]}),
        "/other": (200, {"prices": 1}),
        "/broken": (500, {}),
        "/large": (200, ["x" * (1 << 20)]),
    }
    served = {path: (lambda page=page: page) for path, page in pages.items()}
    with serving(served, CollectorRegistry(), 0) as at:
        yield at


PATHS = {"BTC": "data.0.last", "ETH": "data.1.last"}


def test_http_json(url: str) -> None:
    source = HttpJsonSource(f"{url}/good", PATHS, clock=Clock(2_000))
    # Decimals are not read as floats: 4.1 is 4.1.
    assert source.quotes() == {
        "BTC": Quote(1005 * WAD // 10, 2_000),
        "ETH": Quote(41 * WAD // 10, 2_000),
    }
    timed = HttpJsonSource(
        f"{url}/good", PATHS, time_path="t", time_in_milliseconds=True, clock=Clock(2_000)
    )
    assert timed.quotes()["BTC"].timestamp == 1_500


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("zero", "is not above 0"),
        ("words", "'much' is no number"),
        ("nan", "'NaN' is no number"),
        ("other", "nothing at 'data.0.last'"),
        ("broken", "answered 500"),
        ("large", "more than 1,048,576 bytes"),
    ],
)
def test_http_json_refuses(url: str, page: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        HttpJsonSource(f"{url}/{page}", PATHS).quotes()


def test_http_json_without_answer(url: str) -> None:
    with pytest.raises(SourceError, match="ConnectError"):
        HttpJsonSource("http://127.0.0.1:1/x", PATHS, timeout_seconds=1).quotes()


def median(*prices: int | None, minimum: int = 2, now: int = 100) -> MedianSource:
    quotes = [None if p is None else {"BTC": Quote(p * WAD, 95 + i)} for i, p in enumerate(prices)]
    told = [Told(f"source {i}", quote) for i, quote in enumerate(quotes)]
    return MedianSource(told, minimum, 200, 30, Clock(now))


def test_median_leaves_liars_out() -> None:
    assert median(100, 101, 50).quotes() == {"BTC": Quote(100 * WAD, 95)}
    assert median(100, 101, None).quotes() == {"BTC": Quote(100 * WAD, 95)}


def test_median_of_too_few() -> None:
    assert median(100, 110).quotes() == {}  # they disagree
    with pytest.raises(SourceError, match="1 of 3 sources answer"):
        median(100, None, None).quotes()
    with pytest.raises(ConfigError, match="3 of 2"):
        median(1, 2, minimum=3)


def test_median_of_old_quotes() -> None:
    assert median(100, 101, 102, now=125).quotes()["BTC"] == Quote(101 * WAD, 95)
    assert median(100, 101, 102, now=126).quotes()["BTC"] == Quote(101 * WAD, 96)
    assert median(100, 101, 102, now=128).quotes() == {}


def test_lower_median_and_wad() -> None:
    assert [lower_median(p) for p in ([3], [3, 1], [3, 1, 2], [4, 1, 2, 3])] == [3, 1, 2, 2]
    assert wad("0.0000000000000000019", "x") == 1
    for bad in ("-1", True, None, "1e99", 2**96):
        with pytest.raises(SourceError):
            wad(bad, "x")


def test_file_of_sources(url: str, tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("\n".join(LINES))
    http = f'[[source]]\nkind = "http"\nurl = "{url}/good"\nprices = {{ BTC = "data.0.last" }}\n'
    replayed = '[[source]]\nkind = "replay"\nfile = "prices.csv"\nstart = 2000\n'
    file = tmp_path / "sources.toml"
    file.write_text(f"minimum = 2\n{http}{replayed}")
    assert load(file, Clock(2_001)).quotes() == {"BTC": Quote(100 * WAD, 2_000)}
    file.write_text(http)
    assert load(file, Clock(2_001)).name == "127.0.0.1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no \\[\\[source\\]\\]"),
        ("speed = 1", "speed"),
        ("[[source]]\nkind = 'oracle'", "neither 'http' nor 'replay'"),
        ("[[source]]\nkind = 'http'", "missing 2 required"),
        ("[[source]]\nkind = 'http'\nurl = 'http://[::1'\nprices = {}", "source's address is none"),
        ("[[source]]\nkind = 'http'\nurl = 'file:///x'\nprices = {}", "has to begin with https"),
        ("[[source]]\nkind = 'replay'\nfile = 'none.csv'", "none.csv"),
        ("[[", "sources.toml"),
    ],
)
def test_bad_file_of_sources(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "sources.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words):
        load(file)
    with pytest.raises(ScenarioError):
        scenario.read(tmp_path / "none.csv")
