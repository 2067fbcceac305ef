"""The command's options."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from ape.logging import logger
from click.testing import CliRunner

from ballast import config
from ballast.record import Record
from ballast.signing import key_from_label
from tests.integration.test_fork import script

KEY = "0x" + bytes(key_from_label("publisher 0").key).hex()
LINES = "t_utc,coin,interval,open,high,low,close\n2025-10-10T20:00:00Z,BTC,1m,100,120,90,110\n"


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The command, which leaves this process's logs and signals alone."""
    found = script("publish")
    monkeypatch.setattr(found.logs, "configure", lambda: None)
    monkeypatch.setattr(found.signal, "signal", lambda *_: None)
    level = logger.level
    yield found
    logger.set_level(level)


@pytest.fixture
def deployment(tmp_path: Path) -> Path:
    path = tmp_path / "local.json"
    asked = config.load(config.PARAMETERS / "local.toml").as_file()
    contracts = {"SignedPriceOracle": "0x" + "11" * 20}
    kept = Record(31_337, 0, "0x", asked, {}, "", contracts, {"BTC": 1, "ETH": 2, "SOL": 3})
    kept.save(path)
    return path


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "the publisher's key: name an environment variable (--publisher-key-env)"),
        (["--publisher-key-env", "KEY"], "name either --sources FILE or --replay FILE"),
        (["--publisher-key-env", "NO_KEY"], "environment variable NO_KEY is not set"),
        (["--publisher-key-env", "KEY", "--replay", "prices.csv", "--speed", "0"], "not above 0"),
        (
            ["--publisher-key-env", "KEY", "--replay", "prices.csv", "--jump-bps", "0"],
            "limits have to be above zero",
        ),
    ],
)
def test_what_is_missing_is_said(
    publish: ModuleType,
    deployment: Path,
    options: list[str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(deployment.parent)
    Path("prices.csv").write_text(LINES)
    asked = ["publisher", "--deployment", str(deployment), *options]
    done = CliRunner().invoke(publish.cli, asked, env={"KEY": KEY})
    assert done.exit_code == 1
    assert words in done.output
    assert KEY not in done.output


def test_no_record(publish: ModuleType, tmp_path: Path) -> None:
    done = CliRunner().invoke(publish.cli, ["publisher", "--network", f"{tmp_path.name}:none"])
    assert done.exit_code == 1
    assert "is no deployment record" in done.output


def test_without_a_subcommand_it_is_both(publish: ModuleType) -> None:
    done = CliRunner().invoke(publish.cli, ["--poll", "soon"])
    assert done.exit_code == 2
    assert "'--poll': 'soon' is not a valid float" in done.output
    assert "collector" in CliRunner().invoke(publish.cli, ["--help"]).output


def test_record_names_what_is_signed(deployment: Path) -> None:
    assert json.loads(deployment.read_text())["markets"] == {"BTC": 1, "ETH": 2, "SOL": 3}
