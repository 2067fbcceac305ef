"""`make mutants`: a seeded sample of mechanical faults, each tried against all fast tests.

Every result is kept at once; the next start goes on where the last one ended. Results belong to a
state of the contracts and a seed; `--again` tries what survived once more, for better tests.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ballast.build import ROOT
from ballast.mutation import equal, tree
from ballast.mutation.generate import MODULES, Mutant, shuffled
from ballast.mutation.record import recorded
from ballast.mutation.results import Result, Results
from ballast.mutation.screen import build, compiles
from ballast.mutation.trial import Trial, Verdict, check, complete, run, run_all

FOLDER = ROOT / "build" / "mutants"
PAGE = ROOT / "docs" / "MUTANTS.md"
TARGET = 0.9
PROFILE = "quick"
TESTS = (
    "tests/unit/clearinghouse",
    "tests/unit/liquidation",
    "tests/unit/waterfall",
    "tests/unit/settlement",
    "tests/stateful",
    "tests/unit",
    "tests/regression",
    "tests/integration",
)
"""After a module's own unit tests, in the order that kills soonest (docs/MUTANTS.md)."""
UNCONCERNED = (
    "tests/unit/build",
    "tests/unit/config",
    "tests/unit/deploy",
    "tests/unit/docs",
    "tests/unit/evm",
    "tests/unit/model",
    "tests/unit/mutation",
    "tests/unit/scenario",
    "tests/unit/signing",
    "tests/integration/replay",
    "tests/integration/test_gas.py",
)
"""Not of these modules, slow, or failing with any change of the sources."""
ALONE = ("grid", "share_buckets")
"""Modules whose own tests need a small mock alone: they come before all else is compiled."""
CONSOLE = Console()


def tests_for(module: str) -> list[str]:
    """What a trial of a mutant of this module runs, in order."""
    paths = (f"tests/unit/{module}", *TESTS)
    there = [path for path in paths if (ROOT / path).exists()]
    return [*there, *(f"--ignore={path}" for path in UNCONCERNED)]


@click.command()
@click.option("--sample", default=300, show_default=True, help="Mutants that compile, at least.")
@click.option("--seed", default=0, show_default=True, help="Of the sample, and of hypothesis.")
@click.option("--jobs", default=2, show_default=True, help="Mutants at a time.")
@click.option("--budget", default=1_800.0, show_default=True, help="Seconds a mutant.")
@click.option("--again", is_flag=True, help="Try what has survived so far once more.")
@click.option("--record", is_flag=True, help="Write the result into docs/MUTANTS.md.")
def main(sample: int, seed: int, jobs: int, budget: float, again: bool, record: bool) -> None:
    """Try mutants until the sample is complete; fail if less than 90 % are found."""
    tree.remove_leftovers()
    with tree.copy(ROOT) as pristine:
        contracts = pristine / "contracts"
        results = Results(FOLDER, contracts, seed)
        commit = _commit()

        def why_equal(mutant: Mutant) -> str | None:
            return equal.reason(mutant, (pristine / mutant.path).read_text())

        def wanted() -> Iterator[Mutant]:
            # What has survived and was found to be no fault since, is counted again first.
            yield from [r.mutant for r in results.survivors() if why_equal(r.mutant)]
            if again:
                yield from [result.mutant for result in results.survivors()]
            for mutant in shuffled(seed, contracts):
                if len(results.counted()) >= sample:
                    return
                if not results.is_known(mutant):
                    yield mutant

        async def attempt(mutant: Mutant) -> None:
            why = why_equal(mutant)
            if why or mutant.is_commuted:
                results.add(Result(mutant, Trial(Verdict.EQUAL, message=why or ""), commit))
                return
            if not compiles(mutant, pristine):
                results.add(Result(mutant, Trial(Verdict.NOT_COMPILED), commit))
                return
            with tree.copy(pristine) as copied:
                path = copied / mutant.path
                path.write_text(mutant.applied_to(path.read_text()))
                results.add(Result(mutant, await tried(copied, mutant), commit))

        async def tried(copied: Path, mutant: Mutant) -> Trial:
            trial = Trial(Verdict.MISSED)
            if mutant.module in ALONE:
                own = [f"tests/unit/{mutant.module}"]
                trial = await run(copied, own, budget, PROFILE, seed)
            if trial.verdict is Verdict.MISSED:
                if verdict := await build(copied, pristine, budget):
                    trial = Trial(verdict)
                else:
                    trial = await run(copied, tests_for(mutant.module), budget, PROFILE, seed)
            _tell(mutant, trial)
            return trial

        async def try_all() -> None:
            await check(pristine, tests_for(MODULES[0]), budget, PROFILE, seed)
            await run_all(wanted(), attempt, jobs)

        complete(try_all())
    _show(results)
    if record:
        PAGE.write_text(recorded(PAGE.read_text(), results, seed))
    if results.score() < TARGET:
        sys.exit(1)


def _commit() -> str:
    """The commit of the working tree, marked where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()


def _tell(mutant: Mutant, trial: Trial) -> None:
    change = f"{mutant.before.strip()}  =>  {mutant.after.strip()}"
    test = trial.test.removeprefix("tests/")
    CONSOLE.print(
        f"[bold]{trial.verdict}[/] {mutant.module}:{mutant.line} ({trial.seconds:.0f} s) "
        f"{escape(change)}  [dim]{escape(test)}[/]",
        soft_wrap=True,
    )


def _show(results: Results) -> None:
    table = Table("module", *Verdict, title=f"Mutants: {results.score():.1%} found")
    for module in (*MODULES, None):
        counts = [str(results.count(verdict, module)) for verdict in Verdict]
        table.add_row(module or "all", *counts)
    CONSOLE.print(table)
    for result in results.survivors():
        _tell(result.mutant, result.trial)
    CONSOLE.print(f"in {results.path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
