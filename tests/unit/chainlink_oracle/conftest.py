"""Chainlink adapters over feeds whose rounds are set at will."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from ballast.build import artifact
from ballast.chain import ZERO_ADDRESS
from ballast.contract import Contract
from ballast.evm import Revm

DEPLOYER = "0x" + "d0" * 20
OWNER = "0x" + "0e" * 20
KEEPER = "0x" + "c3" * 20
MARKET = 1
PHASE = 3 << 64
"""Round ids of a proxy's third aggregator start above it."""


@dataclass
class Setup:
    """One oracle with one feed (heartbeat 3,600 s), and on an L2 one sequencer feed."""

    chain: Revm
    oracle: Contract
    feed: Contract
    sequencer: Contract | None
    deploy: Callable[..., Contract]

    owner, keeper, market, phase = OWNER, KEEPER, MARKET, PHASE
    heartbeat, grace = 3_600, 1_800

    def round(self, number: int, answer: int, age: int, answered_in: int | None = None) -> int:
        """Make round `number` of the phase the latest, `age` seconds old; its time."""
        time = self.chain.timestamp - age
        answered = PHASE + number if answered_in is None else answered_in
        self.feed.send.set_round(PHASE + number, answer, time, time, answered, sender=KEEPER)
        return time

    def set_sequencer(self, answer: int, started_at: int) -> None:
        """The sequencer feed's latest round: 0 is up."""
        assert self.sequencer is not None
        self.sequencer.send.set_round(1, answer, started_at, started_at, 1, sender=KEEPER)

    def observe(self) -> tuple[int, int, int]:
        """Price, time, status."""
        return self.oracle.view.observe(MARKET)

    def status(self) -> int:
        """Status bits: 1 stale, 4 grace."""
        return self.observe()[2]


@pytest.fixture(scope="session")
def make() -> Callable[..., Setup]:
    """A new oracle, on an L1 or an L2."""

    def build(decimals: int = 8, is_l2: bool = False, grace: int = Setup.grace) -> Setup:
        chain = Revm()

        def deploy(name: str, *args: object) -> Contract:
            made = artifact(name)
            address, _ = chain.deploy(made.deploy_code(*args), sender=DEPLOYER)
            return Contract(chain, address, made.abi)

        feed = deploy("MockAggregator", decimals)
        sequencer = deploy("MockAggregator", 0) if is_l2 else None
        uptime = sequencer.address if sequencer else ZERO_ADDRESS
        oracle = deploy("ChainlinkOracle", OWNER, uptime, grace)
        oracle.send.set_feed(MARKET, feed.address, Setup.heartbeat, sender=OWNER)
        return Setup(chain, oracle, feed, sequencer, deploy)

    return build


@pytest.fixture
def s(make: Callable[..., Setup]) -> Setup:
    """An oracle on an L1, its feed at 100 since a minute, without gaps before."""
    setup = make()
    setup.round(1, 100 * 10**8, 120)
    setup.round(2, 100 * 10**8, 60)
    return setup


@pytest.fixture
def l2(make: Callable[..., Setup]) -> Setup:
    """The same on an L2 whose sequencer has been up for a day."""
    setup = make(is_l2=True)
    setup.round(1, 100 * 10**8, 120)
    setup.round(2, 100 * 10**8, 60)
    setup.set_sequencer(0, setup.chain.timestamp - 86_400)
    return setup
