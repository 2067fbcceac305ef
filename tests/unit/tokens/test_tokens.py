"""Collaterals of 6, 8 and 18 decimals, and strange ones, against the real clearinghouse (S1)."""

from __future__ import annotations

from typing import Any

import pytest

from ballast.abi import checksum
from ballast.build import artifact
from ballast.contract import Contract
from ballast.errors import Reverted
from tests.support import world as support
from tests.support.checks import assert_sound, refuses
from tests.support.world import KEEPER, MAX, OWNER, REAL_FEES, WAD, World, address

P = 100 * WAD
TRADER = address("trader")
ENTRY_DUST = 2_000
"""An averaged entry is rounded by up to 1 wei of price: a wei of quote for each of 340 base."""


def strange(monkeypatch, token: str, *extra: Any, decimals: int = 6) -> World:
    """A world over another token (its constructor may take more than decimals)."""
    made = artifact(token)

    class WithArguments:
        abi = made.abi

        @staticmethod
        def deploy_code(*args):
            return made.deploy_code(*args, *extra)

    monkeypatch.setattr(
        support, "artifact", lambda name: WithArguments if name == "Token" else artifact(name)
    )
    world = World(decimals=decimals, params=REAL_FEES)
    monkeypatch.setattr(support.World, "mint", _mint)
    return world


