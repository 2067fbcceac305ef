"""What all tests share: profiles, the gas snapshot, and a local node where one is needed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from ballast import standin
from tests.support.nodes import anvil

ROOT = Path(__file__).resolve().parent.parent
GAS_SNAPSHOT = ROOT / "tests" / "gas_snapshot.json"

settings.register_profile("quick", max_examples=20, deadline=None)
settings.register_profile(
    "ci",
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "nightly", max_examples=2_000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-gas", action="store_true", help="Write tests/gas_snapshot.json anew (make gas)."
    )
    parser.addoption("--full", action="store_true", help="Faults at their full size (make faults).")
    parser.addoption("--fuzz-report", help="Where the machines' report goes (make fuzz).")
    parser.addoption("--fuzz-seed", type=int, default=1, help="First seed of a nightly run.")
    parser.addoption("--fuzz-hours", type=float, default=1.0, help="How long a nightly run goes.")


@pytest.fixture(scope="session")
def gas_snapshot(request: pytest.FixtureRequest) -> Iterator[Callable[[str, int], None]]:
    """`gas_snapshot(name, gas)` compares a gas figure with the committed one, to the unit.

    With `--update-gas` it is written instead. Figures come from sends with `exact_gas=True`.
    """
    known: dict[str, int] = json.loads(GAS_SNAPSHOT.read_text()) if GAS_SNAPSHOT.exists() else {}
    update = request.config.getoption("--update-gas")

    def check(name: str, gas: int) -> None:
        if update:
            known[name] = gas
            return
        assert name in known, f"no gas figure for {name!r}: run `make gas`"
        assert gas == known[name], f"{name}: {gas:,} gas, was {known[name]:,} (`make gas` accepts)"

    yield check
    if update:
        GAS_SNAPSHOT.write_text(json.dumps(dict(sorted(known.items())), indent=2) + "\n")


@pytest.fixture(scope="session")
def anvil_path() -> str:
    """The anvil binary (`make test` installs it)."""
    return standin.anvil_path()


@pytest.fixture
def anvil_url(anvil_path: str) -> Iterator[str]:
    """A fresh local node's address; it ends with the test."""
    with anvil(anvil_path) as url:
        yield url
