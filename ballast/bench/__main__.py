"""`python -m ballast.bench`: measures, and writes `build/bench.json`, the page and the plots."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from ballast.bench import market, mirror_speed, plots, report, results, rows, scale
from ballast.bench.results import Data
from ballast.errors import BallastError

CONSOLE = Console()
PARTS = ("rows", "flat", "buckets", "mirror", "market")

_T = TypeVar("_T")


@click.command()
@click.option("--only", "parts", multiple=True, type=click.Choice(PARTS), help="Default: all.")
def cli(parts: tuple[str, ...]) -> None:
    """Measure every operation's gas and its floor, how deleveraging scales, how fast a keeper's
    mirror re-scores, and what a whole market costs through the crash."""
    began = time.monotonic()
    data = results.load()
    chosen = [part for part in PARTS if part in (parts or PARTS)]
    try:
        with _bars() as bars:
            for part in chosen:
                data |= _MEASURES[part](bars)
    except BallastError as error:
        raise click.ClickException(str(error)) from error
    data["seconds"] = round(time.monotonic() - began, 1)
    results.save(data)
    report.write(data)
    plots.draw(data)
    _print(data)
    CONSOLE.print(f"build/bench.json, docs/BENCHMARKS.md, docs/images/; {data['seconds']:.0f} s")


def _bars() -> Progress:
    text = TextColumn("{task.description:16}")
    return Progress(text, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=CONSOLE)


def _counted(bars: Progress, name: str, items: Iterable[_T], total: int) -> Iterator[_T]:
    task = bars.add_task(name, total=total)
    for item in items:
        bars.advance(task)
        yield item


def _rows(bars: Progress) -> Data:
    return results.of_rows(_counted(bars, "operations", rows.run_all(), rows.total()))


def _flat(bars: Progress) -> Data:
    task = bars.add_task("counterparties", total=max(scale.COUNTERPARTIES))
    pairs = scale.flat(advance=lambda joined: bars.advance(task, joined))
    return {"flat": [list(pair) for pair in pairs]}


def _buckets(bars: Progress) -> Data:
    task = bars.add_task("buckets", total=max(scale.BUCKETS))
    pairs = scale.buckets(advance=lambda joined: bars.advance(task, joined))
    return {"buckets": [list(pair) for pair in pairs]}


def _mirror(bars: Progress) -> Data:
    task = bars.add_task("mirror", total=3)
    return {"mirror": mirror_speed.measure(say=lambda _: bars.advance(task))}


def _market(bars: Progress) -> Data:
    tasks: dict[str, TaskID] = {}

    def say(what: str, done: float) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=1)
        bars.update(tasks[what], completed=done)

    measured = market.measure(say=say)
    market.draw(measured)
    return {"market": measured}


_MEASURES = {
    "rows": _rows,
    "flat": _flat,
    "buckets": _buckets,
    "mirror": _mirror,
    "market": _market,
}


def _print(data: Data) -> None:
    table = Table("row", "gas", "floor", "ratio", "cheapest peer", title="Gas")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in report.all_rows(data):
        peer = row.get("peer")
        shown = "" if peer is None else f"{peer:,}"
        if peer is not None and row["gas"] >= peer:
            shown = f"[red]{shown}[/]"
        figures = (f"{row['gas']:,}", f"{row['floor']:,}", f"{row['ratio']:.2f}")
        table.add_row(row["name"], *figures, shown)
    CONSOLE.print(table)


if __name__ == "__main__":
    cli()
