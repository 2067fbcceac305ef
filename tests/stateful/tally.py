"""What all runs of a session add up to, and `build/fuzz.json`."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ballast.fuzz.branches import BRANCHES
from ballast.fuzz.twin import Twin


@dataclass
class Tally:
    """Calls that were accepted; refusals that were expected; branches of the waterfall."""

    runs: int = 0
    calls: int = 0
    boundary: int = 0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    actions: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    branches: Counter[str] = field(default_factory=Counter)
    least_dust: int = 0
    began: float = field(default_factory=time.perf_counter)
    began_cpu: float = field(default_factory=time.process_time)

    @contextmanager
    def running(self) -> Iterator[None]:
        """The processor's time of the calls and all their checks."""
        began = time.process_time()
        try:
            yield
        finally:
            self.cpu_seconds += time.process_time() - began

    def add(self, twin: Twin) -> None:
        """A run has ended."""
        self.runs += 1
        self.calls += twin.calls
        self.boundary += twin.boundary
        self.actions.update(twin.actions)
        self.refusals.update(twin.refusals)
        self.branches.update(twin.branches.counts)
        self.least_dust = min(self.least_dust, twin.comparison.least_dust)

    @property
    def missing(self) -> list[str]:
        """Branches that no run went through."""
        return [branch for branch in BRANCHES if not self.branches[branch]]

    def report(self) -> dict[str, Any]:
        """As `build/fuzz.json` has it. `seconds`: of one core, hypothesis's part included."""
        seconds = time.process_time() - self.began_cpu
        return {
            "calls": self.calls,
            "seconds": round(seconds, 2),
            "wall_seconds": round(time.perf_counter() - self.began, 2),
            "seconds_in_calls_and_checks": round(self.cpu_seconds, 2),
            "calls_per_second": round(self.calls / seconds, 1) if seconds else 0.0,
            "calls_per_core_hour": int(self.calls / seconds * 3_600) if seconds else 0,
            "runs": self.runs,
            "boundary": self.boundary,
            "least_dust_wei": self.least_dust,
            "actions": dict(self.actions.most_common()),
            "refusals": dict(self.refusals.most_common()),
            "branches": {branch: self.branches[branch] for branch in BRANCHES},
        }

    def write(self, path: Path) -> None:
        """The report as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.report(), indent=2) + "\n")

    def show(self, console: Console) -> None:
        """The report as tables."""
        report = self.report()
        for title, counts in (
            ("Actions", self.actions),
            ("Expected refusals", self.refusals),
            ("Branches of the waterfall", report["branches"]),
        ):
            table = Table(title, "times")
            for name, count in sorted(counts.items(), key=lambda item: -item[1]):
                table.add_row(name, f"{count:,}")
            console.print(table)
        console.print(
            f"{self.runs:,} runs, {self.calls:,} protocol calls in {report['seconds']:,} s of one"
            f" core ({report['seconds_in_calls_and_checks']:,} s in calls and checks):"
            f" {report['calls_per_second']:,} calls a second,"
            f" {report['calls_per_core_hour']:,} a core-hour"
        )


TALLY = Tally()
