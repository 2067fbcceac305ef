"""`ape run fuzz`: a deployment that traders use, copied off its node and fuzzed on the copy."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import click
import pytest
from ape import accounts, networks
from ape.logging import logger

from ballast import record
from ballast.ape_chain import ApeChain
from ballast.build import artifact
from ballast.client import Ballast
from ballast.contract import Contract
from ballast.errors import BallastError, ConfigError, DeployError, NodeError
from ballast.fuzz.arena import Finding
from ballast.fuzz.dealing import deal
from ballast.fuzz.forked import Fork, assert_whole, fork
from ballast.fuzz.found import write
from ballast.fuzz.replay import replay
from ballast.indexer import Indexer
from ballast.mirror import Reader
from ballast.node import Node
from ballast.signing import Order, account_id, key_from_label, owner_of

ROOT = Path(__file__).resolve().parents[2]
WAD = 10**18
PUBLISHERS = [key_from_label(f"publisher {i}") for i in range(5)]
PRICES = {1: 100_000 * WAD, 2: 4_000 * WAD, 3: 200 * WAD}
POOL_SLOT_OFF = 10**15

pytestmark = pytest.mark.node


class Live:
    """A node that the deploy script deployed to, with traders who use it."""

    def __init__(self, url: str, provider: Any, path: Path) -> None:
        self.url, self.provider, self.path = url, provider, path
        self.chain = ApeChain(provider)
        self.record = record.load(path)
        self.ballast = Ballast.from_deployment(self.chain, self.record)
        self.sender = self.chain.register(accounts.test_accounts[0])
        self.salt = 0
        self.traders = [key_from_label(f"trader {i}") for i in range(6)]
        wallet, _ = self.chain.deploy(
            artifact("ContractWallet").deploy_code(self.traders[0].address), sender=self.sender
        )
        self.wallet = account_id(wallet)
        self.ballast.token.send.mint(self.sender, 10**12, sender=self.sender)
        self.ballast.stake(2_000 * 10**6, sender=self.sender)
        for account in (*self.accounts, self.wallet):
            self.ballast.deposit(account, 1_000 * 10**6, sender=self.sender)
        self.prices(PRICES)
        for i in range(12):
            self.trade(1 + i % 3, self.traders[i % 6], self.traders[(i + 1 + i // 6) % 6])
        self.prices({market: price * 103 // 100 for market, price in PRICES.items()}, 3_600)
        for i in range(3):
            self.trade(1 + i, self.traders[i + 1], self.traders[i])
        self.prices({market: price * 98 // 100 for market, price in PRICES.items()}, 3_600)
        for account in self.accounts[:2]:
            self.ballast.settle(account, sender=self.sender)
        self.trade(1, self.traders[0], self.traders[3])  # a loss that nobody has been paid yet

    @property
    def accounts(self) -> list[bytes]:
        """The traders' accounts."""
        return [account_id(trader.address) for trader in self.traders]

    def prices(self, prices: dict[int, int], seconds: int = 12) -> None:
        """Reports, in a block of their own."""
        self.chain.mine(seconds)
        self.ballast.report_prices(prices, PUBLISHERS[:3], sender=self.sender)

    def trade(self, market: int, buyer: Any, seller: Any) -> None:
        """Two signed orders."""
        price, _ = self.ballast.oracle.view.price(market)
        size = 2_000 * WAD * WAD // price
        orders = []
        for key in (buyer, seller):
            self.salt += 1
            account = account_id(key.address)
            order = Order(account, market, key is buyer, size, price, salt=self.salt)
            orders.append(self.ballast.sign_order(order, key))
        self.ballast.match(orders[0], [orders[1]], [size], sender=self.sender)

    def put(self, address: str, slot: int, change: int) -> None:
        """Change a storage slot on the node itself."""
        node, at = Node(self.url), hex(slot)
        value = int(node.ask("eth_getStorageAt", address, at, "latest"), 16) + change
        node.ask("anvil_setStorageAt", address, at, f"0x{value:064x}")