def _mint(world: World, holder: str, cash: int) -> None:
    world.token.send.mint(holder, cash // world.scale, sender=holder)
    world.token.send.approve(world.vault.address, 0, sender=holder)
    world.token.send.approve(world.vault.address, MAX, sender=holder)


def a_life(world: World) -> None:
    """Deposit, trade, win, lose, be liquidated and deleveraged, settle, withdraw everything."""
    names = ("trader", "rival", "weak", "broke")
    trader, rival, weak, broke = (world.trader(n, 1_000 * WAD) for n in names)
    world.deposit(rival, 10**6 * WAD)
    world.donate((1).to_bytes(32, "big"), 3 * WAD)
    world.next_block()
    world.fill(trader, rival, 7 * WAD + 123_456_789, P + 987_654_321)
    world.fill(weak, rival, 150 * WAD + 1, P)
    world.fill(broke, rival, 180 * WAD + 1, P)
    everyone = [trader, rival, weak, broke]
    world.price(955 * WAD // 10 + 7)
    world.clearing.send.liquidate(weak, 1, MAX, rival, sender=address("rival"))
    world.price(94 * WAD + 1)
    assert world.clearing.view.equity(broke) < 0
    while world.clearing.view.equity(broke) < 0:
        world.deleverage(broke)
    assert_sound(world, everyone, ENTRY_DUST)
    world.next_block(3_600)
    for account in (trader, weak):
        size = world.clearing.view.position(account, 1)[0]
        world.fill(rival, account, size, 94 * WAD)
    for _ in range(2):
        for account in everyone:
            world.clearing.send.settle(account, sender=KEEPER)
    world.next_block()
    assert_sound(world, everyone, ENTRY_DUST)
    for name, account in zip(names, everyone, strict=True):
        free = world.clearing.view.free_cash(account) // world.scale
        if free:
            world.vault.send.withdraw(account, free, KEEPER, sender=address(name))
            with pytest.raises(Reverted):
                world.vault.send.withdraw(account, 1, KEEPER, sender=address(name))
    assert_sound(world, everyone, ENTRY_DUST)
    held = world.token.view.balanceOf(world.vault.address) * world.scale
    assert held == world.vault.view.total() >= 0


@pytest.mark.parametrize("decimals", [0, 6, 8, 18])
def test_decimals(decimals):
    a_life(World(decimals=decimals, params=REAL_FEES))


def test_what_is_below_a_unit_stays():
    world = World(decimals=6, params=REAL_FEES)
    trader, rival = (world.trader(n, 1_000 * WAD) for n in ("trader", "rival"))
    world.next_block()
    world.fill(trader, rival, WAD, P + 10**14)
    world.fill(rival, trader, WAD, P + 10**14)
    cash = world.cash(trader)
    assert cash % world.scale != 0
    units = cash // world.scale
    with refuses("vault: insufficient cash"):
        world.vault.send.withdraw(trader, units + 1, KEEPER, sender=TRADER)
    world.vault.send.withdraw(trader, units, KEEPER, sender=TRADER)
    assert world.cash(trader) == cash % world.scale


def test_a_token_that_returns_nothing_is_good(monkeypatch):
    a_life(strange(monkeypatch, "NoReturnToken"))


def test_a_token_with_a_transfer_fee_is_refused(monkeypatch):
    world = strange(monkeypatch, "FeeToken", 1)
    with refuses("vault: transfer fee"):
        world.trader("trader", 1_000_000 * WAD)
    with refuses("vault: transfer fee"):
        world.donate((1).to_bytes(32, "big"), 1_000_000 * WAD)
    assert world.vault.view.total() == 0


def test_a_fee_that_is_switched_on_later_locks_nobody_in(monkeypatch):
    world = strange(monkeypatch, "FeeToken", 0)
    trader = world.trader("trader", 1_000 * WAD)
    world.token.send.set_fee(100, sender=OWNER)
    with refuses("vault: transfer fee"):
        world.deposit(trader, 1_000 * WAD)
    world.next_block()
    world.vault.send.withdraw(trader, 1_000 * world.unit, KEEPER, sender=TRADER)
    assert world.token.view.balanceOf(KEEPER) == 990 * world.unit


def calling(monkeypatch):
    """A callback token, a trader with a position, and the token itself as an account's owner."""
    world = strange(monkeypatch, "CallbackToken", decimals=18)
    trader, rival = (world.trader(n, 1_000 * WAD) for n in ("trader", "rival"))
    own = bytes.fromhex(world.token.address[2:]) + bytes(12)
    world.deposit(own, 500 * WAD)
    world.next_block()
    world.fill(trader, rival, 10 * WAD, P)
    world.next_block()
    return world, trader, rival, own


@pytest.mark.parametrize("before", [True, False])
def test_a_callback_out_of_a_withdrawal_finds_it_done(monkeypatch, before):
    world, trader, rival, own = calling(monkeypatch)
    vault, clearing = world.vault, world.clearing
    tries: list[tuple[Contract, bytes, bool]] = [
        (vault, vault.data.withdraw(own, 500 * WAD, world.token.address), False),
        (vault, vault.data.deposit(own, 1), False),
        (vault, vault.data.donate((1).to_bytes(32, "big"), 1), False),
        (vault, vault.data.move(trader, own, 1), False),
        (clearing, clearing.data.release(trader, 1), False),
        (clearing, clearing.data.fill(1, own, trader, WAD, P), False),
        (clearing, clearing.data.deleverage(trader), False),
        (clearing, clearing.data.settle(rival), True),
        (clearing, clearing.data.refresh(trader), True),
        (clearing, clearing.data.equity(trader), True),
    ]
    for target, data, works in tries:
        with world.chain.rolled_back():
            world.token.send.set_callback(target.address, data, before, sender=OWNER)
            vault.send.withdraw(trader, 100 * WAD, KEEPER, sender=TRADER)
            assert world.token.view.calls() == 1
            assert world.token.view.succeeded() == works
            assert world.cash(trader) <= 900 * WAD
            assert_sound(world, [trader, rival, own])


def test_a_callback_out_of_a_deposit_finds_nothing_to_take(monkeypatch):
    world, trader, rival, own = calling(monkeypatch)
    data = world.vault.data.withdraw(own, 1, checksum(world.token.address))
    world.token.send.set_callback(world.vault.address, data, False, sender=OWNER)
    world.deposit(trader, 5 * WAD)
    assert world.token.view.calls() == 1
    assert not world.token.view.succeeded()
    assert_sound(world, [trader, rival, own])
