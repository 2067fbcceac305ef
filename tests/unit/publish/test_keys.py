"""Keys of commands: an environment variable, or an Ape account."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import ape
import pytest
from eth_account import Account

from ballast import keys
from ballast.errors import ConfigError
from ballast.signing import key_from_label

KEY = key_from_label("publisher 0")


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", "0x" + bytes(KEY.key).hex())
    assert keys.load("THE_KEY", None, "sender").address == KEY.address
    monkeypatch.setenv("THE_KEY", "0x1234secret")
    with pytest.raises(ConfigError, match="THE_KEY holds no private key") as caught:
        keys.load("THE_KEY", None, "sender")
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__
    monkeypatch.delenv("THE_KEY")
    with pytest.raises(ConfigError, match="THE_KEY is not set"):
        keys.load("THE_KEY", None, "sender")


@pytest.mark.parametrize(("variable", "alias"), [(None, None), ("A", "b")])
def test_one_key_is_named(variable: str | None, alias: str | None) -> None:
    with pytest.raises(ConfigError, match=r"--publisher-key-env.*--publisher-account"):
        keys.load(variable, alias, "publisher")


def test_ape_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ape_accounts.accounts import KeyfileAccount

    path = tmp_path / "signer.json"
    path.write_text(json.dumps(Account.encrypt(KEY.key, "words", "pbkdf2", 2)))
    stored = {"signer": KeyfileAccount(keyfile_path=path)}
    monkeypatch.setattr(ape, "accounts", SimpleNamespace(load=stored.__getitem__))
    monkeypatch.setenv("APE_ACCOUNTS_signer_PASSPHRASE", "words")
    assert keys.load(None, "signer", "sender").address == KEY.address
    monkeypatch.setenv("APE_ACCOUNTS_signer_PASSPHRASE", "wrong")
    with pytest.raises(ConfigError, match="wrong passphrase of signer"):
        keys.from_ape("signer")
    with pytest.raises(ConfigError, match="no Ape account 'nobody'"):
        keys.from_ape("nobody")
