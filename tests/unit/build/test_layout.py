"""The clearinghouse and the parts whose code it runs agree on every slot, and all fit on chain."""

from __future__ import annotations

import pytest

from ballast.build import MAX_RUNTIME_BYTES, artifact, deployables
from ballast.contracts import parts
from tests.support.checks import refuses
from tests.support.world import KEEPER, World

WHOLE = "Clearinghouse"
PARTS = ("Governance", "SettlementEngine", "LiquidationEngine", "WaterfallEngine", "Lens")
SHARED_FIRST = 14
"""Slots of records.vy, which every part has."""


def slots(name: str) -> dict[int, tuple[str, str, int]]:
    """What is in each slot of a contract: (path, type, number of slots)."""
    found: dict[int, tuple[str, str, int]] = {}

    def walk(layout: dict, path: str) -> None:
        for key, entry in layout.items():
            at = f"{path}.{key}" if path else key
            if "slot" in entry:
                assert entry["slot"] not in found
                found[entry["slot"]] = (at, entry["type"], entry["n_slots"])
            else:
                walk(entry, at)

    walk(artifact(name).storage_layout["storage_layout"], "")
    return found


def test_the_parts_are_all_there_are() -> None:
    assert sorted(parts().values()) == sorted(PARTS)


@pytest.mark.parametrize("name", PARTS)
def test_slots_agree(name: str) -> None:
    whole, part = slots(WHOLE), slots(name)
    assert len(part) >= SHARED_FIRST
    assert {slot: whole[slot] for slot in part} == part
    assert sorted(part) == list(range(len(part))), "no storage of its own behind, no holes"


@pytest.mark.parametrize("name", [WHOLE, *PARTS])
def test_records_come_first(name: str) -> None:
    first = [path for slot, (path, _, _) in sorted(slots(name).items()) if slot < SHARED_FIRST]
    assert all(path.startswith("records.") for path in first)
    assert slots(name)[0][0] == "records._accounts"


@pytest.mark.parametrize("name", PARTS)
def test_no_part_holds_the_lock(name: str) -> None:
    """The clearinghouse's lock is held around the parts: one of their own would sit in its slot."""
    assert "transient_storage_layout" not in artifact(name).storage_layout


def test_sizes_on_chain_with_immutables_are_below_the_limit() -> None:
    world = World()
    view = world.clearing.view
    on_chain = {
        WHOLE: world.clearing.address,
        "Governance": view.GOVERNANCE(),
        "SettlementEngine": view.SETTLEMENT(),
        "LiquidationEngine": view.LIQUIDATION(),
        "WaterfallEngine": view.WATERFALL(),
        "Lens": view.LENS(),
        "MarginVault": world.vault.address,
        "InsuranceFund": world.fund.address,
    }
    for name, address in on_chain.items():
        made = artifact(name)
        assert made.immutables_size > 0
        size = len(world.chain.code(address))
        assert size == made.runtime_size == len(made.runtime) + made.immutables_size
        assert size < MAX_RUNTIME_BYTES == 24_576
    for name in deployables():
        assert artifact(name).runtime_size < MAX_RUNTIME_BYTES


def test_direct_calls_to_governance_are_refused() -> None:
    world = World()
    governance = world.clearing.at(world.clearing.view.GOVERNANCE())
    params = world.params.as_tuple()
    for name, args in {
        "list_market": (params,),
        "announce": (1, params),
        "set_market": (1, params),
        "set_group": (1, 0, 86_400),
        "set_adl": (8, 0),
        "set_venue": (KEEPER, True),
        "set_guardian": (KEEPER,),
        "pause": (1, True),
    }.items():
        with refuses("governance: call the clearinghouse"):
            getattr(governance.send, name)(*args, sender=KEEPER)
    # Ownership is snekmate's: of the part itself it is the deployer's, and of no consequence.
    with refuses("ownable: caller is not the owner"):
        governance.send.transfer_ownership(KEEPER, sender=KEEPER)
    with refuses("ownable_2step: caller is not the new owner"):
        governance.send.accept_ownership(sender=KEEPER)


def test_direct_calls_to_the_engines_are_refused() -> None:
    world = World()
    view, account = world.clearing.view, b"\1" * 32
    for part, at, name, args in (
        ("settlement", view.SETTLEMENT(), "settle", (account,)),
        ("settlement", view.SETTLEMENT(), "refresh", (account,)),
        ("settlement", view.SETTLEMENT(), "release", (account, 1)),
        ("liquidation", view.LIQUIDATION(), "liquidate", (account, 1, 1, account)),
        ("waterfall", view.WATERFALL(), "deleverage", (account,)),
        ("lens", view.LENS(), "equity", (account,)),
    ):
        with refuses(f"{part}: call the clearinghouse"):
            getattr(world.clearing.at(at).send, name)(*args, sender=KEEPER)
