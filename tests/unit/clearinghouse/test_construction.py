"""Wiring: a clearinghouse has an owner, and answers for its parts at its own address."""

from __future__ import annotations

import pytest

from ballast.build import artifact
from ballast.errors import Reverted
from tests.support.checks import refuses
from tests.support.world import GUARDIAN, OWNER, World, address

ZERO = "0x" + "00" * 20


def test_zero_owner_is_refused():
    world = World()
    parts = [address(str(i)) for i in range(6)]
    code = artifact("Clearinghouse").deploy_code(*parts, ZERO, GUARDIAN)
    with refuses("clearing: zero owner"):
        world.chain.deploy(code, sender=OWNER)


def test_only_the_vault_may_ask_for_a_release():
    world = World()
    with refuses("clearing: not the vault"):
        world.clearing.send.release(b"\1" * 32, 1, sender=OWNER)


def test_unknown_function_is_refused():
    world = World()
    with pytest.raises(Reverted):
        world.chain.call(world.clearing.address, b"\1\2\3\4", sender=OWNER)
    with pytest.raises(Reverted):
        world.chain.call(world.clearing.address, b"", sender=OWNER)
