"""One test run in a copy of the tree, within a time budget; and many of them at a time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from ballast.errors import MutationError
from ballast.mutation.witness import FILE_VARIABLE

T = TypeVar("T")


class Verdict(StrEnum):
    """What became of a fault."""

    FOUND = "found"
    MISSED = "missed"
    TIMED_OUT = "timed out"
    """Not found within the budget; it says nothing more."""
    NOT_COMPILED = "not compiled"
    TOO_LARGE = "too large"
    """Compiled, but over EIP-170's limit: refused at its deployment, whatever it does."""
    EQUAL = "equal"
    """Compiled to the code of the sources as they are, or swaps what commutes: no fault."""


@dataclass(frozen=True)
class Trial:
    """A verdict, the test that failed with the first line of its message, and the time taken."""

    verdict: Verdict
    test: str = ""
    message: str = ""
    seconds: float = 0.0


async def run(
    tree: Path, tests: Sequence[str], budget: float, profile: str, hypothesis_seed: int
) -> Trial:
    """Run tests, in this order, until the first failure. Raises `MutationError` where pytest itself
    fails."""
    witness = tree / "witness.json"
    witness.unlink(missing_ok=True)
    command = ["pytest", "-x", "--tb=short", "-m", "not node", *tests]
    command += ["-p", "no:cacheprovider", "-p", "no:xdist", "-p", "ballast.mutation.witness"]
    command += [f"--hypothesis-seed={hypothesis_seed}"]
    environment = {"HYPOTHESIS_PROFILE": profile, FILE_VARIABLE: str(witness)}
    begun = time.monotonic()
    status, output = await execute(tree, command, budget, environment)
    seconds = time.monotonic() - begun
    if witness.exists():
        return judge(**json.loads(witness.read_text()), seconds=seconds)
    if status is None:
        return Trial(Verdict.TIMED_OUT, seconds=seconds)
    if status != 0:
        raise MutationError(f"pytest ended with {status}:\n{output[-2_000:]}")
    return Trial(Verdict.MISSED, seconds=seconds)


async def check(
    tree: Path, tests: Sequence[str], budget: float, profile: str, hypothesis_seed: int
) -> None:
    """See that the tests pass in a tree without a fault; what they compile is there for copies of
    it. Raises `MutationError`."""
    trial = await run(tree, tests, budget, profile, hypothesis_seed)
    if trial.verdict is not Verdict.MISSED:
        raise MutationError(f"without any fault: {trial.verdict}, {trial.test}: {trial.message}")


def judge(test: str, message: str, seconds: float) -> Trial:
    """The trial whose first failure was this one."""
    verdict = Verdict.FOUND
    if message.startswith("ballast.errors.BuildError"):
        verdict = Verdict.NOT_COMPILED
    elif "CreateContractSizeLimit" in message:
        verdict = Verdict.TOO_LARGE
    return Trial(verdict, test, message.strip().split("\n")[0], seconds)


async def execute(
    tree: Path, module: Sequence[str], budget: float, environment: dict[str, str] | None = None
) -> tuple[int | None, str]:
    """Run a Python module in a tree, on the tree's own sources: its exit status (None: its time was
    up) and output. Whatever happens, no process stays behind."""
    output = tree / "output.txt"
    with output.open("wb") as stream:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *module,
            cwd=tree,
            env={**os.environ, **(environment or {}), "PYTHONPATH": str(tree)},
            stdout=stream,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = await asyncio.wait_for(child.wait(), budget)
        except TimeoutError:
            status = None
        finally:
            if child.returncode is None:
                os.killpg(child.pid, signal.SIGKILL)
                await child.wait()
    return status, output.read_text(errors="replace")


async def run_all(items: Iterable[T], work: Callable[[T], Awaitable[None]], jobs: int) -> None:
    """`work` on each item, `jobs` at a time, begun in order. Where one fails, all are cancelled."""
    queue = iter(items)

    async def lane() -> None:
        for item in queue:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(jobs):
            group.create_task(lane())


def complete(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end; exit with a message where trials are not possible. A run that is terminated
    ends its processes and removes its copies as an interrupted one does."""

    async def attended() -> None:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        try:
            await work
        except asyncio.CancelledError:
            raise SystemExit("cut off") from None

    try:
        asyncio.run(attended())
    except* MutationError as group:
        raise SystemExit("\n".join(map(str, group.exceptions))) from group
