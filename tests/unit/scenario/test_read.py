"""Price files: what they give, and errors that name the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from ballast import scenario
from ballast.errors import ScenarioError
from ballast.scenario import Step

HEADER = "t_utc,coin,interval,open,high,low,close"
WAD = 10**18
T0 = 1_760_128_200  # 2025-10-10T20:30:00Z


def parse(*lines: str) -> scenario.Scenario:
    return scenario.parse([HEADER, *lines])


def test_rising_candle_goes_low_first() -> None:
    found = parse("2025-10-10T20:30:00Z,BTC,1m,100,120.5,90,110").steps()
    prices = [100 * WAD, 90 * WAD, 1205 * WAD // 10, 110 * WAD]
    assert found == [Step(T0 + 15 * i, {"BTC": price}) for i, price in enumerate(prices)]


def test_falling_candle_goes_high_first() -> None:
    found = parse("2025-10-10T20:30:00Z,BTC,1m,110,120,90,100").steps()
    assert [step.prices["BTC"] // WAD for step in found] == [110, 120, 90, 100]


def test_candle_that_ends_where_it_began_goes_low_first() -> None:
    found = parse("2025-10-10T20:30:00Z,BTC,1m,100,120,90,100").steps()
    assert [step.prices["BTC"] // WAD for step in found] == [100, 90, 120, 100]


def test_mixed_intervals_share_the_moments_they_have_in_common() -> None:
    made = parse(
        "2025-10-10T20:30:00Z,ETH,5m,10,10,10,10",
        "2025-10-10T20:30:00Z,BTC,1m,100,100,100,100",
        "2025-10-10T20:31:00Z,BTC,1m,100,100,100,100",
    )
    coins = {step.timestamp - T0: sorted(step.prices) for step in made.steps()}
    assert coins == {
        0: ["BTC", "ETH"],
        15: ["BTC"],
        30: ["BTC"],
        45: ["BTC"],
        60: ["BTC"],
        75: ["BTC", "ETH"],
        90: ["BTC"],
        105: ["BTC"],
        150: ["ETH"],
        225: ["ETH"],
    }
    assert made.coins == ["BTC", "ETH"]
    assert (made.start, made.end) == (T0, T0 + 300)
    assert (made.longest_interval("BTC"), made.longest_interval("ETH")) == (60, 300)


def test_hole_of_hours_has_no_steps() -> None:
    made = parse(
        "2025-10-10T20:30:00Z,BTC,1h,100,100,100,100",
        "2025-10-11T02:30:00Z,BTC,1h,90,90,90,90",
    )
    assert made.holes("BTC") == [(T0 + 3_600, T0 + 6 * 3_600)]
    assert [step.timestamp - T0 for step in made.steps()][3:5] == [2_700, 6 * 3_600]


def test_lines_may_come_in_any_order_with_blank_lines_and_offsets() -> None:
    later, sooner = (
        "2025-10-10T20:31:00Z,BTC,1m,2,2,2,2",
        "2025-10-10T22:30:00+02:00,BTC,1m,1,1,1,1",
    )
    assert [candle.open // WAD for candle in parse(later, "", sooner).candles] == [1, 2]


def test_default_file_is_the_crash() -> None:
    made = scenario.read()
    assert made.coins == ["BTC", "ETH", "SOL"]
    prices = [step.prices["BTC"] for step in made.steps() if "BTC" in step.prices]
    assert min(prices) == 1_015_165 * WAD // 10
    assert len(made.steps()) == 240
    assert all(made.holes(coin) == [] for coin in made.coins)


GOOD = "2025-10-10T20:30:00Z,BTC,1m,100,120,90,110"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2025-10-10T20:31:00Z,BTC,1m,100,120,90", "7 fields expected, got 6"),
        ("2025-10-10T20:31:00Z,BTC,1m,100,120,90,110,5", "7 fields expected, got 8"),
        ("yesterday,BTC,1m,100,120,90,110", "'yesterday' is no time"),
        ("2025-13-10T20:31:00Z,BTC,1m,100,120,90,110", "is no time"),
        ("2025-10-10T20:31:00.5Z,BTC,1m,100,120,90,110", "not a whole second"),
        ("1969-10-10T20:31:00Z,BTC,1m,100,120,90,110", "after 1970"),
        ("2025-10-10T20:31:00Z,,1m,100,120,90,110", "'' is no coin"),
        ("2025-10-10T20:31:00Z,B C,1m,100,120,90,110", "'B C' is no coin"),
        ("2025-10-10T20:31:00Z,BTC,1,100,120,90,110", "interval '1'"),
        ("2025-10-10T20:31:00Z,BTC,0m,100,120,90,110", "interval '0m'"),
        ("2025-10-10T20:31:00Z,BTC,3s,100,120,90,110", "too short"),
        ("2025-10-10T20:31:00Z,BTC,1m,abc,120,90,110", "open 'abc' is no price"),
        ("2025-10-10T20:31:00Z,BTC,1m,nan,120,90,110", "open 'nan' is no price"),
        ("2025-10-10T20:31:00Z,BTC,1m,Infinity,120,90,110", "open 'Infinity' is no price"),
        ("2025-10-10T20:31:00Z,BTC,1m,100,120,0,110", "low '0' is not above 0"),
        ("2025-10-10T20:31:00Z,BTC,1m,100,120,-5,110", "low '-5' is not above 0"),
        ("2025-10-10T20:31:00Z,BTC,1m,1e40,1e40,90,110", "open '1e40' is not above 0 and below"),
        ("2025-10-10T20:31:00Z,BTC,1m,1e-19,120,1e-19,110", "more than 18 decimals"),
        ("2025-10-10T20:31:00Z,BTC,1m,100,105,90,110", "do not lie between low and high"),
        ("2025-10-10T20:31:00Z,BTC,1m,100,120,101,110", "do not lie between low and high"),
        ("2025-10-10T20:30:30Z,BTC,1m,100,120,90,110", "overlaps line 2 (BTC)"),
        ("2025-10-10T20:30:00Z,BTC,1m,100,120,90,110", "overlaps line 2 (BTC)"),
        ('"2025-10-10T20:31:00Z,BTC,1m,100,120,90,110', "unexpected end of data"),
    ],
)
def test_bad_line_is_named(line: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(GOOD, line)
    assert str(caught.value).startswith("prices, line 3: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("header", ["", "t_utc,coin,open,high,low,close", "# " + HEADER])
def test_other_header_is_refused(header: str) -> None:
    with pytest.raises(ScenarioError, match="line 1: the header must be t_utc,coin"):
        scenario.parse([header, GOOD])


def test_file_without_candles_is_refused() -> None:
    for lines in ([], [HEADER], [HEADER, ""]):
        with pytest.raises(ScenarioError, match="no candles"):
            scenario.parse(lines)


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"missing\.csv: cannot be read"):
        scenario.read(tmp_path / "missing.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError, match=r"binary\.csv: cannot be read"):
        scenario.read(tmp_path / "binary.csv")


def test_file_of_a_spreadsheet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes(("\ufeff" + HEADER + "\r\n" + GOOD + "\r\n").encode())
    assert len(scenario.read(path).candles) == 1
