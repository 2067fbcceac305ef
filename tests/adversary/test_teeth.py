"""The search finds known holes when they are opened again (docs/FINDINGS.md).

Each test copies the sources, takes one guard out of a contract, and runs the command there: it must
end with 1 and name a gain.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ballast.build import ROOT


@dataclass(frozen=True)
class Hole:
    """A guard, what it is replaced by, and where its absence is to be found."""

    file: str
    guard: str
    instead: str
    stage: str
    kind: str


HOLES = {
    "pair mines the group's allowance": Hole(
        "waterfall.vy",
        "min(min(debt, insurable_quote), insurance._left_for_group(group))",
        "min(debt, insurance._left_for_group(group))",
        "broken_pair",
        "overdrawn_wei",
    ),
    "self-made bankruptcy earns the reward": Hole(
        "waterfall.vy",
        "min(closed_quote * reward_bps // fixed_point.BPS, paid_fees)",
        "closed_quote * reward_bps // fixed_point.BPS",
        "broken_pair",
        "overpaid_wei",
    ),
    "liquidating oneself for the top-up": Hole(
        "liquidation.vy",
        "min(fees.min_reward_quote - kept, paid_fees)",
        "fees.min_reward_quote - kept",
        "pair",
        "unexplained_wei",
    ),
}


@pytest.mark.parametrize("name", HOLES)
def test_the_search_finds_a_hole_opened_again(name: str, tmp_path: Path) -> None:
    hole = HOLES[name]
    for folder in ("ballast", "contracts", "parameters", "build/artifacts"):
        if (ROOT / folder).exists():
            shutil.copytree(ROOT / folder, tmp_path / folder)
    source = tmp_path / "contracts" / "modules" / hole.file
    text = source.read_text()
    assert text.count(hole.guard) == 1
    source.write_text(text.replace(hole.guard, hole.instead))

    options = ["--game", "face", "--rules", "edge", "--stage", hole.stage, "--programs", "3000"]
    run = subprocess.run(
        [sys.executable, "-m", "ballast.adversary", *options],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    (found,) = json.loads((tmp_path / "build" / "adversary.json").read_text())["block"]
    assert found["is_bug"]
    assert found[hole.kind] > 10**18
