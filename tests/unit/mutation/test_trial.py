"""What a trial says, and that it leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from ballast.errors import MutationError
from ballast.mutation.trial import Trial, Verdict, check, complete, execute, judge, run, run_all

PASSES = "def test_it() -> None:\n    pass\n"
FAILS = "def test_it() -> None:\n    assert 1 + 1 == 3\n"
FAILS_BY_GAS = "def test_gas(gas_snapshot) -> None:\n    assert False\n"
SEARCHES = """
from hypothesis import given, strategies

@given(strategies.integers())
def test_it(number: int) -> None:
    assert number < 1_000, f"found {number}"
"""


def attempt(tree: Path, source: str) -> Trial:
    (tree / "test_fault.py").write_text(source)
    return asyncio.run(run(tree, ["test_fault.py"], 60, "quick", 0))


def test_a_failure_is_a_finding(tmp_path: Path) -> None:
    trial = attempt(tmp_path, FAILS)
    assert trial.verdict is Verdict.FOUND
    assert (trial.test, trial.message) == ("test_fault.py::test_it", "assert (1 + 1) == 3")


def test_what_passes_has_missed_it_whatever_failed_before(tmp_path: Path) -> None:
    assert attempt(tmp_path, FAILS).verdict is Verdict.FOUND
    trial = attempt(tmp_path, PASSES + FAILS_BY_GAS)
    assert (trial.verdict, trial.test) == (Verdict.MISSED, "")


def test_a_tree_that_fails_without_a_fault_is_no_place_for_trials(tmp_path: Path) -> None:
    (tmp_path / "test_fault.py").write_text(FAILS)
    with pytest.raises(MutationError, match="without any fault: found"):
        asyncio.run(check(tmp_path, ["test_fault.py"], 60, "quick", 0))


def test_a_search_ends_with_its_first_finding(tmp_path: Path) -> None:
    trial = attempt(tmp_path, SEARCHES)
    assert trial.verdict is Verdict.FOUND
    assert trial.message != "AssertionError: found 1000", "it was shrunk"


def test_no_test_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MutationError, match="pytest ended with 5"):
        attempt(tmp_path, "")


def test_what_does_not_import_is_a_finding(tmp_path: Path) -> None:
    assert attempt(tmp_path, "raise KeyError('x')").verdict is Verdict.FOUND


@pytest.mark.parametrize(
    ("message", "verdict"),
    [
        ("AssertionError: S2\nmore", Verdict.FOUND),
        ("ballast.errors.BuildError: contracts/Lens.vy: no", Verdict.NOT_COMPILED),
        ("ballast.errors.Reverted: halt: CreateContractSizeLimit", Verdict.TOO_LARGE),
    ],
)
def test_judging_the_first_failure(message: str, verdict: Verdict) -> None:
    assert judge("test", message, 1.0) == Trial(verdict, "test", message.split("\n")[0], 1.0)


def test_nothing_runs_on_after_the_budget(tmp_path: Path) -> None:
    (tmp_path / "sleeper.py").write_text(
        "import pathlib, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "pathlib.Path('child').write_text(str(child.pid))\n"
        "child.wait()\n"
    )
    status, _ = asyncio.run(execute(tmp_path, ["sleeper"], 2))
    assert status is None
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 5
    while _is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_alive(child)


def test_a_module_runs_on_the_trees_sources(tmp_path: Path) -> None:
    (tmp_path / "ballast").mkdir()
    (tmp_path / "ballast" / "__init__.py").write_text("")
    (tmp_path / "ballast" / "build.py").write_text("print('of the tree')")
    status, output = asyncio.run(execute(tmp_path, ["ballast.build"], 30))
    assert (status, output) == (0, "of the tree\n")


def test_items_are_worked_on_in_order_and_so_many_at_a_time() -> None:
    log: list[str] = []

    async def work(item: int) -> None:
        log.append(f"begin {item}")
        await asyncio.sleep(0.01)
        log.append(f"end {item}")

    asyncio.run(run_all(range(3), work, 2))
    assert log[:2] == ["begin 0", "begin 1"]
    assert [entry for entry in log if entry.startswith("begin")] == [f"begin {i}" for i in range(3)]
    assert len(log) == 6


def test_a_failing_item_cancels_the_others() -> None:
    cancelled: list[int] = []

    async def work(item: int) -> None:
        if item == 1:
            raise MutationError("no")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(item)
            raise

    with pytest.raises(ExceptionGroup):
        asyncio.run(run_all(range(2), work, 2))
    assert cancelled == [0]


def test_a_terminated_run_cleans_up() -> None:
    cleaned: list[str] = []

    async def work(item: int) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.append("up")

    with pytest.raises(SystemExit, match="cut off"):
        complete(run_all([1], work, 1))
    assert cleaned == ["up"]


def test_what_makes_trials_impossible_is_told() -> None:
    async def work(item: int) -> None:
        raise MutationError(f"no {item}")

    with pytest.raises(SystemExit, match="no 1"):
        complete(run_all([1], work, 1))


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # A zombie has ended: nobody has asked for its status yet.
    return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
