"""`make seeded`: each deliberate fault of `tests/seeded/` must be found by the stateful tests.

A fault is a unified diff with a few lines of prose above it. The same tests must pass without any.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ballast.build import ROOT
from ballast.mutation import tree
from ballast.mutation.trial import Trial, Verdict, check, complete, run, run_all

FOLDER = ROOT / "tests" / "seeded"
RESULT = ROOT / "build" / "seeded.json"
INVARIANT = re.compile(r"\bS([1-9]|1[0-2])\b")
CONSOLE = Console()


@dataclass(frozen=True)
class Seeded:
    """A deliberate fault: what it is, and the patch that makes it."""

    name: str
    fault: str
    patch: Path


def read(path: Path) -> Seeded:
    """A patch file with its prose. Raises `ValueError` where it has none."""
    prose = path.read_text().split("\n--- ", 1)[0]
    fault = " ".join(prose.split())
    if not INVARIANT.search(fault):
        raise ValueError(f"{path.name} does not say which invariant its fault breaks")
    return Seeded(path.stem, fault, path)


def seeded(names: Sequence[str] = ()) -> list[Seeded]:
    """All deliberate faults, or those named."""
    return [
        read(path) for path in sorted(FOLDER.glob("*.patch")) if not names or path.stem in names
    ]


@click.command()
@click.argument("names", nargs=-1)
@click.option("--jobs", default=2, show_default=True, help="Faults at a time.")
@click.option(
    "--budget", default=300.0, show_default=True, help="Seconds a fault, compiling included."
)
@click.option("--profile", default="quick", show_default=True, help="Of hypothesis.")
@click.option("--seed", default=0, show_default=True, help="Of hypothesis.")
@click.option("--tests", multiple=True, default=("tests/stateful",), show_default=True)
def main(
    names: tuple[str, ...],
    jobs: int,
    budget: float,
    profile: str,
    seed: int,
    tests: tuple[str, ...],
) -> None:
    """Try all faults of tests/seeded/, or those named; fail if the tests miss one."""
    faults = seeded(names)
    trials: dict[Seeded, Trial] = {}

    async def attempt(fault: Seeded) -> None:
        with tree.copy(pristine) as copied:
            tree.apply_patch(copied, fault.patch)
            trials[fault] = await run(copied, tests, budget, profile, seed)
        CONSOLE.print(f"{fault.name}: {trials[fault].verdict} ({trials[fault].seconds:.0f} s)")

    async def try_all() -> None:
        await check(pristine, tests, budget, profile, seed)
        await run_all(faults, attempt, jobs)

    tree.remove_leftovers()
    with tree.copy(ROOT) as pristine:
        complete(try_all())
    RESULT.parent.mkdir(exist_ok=True)
    rows = [{"name": f.name, "fault": f.fault, **asdict(trials[f])} for f in faults]
    RESULT.write_text(json.dumps(rows, indent=2) + "\n")
    _show(trials)
    missed = [fault.name for fault in faults if trials[fault].verdict is not Verdict.FOUND]
    if missed:
        click.echo(f"not found: {', '.join(missed)}", err=True)
        sys.exit(1)


def _show(trials: dict[Seeded, Trial]) -> None:
    table = Table("fault", "verdict", "by", "seconds", title="Seeded faults")
    for fault, trial in sorted(trials.items(), key=lambda item: item[0].name):
        style = None if trial.verdict is Verdict.FOUND else "red"
        by = f"{trial.test.rpartition('::')[2]}: {trial.message}" if trial.test else ""
        table.add_row(fault.name, trial.verdict, escape(by), f"{trial.seconds:.0f}", style=style)
    CONSOLE.print(table)


if __name__ == "__main__":
    main()
