"""A deployment whose chain forgets blocks: reorganised, or restarted from an older state."""

from __future__ import annotations

from pathlib import Path

import pytest

from ballast import record
from ballast.config import DeployConfig
from ballast.deploy import check_faucet, create_address, deploy
from ballast.errors import DeployError
from ballast.record import Record
from ballast.verify import verify
from tests.unit.deploy.flaky import DEPLOYER, Flaky, Interrupted

CREATIONS = 12


def run(chain: Flaky, asked: DeployConfig, path: Path | None) -> Record:
    return deploy(chain, asked, sender=DEPLOYER, collateral=None, path=path)


def holds(chain: Flaky, kept: Record) -> bool:
    return all(chain.code(address) for address in kept.contracts.values())


def count_of(asked: DeployConfig) -> int:
    chain = Flaky()
    run(chain, asked, None)
    return chain.count


@pytest.mark.parametrize("lost", [2, 8])
def test_run_goes_on_after_any_loss(asked: DeployConfig, tmp_path: Path, lost: int) -> None:
    total = count_of(asked)
    for cut in range(lost + 1, total + 1):
        chain, path = Flaky(), tmp_path / f"{cut}.json"
        marks: list[int] = []

        def stop(
            count: int, cut: int = cut, chain: Flaky = chain, marks: list[int] = marks
        ) -> None:
            if count == cut - lost:
                marks.append(chain.snapshot())
            if count == cut:
                chain.revert(marks[0])
                raise Interrupted

        chain.before = stop
        with pytest.raises(Interrupted):
            run(chain, asked, path)
        assert record.load(path).status == "unfinished"
        chain.before = lambda count: None
        kept = run(chain, asked, path)
        assert kept.status == "complete"
        assert holds(chain, kept)
        assert verify(chain, record.load(path)) > 100


@pytest.mark.parametrize("lost", [1, 2, 7])
def test_loss_during_a_run_is_noticed(asked: DeployConfig, tmp_path: Path, lost: int) -> None:
    # Of creations: calls leave the nonce alone here (tests/integration/test_testnet.py has them).
    for cut in range(lost + 1, CREATIONS):
        chain, path = Flaky(), tmp_path / f"{cut}.json"
        marks: list[int] = []

        def forget(
            line: str, cut: int = cut, chain: Flaky = chain, marks: list[int] = marks
        ) -> None:
            if chain.count == cut - lost:
                marks.append(chain.snapshot())
            if chain.count == cut and marks:
                chain.revert(marks.pop())

        with pytest.raises(DeployError, match="has lost blocks: run the same command again"):
            deploy(chain, asked, sender=DEPLOYER, collateral=None, path=path, progress=forget)
        assert record.load(path).status == "unfinished"
        assert verify(chain, run(chain, asked, path)) > 100


def test_record_claims_nothing_the_chain_has_lost(asked: DeployConfig, tmp_path: Path) -> None:
    chain, path = Flaky(), tmp_path / "local.json"
    marks: list[int] = []

    def mark(count: int) -> None:
        if count == 5:
            marks.append(chain.snapshot())

    chain.before = mark
    run(chain, asked, path)
    chain.revert(marks[0])
    assert not holds(chain, record.load(path))

    def stop(count: int) -> None:
        raise Interrupted

    chain.before = stop
    with pytest.raises(Interrupted):
        run(chain, asked, path)
    kept = record.load(path)
    assert (kept.status, kept.markets) == ("unfinished", {})
    assert list(kept.contracts) == ["TestToken", "MarginVault", "Governance", "SettlementEngine"]
    assert holds(chain, kept)


def test_lost_token_takes_everything_with_it(asked: DeployConfig, tmp_path: Path) -> None:
    path = tmp_path / "local.json"
    first = run(Flaky(), asked, path)
    chain = Flaky()
    chain.foreign()
    kept = run(chain, asked, path)
    assert kept.contracts["TestToken"] == create_address(DEPLOYER, 1)
    assert not set(kept.contracts.values()) & {first.contracts["TestToken"]}
    assert kept.parameters["collateral"] == kept.contracts["TestToken"]
    assert kept.core_nonce == 2
    assert kept.block <= chain.block_number
    assert verify(chain, kept) > 100


def test_constructor_arguments_are_kept(asked: DeployConfig, tmp_path: Path) -> None:
    kept = run(Flaky(), asked, tmp_path / "local.json")
    assert set(kept.arguments) == set(kept.contracts)
    assert int(kept.arguments["TestToken"], 16) == 6
    assert kept.arguments["Lens"][-40:] == kept.contracts["MarginVault"][2:].lower()


def test_other_decimals_are_another_deployment(asked: DeployConfig, tmp_path: Path) -> None:
    chain, path = Flaky(), tmp_path / "local.json"
    run(chain, asked, path)
    with pytest.raises(DeployError, match="another parameters"):
        deploy(chain, asked, sender=DEPLOYER, collateral=None, decimals=18, path=path)


@pytest.mark.parametrize("chain_id", [1, 10, 56, 137, 8_453, 42_161, 99_999])
def test_no_test_token_beyond_testnets(chain_id: int) -> None:
    with pytest.raises(DeployError, match="no testnet"):
        check_faucet(chain_id)


@pytest.mark.parametrize("chain_id", [31_337, 11_155_111, 421_614, 84_532, 11_155_420])
def test_test_token_on_testnets(chain_id: int) -> None:
    check_faucet(chain_id)
