"""Every external function that changes something is an action of some play, or is named here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ballast.build import ROOT, artifact, deployables

PLAYS = "\n".join(path.read_text() for path in sorted((ROOT / "ballast" / "fuzz").rglob("*.py")))
ONLY_BY_CONTRACTS = {
    "Clearinghouse": {"release", "__default__"},
    "SettlementEngine": {"settle", "refresh", "release"},
    "LiquidationEngine": {"liquidate"},
    "WaterfallEngine": {"deleverage", "deleverage_many"},
    "MarginVault": {"move", "charge", "mark_fresh", "stake", "unstake"},
}
"""Called by other contracts of ours: their calls are part of actions, strangers are refused."""


def changing(name: str) -> list[str]:
    """The functions of a contract that are no views."""
    return sorted(
        entry["name"]
        for entry in artifact(name).abi
        if entry["type"] == "function" and entry["stateMutability"] not in ("view", "pure")
    )


@pytest.mark.parametrize("contract", deployables())
def test_every_function_is_played(contract: str) -> None:
    """Its name stands in a play: called, or knocked at by a stranger."""
    for function in changing(contract):
        if function in ONLY_BY_CONTRACTS.get(contract, set()):
            continue
        assert re.search(rf"\b{function}\b", PLAYS), f"{contract}.{function} is never called"


def test_the_list_of_exceptions_is_current() -> None:
    """No name stands there that is gone."""
    for contract, names in ONLY_BY_CONTRACTS.items():
        assert names - {"__default__"} <= set(changing(contract))
        assert Path(ROOT / "contracts" / f"{contract}.vy").exists()
