"""`ape run maker --relay http://...`: an example market maker, by a relay alone."""

from __future__ import annotations

import signal
import threading

import click
from rich.console import Console
from rich.table import Table

from ballast import logs
from ballast.errors import BallastError
from ballast.keys import load
from ballast.maker import WAD, Maker, MakerSettings, Quote
from ballast.relay.client import RelayClient

_OF = MakerSettings
_BPS = click.FloatRange(0, 1_000, min_open=True)
_MONEY = click.FloatRange(0, min_open=True)


@click.command(context_settings={"auto_envvar_prefix": "BALLAST_MAKER"})
@click.option("--relay", default="http://127.0.0.1:8800", show_default=True, help="Its address.")
@click.option("--maker-key-env", help="Environment variable with the account owner's key.")
@click.option("--maker-account", help="Or: an account of Ape's key store.")
@click.option("--sub", default=0, show_default=True, help="Subaccount.", type=click.IntRange(0))
@click.option("--market", "symbols", multiple=True, help="Symbol; repeat it (default: all).")
@click.option("--half-spread-bps", default=_OF.half_spread_bps, show_default=True, type=_BPS)
@click.option("--step-bps", default=_OF.step_bps, show_default=True, type=_BPS, help="To the next.")
@click.option("--levels", default=_OF.levels, show_default=True, type=click.IntRange(1, 20))
@click.option(
    "--size-quote", default=_OF.size_quote, show_default=True, type=_MONEY, help="Of a level."
)
@click.option(
    "--max-position-quote", default=_OF.max_position_quote, show_default=True, type=_MONEY
)
@click.option(
    "--requote-bps",
    default=_OF.requote_bps,
    show_default=True,
    type=_BPS,
    help="How far the price moves before quotes follow.",
)
@click.option(
    "--expiry-seconds", default=_OF.expiry_seconds, show_default=True, type=click.IntRange(30)
)
@click.option("--interval-seconds", default=_OF.interval_seconds, show_default=True, type=_MONEY)
@click.option("--dry-run", is_flag=True, help="Show what would be quoted, and place nothing.")
def cli(
    relay: str,
    maker_key_env: str | None,
    maker_account: str | None,
    sub: int,
    symbols: tuple[str, ...],
    dry_run: bool,
    **asked: float,
) -> None:
    """Quote around the oracle's price until told to stop, and then take the quotes off.

    The account needs a deposit, nothing on chain else: the relay's matcher pays for gas. Every
    option is also read from the environment: BALLAST_MAKER_LEVELS for --levels.
    """
    logs.configure()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        key = load(maker_key_env, maker_account, "maker")
        settings = MakerSettings(**asked)  # type: ignore[arg-type]
        maker = Maker(RelayClient(relay), key, settings, symbols, sub)
        if dry_run:
            show(maker.wanted())
        else:
            click.echo(f"maker 0x{maker.account.hex()} quotes on {relay}", err=True)
            maker.run(stop)
    except BallastError as error:
        raise click.ClickException(str(error)) from error


def show(wanted: dict[str, list[Quote]]) -> None:
    """Quotes as a table."""
    table = Table("market", "side", "price", "size", title="would be quoted")
    for symbol, made in wanted.items():
        for quote in made:
            side = "buy" if quote.is_buy else "sell"
            table.add_row(symbol, side, f"{quote.price / WAD:,g}", f"{quote.size / WAD:,.6f}")
    Console().print(table)


if __name__ == "__main__":
    cli()
