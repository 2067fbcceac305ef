"""The report of a session (`--fuzz-report`), and what fails it beside a finding."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from tests.stateful.tally import TALLY


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write and print the report; a branch that never fired fails the session."""
    path = session.config.getoption("--fuzz-report")
    if not path:
        return
    TALLY.write(Path(path))
    console = Console()
    console.print()
    TALLY.show(console)
    if TALLY.missing:
        console.print(f"[red]never fired: {', '.join(TALLY.missing)}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
