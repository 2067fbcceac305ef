"""`ape run publish`: sign prices, gather what publishers have signed, bring it on chain."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import click
from ape.cli import ConnectedProviderCommand, network_option
from ape.logging import LogLevel, logger

from ballast import contracts, keys, logs, record
from ballast.ape_chain import ApeChain
from ballast.client import Ballast
from ballast.errors import BallastError, ConfigError
from ballast.publish import sources
from ballast.publish.collector import Collector, Submit, Terms
from ballast.publish.publisher import Limits, Publisher
from ballast.publish.sources import Source
from ballast.publish.submit import directly, dry, require_funds
from ballast.record import Record
from ballast.signing import Domain
from ballast.web import LOOPBACK, serving

NETWORK = "ethereum:local:foundry"
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_F = TypeVar("_F", bound=Callable[..., Any])


class DefaultsToBoth(click.Group):
    """`ape run publish` without a subcommand runs both."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--help" not in args and not any(arg in self.commands for arg in args):
            args = ["both", *args]
        return super().parse_args(ctx, args)


def options(*decorators: Callable[[_F], _F]) -> Callable[[_F], _F]:
    """Several options as one decorator."""

    def decorate(function: _F) -> _F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


DEPLOYMENT = click.option(
    "--deployment", type=FILE, help="Deployment record (default: deployments/<network>.json)."
)
HOST = click.option("--host", default=LOOPBACK, show_default=True, help="Where pages are served.")
PUBLISHER = options(
    click.option("--sources", "file", type=FILE, help="TOML file of sources (docs/PUBLISHING.md)."),
    click.option("--replay", type=FILE, help="Price file to replay instead."),
    click.option("--replay-start", type=float, help="When it starts, Unix seconds (default: now)."),
    click.option("--speed", default=1.0, show_default=True, help="How fast it is replayed."),
    click.option("--publisher-key-env", help="Environment variable with the publisher's key."),
    click.option("--publisher-account", help="Ape account of the publisher instead."),
    click.option("--port", default=8701, show_default=True, help="The publisher's page; 0: any."),
    click.option(
        "--interval",
        default=2,
        show_default=True,
        type=click.IntRange(1),
        help="Seconds between signatures: the same for all publishers.",
    ),
    click.option("--max-source-age", default=Limits.max_age_seconds, show_default=True),
    click.option(
        "--jump-bps",
        default=Limits.jump_bps,
        show_default=True,
        help="A larger jump is signed only once it is confirmed.",
    ),
    click.option("--confirm-seconds", default=Limits.confirm_seconds, show_default=True),
)
COLLECTOR = options(
    click.option("--publisher", "urls", multiple=True, help="A publisher's address; repeat it."),
    click.option("--sender-key-env", help="Environment variable with the paying key."),
    click.option("--sender-account", help="Ape account that pays instead."),
    click.option(
        "--deviation-bps",
        default=Terms.deviation_bps,
        show_default=True,
        help="A report is due when the price has moved by this much.",
    ),
    click.option(
        "--heartbeat",
        type=click.IntRange(1),
        help="... or when it is this old, seconds (default: a third of the maximal age).",
    ),
    click.option(
        "--outlier-bps",
        default=Terms.outlier_bps,
        show_default=True,
        help="A price further off the median is left out while enough others remain.",
    ),
    click.option("--poll", default=Terms.interval_seconds, show_default=True, help="Seconds."),
    click.option(
        "--collector-port", default=8700, show_default=True, help="Health and metrics; 0: any."
    ),
    click.option("--dry-run", is_flag=True, help="Say what would be sent, and send nothing."),
)


@click.group(cls=DefaultsToBoth)
def cli() -> None:
    """Publish prices: `publisher` signs, `collector` brings M of N on chain, `both` does both."""


@cli.command()
@click.option("--network", default=NETWORK, show_default=True, help="Names the record alone.")
@options(DEPLOYMENT, HOST, PUBLISHER)
def publisher(network: str, deployment: Path | None, host: str, **asked: Any) -> None:
    """Sign what a source says and serve it. Needs no node."""
    guarded(lambda stack: run_publisher(stack, kept_record(deployment, network), host, asked)[1])


