"""`ape run demo` as a command: what it writes, and its exit code when a contract is wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ballast.build import ROOT

PARTS = ("ape-config.yaml", "ballast", "contracts", "parameters", "scripts", "build/artifacts")
PRICES = """t_utc,coin,interval,open,high,low,close
2025-01-01T00:00:00Z,ABC,1m,100,100,100,100
2025-01-01T00:01:00Z,ABC,1m,100,100,80,80
2025-01-01T00:02:00Z,ABC,1m,80,80,60,60
"""
KEYS = {
    "liquidations": int,
    "liquidated_quote": float,
    "insurance_paid_quote": float,
    "deficit_quote": float,
    "adl_quote": float,
    "profit_taken_quote": float,
    "claims_waiting_quote": float,
    "shortfall_quote": float,
    "deleverage_calls": int,
    "deleverage_resumed": int,
    "max_deleverage_gas": int,
    "max_dust_quote": float,
    "steps": int,
    "checks": int,
    "violations": list,
    "unresolved": int,
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the demo needs, with compiled contracts and a short price file."""
    for part in PARTS:
        source, target = ROOT / part, tmp_path / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, target)
    (tmp_path / "prices.csv").write_text(PRICES)
    return tmp_path


def run_demo(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command in the copy."""
    ape = Path(sys.executable).with_name("ape")
    command = [str(ape), "run", "demo", "--prices", "prices.csv"]
    return subprocess.run(
        [*command, "--traders", "12", "--insurance", "100", *options],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_it_passes_and_writes_its_figures(project: Path) -> None:
    done = run_demo(project)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((project / "build" / "demo.json").read_text())
    for key, kind in KEYS.items():
        assert isinstance(figures[key], kind), key
    assert figures["violations"] == []
    assert figures["deleverage_calls"] > 0
    assert figures["checks"] == figures["steps"] == 12
    assert (project / "build" / "demo.png").stat().st_size > 10_000


def test_it_exits_with_1_if_bankrupts_are_closed_a_thousandth_off(project: Path) -> None:
    source = project / "contracts" / "modules" / "waterfall.vy"
    right = "        return oracle_price + min(distance, cap)\n"
    assert source.read_text().count(right) == 1
    wrong = "        return (oracle_price + min(distance, cap)) * 1001 // 1000\n"
    source.write_text(source.read_text().replace(right, wrong))
    done = run_demo(project)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "VIOLATION" in done.stdout


def test_a_bad_price_file_is_a_clear_error(project: Path) -> None:
    (project / "prices.csv").write_text(PRICES.replace("80,60,60", "80,60,-60"))
    done = run_demo(project)
    assert done.returncode == 1
    assert "prices.csv, line 4" in done.stderr
    assert "Traceback" not in done.stderr
