"""Reading back: every wire and every parameter that differs is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ballast.client import Ballast
from ballast.config import DeployConfig
from ballast.deploy import deploy
from ballast.errors import VerificationError
from ballast.record import Record
from ballast.signing import key_from_label
from ballast.verify import verify
from tests.unit.deploy.flaky import DEPLOYER, Flaky

STRANGER = key_from_label("stranger").address


@pytest.fixture
def kept(chain: Flaky, asked: DeployConfig, token: str) -> Record:
    return deploy(chain, asked, sender=DEPLOYER, collateral=token)


@pytest.fixture
def ballast(chain: Flaky, kept: Record) -> Ballast:
    return Ballast.from_deployment(chain, kept)


def differences(chain: Flaky, kept: Record) -> list[str]:
    with pytest.raises(VerificationError) as caught:
        verify(chain, kept)
    return caught.value.differences


def test_all_as_asked(chain: Flaky, kept: Record) -> None:
    assert verify(chain, kept) > 100


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("adl.reward_bps", 3, "deleveraging: asked (8, 3), found (8, 2)"),
        ("groups.0.refill_seconds", 7_200, "group 1"),
        ("fund.cooldown_seconds", 5, "fund: cooldown: asked 5, found 259200"),
        ("fund.window_seconds", 5, "fund: window"),
        ("fund.name", "Other", "fund: name"),
        ("fund.symbol", "OTH", "fund: symbol"),
        ("signed_oracle.threshold", 4, "signed oracle: threshold: asked 4, found 3"),
        ("signed_oracle.publishers", [STRANGER] * 0 + [STRANGER], "signed oracle: publishers"),
        ("chainlink.grace_seconds", 1, "chainlink oracle: grace"),
        ("chainlink.sequencer_feed", STRANGER, "chainlink oracle: sequencer feed"),
        ("guardian", STRANGER, "guardian"),
        ("collateral", STRANGER, "vault: asset"),
        ("markets.0.max_age_seconds", 5, "BTC: report"),
        ("markets.1.taker_fee_bps", 6, "ETH: taker_fee_bps: asked 6, found 5"),
        ("markets.2.position_cap_base", "1", "SOL: position_cap_base"),
        ("markets.2.oracle", "chainlink", "SOL: oracle"),
    ],
)
def test_other_parameter_is_named(
    chain: Flaky, kept: Record, path: str, value: Any, named: str
) -> None:
    *parents, last = path.split(".")
    target: Any = kept.parameters
    for name in parents:
        target = target[int(name)] if name.isdigit() else target[name]
    target[last] = value
    if path == "markets.2.oracle":
        target.update(feed=STRANGER, heartbeat_seconds=60)
    if path == "signed_oracle.publishers":
        kept.parameters["signed_oracle"]["threshold"] = 1
    assert any(line.startswith(named) for line in differences(chain, kept))


def test_every_market_parameter_is_compared(
    chain: Flaky, kept: Record, ballast: Ballast, asked: DeployConfig
) -> None:
    # Each field is changed on chain, one at a time, and found.
    oracle = kept.contracts["SignedPriceOracle"]
    good = asked.markets[0].params(oracle)
    changes = {
        "initial_margin_bps": -1,
        "maintenance_margin_bps": -1,
        "position_cap_base": -1,
        "interest_cap_base": -1,
        "min_notional_quote": 10**12,
        "price_band_bps": 1,
        "maker_fee_bps": 1,
        "taker_fee_bps": 1,
        "fee_insurance_share_bps": 1,
        "fee_reserve_share_bps": 1,
        "liquidation_penalty_bps": 1,
        "liquidator_share_bps": 1,
        "penalty_insurance_share_bps": 1,
        "liquidation_target_bps": 1,
        "min_reward_quote": 10**12,
        "insurance_cap_quote": 1,
        "insurance_refill_seconds": 1,
        "premium_cap_bps": 1,
        "funding_cap_bps": 1,
        "premium_window_seconds": 1,
    }
    untouched = set(good.__dataclass_fields__) - set(changes)
    assert untouched == {"oracle", "group"}
    for field, change in changes.items():
        with chain.rolled_back():
            changed = replace(good, **{field: getattr(good, field) + change})
            ballast.clearinghouse.send.set_market(1, changed.as_tuple(), sender=DEPLOYER)
            (line,) = differences(chain, kept)
            assert line.startswith(f"BTC: {field}: asked {getattr(good, field)}, found ")


def test_missing_and_other_code_are_named(chain: Flaky, kept: Record) -> None:
    kept.contracts["Lens"] = STRANGER
    kept.contracts["Governance"] = kept.contracts["MarginVault"]
    del kept.contracts["OrderSettlement"]
    found = "\n".join(differences(chain, kept))
    assert f"Lens at {STRANGER}: asked its code, found no code" in found
    assert "Governance at" in found
    assert "found other code" in found
    assert "OrderSettlement at None: asked its code, found no code" in found


def test_wire_to_another_deployment_is_named(
    chain: Flaky, asked: DeployConfig, token: str, kept: Record
) -> None:
    other = deploy(chain, asked, sender=DEPLOYER, collateral=token)
    for name in kept.contracts:
        mixed = Record(**{**kept.__dict__, "contracts": {**kept.contracts}})
        mixed.contracts[name] = other.contracts[name]
        if name == "ChainlinkOracle":
            continue  # nothing names it while no market is priced by it
        assert differences(chain, mixed), name


def test_other_owner_is_named(chain: Flaky, kept: Record, ballast: Ballast) -> None:
    ballast.oracle.send.transfer_ownership(STRANGER, sender=DEPLOYER)
    assert differences(chain, kept) == [
        f"SignedPriceOracle: strangers among its owners: asked set(), found {{'{STRANGER}'}}"
    ]
    ballast.oracle.send.accept_ownership(sender=STRANGER)
    found = "\n".join(differences(chain, kept))
    assert f"SignedPriceOracle: {DEPLOYER} owns it or is offered it" in found
    assert "SignedPriceOracle: strangers among its owners" in found


def test_venue_unregistered_and_market_added_are_named(
    chain: Flaky, kept: Record, ballast: Ballast, asked: DeployConfig
) -> None:
    house = ballast.clearinghouse.send
    house.set_venue(ballast.settlement.address, False, sender=DEPLOYER)
    house.list_market(asked.markets[0].params(ballast.oracle.address).as_tuple(), sender=DEPLOYER)
    found = differences(chain, kept)
    assert found == [
        "clearinghouse: settlement is a venue: asked True, found False",
        "market 4: group: asked 0, found 1",
    ]


def test_other_publishers_are_named(chain: Flaky, kept: Record, ballast: Ballast) -> None:
    others = sorted([*kept.config.signed_oracle.publishers[:4], STRANGER], key=str.lower)
    ballast.oracle.send.set_publishers(others, 4, sender=DEPLOYER)
    found = differences(chain, kept)
    assert [line.split(":")[1] for line in found] == [" publishers", " threshold"]


def test_other_guardian_group_and_reward_are_named(
    chain: Flaky, kept: Record, ballast: Ballast
) -> None:
    house = ballast.clearinghouse.send
    house.set_guardian(STRANGER, sender=DEPLOYER)
    house.set_group(1, 1, 3_600, sender=DEPLOYER)
    house.set_adl(9, 2, sender=DEPLOYER)
    ballast.oracle.send.set_market(1, 299, 1_000, sender=DEPLOYER)
    found = [line.split(":")[0] for line in differences(chain, kept)]
    assert found == ["guardian", "deleveraging", "group 1", "BTC"]


def test_code_with_other_bytes_behind_it_is_named(chain: Flaky, kept: Record) -> None:
    address = kept.contracts["OrderSettlement"]
    chain.put(address, code=chain.code(address) + b"\x00")
    (line,) = differences(chain, kept)
    assert line.endswith("asked its code, found other code")


def test_immutables_are_masked_and_read(chain: Flaky, kept: Record) -> None:
    address = kept.contracts["MarginVault"]
    code = chain.code(address)
    fund = bytes.fromhex(kept.contracts["InsuranceFund"][2:])
    changed = code.replace(b"\x00" * 12 + fund, b"\x00" * 12 + bytes.fromhex(STRANGER[2:]))
    assert changed != code
    chain.put(address, code=changed)
    found = differences(chain, kept)
    assert found[0].startswith("vault: insurance fund: asked ")


def test_other_chain_is_named(chain: Flaky, kept: Record) -> None:
    kept.chain_id = 5
    assert differences(chain, kept) == ["chain id: asked 5, found 31337"]
