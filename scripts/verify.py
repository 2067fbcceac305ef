"""`ape run verify --network ...`: compare a recorded deployment with the chain."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from ape.cli import ConnectedProviderCommand, network_option
from ape.logging import LogLevel, logger
from rich.console import Console
from rich.table import Table

from ballast import commands, explorer
from ballast.ape_chain import ApeChain
from ballast.node import Node
from ballast.verify import Check, checks, differences, venues

CONSOLE = Console()


def print_checks(found: list[Check]) -> None:
    """Print every figure that was compared."""
    table = Table("", "what", "asked", "found", title="The record and the chain")
    for what, asked, seen in found:
        mark, style = ("=", None) if asked == seen else ("!", "bold red")
        table.add_row(mark, what, str(asked), "" if asked == seen else str(seen), style=style)
    CONSOLE.print(table)


@click.command(cls=ConnectedProviderCommand)
@network_option(default="ethereum:local:test")
@commands.record_option
@click.option(
    "--standard-json",
    "json_folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also write there what an explorer asks for to show the sources.",
)
def cli(provider: Any, record_path: Path | None, json_folder: Path | None) -> None:
    """Compare code, wires, roles and parameters with the record; exit 1 where one differs."""
    logger.set_level(LogLevel.ERROR)
    with commands.plain_errors():
        wrong = run(provider, record_path=record_path, json_folder=json_folder)
    for line in wrong:
        click.echo(f"differs: {line}", err=True)
    sys.exit(1 if wrong else 0)


def run(
    provider: Any, *, record_path: Path | None = None, json_folder: Path | None = None
) -> list[str]:
    """What the command does; the differences. Raises `BallastError`."""
    chain = ApeChain(provider)
    kept = commands.finished_record(chain, commands.record_file(provider, record_path))
    if json_folder is not None:
        written = explorer.write(kept, json_folder)
        CONSOLE.print(f"{len(written)} files for an explorer in {json_folder}")
    found = list(checks(chain, kept))
    if not chain.is_local and not differences(found):
        found.append(venues(Node(provider.http_uri), kept, chain.block_number))
    print_checks(found)
    wrong = differences(found)
    CONSOLE.print(f"{len(found) - len(wrong)} of {len(found)} as recorded")
    return wrong
