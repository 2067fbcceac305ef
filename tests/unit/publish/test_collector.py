"""The collector on an in-process chain: when it sends, and what it does when sending fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from ballast import config
from ballast.client import Ballast
from ballast.deploy import deploy, deploy_token
from ballast.errors import BallastError, ConfigError, Reverted
from ballast.evm import Revm
from ballast.publish.collector import Collector, Terms
from ballast.publish.submit import dry
from ballast.signing import key_from_label, sign_price
from ballast.web import serving

WAD = 10**18
SENDER = key_from_label("collector").address
KEYS = [key_from_label(f"publisher {i}") for i in range(5)]
START = {1: 100_000 * WAD, 2: 4_000 * WAD, 3: 200 * WAD}


class Desk:
    """A deployment, three honest publishers' pages, and a collector of them."""

    def __init__(self, stack: ExitStack) -> None:
        self.chain = Revm()
        asked = config.load(config.PARAMETERS / "local.toml")
        token = deploy_token(self.chain, SENDER)
        kept = deploy(self.chain, asked, sender=SENDER, collateral=token)
        self.ballast = Ballast.from_deployment(self.chain, kept)
        self.prices = dict(START)
        self.ago = 0
        self.fails: BallastError | None = None
        self.submitted = 0
        self.urls = [
            stack.enter_context(serving({"/reports": self.page(key)}, CollectorRegistry(), 0))
            for key in KEYS[:3]
        ]
        self.collector = self.made(Terms(deviation_bps=10))

    def made(self, terms: Terms, urls: list[str] | None = None) -> Collector:
        urls = self.urls if urls is None else urls
        return Collector(self.ballast, urls, self.submit, terms, lambda: self.chain.timestamp)

    def page(self, key: Any) -> Any:
        def reports() -> tuple[int, Any]:
            when = self.chain.timestamp - self.ago
            domain = self.ballast.report_domain
            signed = [sign_price(domain, m, p, when, key) for m, p in self.prices.items()]
            told = [
                {
                    "market": s.market,
                    "price": str(s.price),
                    "timestamp": s.timestamp,
                    "signature": s.signature.hex(),
                }
                for s in signed
            ]
            return 200, {"publisher": key.address, "reports": told}

        return reports

    def submit(self, data: bytes, gas: int) -> str:
        self.submitted += 1
        if self.fails is not None:
            raise self.fails
        receipt = self.chain.send(self.ballast.oracle.address, data, sender=SENDER, exact_gas=True)
        assert receipt.gas_used < gas
        return "0x"

    def tick(self, seconds: int = 12) -> int:
        self.chain.mine(seconds)
        return self.collector.tick()


@pytest.fixture
def desk() -> Iterator[Desk]:
    with ExitStack() as stack:
        yield Desk(stack)


def test_sends_what_is_due_and_nothing_else(desk: Desk) -> None:
    assert desk.tick() == 3  # the first ones
    assert desk.tick() == 0
    desk.prices[2] = START[2] * 1_001 // 1_000
    assert desk.tick() == 1  # moved by 10 bps
    assert desk.ballast.oracle.view.price(2)[0] == desk.prices[2]
    assert desk.tick(76) == 2  # a third of 300 s since the first ones
    assert desk.tick(24) == 1
    assert desk.submitted == 4
    # Beyond the breaker: waits, and is confirmed in the next block.
    desk.prices[3] = START[3] * 6 // 5
    assert desk.tick() == 1
    assert desk.ballast.oracle.view.pending(3)[0] == desk.prices[3]
    assert desk.ballast.oracle.view.price(3)[0] == START[3]
    assert desk.tick() == 1
    assert desk.ballast.oracle.view.price(3)[0] == desk.prices[3]
    assert desk.collector.health()[0] == 200


def test_old_reports_are_not_sent(desk: Desk) -> None:
    desk.ago = 299  # a report has to be young enough still when it is mined
    assert desk.tick() == 0
    assert desk.collector.health() == (
        503,
        {
            "is_well": False,
            "ticked_at": desk.chain.timestamp,
            "fresh": {"BTC": False, "ETH": False, "SOL": False},
        },
    )
    desk.ago = 298
    assert desk.tick() == 3


def test_failures_are_waited_out(desk: Desk) -> None:
    """A node that is gone, a contract that refuses: logged, counted, and gone on from there."""
    pauses: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout or 0)
            desk.chain.mine(12)
            if len(pauses) == 2:
                desk.fails = Reverted("oracle: not newer")
            if len(pauses) == 4:
                desk.fails = None
            if len(pauses) == 6:
                self.set()
            return self.is_set()

    desk.fails = BallastError("no answer from the node")
    with capture_logs() as said:
        desk.collector.run(Stop())
    assert pauses == [4, 8, 16, 30, 2, 2]
    assert desk.ballast.oracle.view.price(1)[0] == START[1]
    errors = [entry["error"] for entry in said if entry["event"] == "round failed"]
    assert errors == ["no answer from the node"] * 2 + ["oracle: not newer"] * 2


def test_rules_are_read_again(desk: Desk) -> None:
    """Publishers that were replaced do not count any more."""
    assert desk.tick() == 3
    strangers = sorted((key_from_label(f"new {i}").address for i in range(3)), key=str.lower)
    desk.ballast.oracle.send.set_publishers(strangers, 2, sender=SENDER)
    desk.prices[1] = START[1] * 101 // 100
    desk.chain.mine(60)
    assert desk.tick() == 0
    with serving({}, desk.collector.metrics, 0) as url:
        metrics = httpx.get(f"{url}/metrics").text
    assert f'offers_refused_total{{page="{desk.urls[0]}/reports"}} 1.0' in metrics


def test_settings_are_checked_at_the_start(desk: Desk) -> None:
    with pytest.raises(ConfigError, match="heartbeat of 300 s lets the price go stale"):
        desk.made(Terms(heartbeat_seconds=300))
    with pytest.raises(ConfigError, match="no publisher named"):
        desk.made(Terms(), [])
    with pytest.raises(ConfigError, match="above zero"):
        Terms(deviation_bps=0)
    none = Ballast.from_deployment(
        desk.chain,
        deploy(
            desk.chain,
            config.load(config.PARAMETERS / "local.toml"),
            sender=SENDER,
            collateral=desk.ballast.token.address,
        ),
    )
    none.markets.clear()
    with pytest.raises(ConfigError, match="no market of this deployment"):
        Collector(none, desk.urls, dry)


def test_dry_run_sends_nothing(desk: Desk) -> None:
    made = Collector(desk.ballast, desk.urls, dry, clock=lambda: desk.chain.timestamp)
    desk.chain.mine(12)
    with capture_logs() as said:
        assert made.tick() == 3
    assert "dry run: nothing is sent" in [entry["event"] for entry in said]
    with pytest.raises(Reverted, match="oracle: no price"):
        desk.ballast.oracle.view.price(1)
