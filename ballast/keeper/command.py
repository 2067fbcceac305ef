"""What an operator asks of a keeper, by options or by variables of the same names, and the keeper
that comes of it: for `ape run keeper` (scripts/keeper.py) and the bots (bots/)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from ape import accounts
from eth_account.signers.local import LocalAccount

from ballast.errors import ConfigError
from ballast.keeper import settings
from ballast.keeper.actions import KEEPER_KINDS
from ballast.keeper.keeper import Keeper
from ballast.keeper.store import open_store
from ballast.web import serving

PREFIX = "BALLAST_KEEPER"
"""Of the variables: `BALLAST_KEEPER_MAX_SPEND` for `--max-spend`."""

_F = TypeVar("_F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--rpc", help="The node's HTTP address (default: the network's)."),
    click.option(
        "--deployment",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Deployment record (default: deployments/<network>.json).",
    ),
    click.option("--account", help="The signer, an account of Ape's key store."),
    click.option("--key-env", help="Or: the environment variable that holds its private key."),
    click.option(
        "--liquidator",
        default="0",
        show_default=True,
        help="Who takes positions over: the signer's subaccount, or an account's id (0x...).",
    ),
    click.option("--db", default="sqlite:///keeper.db", show_default=True, help="Database."),
    click.option("--shared-db", help="Of what is sent, for several keepers (default: --db)."),
    click.option("--group", type=click.IntRange(1), help="Follow this clearing group alone."),
    click.option(
        "--do",
        multiple=True,
        type=click.Choice([kind.value for kind in KEEPER_KINDS]),
        help="Only this (default: all).",
    ),
    click.option("--native-price", help="Quote per native coin, or a market (default: ETH)."),
    click.option("--min-profit", default="0", show_default=True, help="Of a liquidation, quote."),
    click.option("--min-settle", default="10", show_default=True, help="Of a settlement, quote."),
    click.option("--max-refresh", default=4, show_default=True, type=click.IntRange(0)),
    click.option("--refresh-tiers", default=1, show_default=True, type=click.IntRange(1, 7)),
    click.option("--max-spend", default="0.1", show_default=True, help="Native coin in 24 hours."),
    click.option("--max-spend-hour", help="Native coin in an hour (default: as in 24)."),
    click.option("--max-fee", default="100", show_default=True, help="Gwei a gas, at most."),
    click.option(
        "--max-tip", default="3", show_default=True, help="Of it the builder's, at first."
    ),
    click.option("--in-flight", default=8, show_default=True, type=click.IntRange(1, 64)),
    click.option("--stuck-blocks", default=3, show_default=True, type=click.IntRange(1)),
    click.option("--confirmations", default=12, show_default=True, type=click.IntRange(1)),
    click.option("--poll", default=1.0, show_default=True, type=click.FloatRange(0.05), help="s"),
    click.option("--max-lag", default=60.0, show_default=True, type=click.FloatRange(1), help="s"),
    click.option("--turn", default=0.5, show_default=True, type=click.FloatRange(0), help="s"),
    click.option("--host", default="127.0.0.1", show_default=True, help="Of /health, /metrics."),
    click.option("--port", default=9464, show_default=True, type=click.IntRange(0, 65_535)),
    click.option("--dry-run", is_flag=True, help="Say what would be sent, and send nothing."),
)


def options(function: _F) -> _F:
    """Give a command a keeper's options."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def from_environment() -> dict[str, Any]:
    """A keeper's options as the environment has them. Raises `ConfigError`."""
    command = click.command()(options(lambda **asked: None))
    try:
        return command.make_context("keeper", [], auto_envvar_prefix=PREFIX).params
    except click.ClickException as error:
        raise ConfigError(f"{error.format_message()} ({PREFIX}_...)") from None


@contextmanager
def opened(
    provider: Any,
    *,
    rpc: str | None,
    deployment: Path | None,
    account: str | None,
    key_env: str | None,
    db: str,
    shared_db: str | None,
    **asked: Any,
) -> Iterator[Keeper]:
    """The keeper asked for, at the node Ape is connected to; in the end its databases are let go.
    Raises `BallastError`."""
    url, kept = settings.node_and_record(provider, rpc, deployment)
    wanted = settings.Options(**asked)
    key = signer(account, key_env, wanted.dry_run)
    chosen = settings.choose(wanted, url, kept, key)
    with closing(open_store(db)) as store, closing(open_store(shared_db or db)) as shared:
        yield settings.assemble(chosen, key, store, shared)


@contextmanager
def served(keeper: Keeper, host: str, port: int) -> Iterator[str]:
    """A keeper's `/health` (503 while it is not well) and `/metrics`, answered for meanwhile; their
    address. Raises `ConfigError`."""

    def health() -> tuple[int, Any]:
        well, told = keeper.health()
        return 200 if well else 503, told

    with serving({"/health": health}, keeper.metrics.registry, port, host) as address:
        yield address


def signer(alias: str | None, key_env: str | None, dry_run: bool) -> LocalAccount | None:
    """The key asked for; None for a dry run without one. Raises `ConfigError`."""
    if alias and key_env:
        raise ConfigError("--account or --key-env, not both")
    if key_env:
        return settings.key_from_environment(key_env)
    if alias:
        kept = accounts.load(alias)
        passphrase = os.environ.get(f"APE_ACCOUNTS_{alias}_PASSPHRASE")
        if passphrase is None:
            passphrase = click.prompt(f"Passphrase of {alias}", hide_input=True)
        return settings.key_from_keystore(Path(kept.keyfile_path), passphrase)
    if dry_run:
        return None
    raise ConfigError("who signs? --account ALIAS or --key-env NAME (or --dry-run)")
