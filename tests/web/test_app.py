"""`make app`: a stranger with an empty wallet trades within minutes, and nothing is left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from eth_account import Account
from playwright.sync_api import Browser, Page, expect

from ballast.build import ROOT
from tests.web.site import WIDE, done

START_SECONDS = 150
END_SECONDS = 40
PATIENCE = 30_000


class App:
    """`python -m ballast.app` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._log = folder, folder / "said.txt"
        command = [sys.executable, "-m", "ballast.app", "--folder", str(folder / "app")]
        command += ["--traders", "8", "--calm-minutes", "30"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=log
            )

    def lines(self) -> list[str]:
        return self._log.read_text().splitlines()

    def url(self) -> str:
        """Its last line, once it is there."""
        deadline = time.monotonic() + START_SECONDS
        while not (
            found := re.search(r"^Ballast: (http://127\.0\.0\.1:\d+)\n\Z", self.said(), re.M)
        ):
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.2)
        return found[1]

    def said(self) -> str:
        return self._log.read_text()

    def children(self) -> list[int]:
        """Processes below it, by id."""
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return [int(pid) for pid in Path(path).read_text().split()]

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(END_SECONDS)


@pytest.fixture
def app(wallet: str, tmp_path: Path) -> Iterator[App]:
    """(`wallet` builds the page.)"""
    started = App(tmp_path)
    try:
        yield started
    finally:
        started.end()


def visit(browser: Browser, app: App, wallet: str) -> Page:
    """The page with a wallet nobody has used before."""
    url = app.url()
    told = json.loads((app.folder / "app" / "page" / "config.json").read_text())
    chain_id = httpx.get(f"{url}/api/config").json()["chain_id"]
    settings = {
        "rpc": told["rpc_url"],
        "key": "0x" + Account.create().key.hex().removeprefix("0x"),
        "chainId": chain_id,
        "startsOn": chain_id,
    }
    page = browser.new_page(viewport=WIDE)
    page.set_default_timeout(PATIENCE)
    page.add_init_script(f"window.testWalletSettings = {json.dumps(settings)};")
    page.add_init_script(wallet)
    page.goto(url)
    page.get_by_role("button", name="Connect Test Wallet").click()
    return page


def test_a_stranger_trades_and_every_process_ends(browser: Browser, app: App, wallet: str) -> None:
    page = visit(browser, app, wallet)
    page.locator("#faucet").click()
    done(page, "Test money")
    page.locator("#amount").fill("5000")
    page.locator("#deposit").click()
    done(page, "Deposit")
    page.locator("#kind-market").check()
    page.locator("#side-buy").check()
    page.locator("#ticket-size").fill("0.02")
    page.locator("#place").click()
    expect(page.locator("#positions")).to_contain_text("BTC", timeout=PATIENCE)
    expect(page.locator("#positions")).to_contain_text("0.02")
    page.close()

    children = app.children()
    # Node, relay, publishers, collector, keeper, makers.
    assert len(children) == 1 + 1 + 3 + 1 + 1 + 3
    assert app.end() == 0
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []
    assert app.lines()[-1].startswith("Ballast: http://127.0.0.1:")


def test_ends_in_the_middle_of_its_start(app: App) -> None:
    deadline = time.monotonic() + START_SECONDS
    while len(app.children()) < 2:
        assert app.process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    children = app.children()
    assert app.end() == 0
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []
