"""Owner's and guardian's commands: what they send, what the record says, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ballast import config, contracts, govern, record
from ballast.config import DeployConfig, GroupConfig
from ballast.deploy import deploy
from ballast.errors import ConfigError, GovernanceError
from ballast.evm import Revm
from ballast.govern import Change
from ballast.record import Record
from ballast.signing import key_from_label
from ballast.verify import verify

DEPLOYER = key_from_label("deployer").address
OWNER = key_from_label("owner").address
GUARDIAN = key_from_label("guardian").address
DAY = 86_400


@pytest.fixture(scope="module")
def asked() -> DeployConfig:
    return replace(config.load(config.PARAMETERS / "local.toml"), guardian=GUARDIAN)


@pytest.fixture
def chain() -> Revm:
    return Revm()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "local.json"


@pytest.fixture
def kept(chain: Revm, asked: DeployConfig, path: Path) -> Record:
    return deploy(chain, asked, sender=DEPLOYER, collateral=None, path=path)


def do(chain: Revm, kept: Record, path: Path, change: Change, sender: str = DEPLOYER) -> list[str]:
    lines: list[str] = []
    govern.carry_out(chain, kept, change, sender=sender, path=path, progress=lines.append)
    assert record.load(path) == kept
    return lines


def announce(chain: Revm, kept: Record, path: Path, **changes: str) -> int:
    wanted, call = govern.announce(kept, "BTC", changes)
    return govern.send_announcement(chain, kept, wanted, call, sender=DEPLOYER, path=path)


def test_market_is_listed_with_its_group(
    chain: Revm, asked: DeployConfig, kept: Record, path: Path
) -> None:
    doge = replace(asked.markets[2], symbol="DOGE", group=2, initial_margin_bps=1_000)
    more = replace(asked, groups=(*asked.groups, GroupConfig(2)), markets=(*asked.markets, doge))
    lines = do(chain, kept, path, govern.list_market(chain, kept, more, "DOGE"))
    assert [line.partition("(")[0] for line in lines] == [
        "Clearinghouse.set_group",
        "Clearinghouse.list_market",
        "SignedPriceOracle.set_market",
    ]
    assert kept.markets["DOGE"] == 4
    assert kept.config == more
    assert verify(chain, record.load(path)) > 100
    with pytest.raises(GovernanceError, match="DOGE is market 4 already"):
        govern.list_market(chain, kept, more, "DOGE")
    with pytest.raises(GovernanceError, match="no market PEPE, only BTC, ETH, SOL, DOGE"):
        govern.list_market(chain, kept, more, "PEPE")


def test_listing_cut_off_is_finished_without_listing_twice(
    chain: Revm, asked: DeployConfig, kept: Record, path: Path
) -> None:
    doge = replace(asked.markets[2], symbol="DOGE")
    more = replace(asked, markets=(*asked.markets, doge))
    change = govern.list_market(chain, kept, more, "DOGE")
    do(chain, kept, path, Change(change.calls[:1]))
    lines = do(chain, kept, path, govern.list_market(chain, kept, more, "DOGE"))
    assert [line.partition("(")[0] for line in lines] == ["SignedPriceOracle.set_market"]
    assert verify(chain, kept) > 100


def test_harmless_change_is_made_at_once(chain: Revm, kept: Record, path: Path) -> None:
    changes = {"taker_fee_bps": "4", "position_cap_base": "12.5", "max_age_seconds": "60"}
    lines = do(chain, kept, path, govern.set_market(chain, kept, "BTC", changes))
    assert len(lines) == 2
    market = kept.config.markets[0]
    assert (market.taker_fee_bps, market.position_cap_base) == (4, 125 * 10**17)
    assert verify(chain, kept) > 100
    assert do(chain, kept, path, govern.set_market(chain, kept, "BTC", changes)) == []


def test_raise_of_margin_waits_for_its_time(chain: Revm, kept: Record, path: Path) -> None:
    raised = {"initial_margin_bps": "300", "maintenance_margin_bps": "150"}
    with pytest.raises(GovernanceError, match="rises: `announce` the same change first"):
        govern.set_market(chain, kept, "BTC", raised)
    with pytest.raises(GovernanceError, match="nothing is announced for BTC"):
        govern.set_market(chain, kept, "BTC", {})
    at = announce(chain, kept, path, **raised)
    assert at == chain.timestamp + 2 * DAY
    assert record.load(path).announced["BTC"]["effective_at"] == at
    assert verify(chain, kept) > 100
    chain.mine(DAY)
    with pytest.raises(GovernanceError, match=r"may be set from .* UTC on: 1 day, 0:00:00 left"):
        govern.set_market(chain, kept, "BTC", {})
    with pytest.raises(GovernanceError, match="1 day, 0:00:00 left"):
        govern.set_market(chain, kept, "BTC", raised)
    with pytest.raises(GovernanceError, match="`announce` the same change first"):
        govern.set_market(chain, kept, "BTC", {**raised, "initial_margin_bps": "301"})
    chain.mine(DAY)
    do(chain, kept, path, govern.set_market(chain, kept, "BTC", {}))
    assert kept.config.markets[0].initial_margin_bps == 300
    assert kept.announced == {}
    assert verify(chain, kept) > 100


def test_announcement_of_what_rises_nothing_is_refused(kept: Record) -> None:
    with pytest.raises(GovernanceError, match="`set` does it at once"):
        govern.announce(kept, "BTC", {"taker_fee_bps": "3"})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"speed": "1"}, "no field 'speed'"),
        ({"symbol": "X"}, "no field 'symbol'"),
        ({"taker_fee_bps": "1.5"}, "a whole number is expected, got '1.5'"),
        ({"taker_fee_bps": "101"}, "101 is not in 0 to 100"),
        ({"min_notional_quote": "much"}, "'much' is no decimal"),
        ({"oracle": "tea leaves"}, "one of"),
    ],
)
def test_bad_change_is_named(chain: Revm, kept: Record, changes: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        govern.set_market(chain, kept, "BTC", changes)


def test_pause_and_its_end(chain: Revm, kept: Record, path: Path) -> None:
    view = contracts.at(chain, "Clearinghouse", kept.contracts["Clearinghouse"]).view
    do(chain, kept, path, govern.pause(chain, kept, "ETH", True), sender=GUARDIAN)
    assert [view.is_paused(n) for n in (0, 1, 2)] == [False, False, True]
    with pytest.raises(GovernanceError, match="reverted: governance: not the guardian"):
        do(chain, kept, path, govern.pause(chain, kept, "ETH", False), sender=GUARDIAN)
    do(chain, kept, path, govern.pause(chain, kept, "ETH", False))
    do(chain, kept, path, govern.pause(chain, kept, "all", True), sender=GUARDIAN)
    assert view.is_paused(1)
    with pytest.raises(GovernanceError, match="every market is paused: `unpause all`"):
        govern.pause(chain, kept, "ETH", True)
    do(chain, kept, path, govern.pause(chain, kept, "all", False))
    assert not view.is_paused(2)
    with pytest.raises(GovernanceError, match="no market DOGE, only BTC, ETH, SOL"):
        govern.pause(chain, kept, "DOGE", True)


def test_ownership_is_accepted(chain: Revm, asked: DeployConfig, path: Path) -> None:
    kept = deploy(chain, asked, sender=DEPLOYER, collateral=None, owner=OWNER, path=path)
    with pytest.raises(GovernanceError, match="no contract is offered to"):
        govern.accept_ownership(chain, kept, DEPLOYER)
    assert len(do(chain, kept, path, govern.accept_ownership(chain, kept, OWNER), OWNER)) == 3
    assert verify(chain, kept) > 100
    with pytest.raises(GovernanceError, match="no contract is offered to"):
        govern.accept_ownership(chain, kept, OWNER)


def test_rehearsal_sends_nothing_and_says_what_would_happen(chain: Revm, kept: Record) -> None:
    change = govern.set_market(chain, kept, "BTC", {"taker_fee_bps": "4"})
    ((call, refusal),) = govern.rehearse(chain, kept, change, sender=DEPLOYER)
    assert refusal == ""
    address, data = govern.call_data(chain, kept, call)
    assert address == kept.contracts["Clearinghouse"]
    ((_, refusal),) = govern.rehearse(chain, kept, change, sender=GUARDIAN)
    assert "caller is not the owner" in refusal
    assert kept.config.markets[0].taker_fee_bps == 5
    assert verify(chain, kept) > 100
    chain.send(address, bytes.fromhex(data[2:]), sender=DEPLOYER)
    assert call.done()
