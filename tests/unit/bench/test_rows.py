"""The rows: all there, each above its floor, and kept as the page and CI read them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from ballast.bench import floor, peers, report, results, rows
from ballast.bench.results import Data

TABLE = [
    "deposit_fresh",
    "deposit",
    "trade",
    "increase",
    "partial_close",
    "close",
    "trade_5_makers",
    "withdraw",
    "liquidate",
    "deleverage",
]


@cache
def measured() -> Data:
    """All rows, measured once."""
    return results.of_rows(rows.run_all())


def test_the_peers_table_is_complete() -> None:
    assert list(measured()["rows"]) == TABLE == peers.rows()


def test_every_row_has_gas_floor_and_peer() -> None:
    for name, row in measured()["rows"].items():
        assert row["peer"] == min(peers.figures(name).values())
        assert 21_000 < row["floor"] <= row["gas"]
    for row in measured()["extra"]:
        assert 21_000 < row["floor"] <= row["gas"], row["name"]


def test_breakdowns_sum_to_the_gas() -> None:
    shown = report.all_rows(measured())
    assert len(shown) == rows.total() == len({row["name"] for row in shown})
    for row in shown:
        assert sum(row["breakdown"].values()) == row["gas"]
        assert sum(row["above"].values()) == row["gas"] - row["floor"]
        assert row["above"]["signatures"] == 0, "what must be recovered, and no more"


def test_a_row_leaves_the_world_as_it_was() -> None:
    world = rows.world()
    first, second = ([m.breakdown for m in rows.run(world, rows.rows()[:3])] for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", [*TABLE, "cross_16_markets"])
def test_a_floor_is_the_sum_of_its_facts(name: str) -> None:
    needs = floor.NEEDS[name]
    assert floor.floor(name) == sum(floor.FACTS[fact].gas * n for fact, n in needs.items())
    assert needs["transaction"] == 1


def test_floors_grow_with_what_is_done() -> None:
    assert floor.floor("deposit_fresh") - floor.floor("deposit") == 22_100 - 5_000
    assert floor.floor("trade") < floor.floor("trade_empty_buckets")
    assert floor.floor("close") < floor.floor("partial_close") < floor.floor("trade")
    assert floor.floor("trade_5_makers") < floor.floor("trade_20_makers")


def test_results_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "build" / "bench.json"
    assert results.load(path) == {}
    results.save(measured(), path)
    assert results.load(path) == measured() == json.loads(path.read_text())
