"""Parameters: read exactly, bounded like the contracts, errors that name the field."""

from __future__ import annotations

import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ballast import build, config
from ballast.config import MarketConfig, MarketParams
from ballast.errors import ConfigError

LOCAL = config.PARAMETERS / "local.toml"
WAD = 10**18


def data() -> dict[str, Any]:
    return tomllib.loads(LOCAL.read_text())


def test_local_parameters_are_read() -> None:
    asked = config.load(LOCAL)
    assert [market.symbol for market in asked.markets] == ["BTC", "ETH", "SOL"]
    assert {market.group for market in asked.markets} == {1}
    btc = asked.markets[0]
    assert (btc.min_notional_quote, btc.max_age_seconds) == (10 * WAD, 300)
    publishers = asked.signed_oracle.publishers
    assert list(publishers) == sorted(publishers, key=lambda address: int(address, 16))


def test_file_form_reads_back() -> None:
    asked = config.load(LOCAL)
    assert config.from_file_data(asked.as_file()) == asked


def test_params_are_the_contracts_struct_in_its_order() -> None:
    (entry,) = (e for e in build.artifact("Governance").abi if e.get("name") == "list_market")
    names = [part["name"] for part in entry["inputs"][0]["components"]]
    assert names == [item.name for item in fields(MarketParams)]
    params = MarketConfig("BTC").params("0x" + "11" * 20)
    assert params.as_tuple()[0] == "0x" + "11" * 20
    assert params.as_tuple()[-1] == MarketConfig("BTC").premium_window_seconds


@given(st.integers(-(10**60), 10**60))
def test_decimals_are_exact(value: int) -> None:
    assert config.to_wad("x", config.from_wad(value)) == value


@pytest.mark.parametrize("bad", ["1.0000000000000000001", "ten", "", 1.5, True, None, "nan", "inf"])
def test_amount_that_is_no_decimal_is_refused(bad: object) -> None:
    with pytest.raises(ConfigError, match="min_notional_quote"):
        config.to_wad("min_notional_quote", bad)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("symbol", ""),
        ("oracle", "spot"),
        ("group", 0),
        ("group", 4_096),
        ("initial_margin_bps", 250),
        ("initial_margin_bps", 10_001),
        ("maintenance_margin_bps", 50),
        ("position_cap_base", 0),
        ("position_cap_base", 100_000 * WAD + 1),
        ("interest_cap_base", 2**96),
        ("min_notional_quote", 0),
        ("min_notional_quote", 10**12 + 1),
        ("min_reward_quote", 1),
        ("price_band_bps", 0),
        ("price_band_bps", 2_001),
        ("maker_fee_bps", 6),
        ("taker_fee_bps", 101),
        ("fee_insurance_share_bps", 8_001),
        ("fee_reserve_share_bps", -1),
        ("liquidator_share_bps", 6_001),
        ("penalty_insurance_share_bps", 5_001),
        ("liquidation_penalty_bps", 251),
        ("liquidation_target_bps", 9_999),
        ("liquidation_target_bps", 100_001),
        ("insurance_cap_quote", 2**96),
        ("insurance_refill_seconds", 3_599),
        ("premium_cap_bps", 1_001),
        ("funding_cap_bps", 401),
        ("premium_window_seconds", 0),
        ("max_age_seconds", 0),
        ("max_age_seconds", 86_401),
        ("step_bps", 0),
        ("step_bps", 5_001),
    ],
)
def test_market_out_of_bounds_is_named(field: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(MarketConfig("BTC"), **{field: value})  # type: ignore[arg-type]
    assert field in str(caught.value) or field == "symbol" or "share" in field


def test_chainlink_market_needs_a_feed() -> None:
    feed = "0x" + "11" * 20
    assert MarketConfig("BTC", oracle="chainlink", feed=feed, heartbeat_seconds=60).feed == feed
    with pytest.raises(ConfigError, match="feed"):
        MarketConfig("BTC", oracle="chainlink", heartbeat_seconds=60)
    with pytest.raises(ConfigError, match="heartbeat_seconds"):
        MarketConfig("BTC", oracle="chainlink", feed=feed)


def change(path: str, value: object) -> dict[str, Any]:
    changed = data()
    *parents, last = path.split(".")
    target: Any = changed
    for name in parents:
        target = target[int(name)] if name.isdigit() else target[name]
    target[last] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("speed", 1, r"unknown \['speed'\]"),
        ("adl.speed", 1, "adl: unknown field 'speed'"),
        ("adl.reward_bps", 101, "adl: reward_bps: 101"),
        ("adl.reward_bps", "2", "adl: reward_bps: a whole number"),
        ("adl.buckets_per_call", 0, "adl: buckets_per_call"),
        ("fund.cooldown_seconds", 0, "fund: cooldown_seconds"),
        ("fund.window_seconds", 31 * 86_400, "fund: window_seconds"),
        ("fund.symbol", "LONGER", "fund: symbol"),
        ("fund.name", "", "fund: name"),
        ("chainlink.grace_seconds", 3_601, "chainlink: grace_seconds"),
        ("chainlink.sequencer_feed", "0x12", "chainlink: sequencer_feed"),
        ("signed_oracle.threshold", 2, "signed_oracle: threshold: 2 is not in 3 to 5"),
        ("signed_oracle.threshold", 6, "signed_oracle: threshold"),
        ("signed_oracle.publishers", [], "number of publishers"),
        ("signed_oracle.publishers", ["0x" + "11" * 20] * 3, "named twice"),
        ("signed_oracle.publishers", ["0x" + "00" * 20], "one is zero"),
        ("guardian", "nobody", "guardian: 'nobody' is no address"),
        ("groups.0.group", 2, "market BTC: group: 1 is not among"),
        ("groups.0.refill_seconds", 1, "refill_seconds"),
        ("markets.0.symbol", "ETH", "a symbol is named twice"),
        ("markets.1.step_bps", 0, "market ETH: step_bps"),
        ("markets", [], "at least one"),
        ("markets.0", 5, "markets"),
    ],
)
def test_bad_file_is_named(path: str, value: object, message: str) -> None:
    changed = data()
    if path == "markets.0":
        changed["markets"][0] = {"group": 1}
        message = "symbol"
    else:
        changed = change(path, value)
    with pytest.raises(ConfigError, match=message):
        config.from_file_data(changed)


def test_missing_oracle_is_named() -> None:
    changed = data()
    del changed["signed_oracle"]
    with pytest.raises(ConfigError, match="signed_oracle: missing"):
        config.from_file_data(changed)


def test_market_overrides_the_defaults() -> None:
    asked = config.from_file_data(change("markets.0.taker_fee_bps", 7))
    assert [market.taker_fee_bps for market in asked.markets] == [7, 5, 5]


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    for text in (None, "= 5"):
        if text is not None:
            path.write_text(text)
        with pytest.raises(ConfigError, match=r"bad\.toml"):
            config.load(path)
