"""A whole market through the crash of 10 October 2025: `python -m ballast.bench.market`.

What the keeper's work costs in gas and blocks, what winners lose to it, and what the rank grid
costs against a queue without one. Results in build/bench_market.json, plots in docs/images/.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ballast import scenario
from ballast.bench import continuous
from ballast.bench.crash_run import BLOCK_GAS, CrashRun, Minute
from ballast.bench.hall import HallConfig, Say, build, people, silent
from ballast.bench.market_page import CALLS, draw, section
from ballast.build import ROOT
from ballast.mirror import WAD

__all__ = ["cli", "draw", "measure", "section", "write"]

RESULT = ROOT / "build" / "bench_market.json"


def measure(
    accounts: int = 10_000,
    minutes: int | None = None,
    seed: int = 1,
    runs: int = 3,
    refresh: bool = True,
    say: Say = silent,
) -> dict[str, Any]:
    """Take that many accounts through the recording (or its first `minutes`); JSON-able.

    `runs` seeds from `seed` on: the first one's figures are kept in full, of the others what the
    grid costs. `refresh`: the first seed once more, with a keeper that re-ranks stale winners.
    Quote in whole units, gas in gas.
    """
    began = time.perf_counter()
    first = _run(accounts, minutes, seed, False, say)
    result = _figures(first)
    result |= {"accounts": accounts, "seed": seed, "runs": runs}
    result["curve"] = continuous.curve(first.sides)
    result["spread"] = [result["queues"]]
    for other in range(seed + 1, seed + runs):
        result["spread"].append(
            continuous.summary(_run(accounts, minutes, other, False, say).sides)
        )
    if refresh:
        again = _figures(_run(accounts, minutes, seed, True, say))
        kept = ("gas", "calls", "blocks_worst", "resolve_blocks_worst", "blocks_all", "queues")
        result["refreshed"] = {name: again[name] for name in kept}
    result["seconds"] = round(time.perf_counter() - began, 1)
    return result


def _run(accounts: int, minutes: int | None, seed: int, refresh: bool, say: Say) -> CrashRun:
    recorded = scenario.read()
    hall = build(recorded, HallConfig(people(accounts, seed)), say)
    run = CrashRun(hall, recorded, minutes, refresh, say)
    run.run()
    return run


def _figures(run: CrashRun) -> dict[str, Any]:
    gas, calls = _totals(run.minutes)
    resolved = run.resolved
    columns = run.hall.columns
    return {
        "trades": run.hall.trades,
        "minutes": len(run.minutes),
        "interest_quote": run.minutes[0].notional,
        "legs": int(np.count_nonzero(columns.size)),
        "gas": gas,
        "calls": calls,
        "blocks_worst": max(m.blocks for m in run.minutes),
        "resolve_blocks_worst": max(m.resolve_blocks for m in run.minutes),
        "blocks_all": sum(gas.values()) / BLOCK_GAS,
        "resolve_blocks_all": gas.get("deleverage", 0) / BLOCK_GAS,
        "late_seconds_worst": max(m.late_seconds for m in run.minutes),
        "bankrupt": len(resolved),
        "bankrupt_worst": max(m.bankrupt for m in run.minutes),
        "unresolved": max(m.left for m in run.minutes),
        "deleverage_gas": _gas_model(run.shapes),
        "deficit_quote": sum(r.deficit for r in resolved) / WAD,
        "insurance_quote": sum(r.insurance for r in resolved) / WAD,
        "taken_quote": sum(r.taken for r in resolved) / WAD,
        "shortfall_quote": sum(r.shortfall for r in resolved) / WAD,
        "over_wei_worst": max((r.over for r in resolved), default=0),
        "over_wei": sum(r.over for r in resolved),
        "over_bound": sum(r.over > r.rounding for r in resolved),
        "winners": len(run.winners),
        "winners_touched": len(run.touched),
        "winners_paying": len(run.payers),
        "checked": run.checked,
        "differing": run.differing,
        "queues": continuous.summary(run.sides),
        "claims_quote_worst": max(m.claims for m in run.minutes),
        "by_minute": [_row(m) for m in run.minutes],
    }


def _totals(minutes: Sequence[Minute]) -> tuple[dict[str, int], dict[str, int]]:
    gas = {call: sum(m.gas.get(call, 0) for m in minutes) for call in CALLS}
    calls = {call: sum(m.calls.get(call, 0) for m in minutes) for call in CALLS}
    return gas, calls


def _row(m: Minute) -> dict[str, Any]:
    kept = ("timestamp", "prices", "blocks", "resolve_blocks", "bankrupt", "liquidatable", "taken")
    return {name: getattr(m, name) for name in kept} | {"gas": sum(m.gas.values())}


def _gas_model(shapes: Sequence[tuple[int, int, int]]) -> dict[str, float]:
    """Gas of a `deleverage` as call + leg x legs closed + bucket x buckets touched, by least
    squares; `residual` is the root mean square of what that leaves."""
    table = np.array(shapes, dtype=float).reshape(-1, 3)
    if len(np.unique(table[:, :2], axis=0)) < 3:
        return {}
    terms = np.column_stack([np.ones(len(table)), table[:, :2]])
    found, *_ = np.linalg.lstsq(terms, table[:, 2], rcond=None)
    residual = float(np.sqrt(np.mean((terms @ found - table[:, 2]) ** 2)))
    names = ("call", "leg", "bucket")
    return dict(zip(names, map(float, found), strict=True)) | {"residual": residual}


def write(result: dict[str, Any], path: Path = RESULT) -> None:
    """Keep a result."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")


@click.command()
@click.option("--accounts", default=10_000, show_default=True, type=click.IntRange(50))
@click.option("--minutes", default=None, type=click.IntRange(1), help="Default: all.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0))
@click.option("--runs", default=3, show_default=True, type=click.IntRange(1), help="Seeds.")
@click.option("--refresh/--no-refresh", default=True, show_default=True, help="Also re-ranking.")
@click.option("--plots/--no-plots", default=True, show_default=True, help="Draw into docs/images.")
def cli(
    accounts: int, minutes: int | None, seed: int, runs: int, refresh: bool, plots: bool
) -> None:
    """Take a whole market through the crash: the keeper's gas, the winners' part, the grid's."""
    console = Console()
    text = TextColumn("{task.description:10}")
    with Progress(text, BarColumn(), TimeElapsedColumn(), console=console) as bars:
        tasks: dict[str, Any] = {}

        def say(what: str, done: float) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=1.0)
            bars.update(tasks[what], completed=done)

        result = measure(accounts, minutes, seed, runs, refresh, say)
    write(result)
    if plots:
        draw(result)
    click.echo(section(result))
    click.echo(f"{result['seconds']} s; figures in build/bench_market.json")


if __name__ == "__main__":
    cli()
