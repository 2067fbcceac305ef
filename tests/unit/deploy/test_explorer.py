"""What an explorer is given compiles to the deployed code, by the compiler's own JSON door."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from vyper.cli.vyper_json import compile_json

from ballast import build, explorer
from ballast.config import DeployConfig
from ballast.deploy import deploy
from tests.unit.deploy.flaky import DEPLOYER, Flaky


@pytest.mark.parametrize("name", ["OrderSettlement", "TestToken", "InsuranceFund"])
def test_standard_json_gives_the_code_again(name: str) -> None:
    given = json.loads(json.dumps(explorer.standard_json(name)))
    (contracts,) = compile_json(given)["contracts"].values()
    contract = contracts[name]
    made = build.artifact(name)
    assert contract["evm"]["bytecode"]["object"] == "0x" + made.initcode.hex()
    assert contract["evm"]["deployedBytecode"]["object"] == "0x" + made.runtime.hex()


def test_every_contract_is_written(asked: DeployConfig, tmp_path: Path) -> None:
    kept = deploy(Flaky(), asked, sender=DEPLOYER, collateral=None)
    written = explorer.write(kept, tmp_path / "json")
    assert {path.stem for path in written} == {*kept.contracts, "constructor_arguments"}
    told = json.loads((tmp_path / "json" / "constructor_arguments.json").read_text())
    lens = build.artifact("Lens")
    assert told["Lens"]["address"] == kept.contracts["Lens"]
    assert (
        lens.initcode.hex() + told["Lens"]["arguments"]
        == lens.deploy_code(kept.contracts["MarginVault"]).hex()
    )
    for path in written:
        assert str(build.ROOT) not in path.read_text()
