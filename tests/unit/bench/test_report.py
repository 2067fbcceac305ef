"""The page, the plots and the command."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from ballast.bench import __main__ as command
from ballast.bench import plots, report, results
from ballast.bench.results import Data


def row(gas: int, least: int, peer: int) -> Data:
    """A row with made-up figures."""
    parts = dict.fromkeys(report.CATEGORIES, 0) | {"base": gas}
    above = {"base": 0, "code": gas - least}
    return {
        "gas": gas,
        "floor": least,
        "peer": peer,
        "ratio": round(gas / least, 2),
        "holds": "something",
        "above": above,
        "breakdown": parts,
        "counts": {"calls": 3},
    }


DATA: Data = {
    "rows": {"deposit": row(50_000, 40_000, 60_000), "trade": row(90_000, 70_000, 60_000)},
    "extra": [{"name": "settle", **row(30_000, 25_000, 0)}],
    "flat": [[1, 300_000], [10, 301_000]],
    "buckets": [[1, 300_000], [2, 330_000], [4, 400_000]],
}


def test_page_says_which_rows_are_below_the_peers() -> None:
    page = report.page(DATA)
    assert "1 of 2 rows are below the cheapest peer" in page
    assert "| `deposit` | something | **50,000** | 107,477 |" in page
    assert "- `trade`: 90,000 against 60,000. Floor 70,000, above the peer; the 20,000" in page
    assert "- `deposit`" not in page


def test_page_judges_the_curves() -> None:
    page = report.page(DATA)
    assert "one counterparty holds: largest difference 0.33 %" in page
    assert "holds: on average after the first 33,333, in the dearest stretch 35,000" in page
    steep = report.page({"flat": [[1, 100], [10, 103]], "buckets": [[1, 0], [2, 40_001]]})
    assert steep.count("**does not hold**") == 2


def test_sections_without_figures_are_left_out() -> None:
    page = report.page({"flat": DATA["flat"]})
    assert "## Deleveraging at scale" in page
    assert "## Floors" not in page


def test_a_section_is_added_by_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "SECTIONS", (*report.SECTIONS, lambda data: "## More\n"))
    assert report.page(DATA).endswith("\n## More\n")


def test_figures_are_aligned_to_the_right() -> None:
    assert report.table(("name", "gas"), [("a", 1_000), ("b", None)]).splitlines() == [
        "| name | gas |",
        "| --- | ---: |",
        "| a | 1,000 |",
        "| b | - |",
    ]


def test_plots_are_the_same_for_the_same_figures(tmp_path: Path) -> None:
    first, second = (
        [path.read_bytes() for path in plots.draw(DATA, tmp_path / name)] for name in "ab"
    )
    assert first == second
    assert len(first) == 3
    assert len(plots.draw({"flat": DATA["flat"]}, tmp_path / "c")) == 1


def test_command_measures_one_part_and_keeps_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, page = tmp_path / "bench.json", tmp_path / "BENCHMARKS.md"
    results.save(DATA, kept)
    monkeypatch.setattr(command.scale, "BUCKETS", (1, 2))
    monkeypatch.setattr(results.load, "__defaults__", (kept,))
    monkeypatch.setattr(results.save, "__defaults__", (kept,))
    monkeypatch.setattr(report.write, "__defaults__", (page,))
    monkeypatch.setattr(plots.draw, "__defaults__", (tmp_path / "images",))
    monkeypatch.setattr(command.scale.buckets, "__defaults__", ((1, 2), lambda joined: None))
    ran = CliRunner().invoke(command.cli, ["--only", "buckets"], catch_exceptions=False)
    assert ran.exit_code == 0
    data = results.load(kept)
    assert data["rows"] == DATA["rows"]
    assert [count for count, _ in data["buckets"]] == [1, 2]
    assert data["seconds"] >= 0
    assert "## Floors" in page.read_text()
    assert (tmp_path / "images" / "adl_buckets.svg").exists()
