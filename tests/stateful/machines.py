"""State machines from simple to complex: each adds what its play adds.

A rule plays a scene: hypothesis picks the scene and draws its bytes, the play turns them into
calls that must succeed, or fail for the reason it names.
"""

from __future__ import annotations

from contextlib import ExitStack

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from ballast.fuzz import probes
from ballast.fuzz.plays import Governing, Keeping, Staking, Trading, Wired
from ballast.fuzz.twin import Twin
from ballast.fuzz.wiring import RESERVED as WIRED_RESERVED
from tests.stateful.arenas import (
    DRAINED,
    HEIR,
    RESERVED,
    SETTINGS,
    STAKERS,
    Setting,
    arena,
    people,
    wired,
)
from tests.stateful.tally import TALLY
from tests.support.world import DONOR, KEEPER

SCENE = st.binary(min_size=80, max_size=80)
CAST = 18


class TradingMachine(RuleBasedStateMachine):
    """Traders, in small price moves."""

    cast = CAST
    share = 1.0
    """Of the profile's runs."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.play: Trading | None = None
        self.whole = False
        """Whether the last scene was played to its end."""

    @initialize(setting=st.sampled_from(SETTINGS), arrivals=SCENE)
    def open(self, setting: Setting, arrivals: bytes) -> None:
        self.play = self.begin(setting)
        self.arrive(arrivals)

    def arrive(self, data: bytes) -> None:
        self.scene("arrive", data)

    def begin(self, setting: Setting) -> Trading:
        accounts = people(self.cast)
        arena_, exact = self.stack.enter_context(arena(setting, [*accounts, *DRAINED]))
        play = self.cast_of(Twin(arena_, exact, DONOR, KEEPER), accounts)
        play.reserved = RESERVED
        return play

    def cast_of(self, twin: Twin, accounts: list[bytes]) -> Trading:
        return Trading(twin, accounts)

    def scene(self, name: str, data: bytes) -> None:
        assert self.play is not None
        self.whole = False
        with TALLY.running():
            self.play.play(name, data)
        self.whole = True

    @rule(data=SCENE)
    def trade(self, data: bytes) -> None:
        self.scene("trade", data)

    @rule(data=SCENE)
    def trade_more(self, data: bytes) -> None:
        self.scene("trade", data)

    @rule(data=SCENE)
    def idle(self, data: bytes) -> None:
        self.scene("idle", data)

    def teardown(self) -> None:
        try:
            if self.play is not None and self.whole:
                with TALLY.running():
                    self.finish(self.play.twin)
                TALLY.add(self.play.twin)
        finally:
            self.stack.close()

    def finish(self, twin: Twin) -> None:
        """The whole comparison; exits (S8), round trips (S11), second calls (S12) in a copy."""
        twin.compare()
        twin.comparison.views()
        probes.assert_exits(twin)
        for market in twin.markets:
            probes.assert_round_trip(twin, market, twin.holdings.quotes[market].price)
        for account in twin.accounts:
            probes.assert_idempotent(twin, account)


class KeepingMachine(TradingMachine):
    """Crashes, outages, and keepers late or dead."""

    def cast_of(self, twin: Twin, accounts: list[bytes]) -> Trading:
        return Keeping(twin, accounts, DRAINED)

    @rule(data=SCENE)
    def crash(self, data: bytes) -> None:
        self.scene("crash", data)

    @rule(data=SCENE)
    def resolve(self, data: bytes) -> None:
        self.scene("resolve", data)

    @rule(data=SCENE)
    def drain(self, data: bytes) -> None:
        self.scene("drain", data[:20])

    @rule(data=SCENE)
    def outage(self, data: bytes) -> None:
        self.scene("outage", data)

    @rule(data=SCENE)
    def give(self, data: bytes) -> None:
        self.scene("give", data[:12])


class CrowdMachine(KeepingMachine):
    """Positions of little more than the least, by the hundred."""

    cast = 160
    share = 0.1

    def arrive(self, data: bytes) -> None:
        self.scene("crowd", 8 * data)


class StakingMachine(KeepingMachine):
    """With stakers of the insurance fund."""

    share = 1.5

    def cast_of(self, twin: Twin, accounts: list[bytes]) -> Trading:
        return Staking(twin, accounts, DRAINED, STAKERS)

    @rule(data=SCENE)
    def stake(self, data: bytes) -> None:
        self.scene("stake", data)


class GoverningMachine(StakingMachine):
    """With owner and guardian."""

    share = 1.0

    def cast_of(self, twin: Twin, accounts: list[bytes]) -> Trading:
        return Governing(twin, accounts, DRAINED, STAKERS, HEIR)

    @rule(data=SCENE)
    def govern(self, data: bytes) -> None:
        self.scene("govern", data[:48])


class WiredMachine(GoverningMachine):
    """As it is deployed: signed orders, real oracles, and strangers at every door."""

    share = 2.0

    def begin(self, setting: Setting) -> Trading:
        its, exact = self.stack.enter_context(wired(setting.decimals))
        play = Wired(
            Twin(its, exact, its.payer, its.keeper), its.people, its.drained, its.stakers, its.heir
        )
        play.reserved = WIRED_RESERVED
        return play

    @rule(data=SCENE)
    def orders(self, data: bytes) -> None:
        self.scene("orders", data)

    @rule(data=SCENE)
    def publish(self, data: bytes) -> None:
        self.scene("publish", data[:40])

    @rule(data=SCENE)
    def feeds(self, data: bytes) -> None:
        self.scene("feeds", data[:40])

    @rule(data=SCENE)
    def intrude(self, data: bytes) -> None:
        self.scene("intrude", data[:20])


MACHINES = (
    TradingMachine,
    KeepingMachine,
    CrowdMachine,
    StakingMachine,
    GoverningMachine,
    WiredMachine,
)
