"""A run from an empty chain to the end of a crash.

    stand-in node <── deploy (keystore) <── people trade <── publishers replay the crash
                                                         <── two keepers, one of them killed

Everything but the people is one of the project's commands in a process of its own. The chain alone
is asked what came of it (`audit`).
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from eth_account import Account
from eth_account.signers.local import LocalAccount

from ballast import config, record, scenario
from ballast.client import Ballast
from ballast.errors import BallastError, Reverted
from ballast.keeper.blocks import Header
from ballast.keeper.rpc import Rpc
from ballast.keeper.source import Source
from ballast.keeper.view import BlockView
from ballast.record import Record
from ballast.replay.markets import first_prices
from ballast.signing import key_from_label
from ballast.standin import StandIn
from ballast.testnet import prices
from ballast.testnet.audit import Audit, audit
from ballast.testnet.operators import Operators
from ballast.testnet.people import People
from ballast.testnet.processes import Processes

NETWORK = "ethereum:sepolia:node"
PARAMETERS = config.PARAMETERS / "local.toml"
PUBLISHERS = 5
KEEPERS = ("keeper-1", "keeper-2")
DEPLOY_SECONDS = 240
CALM_SECONDS = 110
"""Real time before the crash, in which people trade."""
AFTER_SECONDS = 240
"""For how long prices go on when the crash is over: no longer is waited for the keepers."""
DEAD_SECONDS = 10
"""How long a killed keeper stays dead."""
AUDIT_SECONDS = 5
COIN_WEI = 10**18

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is asked for. `speed` is how much faster than it was the crash goes; quote is whole."""

    traders: int = 110
    seed: int = 20_251_010
    block_seconds: int = 2
    speed: float = 30.0
    insurance_quote: int = 12_000
    keeper_quote: int = 200_000


@dataclass
class Result:
    """What came of it. `audits` are in order; the last one is of the end."""

    audits: list[Audit] = field(default_factory=list)
    traders: int = 0
    trades: int = 0
    keeper_restarts: int = 0
    seconds: float = 0.0

    @property
    def violations(self) -> list[str]:
        """Of S1 and S2, at any audit."""
        return [f"block {a.block}: {text}" for a in self.audits for text in a.violations]