@cli.command(cls=ConnectedProviderCommand)
@network_option(default=NETWORK)
@options(DEPLOYMENT, HOST, COLLECTOR)
def collector(provider: Any, deployment: Path | None, host: str, **asked: Any) -> None:
    """Gather signed prices off publishers' pages and bring them on chain."""
    guarded(lambda stack: run_collector(stack, provider, deployment, host, asked, []))


@cli.command(cls=ConnectedProviderCommand)
@network_option(default=NETWORK)
@options(DEPLOYMENT, HOST, PUBLISHER, COLLECTOR)
def both(provider: Any, deployment: Path | None, host: str, **asked: Any) -> None:
    """One publisher, and a collector of it and others, in one process."""

    def run(stack: ExitStack) -> Callable[[threading.Event], None]:
        kept = kept_record(deployment, network_name(provider))
        at, sign = run_publisher(stack, kept, host, asked)
        collect = run_collector(stack, provider, deployment, host, asked, [at])

        def work(stop: threading.Event) -> None:
            signing = threading.Thread(target=sign, args=(stop,))
            signing.start()
            try:
                collect(stop)
            finally:
                stop.set()
                signing.join()

        return work

    guarded(run)


def guarded(prepare: Callable[[ExitStack], Callable[[threading.Event], None]]) -> None:
    """Prepare, work until SIGTERM or SIGINT, and say in one line what went wrong."""
    logger.set_level(LogLevel.ERROR)
    logs.configure()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        with ExitStack() as stack:
            prepare(stack)(stop)
    except BallastError as error:
        raise click.ClickException(str(error)) from error


def network_name(provider: Any) -> str:
    """`ecosystem:network` of a connected provider."""
    return f"{provider.network.ecosystem.name}:{provider.network.name}"


def kept_record(deployment: Path | None, network: str) -> Record:
    """The deployment record named, or the network's."""
    return record.load(deployment or record.path_for(network))


def source_of(asked: dict[str, Any]) -> Source:
    """The source the options name. Raises `ConfigError`."""
    if (asked["file"] is None) == (asked["replay"] is None):
        raise ConfigError("where from: name either --sources FILE or --replay FILE")
    if asked["file"] is not None:
        return sources.load(asked["file"])
    return sources.replay(asked["replay"], asked["replay_start"], asked["speed"])


def run_publisher(
    stack: ExitStack, kept: Record, host: str, asked: dict[str, Any]
) -> tuple[str, Callable[[threading.Event], None]]:
    """Serve a publisher's page: its address, and what signs until it is stopped."""
    signer = keys.load(asked["publisher_key_env"], asked["publisher_account"], "publisher")
    known = kept.config
    if signer.address not in known.signed_oracle.publishers:
        click.echo(f"{signer.address} was no publisher when this was deployed", err=True)
    signed = {market.symbol for market in known.markets if market.oracle == "signed"}
    made = Publisher(
        source_of(asked),
        signer,
        Domain(kept.chain_id, kept.contracts[contracts.SIGNED_ORACLE]),
        {symbol: number for symbol, number in kept.markets.items() if symbol in signed},
        Limits(asked["max_source_age"], asked["jump_bps"], asked["confirm_seconds"]),
        asked["interval"],
    )
    at = stack.enter_context(serving(made.pages(), made.metrics, asked["port"], host))
    click.echo(f"publisher {made.address} at {at}/reports", err=True)
    return at, made.run


def run_collector(
    stack: ExitStack,
    provider: Any,
    deployment: Path | None,
    host: str,
    asked: dict[str, Any],
    own: list[str],
) -> Callable[[threading.Event], None]:
    """Serve a collector's health; what collects until it is stopped."""
    ballast = Ballast.from_deployment(
        ApeChain(provider), kept_record(deployment, network_name(provider))
    )
    submit: Submit = dry
    if not asked["dry_run"]:
        sender = keys.load(asked["sender_key_env"], asked["sender_account"], "sender")
        require_funds(provider.web3, sender)
        submit = directly(provider.web3, sender, ballast.oracle.address)
    terms = Terms(asked["deviation_bps"], asked["heartbeat"], asked["outlier_bps"], asked["poll"])
    made = Collector(ballast, [*own, *asked["urls"]], submit, terms)
    at = stack.enter_context(serving(made.pages(), made.metrics, asked["collector_port"], host))
    click.echo(f"collector at {at}/health", err=True)
    return made.run


if __name__ == "__main__":
    cli()
