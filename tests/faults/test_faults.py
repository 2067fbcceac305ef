"""Keepers through the crash of 10 October 2025 while everything around them fails.

Each is a process, on a real node; a fault is what happens to the process, to its connection, to the
chain, to gas, or to the reports. Afterwards everything in `Act.audit` must hold.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ballast.bench.node_market import Stage
from tests.faults.conftest import Cast, Size
from tests.faults.stage import OPTIONS, Act
from tests.support import flaky_rpc

MINUTES = 10
LONGEST_SECONDS = 60 * MINUTES
IDLE_SHARE = 0.35
"""Of a keeper's transactions so many may come to nothing because a price came first."""
TURN_SECONDS, BEAT_SECONDS = 0.4, 1.6
"""Of rivals: a block has room for their turns."""
OUTAGE_SECONDS = 400
"""Past the 300 seconds after which a price is stale."""

pytestmark = pytest.mark.node


class Killer(threading.Thread):
    """Kills a keeper at random instants: three of four times while it works, else at its start."""

    def __init__(self, act: Act, kills: int, seed: int) -> None:
        super().__init__(daemon=True)
        self._act, self._kills, self._random = act, kills, random.Random(seed)
        self.pending: list[int] = []
        """Of each kill: transactions on their way."""

    def run(self) -> None:
        (keeper,) = self._act.keepers
        for _ in range(self._kills):
            before = len(keeper.said("block"))
            deadline = time.monotonic() + LONGEST_SECONDS / self._kills
            if self._random.random() < 0.75:
                while len(keeper.said("block")) == before and time.monotonic() < deadline:
                    time.sleep(0.02)
            time.sleep(self._random.uniform(0, 1))
            keeper.kill()
            counted = Counter(line["event"] for line in keeper.said())
            self.pending.append(counted["sent"] - counted["done"])
            keeper.start()


def over(act: Act, is_over: Callable[[], bool], size: Size, **options: Any) -> None:
    """The crash, again and again until something is over."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while not is_over():
        assert time.monotonic() < deadline, act.last_words()
        act.crash(size.minutes, **options)


def test_killed_at_random(cast: Cast, size: Size) -> None:
    act = cast()
    killer = Killer(act, size.kills, seed=1)
    killer.start()
    over(act, lambda: not killer.is_alive(), size)
    act.calm()
    act.end()
    figures = act.audit(IDLE_SHARE)
    print(f"{len(killer.pending)} kills: {figures}")
    assert len(killer.pending) == size.kills


def test_connection_cut_and_slow(cast: Cast, stage: Stage, size: Size) -> None:
    faults = [flaky_rpc.cut, flaky_rpc.silent, flaky_rpc.overloaded, flaky_rpc.broken]
    phases = [
        flaky_rpc.silent,
        flaky_rpc.late(0.3),
        flaky_rpc.sometimes(0.3, faults, seed=1),
        lambda exchange: None,
    ]
    with flaky_rpc.flaky_rpc(stage.url) as proxy:
        act = cast(url=proxy.url)

        def fail(minute: int) -> None:
            proxy.fault = phases[minute % len(phases)]

        over(act, lambda: bool(act.keepers[0].said("step failed")), size, before=fail)
        proxy.fault = lambda exchange: None
        act.calm()
        act.end()
        print(act.audit(IDLE_SHARE))


def test_reorganisations_of_five_blocks(cast: Cast, stage: Stage, size: Size) -> None:
    act = cast()
    (keeper,) = act.keepers
    lost: list[int] = []

    def reorganise(minute: int) -> None:
        if minute % 3 == 2:
            head = stage.node.block()[0]
            act.news.update(range(head - 4, head + 2))
            lost.append(len(stage.receipts(keeper.key.address)))
            stage.reorganise(5)
            lost[-1] -= len(stage.receipts(keeper.key.address))

    over(act, lambda: sum(lost) > 0, size, before=reorganise)
    act.calm()
    act.end()
    print(lost, act.audit(IDLE_SHARE))
    assert keeper.said("reorganised")


@pytest.mark.parametrize(("count", "rude", "most"), [(2, 0, 2), (5, 0, 2), (2, 1, 3)])
def test_competing_keepers(cast: Cast, size: Size, count: int, rude: int, most: int) -> None:
    # Re-ranking earns nothing: who competes leaves it to one (docs/KEEPERS.md).
    act = cast(count, options=replace(OPTIONS, max_refresh=0, turn=TURN_SECONDS), rude=rude)
    act.crash(size.minutes, beat=BEAT_SECONDS)
    act.calm(beat=BEAT_SECONDS)
    act.end()
    print(act.audit(0.5 if rude else IDLE_SHARE))
    # A newcomer may be beaten once, and once more on a loaded machine; who meets one that keeps to
    # no order has learnt it after a few.
    print(act.told(act.nothing_was_lost_to_rivals(most)))


def test_gas_a_hundred_times_as_dear(cast: Cast, stage: Stage, size: Size) -> None:
    usual = stage.base_fee
    options = replace(OPTIONS, max_fee="5", max_spend="1")
    act = cast(options=options)
    (keeper,) = act.keepers
    dear: list[int] = []

    def is_over() -> bool:
        whys = {line["why"] for line in keeper.said("no more at this block")}
        return bool(keeper.said("bumped")) and "fee" in whys

    def price_gas(minute: int) -> None:
        # Every fourth minute beyond what the keeper pays; usual, then as `strand` leaves it.
        if minute % 4 == 3:
            stage.base_fee = 100 * usual
            dear.extend(stage.node.block()[0] + 1 + block for block in range(3))
        elif minute % 4 != 1:
            stage.base_fee = usual

    def strand(minute: int) -> None:
        # What the keeper sends upon this price is offered for the usual gas, and stays behind.
        if minute % 2 == 0:
            act.until_seen()
            stage.base_fee = 40 * usual

    over(act, is_over, size, before=price_gas, after=strand)
    stage.base_fee = usual
    act.calm()
    act.end()
    print(act.audit(IDLE_SHARE))
    mined = act.mined(keeper)
    assert not {one.block for one in mined} & set(dear)
    assert any(one.row.bumps for one in mined)


def test_no_reports_past_staleness(cast: Cast, stage: Stage, size: Size) -> None:
    act = cast()
    first, last = size.minutes
    act.crash((first, last - 4))
    # The price falls, and then no more is heard.
    act.stage.report({market: price * 96 // 100 for market, price in stage.prices.items()})
    stage.mine()
    stage.mine(OUTAGE_SECONDS)
    begin = stage.node.block()[0]
    act.news.add(begin)
    for _ in range(10):
        time.sleep(0.2)
        stage.mine()
    # There is something to do, and nobody does it.
    bankrupt, low = act.low()
    assert bankrupt + low > 0
    end = stage.node.block()[0]
    assert not act.forced(begin, end)
    # The same prices are heard again: now it is done.
    act.calm()
    assert act.forced(end, stage.node.block()[0])
    act.crash((last - 4, last))
    act.calm()
    act.end()
    print(act.audit(IDLE_SHARE))
