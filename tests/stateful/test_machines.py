"""S1 to S12 under whatever the machines come up with.

What fails is not shrunk: that takes minutes for little, the scenes being long. The ci profile is
derandomised. The nightly profile repeats its round under other seeds (`--fuzz-seed`, counting up)
until `--fuzz-hours` are over.
"""

from __future__ import annotations

import os
import time
import traceback

import pytest
from hypothesis import Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.machines import MACHINES, TradingMachine

RUNS = {"quick": 9, "ci": 60, "nightly": 60}
STEPS = {"quick": 25, "ci": 30, "nightly": 40}
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "quick")


def _run(machine: type[TradingMachine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            settings.get_profile(PROFILE),
            max_examples=max(1, round(RUNS[PROFILE] * machine.share)),
            stateful_step_count=STEPS[PROFILE],
            phases=(Phase.explicit, Phase.generate),
        ),
    )


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.__name__)
def test_machine(machine: type[TradingMachine]) -> None:
    """One round of a machine."""
    _run(machine)


@pytest.mark.skipif(PROFILE != "nightly", reason="the nightly profile goes on for hours")
def test_machines_for_hours(request: pytest.FixtureRequest) -> None:
    """Round after round, each under its own seed; what is found is shown at the end."""
    first = request.config.getoption("--fuzz-seed")
    deadline = time.monotonic() + 3_600 * request.config.getoption("--fuzz-hours")
    number, found = first, []
    while time.monotonic() < deadline:
        for machine in MACHINES:
            try:
                _run(seed(number)(type(machine.__name__, (machine,), {})))
            except Exception:
                found.append(f"{machine.__name__}, seed {number}:\n{traceback.format_exc()}")
        number += 1
    print(f"seeds {first} to {number - 1}")
    assert not found, "\n".join(found)
