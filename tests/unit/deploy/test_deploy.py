"""The deployment: whole, resumable at every step, safe against foreign transactions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import rlp
from eth_utils import keccak

from ballast import contracts, record
from ballast.abi import checksum
from ballast.client import Ballast
from ballast.config import DeployConfig, GroupConfig
from ballast.deploy import create_address, deploy, deploy_token, plan
from ballast.errors import ConfigError, DeployError, Reverted
from ballast.evm import Revm
from ballast.record import Record
from ballast.signing import key_from_label
from tests.unit.deploy.flaky import DEPLOYER, Flaky, Interrupted

OWNER = key_from_label("owner").address
GUARDIAN = key_from_label("guardian").address
FEED = key_from_label("feed").address


def run(chain: Flaky, asked: DeployConfig, token: str, path: Path | None = None) -> Record:
    return deploy(chain, asked, sender=DEPLOYER, collateral=token, path=path)


@pytest.mark.parametrize("nonce", [0, 1, 127, 128, 255, 256, 70_000])
def test_created_addresses_are_predicted(nonce: int) -> None:
    expected = keccak(rlp.encode([bytes.fromhex(DEPLOYER[2:]), nonce]))[12:]
    assert create_address(DEPLOYER, nonce) == checksum("0x" + expected.hex())


def test_everything_is_deployed_and_recorded(
    chain: Flaky, asked: DeployConfig, token: str, tmp_path: Path
) -> None:
    path = tmp_path / "local.json"
    kept = deploy(chain, asked, sender=DEPLOYER, collateral=token, path=path, commit="abc")
    rest = {"OrderSettlement", "SignedPriceOracle", "ChainlinkOracle", "LiquidationBatch"}
    names = {*contracts.core(), *rest}
    assert set(kept.contracts) == names
    assert all(chain.code(address) for address in kept.contracts.values())
    stored = json.loads(path.read_text())
    assert stored["chain_id"] == chain.chain_id
    assert stored["block"] == chain.block_number
    assert stored["contracts"] == kept.contracts
    assert stored["markets"] == {"BTC": 1, "ETH": 2, "SOL": 3}
    assert stored["parameters"]["collateral"] == token
    assert stored["parameters"]["owner"] == DEPLOYER
    assert stored["compiler"]["vyper"] == "0.4.3"
    assert set(stored["compiler"]["optimize"]) == names
    assert (stored["commit"], stored["status"]) == ("abc", "complete")
    assert record.load(path) == kept
    assert kept.config == asked
    assert not path.with_name("local.json.tmp").exists()


def test_deployment_is_usable_by_the_client(chain: Flaky, asked: DeployConfig, token: str) -> None:
    ballast = Ballast.from_deployment(chain, run(chain, asked, token))
    trader = key_from_label("trader").address
    account = ballast.account_id(trader)
    ballast.token.send.mint(trader, 500, sender=trader)
    ballast.deposit(account, 300, sender=trader)
    assert ballast.vault.view.balance_of(account) == 300 * 10**12
    ballast.withdraw(account, 100, sender=trader) if chain.mine() is None else None
    assert ballast.token.view.balanceOf(trader) == 300
    assert ballast.clearinghouse.view.account_id(trader, 0) == account
    with pytest.raises(Reverted):
        ballast.vault.send.move(account, account, 1, sender=trader)


def test_second_run_sends_nothing(
    chain: Flaky, asked: DeployConfig, token: str, tmp_path: Path
) -> None:
    path = tmp_path / "local.json"
    first = run(chain, asked, token, path)
    sent = chain.count
    assert run(chain, asked, token, path).contracts == first.contracts
    assert chain.count == sent


def test_run_cut_off_anywhere_is_finished_by_the_next(asked: DeployConfig, tmp_path: Path) -> None:
    def fresh() -> tuple[Flaky, str]:
        chain = Flaky()
        token = deploy_token(chain, DEPLOYER)
        chain.count = 0
        return chain, token

    chain, token = fresh()
    run(chain, asked, token)
    total = chain.count
    assert total > 15
    for cut in range(1, total + 1):
        chain, token = fresh()
        path = tmp_path / f"{cut}.json"

        def stop(count: int, cut: int = cut) -> None:
            if count == cut:
                raise Interrupted

        chain.before = stop
        with pytest.raises(Interrupted):
            run(chain, asked, token, path)
        assert record.load(path).status == "unfinished"
        kept = run(chain, asked, token, path)
        assert kept.status == "complete"
        # Nothing is sent twice: the cut transaction alone was counted and not sent.
        assert chain.count == total + 1, f"cut before transaction {cut}"


def test_run_cut_off_after_a_creation_finds_it(
    chain: Flaky, asked: DeployConfig, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The contract was created, the record not yet written.
    path = tmp_path / "local.json"
    save, calls = Record.save, []

    def failing(self: Record, target: Path | None) -> None:
        calls.append(1)
        if len(calls) == 5:
            raise Interrupted
        save(self, target)

    monkeypatch.setattr(Record, "save", failing)
    with pytest.raises(Interrupted):
        run(chain, asked, token, path)
    sent, nonce = chain.count, chain.nonce(DEPLOYER)
    assert len(record.load(path).contracts) == sent - 1
    monkeypatch.undo()
    kept = run(chain, asked, token, path)
    assert create_address(DEPLOYER, nonce - 1) in kept.contracts.values()


@pytest.mark.parametrize("at", range(2, 9))
def test_foreign_transaction_redeploys_the_core(
    chain: Flaky, asked: DeployConfig, token: str, at: int
) -> None:
    def interfere(count: int) -> None:
        if count == at:
            chain.foreign()

    chain.before = interfere
    lines: list[str] = []
    kept = deploy(chain, asked, sender=DEPLOYER, collateral=token, progress=lines.append)
    assert "a foreign transaction of the deployer: the core is deployed again" in lines
    assert kept.status == "complete"


def test_foreign_transaction_between_two_runs_redeploys_the_core(
    chain: Flaky, asked: DeployConfig, token: str, tmp_path: Path
) -> None:
    path = tmp_path / "local.json"

    def stop(count: int) -> None:
        if count == 4:
            raise Interrupted

    chain.before = stop
    with pytest.raises(Interrupted):
        run(chain, asked, token, path)
    before = record.load(path).contracts
    chain.foreign()
    kept = run(chain, asked, token, path)
    assert not set(before.values()) & set(kept.contracts.values())


def test_foreign_transactions_without_end_are_given_up(
    chain: Flaky, asked: DeployConfig, token: str
) -> None:
    chain.before = lambda count: chain.foreign()
    with pytest.raises(DeployError, match="5 attempts"):
        run(chain, asked, token)


def test_record_of_a_vanished_chain_counts_for_nothing(asked: DeployConfig, tmp_path: Path) -> None:
    path = tmp_path / "local.json"
    old = Flaky()
    run(old, asked, deploy_token(old, DEPLOYER), path)
    new = Flaky()
    new.foreign()
    new_token = create_address(DEPLOYER, 0)
    with pytest.raises(DeployError, match="has no code"):
        run(new, asked, new_token, path)
    new = Flaky()
    kept = run(new, asked, deploy_token(new, DEPLOYER), path)
    assert all(new.code(address) for address in kept.contracts.values())


def test_other_code_at_a_recorded_address_is_replaced(
    chain: Flaky, asked: DeployConfig, token: str, tmp_path: Path
) -> None:
    path = tmp_path / "local.json"
    kept = run(chain, asked, token, path)
    kept.contracts["SignedPriceOracle"] = kept.contracts["ChainlinkOracle"]
    kept.save(path)
    with pytest.raises(DeployError, match="list_market"):
        # The markets are priced by the oracle that was there: changing it is no deployment's job.
        run(chain, asked, token, path)


def test_record_of_something_else_is_not_overwritten(
    chain: Flaky, asked: DeployConfig, token: str, tmp_path: Path
) -> None:
    path = tmp_path / "local.json"
    run(chain, asked, token, path)
    other = replace(asked, guardian=GUARDIAN)
    with pytest.raises(DeployError, match="another parameters"):
        run(chain, other, token, path)
    with pytest.raises(DeployError, match="another deployer"):
        deploy(chain, asked, sender=OWNER, collateral=token, owner=DEPLOYER, path=path)
    path.write_text("{}")
    with pytest.raises(DeployError, match="no deployment record"):
        run(chain, asked, token, path)


def test_ownership_is_offered_and_can_be_accepted(
    chain: Flaky, asked: DeployConfig, token: str, tmp_path: Path
) -> None:
    path = tmp_path / "local.json"
    kept = deploy(chain, asked, sender=DEPLOYER, collateral=token, owner=OWNER, path=path)
    for name in ("Clearinghouse", "SignedPriceOracle", "ChainlinkOracle"):
        contract = contracts.at(chain, name, kept.contracts[name])
        assert (contract.view.owner(), contract.view.pending_owner()) == (DEPLOYER, OWNER)
        contract.send.accept_ownership(sender=OWNER)
        assert contract.view.owner() == OWNER
    # Running again after the handover still finds all as asked.
    deploy(chain, asked, sender=DEPLOYER, collateral=token, owner=OWNER, path=path)


def test_guardian_groups_and_chainlink_markets(
    chain: Flaky, asked: DeployConfig, token: str
) -> None:
    from ballast.build import artifact

    feed, _ = chain.deploy(artifact("MockAggregator").deploy_code(8), sender=OWNER)
    markets = [
        *asked.markets,
        replace(
            asked.markets[0],
            symbol="LINK",
            group=2,
            oracle="chainlink",
            feed=feed,
            heartbeat_seconds=3_600,
        ),
    ]
    wanted = replace(
        asked,
        markets=tuple(markets),
        groups=(*asked.groups, GroupConfig(2, 7 * 10**18, 7_200)),
        guardian=GUARDIAN,
    )
    kept = run(chain, wanted, token)
    ballast = Ballast.from_deployment(chain, kept)
    assert kept.markets["LINK"] == 4
    assert ballast.clearinghouse.view.market_params(4).oracle == kept.contracts["ChainlinkOracle"]
    assert ballast.clearinghouse.view.group_params(2) == (7 * 10**18, 7_200)
    assert ballast.clearinghouse.view.guardian() == GUARDIAN
    assert ballast.chainlink.view.feed_of(4) == (feed, 3_600)


def test_refused_call_is_named(
    chain: Flaky, asked: DeployConfig, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ballast.config._within", lambda *args: None)
    wrong = replace(asked, adl=replace(asked.adl, buckets_per_call=201))
    with pytest.raises(DeployError, match=r"set_adl\(201, 2\) reverted: listing: buckets"):
        run(chain, wrong, token)


def test_constructor_that_refuses_is_named(
    chain: Flaky, asked: DeployConfig, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ballast.config._within", lambda *args: None)
    wrong = replace(asked, fund=replace(asked.fund, cooldown_seconds=0))
    with pytest.raises(DeployError, match="creating InsuranceFund reverted: fund: bad cooldown"):
        run(chain, wrong, token)


def test_client_refuses_another_chain(chain: Flaky, asked: DeployConfig, token: str) -> None:
    kept = run(chain, asked, token)
    with pytest.raises(ConfigError, match="deployed on chain 31337, connected to 5"):
        Ballast.from_deployment(Revm(chain_id=5), kept)


def test_plan_says_what_is_then_done(chain: Flaky, asked: DeployConfig, token: str) -> None:
    steps = plan(chain, asked, DEPLOYER, OWNER)
    predicted = [address for address, _ in steps if address]
    assert chain.count == 0
    kept = run(chain, asked, token)
    assert predicted == [kept.contracts[name] for name in contracts.core()]
    lines = [line for _, line in steps]
    assert "list SOL as market 3 in group 1" in lines
    assert f"offer ownership of Clearinghouse to {OWNER}" in lines
    with_token = plan(Revm(), asked, DEPLOYER, DEPLOYER, new_token=True)
    assert with_token[0] == (create_address(DEPLOYER, 0), "deploy a test token")
    assert with_token[1] == (create_address(DEPLOYER, 1), "deploy MarginVault")
    assert not any("ownership" in line for _, line in with_token)


@pytest.mark.parametrize(
    ("network", "name"),
    [
        ("ethereum:local", "local.json"),
        ("ethereum:local:test", "local.json"),
        ("ethereum:sepolia:alchemy", "sepolia.json"),
        ("arbitrum:sepolia", "arbitrum-sepolia.json"),
    ],
)
def test_record_is_kept_by_network(network: str, name: str) -> None:
    assert record.path_for(network).name == name
