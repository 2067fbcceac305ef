"""`ape run deploy`, on the embedded chain and on a node."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from ape import accounts, networks
from ape.logging import logger
from click.testing import CliRunner

from ballast import config, record
from ballast.ape_chain import ApeChain
from ballast.batch import View
from ballast.client import Ballast
from ballast.deploy import deploy, deploy_token
from ballast.signing import Order, key_from_label
from ballast.verify import verify

ROOT = Path(__file__).resolve().parents[3]
WAD = 10**18
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


def run(script: ModuleType, *args: str) -> str:
    result = CliRunner().invoke(script.cli, args, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_dry_run_sends_nothing(script: ModuleType, tmp_path: Path) -> None:
    output = run(script, "--network", "ethereum:local:test", "--dry-run")
    assert "Plan (nothing is sent)" in output
    assert "list SOL as market 3 in group 1" in output
    assert list(tmp_path.iterdir()) == []


def test_bad_parameters_fail_before_anything_is_sent(script: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("speed = 1\n")
    args = ["--network", "ethereum:local:test", "--parameters", str(path)]
    result = CliRunner().invoke(script.cli, args)
    assert result.exit_code == 1
    assert "unknown ['speed']" in result.output


def test_live_network_needs_everything_said(script: ModuleType) -> None:
    with pytest.raises(Exception, match="--account ALIAS is needed"):
        script.choose_account(None, False)


def test_embedded_chain(script: ModuleType, tmp_path: Path) -> None:
    owner = key_from_label("owner").address
    output = run(script, "--network", "ethereum:local:test", "--owner", owner)
    assert "all as asked" in output
    assert f"ownership is offered to {owner}" in output.replace("\n", " ")
    stored = json.loads((tmp_path / "local.json").read_text())
    assert stored["status"] == "complete"
    assert stored["parameters"]["owner"] == owner
    assert "OwnershipTransferred" not in output


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
