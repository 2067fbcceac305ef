"""`python -m ballast.adversary` as a whole, with the smallest budget."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ballast.adversary import __main__ as command
from ballast.adversary import crash_search
from ballast.adversary.paths import jump


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "MARGINS", ((200, 120),))
    return tmp_path / "build"


def run(*options: str) -> str:
    done = CliRunner().invoke(command.cli, options)
    assert done.exit_code == 0, done.output
    return done.output


def test_block_writes_what_it_found(build: Path) -> None:
    shown = run("--game", "face", "--rules", "free", "--stage", "pair", "--programs", "20")
    assert "pair" in shown
    kept = json.loads((build / "adversary.json").read_text())
    (found,) = kept["block"]
    assert (found["game"], found["rules"], found["stage"]) == ("face", "free", "pair")
    assert found["programs"] == 20
    assert not found["is_bug"]


def test_tiers_writes_table_and_plot(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "recorded", lambda *_: jump(-5, coins=("SOL",)))
    monkeypatch.setattr(crash_search, "CAPS", (250_000, 0))
    monkeypatch.setattr(crash_search, "FEES", (5,))
    run("--game", "tiers", "--plays", "6")
    (tiers,) = json.loads((build / "adversary.json").read_text())["tiers"]
    assert len(tiers["rows"]) == 2
    assert all(row["violations"] == [] for row in tiers["rows"])
    assert (build / "adversary.png").stat().st_size > 1_000
