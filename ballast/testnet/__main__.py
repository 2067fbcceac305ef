"""`make testnet`: deploy to a node that stands in for Sepolia, publish, keep, and live through a
crash; build/testnet.json says what the chain says of it."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from ballast.build import ROOT
from ballast.errors import BallastError
from ballast.mirror import WAD
from ballast.testnet.run import Plan, Result, Run

CONSOLE = Console()
REPORT = ROOT / "build" / "testnet.json"
FOLDER = ROOT / "build" / "testnet"


@click.command()
@click.option("--traders", default=Plan.traders, show_default=True, type=click.IntRange(2, 1_000))
@click.option("--seed", default=Plan.seed, show_default=True, type=click.IntRange(0))
@click.option("--block-seconds", default=Plan.block_seconds, type=click.IntRange(1, 12))
@click.option("--speed", default=Plan.speed, show_default=True, type=click.FloatRange(1, 120))
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=FOLDER,
    help="Logs, databases and the record of the run (emptied first; default: build/testnet).",
)
def main(traders: int, seed: int, block_seconds: int, speed: float, folder: Path) -> None:
    """Exit 1 where an account is left unresolved, an invariant is violated, or a part fails."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    began = time.monotonic()

    def say(text: str) -> None:
        CONSOLE.print(f"[dim]{time.monotonic() - began:5.0f} s[/]  {text}")

    plan = Plan(traders=traders, seed=seed, block_seconds=block_seconds, speed=speed)
    try:
        result = Run(plan, folder, say).run()
    except BallastError as error:
        raise click.ClickException(f"{error}\nlogs: {folder}") from error
    told = report(result, plan)
    REPORT.write_text(json.dumps(told, indent=2) + "\n")
    table = Table("figure", "", title="Read from the chain")
    for name, value in told.items():
        shown = "\n".join(value) or "none" if isinstance(value, list) else f"{value:,}"
        table.add_row(name.replace("_", " "), shown)
    CONSOLE.print(table)
    sys.exit(0 if is_good(told) else 1)


def report(result: Result, plan: Plan) -> dict[str, object]:
    """The figures of build/testnet.json; quote is whole."""
    last = result.audits[-1]
    return {
        "accounts": last.accounts,
        "resolved": last.resolved,
        "unresolved": last.unresolved,
        "violations": result.violations,
        "keeper_restarts": result.keeper_restarts,
        "liquidated": len(last.liquidated),
        "deleveraged": len(last.deleveraged),
        "closed_by_queue_quote": last.closed_by_queue // WAD,
        "insurance_paid_quote": last.insurance_paid // WAD,
        "audits": len(result.audits),
        "trades": result.trades,
        "block": last.block,
        "seed": plan.seed,
        "seconds": round(result.seconds),
    }


def is_good(told: dict[str, object]) -> bool:
    """Whether everybody is resolved, at least one by the queue, a keeper came back, and S1 and S2
    hold."""
    needed = ("resolved", "deleveraged", "keeper_restarts")
    return all(told[name] for name in needed) and not (told["unresolved"] or told["violations"])


if __name__ == "__main__":
    main()
