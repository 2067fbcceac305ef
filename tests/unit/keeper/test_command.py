"""A keeper's options from the environment."""

from __future__ import annotations

import pytest

from ballast.errors import ConfigError
from ballast.keeper import command
from ballast.keeper.settings import Options

BESIDE = {"rpc", "deployment", "account", "key_env", "db", "shared_db", "host", "port"}


def options() -> Options:
    asked = command.from_environment()
    return Options(**{name: asked[name] for name in asked.keys() - BESIDE})


def test_without_a_word_all_is_as_by_default() -> None:
    assert options() == Options()
    asked = command.from_environment()
    assert asked["db"] == "sqlite:///keeper.db"
    assert asked["shared_db"] is None


def test_variables_are_named_as_options(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"MAX_SPEND": "2", "GROUP": "3", "DO": "settle refresh", "DRY_RUN": "1", "POLL": "0.5"}
    for name, text in given.items():
        monkeypatch.setenv(f"BALLAST_KEEPER_{name}", text)
    assert options() == Options(
        max_spend="2", group=3, do=("settle", "refresh"), dry_run=True, poll=0.5
    )


@pytest.mark.parametrize(("name", "text"), [("GROUP", "majors"), ("DO", "nothing"), ("PORT", "-1")])
def test_what_cannot_be_used_is_said(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(f"BALLAST_KEEPER_{name}", text)
    with pytest.raises(ConfigError, match=f"--{name.lower()}.*BALLAST_KEEPER_"):
        command.from_environment()
