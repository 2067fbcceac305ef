"""`ape run govern COMMAND --network ...`: what owner and guardian do with a deployment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click
from ape.cli import ConnectedProviderCommand, network_option
from ape.logging import LogLevel, logger
from rich.console import Console

from ballast import commands, config, govern
from ballast.abi import checksum
from ballast.ape_chain import ApeChain
from ballast.errors import ConfigError
from ballast.govern import EVERY_MARKET, Change
from ballast.record import Record

CONSOLE = Console()


class Session(NamedTuple):
    """A deployment, and who speaks. In a dry run without an account it is the recorded owner."""

    chain: ApeChain
    name: str
    kept: Record
    path: Path
    account: Any
    dry_run: bool

    @property
    def sender(self) -> str:
        """Whose transactions these are."""
        return self.kept.owner if self.account is None else checksum(str(self.account.address))

    def ready(self) -> None:
        """Unlock the account, and wait until nothing of it is left in the pool."""
        commands.unlock(self.chain, self.account)
        self.chain.settle_pending(self.sender)

    def carry_out(self, change: Change) -> None:
        """Do it, or say what would be done and whether the chain would take it."""
        if self.dry_run:
            self.rehearse(change)
            return
        self.ready()
        govern.carry_out(
            self.chain,
            self.kept,
            change,
            sender=self.sender,
            path=self.path,
            progress=lambda line: CONSOLE.print(f"  {line}", style="dim"),
        )
        CONSOLE.print(f"done; {self.path.name} is up to date")

    def rehearse(self, change: Change) -> None:
        """Print calls, whether the chain would take them now, and their data for a Safe."""
        for call, refusal in govern.rehearse(self.chain, self.kept, change, sender=self.sender):
            CONSOLE.print(f"{call.describe()}: {refusal or 'would go through'}")
            address, data = govern.call_data(self.chain, self.kept, call)
            click.echo(f"  to {address}\n  data {data}")
        CONSOLE.print("nothing was sent")


def open_session(
    provider: Any, alias: str | None, record_path: Path | None, dry_run: bool
) -> Session:
    """Everything a command needs. Raises `BallastError`."""
    chain = ApeChain(provider)
    path = commands.record_file(provider, record_path)
    kept = commands.finished_record(chain, path)
    account = None
    if alias is not None or not dry_run:
        account = commands.load_account(chain, alias)
    return Session(chain, commands.network_name(provider), kept, path, account, dry_run)


def command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """A command of the group: its function takes a `Session` and the options of its own."""

    def decorate(function: Callable[..., None]) -> click.Command:
        def run(
            provider: Any,
            alias: str | None,
            record_path: Path | None,
            dry_run: bool,
            **options: Any,
        ) -> None:
            logger.set_level(LogLevel.ERROR)
            with commands.plain_errors():
                function(open_session(provider, alias, record_path, dry_run), **options)

        made: Any = run
        made.__doc__ = function.__doc__
        made.__click_params__ = list(getattr(function, "__click_params__", []))
        made = click.option("--dry-run", is_flag=True, help="Rehearse it; send nothing.")(made)
        made = commands.record_option(made)
        made = click.option("--account", "alias", help="Ape account of owner or guardian.")(made)
        made = network_option(default="ethereum:local:test")(made)
        return cli.command(name, cls=ConnectedProviderCommand)(made)

    return decorate


def pairs(changes: tuple[str, ...]) -> dict[str, str]:
    """`field=value` arguments as a mapping. Raises `ConfigError`."""
    found = {}
    for change in changes:
        name, separator, value = change.partition("=")
        if not separator:
            raise ConfigError(f"{change!r}: field=value is expected, as in taker_fee_bps=4")
        found[name] = value
    return found


@click.group()
def cli() -> None:
    """List a market, raise a parameter, pause, take over ownership."""


@command("list-market")
@click.argument("symbol")
@click.option(
    "--parameters",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the market's table (default: parameters/<network>.toml).",
)
def list_market(session: Session, symbol: str, parameters: Path | None) -> None:
    """List SYMBOL as it stands in a parameter file, and have it priced."""
    path = parameters or config.PARAMETERS / f"{session.name}.toml"
    asked = config.load(path, publishers=session.kept.config.signed_oracle.publishers)
    session.carry_out(govern.list_market(session.chain, session.kept, asked, symbol))


@command("announce")
@click.argument("symbol")
@click.argument("changes", nargs=-1, required=True)
def announce(session: Session, symbol: str, changes: tuple[str, ...]) -> None:
    """Announce CHANGES (field=value ...) that raise a margin requirement of SYMBOL."""
    wanted, call = govern.announce(session.kept, symbol, pairs(changes))
    if session.dry_run:
        session.rehearse(Change([call]))
        return
    session.ready()
    at = govern.send_announcement(
        session.chain, session.kept, wanted, call, sender=session.sender, path=session.path
    )
    CONSOLE.print(f"announced: `ape run govern set {symbol}` from {govern.utc(at)} on")


@command("set")
@click.argument("symbol")
@click.argument("changes", nargs=-1)
def set_market(session: Session, symbol: str, changes: tuple[str, ...]) -> None:
    """Make CHANGES (field=value ...) to SYMBOL; without any, what was announced."""
    session.carry_out(govern.set_market(session.chain, session.kept, symbol, pairs(changes)))


@command("pause")
@click.argument("symbol", default=EVERY_MARKET)
def pause(session: Session, symbol: str) -> None:
    """Stop what adds risk in SYMBOL, or in every market; exits go on."""
    session.carry_out(govern.pause(session.chain, session.kept, symbol, True))


@command("unpause")
@click.argument("symbol", default=EVERY_MARKET)
def unpause(session: Session, symbol: str) -> None:
    """Allow again what `pause` stopped (the owner alone)."""
    session.carry_out(govern.pause(session.chain, session.kept, symbol, False))


@command("accept-ownership")
def accept_ownership(session: Session) -> None:
    """Take over every contract that is offered to the account."""
    session.carry_out(govern.accept_ownership(session.chain, session.kept, session.sender))
