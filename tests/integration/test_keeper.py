"""`ape run keeper`, one process on a real node: what a crash leaves is resolved."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from ballast.signing import account_id, key_from_label
from tests.support.live import PRICES, Live, live
from tests.support.nodes import anvil

ROOT = Path(__file__).resolve().parents[2]
WAD = 10**18
KEY = key_from_label("keeper")
PATIENCE_SECONDS = 40

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def deployed(anvil_path: str) -> Iterator[Live]:
    """Longs at 30, 20 and 15 times their margin against shorts of some, and a liquidator."""
    with anvil(anvil_path) as url, live(url) as market:
        market.node.ask("anvil_setBalance", KEY.address, hex(10 * WAD))
        market.ballast.deposit(account_id(KEY.address), 5_000 * 10**6, sender=market.sender)
        for place, quote in ((0, 30_000), (1, 20_000), (2, 15_000)):
            market.trade(1, place, 3 + place, quote)
        yield market


@pytest.fixture
def market(deployed: Live) -> Iterator[Live]:
    """The same for every test."""
    mark = deployed.mark()
    yield deployed
    deployed.back(mark)
    deployed.prices = dict(PRICES)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(market: Live, folder: Path, port: int, *options: str) -> Iterator[Any]:
    """The command as an operator types it; ended by a signal, if it has not ended by itself."""
    kept = folder / "deployment.json"
    market.record.save(kept)
    command = [str(Path(sys.executable).parent / "ape"), "run", "keeper"]
    command += ["--network", "ethereum:local:foundry", "--deployment", str(kept)]
    command += ["--key-env", "KEEPER_KEY", "--db", f"sqlite:///{folder}/keeper.db"]
    command += ["--port", str(port), "--poll", "0.1", *options]
    environment = {
        **os.environ,
        "APE_FOUNDRY_HOST": market.url,
        "PYTHONPATH": str(ROOT),
        "KEEPER_KEY": "0x" + bytes(KEY.key).hex(),
    }
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=20)


def wait_for(what: str, is_so: Callable[[], bool], keeper: Any, folder: Path) -> None:
    """Until something is so; fails with the end of the keeper's log."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and keeper.poll() is None:
        if is_so():
            return
        time.sleep(0.1)
    pytest.fail(f"{what}: not within {PATIENCE_SECONDS} s\n{(folder / 'log').read_text()[-4_000:]}")


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
    except httpx.HTTPError:
        return False


def metrics(port: int) -> str:
    return httpx.get(f"http://127.0.0.1:{port}/metrics").text


def said(folder: Path) -> list[dict[str, Any]]:
    """What the keeper has logged."""
    return [json.loads(line) for line in (folder / "log").read_text().splitlines()]


def test_crash_is_resolved(market: Live, tmp_path: Path) -> None:
    view, house = market.ballast.clearinghouse.view, market.ballast.clearinghouse
    own = account_id(KEY.address)
    accounts = [market.account(place) for place in range(6)]
    port = free_port()
    with running(market, tmp_path, port) as keeper:
        wait_for("health", lambda: answers(port), keeper, tmp_path)
        assert all(view.equity(account) > 0 for account in accounts)
        market.report({1: 96_000 * WAD})
        assert view.equity(accounts[0]) < 0
        low = view.equity(accounts[1])
        assert 0 <= low < view.margin(accounts[1])[1]

        def is_resolved() -> bool:
            return all(
                view.equity(account) >= 0
                and view.equity(account) >= view.margin(account)[1]
                and (view.markets_of(account) or view.unsettled(account) >= 0)
                for account in accounts
            )

        wait_for("resolved", is_resolved, keeper, tmp_path)
        # The keeper holds what it took over, and meets its margin.
        size, _, _ = view.position(own, 1)
        assert size > 0
        assert view.backing(own) >= view.margin(own)[0]
        assert view.position(accounts[0], 1)[0] == 0
        for kind in ("deleverage", "liquidate"):
            counted = f'transactions_total{{kind="{kind}",what="done"}} 1.0'
            wait_for(counted, lambda c=counted: c in metrics(port), keeper, tmp_path)
        told = httpx.get(f"http://127.0.0.1:{port}/health").json()
        assert told["ok"]
        assert told["last_action"] is not None
        keeper.send_signal(signal.SIGTERM)
        assert keeper.wait(timeout=20) == 0
    assert house.address == market.record.contracts["Clearinghouse"]


def test_dry_run_sends_nothing(market: Live, tmp_path: Path) -> None:
    view = market.ballast.clearinghouse.view
    market.report({1: 96_000 * WAD})
    assert view.equity(market.account(0)) < 0
    with running(market, tmp_path, 0, "--dry-run", "--once") as keeper:
        assert keeper.wait(timeout=PATIENCE_SECONDS) == 0
    would = [line for line in said(tmp_path) if line["event"] == "would send"]
    assert {line["kind"] for line in would} == {"deleverage", "liquidate", "refresh"}
    assert would[0]["accounts"] == [market.account(0).hex()]
    assert market.node.ask("eth_getTransactionCount", KEY.address, "latest") == "0x0"
