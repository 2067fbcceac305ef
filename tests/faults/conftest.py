"""A market for the faults: small for `make test`, of 1,000 accounts for `make faults`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ballast.bench.node_market import Built, Stage, build
from tests.faults.stage import WORST, Act, hire


@dataclass(frozen=True)
class Size:
    """Accounts, kills, minutes of the recording (first and one past the last)."""

    accounts: int
    kills: int
    minutes: tuple[int, int]


SMALL = Size(150, 5, (23, 31))
FULL = Size(1_000, 20, WORST)

Cast = Callable[..., Act]


@pytest.fixture(scope="session")
def size(request: pytest.FixtureRequest) -> Size:
    return FULL if request.config.getoption("--full") else SMALL


@pytest.fixture(scope="session")
def built(size: Size, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(size.accounts, tmp_path_factory.mktemp("market"))


@pytest.fixture
def stage(built: Built, tmp_path: Path) -> Iterator[Stage]:
    with Stage(built, tmp_path) as stage:
        yield stage


@pytest.fixture
def cast(stage: Stage) -> Iterator[Cast]:
    """`cast(count, url=, options=)`: keepers at work on the stage; they end with the test."""
    acts: list[Act] = []

    def call(*args: Any, **options: Any) -> Act:
        act = Act(stage, hire(stage, *args, **options))
        acts.append(act)
        act.begin()
        return act

    yield call
    for act in acts:
        for keeper in act.keepers:
            if keeper.is_running:
                keeper.kill()
