"""Everything an exchange consists of, on loopback.

    node <── deployment <── publishers replay a crash, keeper, relay with the page, maker bots
                        <── traders, who trade with each other once, then with the makers

All but the traders are commands of the project, in processes of their own. Every key is new.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
from eth_account import Account
from eth_account.signers.local import LocalAccount

from ballast import config, scenario, standin
from ballast.app.takers import Takers
from ballast.build import ROOT
from ballast.client import Ballast
from ballast.deploy import deploy
from ballast.errors import BallastError
from ballast.node_chain import NodeChain
from ballast.relay.client import RelayClient, RelayError
from ballast.replay.markets import first_prices
from ballast.standin import StandIn
from ballast.testnet import prices
from ballast.testnet.operators import Operators, hex_of
from ballast.testnet.people import People
from ballast.testnet.processes import Processes
from ballast.web import LOOPBACK

CHAIN_ID = 1_337
"""What Ape takes any local node for."""
NETWORK = "ethereum:local:node"
PARAMETERS = config.PARAMETERS / "local.toml"
PAGE = ROOT / "web" / "dist"
NODE_PORT, PAGE_PORT = 8_545, 8_800
"""Taken where they are free."""
PUBLISHERS, THRESHOLD = 3, 2
MAKERS = (
    ("--half-spread-bps", "5", "--size-quote", "2000"),
    ("--half-spread-bps", "8", "--size-quote", "5000", "--max-position-quote", "60000"),
    ("--half-spread-bps", "12", "--size-quote", "15000", "--max-position-quote", "150000"),
)
MAKER_QUOTE, TAKER_QUOTE = 100_000, 20_000
TAKERS = 4
KEEPER_QUOTE, INSURANCE_QUOTE = 200_000, 12_000
PRICE_DAYS = 2
"""Of real time, for which prices are there."""
READY_SECONDS = 90
COIN_WEI = 10**18

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is asked for. The crash begins after `calm_minutes` of real time, and goes `speed` times
    as fast as it was; then its prices go backwards, and forwards again."""

    traders: int = 30
    seed: int = 20_251_010
    block_seconds: int = 2
    speed: float = 4.0
    calm_minutes: float = 6.0
    port: int = 0


