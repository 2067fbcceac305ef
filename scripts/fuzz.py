"""`ape run fuzz --network ...`: the fuzzer on a private copy of a deployment and its state."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from ape.cli import ConnectedProviderCommand, network_option
from ape.logging import LogLevel, logger
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ballast import record
from ballast.build import ROOT
from ballast.errors import BallastError
from ballast.fuzz import found
from ballast.fuzz.arena import Finding
from ballast.fuzz.forked import assert_whole, fork
from ballast.fuzz.run import Report, run

CONSOLE = Console()
FOUND = ROOT / "tests" / "found"


@click.command(cls=ConnectedProviderCommand)
@network_option(default="ethereum:local:test")
@click.option(
    "--deployment",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Deployment record (default: deployments/<network>.json).",
)
@click.option("--block", type=click.IntRange(0), help="State after this block (default: latest).")
@click.option("--calls", default=20_000, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option(
    "--found",
    "folder",
    default=FOUND,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the test of a finding is written (default: tests/found).",
)
def cli(
    provider: Any, deployment: Path | None, block: int | None, calls: int, seed: int, folder: Path
) -> None:
    """Copy a deployment off its node and fuzz it; nothing is ever sent to the node.

    Exit 1 where something is found; a test that shows it is written then.
    """
    logger.set_level(LogLevel.ERROR)
    try:
        written = run_on_fork(provider, deployment, block, calls, seed, folder)
    except BallastError as error:
        raise click.ClickException(str(error)) from error
    sys.exit(1 if written else 0)


def run_on_fork(
    provider: Any, deployment: Path | None, block: int | None, calls: int, seed: int, folder: Path
) -> Path | None:
    """What the command does; the path of the test of what was found. Raises `BallastError`."""
    url = getattr(provider, "http_uri", None)
    if url is None:
        raise click.UsageError(
            "nothing to copy on the embedded chain: name a --network whose node answers by HTTP "
            "(a node of one's own: APE_FOUNDRY_HOST=http://... --network ethereum:local:foundry)"
        )
    network = f"{provider.network.ecosystem.name}:{provider.network.name}"
    kept = record.load(deployment or record.path_for(network))
    copied = fork(url, kept, block)
    number = copied.arena.chain.block_number - 1
    accounts = len(copied.arena.accounts)
    CONSOLE.print(f"chain {kept.chain_id} after block {number:,}: {accounts} accounts")
    with Progress(
        TextColumn("{task.description:7}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=CONSOLE,
    ) as bars:
        doing = bars.add_task("fuzz", total=calls)
        try:
            assert_whole(copied.adopted(), copied.history)
            report = run(copied.arena, calls, seed, lambda done: bars.update(doing, completed=done))
        except Finding as finding:
            left = bars.add_task("shrink", total=None)
            case = copied.case_of(finding, progress=lambda steps: bars.update(left, total=steps))
            path = found.write(case, folder, f"chain {kept.chain_id}, block {number}, seed {seed}")
            CONSOLE.print(f"found: {case.message}", style="bold red", soft_wrap=True)
            CONSOLE.print(f"as a test of {len(case.trace)} steps: {path}", soft_wrap=True)
            return path
    print_report(report)
    return None


def print_report(report: Report) -> None:
    """What the run has done."""
    table = Table("call, or branch of the waterfall", "times")
    for name, times in sorted(report.actions.items()):
        table.add_row(name, f"{times:,}")
    table.add_section()
    for name, times in sorted(report.branches.items()):
        table.add_row(name, f"{times:,}")
    CONSOLE.print(table)
    speed = report.calls / max(report.seconds, 1e-9)
    told = f"{report.calls:,} calls in {report.seconds:.0f} s, {speed:,.0f} a second: all held"
    CONSOLE.print(told, soft_wrap=True)
