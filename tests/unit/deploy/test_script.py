"""`ape run deploy`, on the embedded chain and on a node."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import click
import pytest
from ape import accounts, networks
from ape.logging import logger

from ballast import config, record
from ballast.ape_chain import ApeChain
from ballast.batch import View
from ballast.client import Ballast
from ballast.deploy import deploy, deploy_token
from ballast.errors import DeployError
from ballast.signing import Order, key_from_label
from ballast.verify import verify

ROOT = Path(__file__).resolve().parents[3]
WAD = 10**18
GUARDIAN = key_from_label("guardian").address
PUBLISHERS = [key_from_label(f"publisher {i}") for i in range(5)]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("deploy_script", ROOT / "scripts" / "deploy.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(record, "FOLDER", tmp_path)
    level = logger.level
    yield module
    logger.set_level(level)


def ape_run(*args: str) -> subprocess.CompletedProcess[str]:
    """The command as a user types it, from the project's root."""
    command = [str(Path(sys.executable).parent / "ape"), "run", "deploy", *args]
    environment = {**os.environ, "COLUMNS": "160", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_dry_run_prints_the_plan() -> None:
    before = sorted(record.FOLDER.iterdir()) if record.FOLDER.exists() else []
    done = ape_run("--dry-run")
    assert done.returncode == 0, done.stderr
    assert "Plan (nothing is sent)" in done.stdout
    assert "list SOL as market 3 in group 1" in done.stdout
    assert (sorted(record.FOLDER.iterdir()) if record.FOLDER.exists() else []) == before


def test_bad_parameters_fail_before_anything_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("speed = 1\n")
    done = ape_run("--parameters", str(path))
    assert done.returncode == 1
    assert "unknown ['speed']" in done.stderr


def live(chain_id: int) -> SimpleNamespace:
    """A provider that is asked for nothing but its names."""
    ecosystem = SimpleNamespace(name="ethereum")
    network = SimpleNamespace(is_local=False, name="mainnet", ecosystem=ecosystem)
    return SimpleNamespace(web3=None, chain_id=chain_id, network=network)


def test_live_network_needs_an_account(script: ModuleType) -> None:
    with pytest.raises(click.UsageError, match="--account ALIAS is needed"):
        script.run(live(11_155_111))


@pytest.mark.parametrize("chain_id", [1, 10, 8_453, 42_161, 137, 56])
def test_no_test_token_where_money_is_worth_something(script: ModuleType, chain_id: int) -> None:
    with pytest.raises(DeployError, match=rf"chain {chain_id} is no testnet .* --collateral"):
        script.run(live(chain_id))


def test_network_without_a_file_needs_one(script: ModuleType) -> None:
    with pytest.raises(click.UsageError, match=r"no parameters/mainnet\.toml: pass --parameters"):
        script.parameter_file("mainnet", None)


def test_embedded_chain(script: ModuleType, tmp_path: Path) -> None:
    owner = key_from_label("owner").address
    path = tmp_path / "local.json"
    with networks.ethereum.local.use_provider("test") as provider:
        script.run(provider, owner=owner, guardian=GUARDIAN)
        kept = record.load(path)
        assert kept.status == "complete"
        assert (kept.owner, kept.config.guardian) == (owner, GUARDIAN)
        assert re.fullmatch("([0-9a-f]{40}(-dirty)?)?", kept.commit)
        # Again: the same token, the same contracts, nothing sent.
        block = provider.web3.eth.block_number
        script.run(provider, owner=owner, guardian=GUARDIAN)
        assert record.load(path).contracts == kept.contracts
        assert provider.web3.eth.block_number == block


@pytest.mark.node
def test_node_runs_the_whole_round(anvil_url: str, tmp_path: Path) -> None:
    # Deploy, report signed prices, trade by signed orders, read in one batch.
    settings = {"host": anvil_url}
    asked = config.load(config.PARAMETERS / "local.toml")
    with networks.ethereum.local.use_provider("foundry", provider_settings=settings) as provider:
        chain = ApeChain(provider)
        sender = chain.register(accounts.test_accounts[0])
        token = deploy_token(chain, sender)
        path = tmp_path / "local.json"
        kept = deploy(chain, asked, sender=sender, collateral=token, path=path)
        assert verify(chain, record.load(path)) > 100

        ballast = Ballast.from_deployment(chain, kept)
        buyer, seller = key_from_label("buyer"), key_from_label("seller")
        accounts_ = [ballast.account_id(trader.address) for trader in (buyer, seller)]
        ballast.token.send.mint(sender, 2_000 * 10**6, sender=sender)
        for account in accounts_:
            ballast.deposit(account, 1_000 * 10**6, sender=sender)
        chain.mine()
        ballast.report_prices({1: 100_000 * WAD}, PUBLISHERS[:3], sender=sender)
        price, _ = ballast.oracle.view.price(1)
        assert price == 100_000 * WAD

        orders = [
            Order(account, 1, account is accounts_[0], WAD // 100, price) for account in accounts_
        ]
        taker, maker = (
            ballast.sign_order(order, trader)
            for order, trader in zip(orders, (buyer, seller), strict=True)
        )
        receipt = ballast.match(taker, [maker], [WAD // 100], sender=sender)
        assert ballast.clearinghouse.event(receipt, "Fill").size == WAD // 100
        house = ballast.clearinghouse
        sizes = ballast.read([View(house, "position", a, 1) for a in accounts_], sender=sender)
        assert [size for size, _, _ in sizes] == [WAD // 100, -WAD // 100]
        assert ballast.settlement.view.filled(ballast.order_hash(orders[0])) == WAD // 100
