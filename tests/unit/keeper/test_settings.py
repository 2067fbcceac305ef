"""A keeper's options: what is meant, and what is refused at the start."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from eth_account import Account

from ballast.errors import ConfigError
from ballast.keeper import settings
from ballast.keeper.actions import KEEPER_KINDS, Kind
from ballast.record import Record
from ballast.signing import account_id, key_from_label

ROOT = Path(__file__).resolve().parents[3]
WAD = 10**18
KEY = key_from_label("keeper")
RECORD = Record(1, 0, KEY.address, {}, {}, "", {}, {"BTC": 1, "ETH": 2})


def choose(**options) -> settings.KeeperSettings:
    return settings.choose(settings.Options(**options), "http://node", RECORD, KEY)


def test_defaults() -> None:
    made = choose()
    assert made.plan.kinds == frozenset(KEEPER_KINDS)
    assert made.plan.liquidator == account_id(KEY.address)
    assert (made.plan.native_quote, made.native_market) == (0, 2)
    assert made.send.max_spend_day == made.send.max_spend_hour == WAD // 10
    assert made.send.max_fee == 100 * 10**9


def test_amounts_are_decimals_of_whole_units() -> None:
    made = choose(max_spend="1.5", max_spend_hour="0.25", max_fee="0.5", min_profit="2.75")
    assert (made.send.max_spend_day, made.send.max_spend_hour) == (3 * WAD // 2, WAD // 4)
    assert made.send.max_fee == 5 * 10**8
    assert made.plan.min_profit_quote == 275 * WAD // 100
    for bad in ("-1", "a lot", "1e-19", "NaN", "Infinity"):
        with pytest.raises(ConfigError, match="--max-spend"):
            choose(max_spend=bad)


def test_native_price_is_a_market_or_a_decimal() -> None:
    assert choose(native_price="BTC").native_market == 1
    made = choose(native_price="0.75")
    assert (made.plan.native_quote, made.native_market) == (3 * WAD // 4, None)
    with pytest.raises(ConfigError, match="a decimal, or one of BTC, ETH"):
        choose(native_price="DOGE")
    with pytest.raises(ConfigError, match="there is no market ETH"):
        settings.native_price(None, {"BTC": 1})


def test_liquidator_is_a_subaccount_or_an_account() -> None:
    assert choose(liquidator="7").plan.liquidator == account_id(KEY.address, 7)
    other = account_id(key_from_label("other").address, 1)
    assert choose(liquidator="0x" + other.hex()).plan.liquidator == other
    for bad in ("0x1234", "0xzz", "mine"):
        with pytest.raises(ConfigError, match="--liquidator"):
            choose(liquidator=bad)
    with pytest.raises(ConfigError, match="name the whole account"):
        settings.liquidator_of("0", None)


def test_only_some_kinds() -> None:
    assert choose(do=("settle",)).plan.kinds == {Kind.SETTLE}


def test_key_from_the_environment_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", bytes(KEY.key).hex())
    assert settings.key_from_environment("SOME_KEY").address == KEY.address
    monkeypatch.setenv("SOME_KEY", "hunter2")
    with pytest.raises(ConfigError) as error:
        settings.key_from_environment("SOME_KEY")
    assert "hunter2" not in str(error.value)
    assert error.value.__cause__ is None
    with pytest.raises(ConfigError, match="OTHER_KEY is not set"):
        settings.key_from_environment("OTHER_KEY")


def test_key_from_a_key_file(tmp_path: Path) -> None:
    path = tmp_path / "keeper.json"
    path.write_text(json.dumps(Account.encrypt(KEY.key, "right", iterations=2)))
    assert settings.key_from_keystore(path, "right").address == KEY.address
    with pytest.raises(ConfigError, match=r"keeper\.json cannot be decrypted"):
        settings.key_from_keystore(path, "wrong")


def test_options_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.options_from_environment() == settings.Options()
    given = {"MAX_SPEND": "2", "GROUP": "3", "DO": "settle refresh", "DRY_RUN": "1", "POLL": "0.5"}
    for name, text in given.items():
        monkeypatch.setenv(f"BALLAST_KEEPER_{name}", text)
    assert settings.options_from_environment() == settings.Options(
        max_spend="2", group=3, do=("settle", "refresh"), dry_run=True, poll=0.5
    )
    monkeypatch.setenv("BALLAST_KEEPER_GROUP", "majors")
    with pytest.raises(ConfigError, match="BALLAST_KEEPER_GROUP: 'majors' cannot be used"):
        settings.options_from_environment()


def test_a_keeper_that_sends_needs_a_key() -> None:
    made = settings.KeeperSettings("http://node", RECORD)
    with pytest.raises(ConfigError, match="needs a key"):
        settings.assemble(made, None, None)  # type: ignore[arg-type]


def test_every_option_is_on_the_page_with_its_default() -> None:
    page = (ROOT / "docs" / "KEEPERS.md").read_text()
    rows = dict(re.findall(r"^\| `(--[a-z-]+)`(?:, `--port`)? \| (.*?) \|", page, re.MULTILINE))
    source = (ROOT / "scripts" / "keeper.py").read_text()
    options = re.findall(r'"(--[a-z-]+)"', source)
    assert len(options) > 20
    assert set(rows) | {"--port"} == {*options, "--network"}
    defaults = dict(re.findall(r'"(--[a-z-]+)",\s*default="?([\w.:/]+)"?,', source))
    defaults.pop("--port")
    assert defaults.pop("--db") == "settings.DATABASE"
    assert f"`{settings.DATABASE}`" in rows["--db"]
    assert defaults["--max-spend"] == "0.1"
    for option, default in defaults.items():
        assert f"`{default}`" in rows[option], option
