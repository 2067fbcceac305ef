"""`ape run relay --network ...`: one process that takes orders, matches them, and streams."""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import uvicorn
from ape.cli import ConnectedProviderCommand, network_option
from ape.logging import LogLevel, logger
from eth_account.signers.local import LocalAccount

from ballast import keys, logs
from ballast.errors import BallastError, ConfigError
from ballast.keeper.costs import SendSettings
from ballast.keeper.settings import node_and_record, whole_units
from ballast.relay import settings
from ballast.relay.limits import Limits
from ballast.relay.settings import RelaySettings
from ballast.web import LOOPBACK

SWITCH_SECONDS = 0.001
"""How long the chain's thread may hold the interpreter while the loop waits (Python: 5 ms)."""


@click.command(
    cls=ConnectedProviderCommand, context_settings={"auto_envvar_prefix": "BALLAST_RELAY"}
)
@network_option(default="ethereum:local:foundry")
@click.option("--rpc", help="The node's HTTP address (default: the network's).")
@click.option(
    "--deployment",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Deployment record (default: deployments/<network>.json).",
)
@click.option("--account", help="Who pays for matches, an account of Ape's key store.")
@click.option("--key-env", help="Or: the environment variable that holds its private key.")
@click.option("--no-matching", is_flag=True, help="Take orders, and match none: needs no key.")
@click.option("--db", default=settings.DATABASE, show_default=True, help="Orders and history.")
@click.option("--chain-db", help="Mirror and transactions (default: beside --db).")
@click.option("--host", default=LOOPBACK, show_default=True)
@click.option("--port", default=8800, show_default=True, type=click.IntRange(0, 65_535))
@click.option(
    "--static",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder served at / (web/dist).",
)
@click.option("--max-spend", default="0.1", show_default=True, help="Native coin in 24 hours.")
@click.option("--max-fee", default="100", show_default=True, help="Gwei a gas, at most.")
@click.option("--in-flight", default=32, show_default=True, type=click.IntRange(1, 256))
@click.option("--poll", default=0.5, show_default=True, type=click.FloatRange(0.05), help="s")
@click.option("--orders-rate", default=Limits.orders_per_second, show_default=True, help="A client")
@click.option("--reads-rate", default=Limits.reads_per_second, show_default=True, help="A client")
@click.option("--streams", default=Limits.streams, show_default=True, help="A client.")
@click.option("--open-orders", default=Limits.open_orders, show_default=True, help="An account.")
def cli(
    provider: Any,
    rpc: str | None,
    deployment: Path | None,
    account: str | None,
    key_env: str | None,
    no_matching: bool,
    host: str,
    port: int,
    **asked: Any,
) -> None:
    """Take signed orders, match them by price and time, and stream what happens (docs/RELAY.md).

    Every option is also read from the environment: BALLAST_RELAY_MAX_SPEND for --max-spend.
    """
    logger.set_level(LogLevel.ERROR)
    logs.configure()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        url, kept = node_and_record(provider, rpc, deployment)
        key = None if no_matching else payer(key_env, account)
        spend = whole_units("--max-spend", asked["max_spend"], 18)
        chosen = RelaySettings(
            url,
            kept,
            asked["db"],
            asked["chain_db"],
            SendSettings(
                max_fee=whole_units("--max-fee", asked["max_fee"], 9),
                max_spend_day=spend,
                max_spend_hour=spend,
                max_in_flight=asked["in_flight"],
            ),
            Limits(
                asked["orders_rate"], asked["reads_rate"], asked["streams"], asked["open_orders"]
            ),
            asked["poll"],
            asked["static"],
        )
        with ExitStack() as stack:
            config = settings.assemble(chosen, key, stack)
            listening = stack.enter_context(listen(host, port))
            click.echo(f"relay at http://{host}:{listening.getsockname()[1]}", err=True)
            uvicorn.Server(config).run(sockets=[listening])
    except BallastError as error:
        raise click.ClickException(str(error)) from error


def payer(key_env: str | None, alias: str | None) -> LocalAccount:
    """The key that pays. Raises `ConfigError`."""
    if key_env and not alias:
        return keys.from_environment(key_env)
    if alias and not key_env:
        return keys.from_ape(alias)
    raise ConfigError("who pays? one of --account ALIAS or --key-env NAME (or --no-matching)")


def listen(host: str, port: int) -> socket.socket:
    """A socket that is listened on. Raises `ConfigError` where the port is taken."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise ConfigError(f"port {port} of {host} cannot be used: {error.strerror}") from error
    return made


if __name__ == "__main__":
    cli()
