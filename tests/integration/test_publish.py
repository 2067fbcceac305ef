"""Publishers that lie, lag and stop, as processes of their own, and a collector that copes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from ape import accounts, networks
from prometheus_client import CollectorRegistry

from ballast import config
from ballast.ape_chain import ApeChain
from ballast.client import Ballast
from ballast.deploy import deploy, deploy_token
from ballast.errors import BallastError, Reverted
from ballast.node import Node
from ballast.publish.collector import (
    GAS_CALL,
    GAS_REPORT,
    GAS_SIGNATURE,
    Collector,
    Terms,
)
from ballast.publish.submit import directly
from ballast.signing import combine, key_from_label, sign_price
from ballast.web import serving

ROOT = Path(__file__).resolve().parents[2]
WAD = 10**18
MAX_AGE = 6
START = {"BTC": 100_000, "ETH": 4_000, "SOL": 200}
KEYS = [key_from_label(f"publisher {i}") for i in range(5)]
SENDER_KEY = key_from_label("collector")
WAIT_SECONDS = 40
START_SECONDS = 60
STALE = 1

pytestmark = pytest.mark.node


class Page:
    """A page of prices that the test sets, with a copy that says half of them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.factor = 100
        self.is_down = False


class Processes:
    """Commands of the project's by name; what they say on stderr is kept in files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: list[str], **environment: str) -> None:
        """Start one."""
        with (self.folder / f"{name}.log").open("wb") as said:
            self.running[name] = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
                stderr=said,
                stdout=subprocess.DEVNULL,
            )

    def publish(self, name: str, key: Any, url: str, seconds_behind: int = 0) -> None:
        """Start a publisher that takes its prices off a page."""
        record_path = str(self.folder / "local.json")
        if seconds_behind:
            module = "tests.support.publishing"
            command = ["-m", module, record_path, self.sources(url), str(seconds_behind)]
        else:
            command = ["scripts/publish.py", "publisher", "--deployment", record_path]
            command += self.publisher_options(url)
        self.start(name, command, PUBLISHER=private(key))

    def publisher_options(self, url: str) -> list[str]:
        """How publishers of this test run."""
        options = ["--sources", self.sources(url), "--publisher-key-env", "PUBLISHER"]
        options += ["--port", "0", "--interval", "1"]
        return [*options, "--jump-bps", "2000", "--confirm-seconds", "1"]

    def sources(self, url: str) -> str:
        """A file of sources that names a page."""
        file = self.folder / f"{url.rsplit('/')[-1]}.toml"
        paths = "\n".join(f'{symbol} = "prices.{symbol}.last"' for symbol in START)
        file.write_text(f'[[source]]\nkind = "http"\nurl = "{url}"\n[source.prices]\n{paths}\n')
        return str(file)

    def said(self, name: str, pattern: str) -> str:
        """What a process says of itself at its start."""
        log = self.folder / f"{name}.log"

        def is_said() -> bool:
            assert self.running[name].poll() is None, log.read_text()
            return bool(re.search(pattern, log.read_text()))

        within(START_SECONDS, is_said)
        return re.findall(pattern, log.read_text())[0]

    def stop(self, name: str) -> int:
        """End one as an operator would; what it returns."""
        process = self.running.pop(name)
        process.terminate()
        return process.wait(10)

    def end(self) -> None:
        """End all."""
        for process in self.running.values():
            process.kill()
            process.wait(10)


def private(key: Any) -> str:
    """A test key as an environment variable holds it."""
    return "0x" + bytes(key.key).hex()


def within(seconds: float, what: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.2)


@pytest.fixture
def page() -> Iterator[Page]:
    """Prices by HTTP: /honest and /liar."""

    def answer(share: int) -> Callable[[], tuple[int, Any]]:
        def prices() -> tuple[int, Any]:
            told = {s: {"last": p * made.factor * share / 10_000} for s, p in START.items()}
            return 503 if made.is_down and share == 100 else 200, {"prices": told}

        return prices

    pages = {"/honest": answer(100), "/liar": answer(50)}
    with serving(pages, CollectorRegistry(), 0) as url:
        made = Page(url)
        yield made


@pytest.fixture
def ballast(anvil_url: str, tmp_path: Path) -> Iterator[Ballast]:
    """A deployment whose prices are stale after six seconds."""
    asked = config.load(config.PARAMETERS / "local.toml")
    markets = tuple(replace(m, max_age_seconds=MAX_AGE) for m in asked.markets)
    settings = {"host": anvil_url}
    with networks.ethereum.local.use_provider("foundry", provider_settings=settings) as provider:
        chain, node = ApeChain(provider), Node(anvil_url)
        # Many blocks a second put the chain's clock ahead of ours: let it start behind.
        node.ask("evm_setTime", int(time.time()) - 1_000)
        sender = chain.register(accounts.test_accounts[0])
        kept = deploy(
            chain,
            replace(asked, markets=markets),
            sender=sender,
            collateral=deploy_token(chain, sender),
            path=tmp_path / "local.json",
        )
        chain.send(SENDER_KEY.address, b"", sender=sender, value=10**18)
        node.ask("evm_setTime", int(time.time()))
        node.ask("evm_mine")
        node.ask("evm_setIntervalMining", 1)
        yield Ballast.from_deployment(chain, kept)


@pytest.fixture
def processes(ballast: Ballast, tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path)
    yield made
    made.end()


def on_chain(ballast: Ballast) -> dict[str, float]:
    """Prices in force."""
    return {s: ballast.oracle.view.observe(m)[0] / WAD for s, m in ballast.markets.items()}


def test_liars_laggards_and_the_silent(
    ballast: Ballast, processes: Processes, page: Page, anvil_url: str
) -> None:
    honest, liar = f"{page.url}/honest", f"{page.url}/liar"
    processes.publish("second", KEYS[1], honest)
    processes.publish("third", KEYS[2], honest)
    processes.publish("liar", KEYS[3], liar)
    processes.publish("late", KEYS[4], honest, seconds_behind=600)
    urls = [
        processes.said(name, r"publisher 0x\w+ at (http://\S+)/reports")
        for name in ("second", "third", "liar", "late")
    ]
    processes.start(
        "both",
        [
            *(str(Path(sys.executable).parent / "ape"), "run", "publish"),
            *("--network", "ethereum:local:foundry"),
            *("--deployment", str(processes.folder / "local.json")),
            *processes.publisher_options(honest),
            *(part for url in urls for part in ("--publisher", url)),
            *("--sender-key-env", "SENDER", "--collector-port", "0", "--poll", "0.5"),
        ],
        PUBLISHER=private(KEYS[0]),
        SENDER=private(SENDER_KEY),
        APE_FOUNDRY_HOST=anvil_url,
    )
    health = processes.said("both", r"collector at (\S+)")
    first_block = ballast.chain.block_number

    def is_at(factor: int) -> bool:
        try:
            return on_chain(ballast) == {s: p * factor / 100 for s, p in START.items()}
        except Reverted:  # no price yet
            return False

    # Three honest ones, one at half the price, one ten minutes behind.
    within(WAIT_SECONDS, lambda: is_at(100))
    within(5, lambda: httpx.get(health).status_code == 200)
    assert httpx.get(health).json()["fresh"] == dict.fromkeys(START, True)
    page.factor = 103
    within(WAIT_SECONDS, lambda: is_at(103))
    # One of the honest stops: the liar is needed for three of five, and outvoted.
    assert processes.stop("third") == 0
    page.factor = 106
    within(WAIT_SECONDS, lambda: is_at(106))
    # Beyond the breaker's ten per cent: waits for a second report, and gets one.
    page.factor = 120
    within(WAIT_SECONDS, lambda: is_at(120))
    # All honest ones are down, one by its source, one hanging: nothing is signed for a lie.
    page.is_down = True
    processes.running["second"].send_signal(signal.SIGSTOP)
    status = ballast.clearinghouse.view.price_status
    within(WAIT_SECONDS, lambda: all(status(m) == STALE for m in ballast.markets.values()))
    with pytest.raises(Reverted, match="oracle: stale"):
        ballast.oracle.view.price(1)
    assert is_at(120)
    within(5, lambda: httpx.get(health).status_code == 503)
    # Back.
    page.is_down = False
    processes.running["second"].send_signal(signal.SIGCONT)
    within(WAIT_SECONDS, lambda: all(status(m) == 0 for m in ballast.markets.values()))
    assert is_at(120)
    # Every price that was ever in force is an honest one; the breaker did wait.
    node, oracle = Node(anvil_url), ballast.oracle
    batches = node.logs([oracle.address], first_block, ballast.chain.block_number)
    events = [e for logs, _, _ in batches for e in oracle.interface.decode_logs(logs)]
    start = {ballast.markets[symbol]: price for symbol, price in START.items()}
    factors = [e.price_wad * 100 // (start[e.market] * WAD) for e in events]
    assert set(factors) == {100, 103, 106, 120}
    waiting = {e.market for e in events if e.name == "PricePending"}
    assert waiting == set(ballast.markets.values())
    metrics = httpx.get(health.replace("health", "metrics")).text
    assert f'outliers_total{{publisher="{KEYS[3].address}"}}' in metrics
    assert processes.stop("both") == 0


def test_gas_bound_and_refusals(ballast: Ballast) -> None:
    """The gas limit is enough for the first report of every market, and not ten times too much;
    a batch that the contract refuses is tried one by one, and reported."""
    provider = ballast.chain._provider  # type: ignore[attr-defined]
    submit = directly(provider.web3, SENDER_KEY, ballast.oracle.address)
    now = ballast.chain.timestamp
    prices = {1: 100_000 * WAD, 2: 4_000 * WAD, 3: 200 * WAD}
    reports = ballast.sign_prices(prices, KEYS, now)
    data = ballast.oracle.data.report_prices([report.as_tuple() for report in reports])
    bound = GAS_CALL + GAS_REPORT * len(reports) + GAS_SIGNATURE * 15
    used = provider.web3.eth.get_transaction_receipt(submit(data, bound))["gasUsed"]
    assert bound / 3 < used < bound
    with pytest.raises(Reverted, match="oracle: not newer"):
        submit(data, bound)
    later = ballast.sign_prices(prices, KEYS, now + 1)
    data = ballast.oracle.data.report_prices([report.as_tuple() for report in later])
    time.sleep(1)
    with pytest.raises(Reverted, match="halt"):
        submit(data, 100_000)
    poor = directly(provider.web3, key_from_label("nobody"), ballast.oracle.address)
    with pytest.raises(BallastError, match=r"[Ii]nsufficient funds"):
        poor(data, bound)


def test_collector_sends_the_rest_of_a_refused_batch(ballast: Ballast) -> None:
    """Somebody else's report of one market came first: the other markets still get theirs."""
    web3 = ballast.chain._provider.web3  # type: ignore[attr-defined]
    direct = directly(web3, SENDER_KEY, ballast.oracle.address)
    sizes = []

    def raced(data: bytes, gas: int) -> str:
        sizes.append(len(data))
        if len(sizes) == 1:
            price = [sign_price(ballast.report_domain, 1, 99 * WAD, now, key) for key in KEYS[:3]]
            other = ballast.oracle.data.report_prices([combine(price).as_tuple()])
            direct(other, gas)
        return direct(data, gas)

    now = int(time.time())
    domain = ballast.report_domain

    def page_of(key: Any) -> Callable[[], tuple[int, Any]]:
        signed = [sign_price(domain, market, 100 * WAD, now, key) for market in (1, 2, 3)]
        reports = [
            {
                "market": s.market,
                "price": str(s.price),
                "timestamp": s.timestamp,
                "signature": s.signature.hex(),
            }
            for s in signed
        ]
        return lambda: (200, {"publisher": key.address, "reports": reports})

    with ExitStack() as stack:
        urls = [
            stack.enter_context(serving({"/reports": page_of(key)}, CollectorRegistry(), 0))
            for key in KEYS[:3]
        ]
        collector = Collector(ballast, urls, raced, Terms(deviation_bps=10))
        with pytest.raises(Reverted, match="oracle: not newer"):
            collector.tick()
        assert collector.tick() == 2
        assert [ballast.oracle.view.observe(m)[0] // WAD for m in (1, 2, 3)] == [99, 100, 100]
        assert collector.tick() == 0
