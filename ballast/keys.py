"""Keys of commands that sign by themselves: from an environment variable, or Ape's key store.

Never from a file of the project, and never on a command line.
"""

from __future__ import annotations

import os
from typing import Any

import click
from eth_account import Account
from eth_account.signers.local import LocalAccount

from ballast.errors import ConfigError


def from_environment(name: str) -> LocalAccount:
    """The private key in environment variable `name`. Raises `ConfigError`."""
    text = os.environ.get(name, "").strip()
    if not text:
        raise ConfigError(f"environment variable {name} is not set: it has to hold a private key")
    try:
        signer: LocalAccount = Account.from_key(text)
    except Exception:  # the library raises many kinds, and their messages may hold the key
        raise ConfigError(f"environment variable {name} holds no private key") from None
    return signer


def from_ape(alias: str) -> LocalAccount:
    """The key of an Ape account. Its passphrase is in `APE_ACCOUNTS_<alias>_PASSPHRASE`, as Ape
    itself has it, or asked for. Raises `ConfigError`."""
    from ape import accounts

    try:
        account: Any = accounts.load(alias)
        stored = account.keyfile
    except (KeyError, AttributeError) as error:
        raise ConfigError(
            f"no Ape account {alias!r} with a key (see `ape accounts list`)"
        ) from error
    passphrase = os.environ.get(f"APE_ACCOUNTS_{alias}_PASSPHRASE")
    if passphrase is None:
        passphrase = click.prompt(f"Passphrase of {alias}", hide_input=True)
    try:
        signer: LocalAccount = Account.from_key(Account.decrypt(stored, passphrase))
    except ValueError as error:
        raise ConfigError(f"wrong passphrase of {alias}") from error
    return signer


def load(variable: str | None, alias: str | None, whose: str) -> LocalAccount:
    """The key that one of the two names. Raises `ConfigError` where not exactly one does."""
    if (variable is None) == (alias is None):
        raise ConfigError(
            f"the {whose}'s key: name an environment variable (--{whose}-key-env) "
            f"or an Ape account (--{whose}-account)"
        )
    return from_environment(variable) if variable is not None else from_ape(str(alias))
