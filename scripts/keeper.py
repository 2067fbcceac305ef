"""`ape run keeper --network ...`: one process that follows a deployment and acts on it."""

from __future__ import annotations

import signal
import threading
from typing import Any

import click
from ape.cli import ConnectedProviderCommand, network_option
from ape.logging import LogLevel, logger

from ballast.errors import BallastError
from ballast.keeper import command, settings
from ballast.keeper.keeper import Keeper


@click.command(
    cls=ConnectedProviderCommand, context_settings={"auto_envvar_prefix": command.PREFIX}
)
@network_option(default="ethereum:local:foundry")
@command.options
@click.option("--once", is_flag=True, help="Work the latest block through, and end.")
def cli(provider: Any, host: str, port: int, once: bool, **asked: Any) -> None:
    """Follow a deployment, and settle, liquidate, deleverage and refresh where it is time to.

    Every option is also read from the environment: BALLAST_KEEPER_MAX_SPEND for --max-spend.
    """
    logger.set_level(LogLevel.ERROR)
    settings.log_as_json()
    try:
        with command.opened(provider, **asked) as keeper:
            if once:
                keeper.step()
            else:
                run(keeper, host, port)
    except BallastError as error:
        raise click.ClickException(str(error)) from error


def run(keeper: Keeper, host: str, port: int) -> None:
    """Go on until a signal to end comes; answer over HTTP meanwhile. Raises `BallastError`."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with command.served(keeper, host, port):
        keeper.run(stop)
