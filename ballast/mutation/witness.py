"""The pytest plugin inside a trial: it writes down the first failure.

Hypothesis neither shrinks what it finds (a trial only asks whether there is something) nor takes a
busy machine for a finding. Tests of gas figures are left out: any change of the code fails them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

FILE_VARIABLE = "BALLAST_WITNESS"


def pytest_configure(config: pytest.Config) -> None:
    """Changes the profile before any test module asks for it."""
    name = settings.get_current_profile_name()
    settings.register_profile(
        name,
        settings.get_profile(name),
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=tuple(HealthCheck),
        report_multiple_bugs=False,
    )
    settings.load_profile(name)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what compares gas figures."""
    gas = [item for item in items if "gas_snapshot" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=gas)
    items[:] = [item for item in items if item not in gas]


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A test module that cannot be imported is a failure as well."""
    _note(report)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Set-up, test, tear-down."""
    _note(report)


def _note(report: pytest.CollectReport | pytest.TestReport) -> None:
    path = Path(os.environ[FILE_VARIABLE])
    if not report.failed or path.exists():
        return
    crash = getattr(report.longrepr, "reprcrash", None)
    message = crash.message if crash else report.longreprtext.strip().splitlines()[-1]
    path.write_text(json.dumps({"test": report.nodeid, "message": message}))
