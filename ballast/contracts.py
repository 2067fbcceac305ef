"""The deployed contracts by name: their interfaces, and how their constructors are wired."""

from __future__ import annotations

from functools import cache

from ballast import build
from ballast.chain import Chain
from ballast.contract import Contract, Interface

VAULT = "MarginVault"
CLEARINGHOUSE = "Clearinghouse"
FUND = "InsuranceFund"
SETTLEMENT = "OrderSettlement"
SIGNED_ORACLE = "SignedPriceOracle"
CHAINLINK_ORACLE = "ChainlinkOracle"
LIQUIDATION_BATCH = "LiquidationBatch"
TOKEN = "Token"
FAUCET = "TestToken"

_PEOPLE = ("vault", "owner", "guardian")


@cache
def parts() -> dict[str, str]:
    """The contracts whose code the clearinghouse runs, by the name of its constructor's parameter.

    `lens` is `Lens`, `liquidation` is `LiquidationEngine`: what a parameter names exists once.
    """
    known = build.deployables()
    found = {}
    for param in build.artifact(CLEARINGHOUSE).constructor:
        if param["name"] in _PEOPLE:
            continue
        stem = "".join(word.capitalize() for word in param["name"].split("_"))
        found[param["name"]] = f"{stem}Engine" if f"{stem}Engine" in known else stem
    return found


OWNED = (CLEARINGHOUSE, SIGNED_ORACLE, CHAINLINK_ORACLE)
REST = (SETTLEMENT, SIGNED_ORACLE, CHAINLINK_ORACLE, LIQUIDATION_BATCH)


def core() -> tuple[str, ...]:
    """The contracts that name each other by predicted addresses, in order of deployment."""
    return (VAULT, *parts().values(), CLEARINGHOUSE, FUND)


@cache
def interface(name: str) -> Interface:
    """A contract's interface; the clearinghouse answers for its parts as well."""
    names = [name, *parts().values()] if name == CLEARINGHOUSE else [name]
    return Interface(*(build.artifact(part).abi for part in names))


def at(chain: Chain, name: str, address: str) -> Contract:
    """The contract `name` at an address."""
    return Contract(chain, address, interface(name))
