"""`set_operator`: who may liquidate into one's accounts, until when."""

from __future__ import annotations

from tests.support.checks import emitted, refuses
from tests.support.world import World, address

TRADER, BOT = address("trader"), address("bot")


def test_operator_is_kept_and_may_be_ended():
    world = World()
    expiry = world.chain.timestamp + 60
    for value in (expiry, 0):
        receipt = world.clearing.send.set_operator(BOT, value, sender=TRADER)
        assert emitted(world, receipt) == [
            ("OperatorSet", {"owner": TRADER, "operator": BOT, "expiry": value})
        ]
        assert world.clearing.view.operator_expiry(TRADER, BOT) == value
    assert world.clearing.view.operator_expiry(BOT, TRADER) == 0


def test_zero_operator():
    world = World()
    with refuses("account: zero operator"):
        world.clearing.send.set_operator("0x" + "00" * 20, 1, sender=TRADER)
