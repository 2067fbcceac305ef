"""`ape run watch`: tells accounts' owners what concerns them, on webhooks and on the screen."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from ape.cli import ConnectedProviderCommand, network_option
from ape.logging import LogLevel, logger
from eth_utils.address import is_address

from ballast import contracts, logs, record
from ballast.alerts.memory import Memory
from ballast.alerts.post import FORMS, Post, Webhook
from ballast.alerts.rules import Alert, Limits, Rules
from ballast.alerts.watcher import Watcher
from ballast.build import ROOT
from ballast.config import WAD
from ballast.contract import Contract
from ballast.errors import BallastError, ConfigError
from ballast.keeper.blocks import Header
from ballast.keeper.follower import Follower
from ballast.keeper.source import Source
from ballast.keeper.store import open_store
from ballast.keeper.view import BlockView
from ballast.node import Node
from ballast.record import Record
from ballast.signing import account_id
from ballast.web import LOOPBACK, serving


@click.command(cls=ConnectedProviderCommand)
@network_option(default="ethereum:local:foundry")
@click.option(
    "--deployment",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Deployment record (default: deployments/<network>.json).",
)
@click.option(
    "--account",
    "accounts",
    multiple=True,
    help="An owner's address (subaccount 0), ADDRESS/N, or 32 bytes; repeat it.",
)
@click.option("--webhook", "urls", multiple=True, help="Where alerts are posted; repeat it.")
@click.option("--webhook-env", help="Environment variable with such an address (it is a secret).")
@click.option("--form", type=click.Choice(FORMS), default="json", show_default=True)
@click.option(
    "--near",
    "near_percent",
    default=5.0,
    show_default=True,
    type=click.FloatRange(0, 100),
    help="A liquidation price is near within this many per cent.",
)
@click.option("--insurance-below", default="0", show_default=True, help="Threshold, whole quote.")
@click.option("--interval", default=2.0, show_default=True, help="Seconds between two looks.")
@click.option(
    "--state",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where it remembers what was told (default: build/watch/<network>).",
)
@click.option("--host", default=LOOPBACK, show_default=True, help="Where health is served.")
@click.option("--port", default=8702, show_default=True, help="Health and metrics; 0: any.")
@click.option("--once", is_flag=True, help="Look once; exit 1 where an alert is undelivered.")
def cli(
    provider: Any,
    deployment: Path | None,
    accounts: tuple[str, ...],
    urls: tuple[str, ...],
    webhook_env: str | None,
    form: str,
    near_percent: float,
    insurance_below: str,
    interval: float,
    folder: Path | None,
    host: str,
    port: int,
    once: bool,
) -> None:
    """Watch accounts, prices, the insurance fund and shortfalls; post what there is to tell."""
    logger.set_level(LogLevel.ERROR)
    logs.configure()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    network = f"{provider.network.ecosystem.name}:{provider.network.name}"
    try:
        kept = record.load(deployment or record.path_for(network))
        limits = Limits(round(near_percent * 100), quote_of(insurance_below))
        hooks = [Webhook(url, form) for url in (*urls, *from_environment(webhook_env))]
        place = folder or ROOT / "build" / "watch" / record.path_for(network).stem
        watched = [account_of(text) for text in accounts]
        memory = Memory.load(place / "told.json")
        post = Post(hooks, memory)
        watcher = made(node_url(provider), kept, watched, limits, memory, post, place)
        if once:
            watcher.round()
            sys.exit(1 if memory.queue else 0)
        with ExitStack() as stack:
            pages = {"/health": watcher.health}
            at = stack.enter_context(serving(pages, post.metrics, port, host))
            click.echo(f"watcher at {at}/health", err=True)
            watcher.run(stop, interval)
    except BallastError as error:
        raise click.ClickException(str(error)) from error


def made(
    url: str,
    kept: Record,
    accounts: list[bytes],
    limits: Limits,
    memory: Memory,
    post: Post,
    place: Path,
) -> Watcher:
    """The watcher of a recorded deployment, on a node. Raises `BallastError`."""
    place.mkdir(parents=True, exist_ok=True)
    node = Node(url)
    follower = Follower(node, open_store(f"sqlite:///{place / 'mirror.db'}"), kept)
    source, names = Source(node), {number: symbol for symbol, number in kept.markets.items()}
    interface = contracts.interface(contracts.CLEARINGHOUSE)

    def house_at(block: Header) -> Contract:
        return Contract(BlockView(source, block), follower.clearinghouse, interface)

    rules = Rules(names, limits)
    return Watcher(follower, house_at, rules, accounts, names, memory, post, say)


def say(alert: Alert) -> None:
    """An alert on the screen."""
    where = alert.transaction or f"block {alert.block}"
    click.echo(f"{alert.severity:8} {alert.text} ({where})")


def node_url(provider: Any) -> str:
    """Where the connected node answers."""
    url = getattr(provider, "http_uri", None)
    if url is None:
        raise click.UsageError(
            "nothing to follow on the embedded chain: name a --network whose node answers by HTTP"
        )
    return str(url)


def account_of(text: str) -> bytes:
    """An account by its owner's address, ADDRESS/N, or its 32 bytes. Raises `ConfigError`."""
    owner, _, sub = text.partition("/")
    if is_address(owner) and (sub.isdigit() or not sub):
        return account_id(owner, int(sub or 0))
    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise ConfigError(f"account {text!r} is no address, ADDRESS/N or 32 bytes")
    return raw


def quote_of(text: str) -> int:
    """Whole quote as WAD. Raises `ConfigError`."""
    try:
        return int(Decimal(text) * WAD)
    except (ArithmeticError, ValueError):
        raise ConfigError(f"--insurance-below {text!r} is no amount") from None


def from_environment(name: str | None) -> list[str]:
    """The address in an environment variable, where one is named. Raises `ConfigError`."""
    if name is None:
        return []
    if name not in os.environ:
        raise ConfigError(f"environment variable {name} is not set: it has to hold the webhook")
    return [os.environ[name]]


if __name__ == "__main__":
    cli()