class Exchange:
    """One exchange in a folder of its own, where logs, databases and the record stay."""

    def __init__(self, plan: Plan, folder: Path, say: Say) -> None:
        self.plan, self.folder, self._say = plan, folder, say
        self._port = plan.port or _free(PAGE_PORT)
        self._node = StandIn(
            chain_id=CHAIN_ID, block_seconds=0, folder=folder / "node", port=_free(NODE_PORT)
        )
        self._chain = NodeChain(self._node.url)
        self._processes = Processes(
            folder,
            {
                "WEB3_PROVIDER_URI": self._node.url,
                "APE_DATA_FOLDER": str(folder / "ape"),
            },
        )
        self._record = folder / "deployment.json"
        self._operators = Operators(self._processes, NETWORK, self._record, folder)

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{LOOPBACK}:{self._port}"

    def run(self, ready: Callable[[str], None], stop: threading.Event) -> None:
        """Start all, call `ready` with the page's address, and go on until `stop` is set. In the
        end every process is ended. Raises `BallastError` where a part does not start, or ends."""
        try:
            self._node.start()
            takers = self._start()
            ready(self.url)
            while not stop.wait(takers.pause()):
                self._processes.require()
                takers.step()
        finally:
            self._processes.end()
            if self._node.is_running:
                self._node.kill()  # nothing of it is wanted again

    def _start(self) -> Takers:
        publishers = [self._new() for _ in range(PUBLISHERS)]
        ballast = self._deploy(publishers)
        file, start = self.folder / "prices.csv", time.time()
        crash, speed = scenario.read(), self.plan.speed
        calm_seconds = int(self.plan.calm_minutes * 60 * speed)
        prices.write_endless(file, crash, calm_seconds, int(PRICE_DAYS * 86_400 * speed))
        # The first prices, while publishers are still starting.
        first = {ballast.markets[coin]: price for coin, price in first_prices(crash).items()}
        sender = self._chain.register(self._new())
        ballast.report_prices(first, publishers[:THRESHOLD], sender=sender)

        keeper, matcher, makers = self._new(), self._new(), [self._new() for _ in MAKERS]
        visitors = [self._new() for _ in range(TAKERS)]
        self._serve(matcher)
        people = People(self._node, lambda: ballast, self.plan.traders, self.plan.seed)
        people.fund(self._new(), INSURANCE_QUOTE, stake=True)
        people.fund(keeper, KEEPER_QUOTE)
        for key in makers:
            people.fund(key, MAKER_QUOTE)
        for key in visitors:
            people.fund(key, TAKER_QUOTE)
        trades = people.arrive(first_prices(crash))
        self._say(f"{self.plan.traders} traders have deposited")
        passed = people.trade(trades, lambda text: None)
        self._say(f"{passed} of {len(trades)} trades among them are on chain")
        self._node.set_automine(False)
        self._node.set_interval(self.plan.block_seconds)

        self._operators.keep("keeper", keeper)
        relay = RelayClient(self.url)
        self._wait("the relay", lambda: _answers(self.url))
        for number, (key, options) in enumerate(zip(makers, MAKERS, strict=True)):
            self._processes.start(
                f"maker-{number}",
                *("maker", "--relay", self.url, "--maker-key-env", "KEY", *options),
                KEY=hex_of(key),
            )
        self._operators.publish(publishers, self._new(), file, start, speed)
        coins = ", ".join(crash.coins)
        self._say(f"{PUBLISHERS} publishers replay {coins} at {speed:g} times the speed")
        self._wait("quotes", lambda: _has_quotes(relay))
        return Takers(relay, visitors, self.plan.seed)

    def _deploy(self, publishers: list[LocalAccount]) -> Ballast:
        asked = config.load(PARAMETERS)
        signing = config.SignedOracleConfig(tuple(key.address for key in publishers), THRESHOLD)
        deployer = self._chain.register(self._new())
        kept = deploy(
            self._chain,
            replace(asked, signed_oracle=signing),
            sender=deployer,
            collateral=None,
            path=self._record,
        )
        self._say(f"a node at {self._node.url}, chain {CHAIN_ID}; contracts deployed and verified")
        return Ballast.from_deployment(self._chain, kept)

    def _serve(self, matcher: LocalAccount) -> None:
        """The relay, and the page with a word on where its node is."""
        page = self.folder / "page"
        shutil.copytree(PAGE, page)
        beside = {"rpc_url": self._node.url, "is_local_node": True}
        (page / "config.json").write_text(json.dumps(beside))
        self._processes.start(
            "relay",
            *("relay", "--network", NETWORK, "--deployment", str(self._record)),
            *("--rpc", self._node.url, "--key-env", "KEY", "--max-spend", "100", "--poll", "0.2"),
            *("--db", f"sqlite:///{self.folder}/relay.db", "--port", str(self._port)),
            *("--static", str(page), "--orders-rate", "500", "--reads-rate", "500"),
            KEY=hex_of(matcher),
        )

    def _new(self) -> LocalAccount:
        """A key with coins for gas."""
        key: LocalAccount = Account.create()
        self._node.fund(key.address, 10 * COIN_WEI)
        return key

    def _wait(self, what: str, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not is_so():
            self._processes.require()
            if time.monotonic() > deadline:
                raise BallastError(f"{what}: not within {READY_SECONDS} s")
            time.sleep(0.2)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def _has_quotes(relay: RelayClient) -> bool:
    try:
        books = [relay.book(market, 1) for market in relay.markets().values()]
    except RelayError:
        return False
    return all(book["bids"] and book["asks"] for book in books)


def _free(port: int) -> int:
    """This port, or another where it is taken."""
    return port if standin.is_free(port) else standin.free_port()