def script(name: str) -> ModuleType:
    """One of scripts/, as a module."""
    spec = importlib.util.spec_from_file_location(f"{name}_script", ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def live(anvil_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Live]:
    monkeypatch.setattr(record, "FOLDER", tmp_path)
    level = logger.level
    settings = {"host": anvil_url}
    with networks.ethereum.local.use_provider("foundry", provider_settings=settings) as provider:
        script("deploy").run(provider)
        yield Live(anvil_url, provider, tmp_path / "local.json")
    logger.set_level(level)


def test_copy_holds_what_the_node_holds(live: Live) -> None:
    copied = fork(live.url, live.record)
    arena, block = copied.arena, live.chain.block_number
    # Everybody is known from the logs, and the logs tell the same story as the storage.
    assert {*live.accounts, live.wallet} <= {*copied.history.accounts} <= {*arena.accounts}
    house, vault = live.ballast.clearinghouse, live.ballast.vault
    indexer = Indexer(vault.address, house.address)
    for logs, number, timestamp in Node(live.url).logs(
        [vault.address, house.address], live.record.block, block
    ):
        indexer.apply(logs, number, timestamp)
    named = indexer.accounts, indexer.funding_caps_bps, indexer.groups
    there = Reader(house, *named).read()
    assert indexer.book(live.chain.timestamp) == there
    here = Reader(arena.clearing, *named).read(live.chain.timestamp)
    assert here.groups == there.groups
    assert here.accounts == there.accounts
    assert sum(len(account.legs) for account in here.accounts.values()) > 10
    # The model of it holds, and what is nobody's is dust of what has happened so far.
    adopted = copied.adopted()
    assert adopted.clearing.violations() == []
    assert_whole(adopted, copied.history)
    # A wallet's owner can be impersonated; nothing of all this is on the node.
    units = arena.vault.view.balance_of(live.wallet) // arena.vault.view.scale()
    owner = owner_of(live.wallet)
    arena.vault.send.withdraw(live.wallet, units, owner, sender=owner)
    assert arena.vault.view.balance_of(live.wallet) == 0
    assert vault.view.balance_of(live.wallet) == units * vault.view.scale() > 0
    assert live.chain.block_number == block


def test_what_cannot_be_forked(live: Live) -> None:
    kept = live.record
    with pytest.raises(ConfigError, match="deployed on chain 5, connected to 31337"):
        fork(live.url, replace(kept, chain_id=5))
    with pytest.raises(DeployError, match="not complete"):
        fork(live.url, replace(kept, status=record.UNFINISHED))
    with pytest.raises(DeployError, match=r"MarginVault: no code at 0x\w* after block 1"):
        fork(live.url, kept, block=1)
    with pytest.raises(NodeError, match="has no block 5000"):
        fork(live.url, kept, block=5_000)
    lens = kept.contracts["Lens"]
    Node(live.url).ask("anvil_setCode", lens, "0x00")
    with pytest.raises(DeployError, match=r"Lens at 0x\w* is not what this project builds"):
        fork(live.url, kept)


def test_deal_finds_no_slot_where_there_is_none(live: Live) -> None:
    chain = fork(live.url, live.record).arena.chain
    fund = Contract(chain, live.record.contracts["OrderSettlement"], artifact("Token").abi)
    with pytest.raises(BallastError):
        deal(fund, live.sender, 5)


def found(case: Path) -> subprocess.CompletedProcess[str]:
    """Runs a generated test as anybody would."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(case)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def ruff(*args: object) -> subprocess.CompletedProcess[str]:
    """As `make lint` runs it."""
    tool = Path(sys.executable).parent / "ruff"
    command = [str(tool), *map(str, args), "--config", str(ROOT / "pyproject.toml")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def plant(live: Live, copied: Fork) -> tuple[str, int]:
    """The pool of group 1 loses money on the node; which slot of which contract."""
    vault = copied.arena.vault
    read = copied.arena.chain.watch(lambda: vault.view.pool_of(1))
    (slot,) = read[vault.address]
    live.put(vault.address, slot, -POOL_SLOT_OFF)
    return vault.address, slot


def test_planted_violation_becomes_a_test(live: Live, tmp_path: Path) -> None:
    """Money is gone from the pool. The test that is written fails on that state, and passes on the
    state as it was."""
    address, slot = plant(live, fork(live.url, live.record))
    copied = fork(live.url, live.record)
    with pytest.raises(Finding, match="S1: balances") as caught:
        assert_whole(copied.adopted(), copied.history)
    case = copied.case_of(caught.value)
    path = write(case, tmp_path / "found", "a test")
    assert case.is_judged
    assert (case.trace, path.parent) == ([], tmp_path / "found")
    with pytest.raises(Finding, match="S1: balances"):
        replay(path.with_suffix(".json"))
    done = found(path)
    assert done.returncode == 1, done.stdout
    assert "Finding: S1: balances" in done.stdout
    written = path.with_suffix(".json")
    data = json.loads(written.read_text())
    slots = data["state"]["contracts"][address]["slots"]
    slots[hex(slot)] = hex(int(slots[hex(slot)], 16) + POOL_SLOT_OFF)
    written.write_text(json.dumps(data))
    done = found(path)
    assert done.returncode == 0, done.stdout
    assert ruff("check", path).returncode == ruff("format", "--check", path).returncode == 0


def ape_run(live: Live, *args: object) -> subprocess.CompletedProcess[str]:
    """The command as a user types it, from the project's root."""
    command = [str(Path(sys.executable).parent / "ape"), "run", "fuzz", *map(str, args)]
    environment = {**os.environ, "APE_FOUNDRY_HOST": live.url, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_script_finds_nothing(
    live: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "found"
    block = live.chain.block_number
    run_on_fork = script("fuzz").run_on_fork
    assert run_on_fork(live.provider, None, None, 1_500, 3, folder) is None
    shown = capsys.readouterr().out
    assert "all held" in shown
    assert "clearinghouse.deleverage" in shown
    assert not folder.exists()
    assert live.chain.block_number == block


def test_script_writes_what_it_finds(live: Live, tmp_path: Path) -> None:
    plant(live, fork(live.url, live.record))
    options = ("--network", "ethereum:local:foundry", "--calls", 500, "--found", tmp_path)
    done = ape_run(live, *options, "--deployment", live.path)
    assert done.returncode == 1, done.stderr
    assert "found: S1: balances" in done.stdout
    (path,) = tmp_path.glob("test_*.py")
    assert str(path) in done.stdout
    assert found(path).returncode == 1
    done = ape_run(live, *options, "--deployment", live.path, "--block", 1)
    assert done.returncode == 1
    assert "Error: MarginVault: no code" in done.stderr


def test_script_needs_a_node(tmp_path: Path) -> None:
    embedded = SimpleNamespace(http_uri=None)
    with pytest.raises(click.UsageError, match="APE_FOUNDRY_HOST"):
        script("fuzz").run_on_fork(embedded, None, None, 1, 0, tmp_path)
