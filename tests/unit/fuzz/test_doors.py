"""Every function of every contract that changes anything is a door, or known to be open."""

from ballast import build
from ballast.fuzz.plays.strangers import DOORS, PARTS

BUILDS = {
    "vault": "MarginVault",
    "clearinghouse": "Clearinghouse",
    "orders": "OrderSettlement",
    "fund": "InsuranceFund",
    "oracle": "SignedPriceOracle",
    "chainlink": "ChainlinkOracle",
    "batch": "LiquidationBatch",
    **{name: built for name, (_, built) in PARTS.items()},
}
OPEN = {
    "clearinghouse.settle",
    "clearinghouse.refresh",
    "clearinghouse.deleverage",
    "clearinghouse.deleverage_many",
    "clearinghouse.set_operator",  # of the caller's own accounts
    "orders.match_orders",
    "orders.cancel",  # in the caller's own drawer
    "oracle.report_prices",
    "chainlink.note_outage",
    "fund.approve",
    "fund.deposit",
    "fund.mint",
    "fund.permit",
    "fund.redeem",  # of the caller's own request, or with an allowance: fuzz.fund
    "fund.transfer",
    "fund.withdraw",
}


def functions(name):
    return {
        f"{name}.{entry['name']}"
        for entry in build.artifact(BUILDS[name]).abi
        if entry["type"] == "function" and entry["stateMutability"] not in ("view", "pure")
    }


def test_all_contracts_are_known():
    assert set(BUILDS.values()) == set(build.deployables())


def test_every_function_is_a_door_or_open():
    known = {door.name for door in DOORS} | OPEN
    assert set().union(*(functions(name) for name in BUILDS)) - known == set()


def test_governance_is_reached_through_the_clearinghouse():
    called = {name.split(".")[1] for name in functions("governance")}
    assert {f"clearinghouse.{name}" for name in called} <= {door.name for door in DOORS}
