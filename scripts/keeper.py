"""`ape run keeper --network ...`: one process that follows a deployment and acts on it."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import click
from ape import accounts
from ape.cli import ConnectedProviderCommand, network_option
from ape.logging import LogLevel, logger
from eth_account.signers.local import LocalAccount

from ballast.errors import BallastError, ConfigError
from ballast.keeper import settings
from ballast.keeper.actions import KEEPER_KINDS
from ballast.keeper.keeper import Keeper
from ballast.keeper.serve import StatusServer
from ballast.keeper.store import open_store


@click.command(
    cls=ConnectedProviderCommand, context_settings={"auto_envvar_prefix": "BALLAST_KEEPER"}
)
@network_option(default="ethereum:local:foundry")
@click.option("--rpc", help="The node's HTTP address (default: the network's).")
@click.option(
    "--deployment",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Deployment record (default: deployments/<network>.json).",
)
@click.option("--account", help="The signer, an account of Ape's key store.")
@click.option("--key-env", help="Or: the environment variable that holds its private key.")
@click.option(
    "--liquidator",
    default="0",
    show_default=True,
    help="Who takes positions over: the signer's subaccount, or an account's id (0x...).",
)
@click.option("--db", default=settings.DATABASE, show_default=True, help="Database.")
@click.option("--group", type=click.IntRange(1), help="Follow this clearing group alone.")
@click.option(
    "--do",
    multiple=True,
    type=click.Choice([kind.value for kind in KEEPER_KINDS]),
    help="Only this (default: all).",
)
@click.option("--native-price", help="Quote per native coin, or a market (default: ETH).")
@click.option("--min-profit", default="0", show_default=True, help="Of a liquidation, quote.")
@click.option("--min-settle", default="10", show_default=True, help="Of a settlement, quote.")
@click.option("--max-refresh", default=4, show_default=True, type=click.IntRange(0))
@click.option("--refresh-tiers", default=1, show_default=True, type=click.IntRange(1, 7))
@click.option("--max-spend", default="0.1", show_default=True, help="Native coin in 24 hours.")
@click.option("--max-spend-hour", help="Native coin in an hour (default: as in 24).")
@click.option("--max-fee", default="100", show_default=True, help="Gwei a gas, at most.")
@click.option("--in-flight", default=8, show_default=True, type=click.IntRange(1, 64))
@click.option("--stuck-blocks", default=3, show_default=True, type=click.IntRange(1))
@click.option("--confirmations", default=12, show_default=True, type=click.IntRange(1))
@click.option("--poll", default=1.0, show_default=True, type=click.FloatRange(0.05), help="s")
@click.option("--max-lag", default=60.0, show_default=True, type=click.FloatRange(1), help="s")
@click.option("--host", default="127.0.0.1", show_default=True, help="Of /health and /metrics.")
@click.option("--port", default=9464, show_default=True, type=click.IntRange(0, 65_535))
@click.option("--dry-run", is_flag=True, help="Say what would be sent, and send nothing.")
@click.option("--once", is_flag=True, help="Work the latest block through, and end.")
def cli(
    provider: Any,
    rpc: str | None,
    deployment: Path | None,
    account: str | None,
    key_env: str | None,
    db: str,
    host: str,
    port: int,
    once: bool,
    **asked: Any,
) -> None:
    """Follow a deployment, and settle, liquidate, deleverage and refresh where it is time to.

    Every option is also read from the environment: BALLAST_KEEPER_MAX_SPEND for --max-spend.
    """
    logger.set_level(LogLevel.ERROR)
    settings.log_as_json()
    try:
        url, kept = settings.node_and_record(provider, rpc, deployment)
        options = settings.Options(**asked)
        key = signer(account, key_env, options.dry_run)
        chosen = settings.choose(options, url, kept, key)
        store = open_store(db)
        try:
            run(settings.assemble(chosen, key, store), host, port, once)
        finally:
            store.close()
    except BallastError as error:
        raise click.ClickException(str(error)) from error


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


def run(keeper: Keeper, host: str, port: int, once: bool) -> None:
    """Look once, or until a signal to end comes; answer over HTTP meanwhile. Raises
    `BallastError`."""
    if once:
        keeper.step()
        return
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = StatusServer(keeper.health, keeper.metrics.registry, host, port)
    server.start()
    try:
        keeper.run(stop)
    finally:
        server.stop()