class Run:
    """One run in a folder of its own, where logs, databases and the record stay."""

    def __init__(self, plan: Plan, folder: Path, say: Say) -> None:
        self.plan, self.folder, self._say = plan, folder, say
        self.result = Result()
        self._node = StandIn(block_seconds=plan.block_seconds, folder=folder / "node")
        self._passphrase = secrets.token_hex(16)
        self._keys: dict[str, LocalAccount] = {
            name: Account.create()
            for name in ("deployer", "collector", *KEEPERS, *map(_publisher, range(PUBLISHERS)))
        }
        self._processes = Processes(
            folder,
            {
                "WEB3_PROVIDER_URI": self._node.url,
                "APE_DATA_FOLDER": str(folder / "ape"),
                "APE_ACCOUNTS_deployer_PASSPHRASE": self._passphrase,
                "COLUMNS": "160",
            },
        )
        self._record_path = folder / "sepolia.json"
        self._operators = Operators(self._processes, NETWORK, self._record_path, folder)

    def run(self) -> Result:
        """Raises `BallastError` where a part of it fails."""
        began = time.monotonic()
        try:
            with self._node:
                self._deploy()
                kept = record.load(self._record_path)
                crash_at = self._publish(kept)
                self._trade(kept)
                self._crash(kept, crash_at)
        finally:
            self._processes.end()
        self.result.seconds = time.monotonic() - began
        return self.result

    # From the beginning to a market

    def _deploy(self) -> None:
        store = self.folder / "ape" / "accounts"
        store.mkdir(parents=True)
        kept = Account.encrypt(self._keys["deployer"].key, self._passphrase)
        (store / "deployer.json").write_text(json.dumps(kept))
        for name in ("deployer", "collector", *KEEPERS):
            self._node.fund(self._keys[name].address, 10 * COIN_WEI)
        self._say(f"a node as chain {self._node.chain_id}, no unlocked accounts; deploying")
        publishers = [self._keys[_publisher(n)].address for n in range(PUBLISHERS)]
        self._processes.run(
            "deploy",
            *("deploy", "--network", NETWORK, "--account", "deployer"),
            *("--deployment", str(self._record_path), "--parameters", str(PARAMETERS)),
            *(word for address in publishers for word in ("--publisher", address)),
            seconds=DEPLOY_SECONDS,
        )

    def _publish(self, kept: Record) -> float:
        """Publishers and their collector; when the crash begins, Unix seconds."""
        file, speed = self.folder / "prices.csv", self.plan.speed
        prices.write(file, scenario.read(), int(CALM_SECONDS * speed), int(AFTER_SECONDS * speed))
        start = time.time()
        publishers = [self._keys[_publisher(number)] for number in range(PUBLISHERS)]
        self._operators.publish(publishers, self._keys["collector"], file, start, speed)
        self._wait("first prices", 60, lambda: self._has_prices(kept))
        self._say(f"{PUBLISHERS} publishers, prices on chain; time goes {speed:g} times faster")
        return start + CALM_SECONDS

    def _trade(self, kept: Record) -> None:
        plan = self.plan
        people = People(self._node, lambda: self._client(kept), plan.traders, plan.seed)
        people.fund(key_from_label("staker"), plan.insurance_quote, stake=True)
        for name in KEEPERS:
            people.fund(self._keys[name], plan.keeper_quote)
            self._operators.keep(name, self._keys[name])
        trades = people.arrive(first_prices(scenario.read()))
        self._say(f"{plan.traders} traders have deposited, {len(KEEPERS)} keepers look on")
        self.result.traders = plan.traders
        self.result.trades = people.trade(trades, self._say)

    # The crash

    def _crash(self, kept: Record, crash_at: float) -> None:
        length = (scenario.read().end - scenario.read().start) / self.plan.speed
        while time.time() < crash_at:
            time.sleep(0.5)
        self._say(f"the crash: {length:.0f} s")
        end, last = crash_at + length, crash_at + length + AFTER_SECONDS - 30
        restart_at = 0.0
        while time.time() < last:
            time.sleep(AUDIT_SECONDS)
            self._processes.require("collector", KEEPERS[0])
            found = audit(self._node.url, kept)
            self.result.audits.append(found)
            self._say(
                f"block {found.block}: {found.resolved} resolved ({len(found.deleveraged)} by the "
                f"queue), {found.unresolved} to be resolved, {len(found.violations)} violations"
            )
            if found.violations:
                return
            # In the middle of its work one keeper dies, and comes back.
            if found.resolved and not self.result.keeper_restarts and not restart_at:
                self._processes.kill(KEEPERS[1])
                restart_at = time.time() + DEAD_SECONDS
                self._say(f"{KEEPERS[1]} is killed")
            elif restart_at and time.time() >= restart_at:
                self._operators.keep(KEEPERS[1], self._keys[KEEPERS[1]])
                self.result.keeper_restarts += 1
                restart_at = 0.0
                self._say(f"{KEEPERS[1]} is started again")
            over = time.time() >= end and self.result.keeper_restarts
            if over and not found.unresolved:
                return

    # Looking at the chain

    def _has_prices(self, kept: Record) -> bool:
        view = self._client(kept).oracle.view
        try:
            return all(view.observe(market)[0] for market in kept.markets.values())
        except Reverted:
            return False

    def _client(self, kept: Record) -> Ballast:
        """The deployment as it is after the latest block."""
        rpc = Rpc(self._node.url)
        head = rpc.head()
        assert head is not None
        header = Header(head.number, head.hash, "", head.timestamp)
        return Ballast.from_deployment(BlockView(Source(rpc), header), kept)

    def _wait(self, what: str, seconds: float, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > deadline:
                raise BallastError(f"{what}: not within {seconds:g} s")
            time.sleep(0.5)


def _publisher(number: int) -> str:
    return f"publisher-{number}"
