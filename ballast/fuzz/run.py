"""A run without hypothesis: scenes and their bytes come from a seed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from ballast.fuzz import probes
from ballast.fuzz.adopt import adopt
from ballast.fuzz.plays.wired import Wired
from ballast.fuzz.twin import Twin
from ballast.fuzz.wiring import Wiring

SCENE_BYTES = 80


@dataclass(frozen=True)
class Report:
    """What a run has done. `seconds`: of the wall's clock."""

    calls: int
    seconds: float
    actions: dict[str, int]
    branches: dict[str, int]


def run(
    arena: Wiring, calls: int, seed: int, progress: Callable[[int], None] = lambda done: None
) -> Report:
    """Play on an arena as it stands until so many calls have been accepted; everybody's exits are
    tried at the end. Raises `Finding`."""
    began, source = time.perf_counter(), random.Random(seed)
    adopted = adopt(arena.chain, arena.vault, arena.clearing, arena.token, arena.accounts)
    twin = Twin(arena, adopted.clearing, arena.payer, arena.keeper)
    adopted.pass_on(twin.dust)
    people = [account for account in arena.accounts if account not in arena.drained]
    play = Wired(twin, people, arena.drained, arena.stakers, arena.heir)
    scenes = sorted(play.scenes())
    play.play("arrive", source.randbytes(4 * len(people)))
    while twin.calls < calls:
        play.play(source.choice(scenes), source.randbytes(SCENE_BYTES))
        progress(min(twin.calls, calls))
    twin.compare()
    twin.comparison.views()
    probes.assert_exits(twin)
    seconds = time.perf_counter() - began
    return Report(twin.calls, seconds, dict(twin.actions), dict(twin.branches.counts))
