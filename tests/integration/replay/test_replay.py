"""The replay on the in-process chain: it reaches every stage of the waterfall, and its checks can
fail."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ballast import build, config, contracts, scenario
from ballast.client import Ballast
from ballast.deploy import deploy, deploy_token
from ballast.evm import Revm
from ballast.population import PopulationConfig
from ballast.replay import markets
from ballast.replay.run import Replay, ReplayConfig, bands
from ballast.scenario import Scenario
from ballast.signing import key_from_label


def replay_of(told: Scenario, traders: int = 60, insurance: int = 12_000) -> Replay:
    """A prepared replay, as scripts/demo.py makes it, on revm."""
    chain = Revm(exact_gas=True)
    sender = key_from_label("deployer").address
    base = config.load(config.PARAMETERS / "local.toml")
    asked = markets.for_scenario(replace(base, adl=replace(base.adl, buckets_per_call=2)), told)
    token = deploy_token(chain, sender, 6)
    client = Ballast.from_deployment(chain, deploy(chain, asked, sender=sender, collateral=token))
    people = markets.capped(PopulationConfig(traders=traders), told)
    replay = Replay(
        client, asked, told, people, ReplayConfig(insurance_quote=insurance), lambda address: None
    )
    replay.prepare(lambda line: None)
    return replay


@pytest.fixture(scope="module")
def crash() -> Replay:
    """The crash of 10 October 2025, replayed."""
    replay = replay_of(scenario.read())
    replay.run(lambda line: None)
    return replay


def test_every_stage_is_reached(crash: Replay) -> None:
    result = crash.result
    assert result.violations == []
    assert result.liquidations > 0
    assert result.insurance_paid_quote > 0
    assert min(result.insurance) == pytest.approx(0, abs=1)  # the fund empties
    assert result.deleverage_calls > result.deleverage_resumed > 0
    assert result.checks == result.steps == len(crash.scenario.steps())
    assert result.unresolved == 0


def test_no_more_is_taken_than_the_deficit(crash: Replay) -> None:
    """Peers, what none of them has, 3: to the wei of price that rounding the distance up costs."""
    result = crash.result
    assert result.deficit_quote <= result.profit_taken_quote + result.shortfall_quote + 10**6
    assert result.profit_taken_quote <= result.deficit_quote + 10**12


def test_bands_are_those_of_the_chain(crash: Replay) -> None:
    book = crash.twin.read()
    own = bands(book)
    view = crash.client.clearinghouse.view
    assert own
    for (account, market), band in own.items():
        assert view.adl_rank(account, market)[2] == band


def outage() -> Scenario:
    """Two coins, one cheap, with a hole of five hours and a gap of 40 % behind it."""
    lines = ["t_utc,coin,interval,open,high,low,close"]
    for hour, old, dust in (("01", "2000", "0.0001"), ("06", "1200", "0.00006")):
        lines += [f"2025-03-01T{hour}:0{m}:00Z,OLD,1m,{old},{old},{old},{old}" for m in range(4)]
        lines.append(f"2025-03-01T{hour}:00:00Z,DUST,5m,{dust},{dust},{dust},{dust}")
    return scenario.parse(lines)


def test_other_coins_mixed_intervals_and_an_outage() -> None:
    replay = replay_of(outage(), traders=20)
    result = replay.run(lambda line: None)
    assert result.violations == []
    assert set(result.prices) == {"OLD", "DUST"}
    assert result.deleverage_calls > 0
    assert result.unresolved == 0


@pytest.fixture
def off_by_a_thousandth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The clearinghouse's parts compiled from a source that closes bankrupt positions 0.1 % off."""
    shutil.copytree(build.CONTRACTS, tmp_path / "contracts")
    source = tmp_path / "contracts" / "modules" / "waterfall.vy"
    right = "        return oracle_price + min(distance, cap)\n"
    wrong = "        return (oracle_price + min(distance, cap)) * 1001 // 1000\n"
    assert source.read_text().count(right) == 1
    source.write_text(source.read_text().replace(right, wrong))
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "CONTRACTS", tmp_path / "contracts")
    monkeypatch.setattr(build, "CACHE", tmp_path / "build")
    patched = build.compile_file(tmp_path / "contracts" / "WaterfallEngine.vy", None)
    known = build.artifact
    assert patched.runtime != known("WaterfallEngine").runtime
    monkeypatch.setattr(
        build, "artifact", lambda name: patched if name == "WaterfallEngine" else known(name)
    )
    contracts.interface.cache_clear()
    yield
    contracts.interface.cache_clear()


@pytest.mark.usefixtures("off_by_a_thousandth")
def test_a_price_off_by_a_thousandth_is_a_violation() -> None:
    replay = replay_of(scenario.read())
    result = replay.run(lambda line: None)
    assert result.violations
    assert any(re.match("model: .*(equity|cash|unsettled)", line) for line in result.violations)
