"""Failure modes of others' arithmetic and identities (peers 34, 38 to 40)."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from ballast.build import compile_file
from ballast.contract import Contract
from ballast.errors import Reverted
from ballast.signing import Order, SignedOrder
from tests.integration.failure_modes.test_oracle import RELAY
from tests.support.sound import dust
from tests.support.stage import Stage, stage
from tests.support.wired import SOL, Wired
from tests.support.world import INSURANCE, KEEPER, WAD, ZERO_FEES, address

FUNDED = replace(ZERO_FEES, premium_cap_bps=1_000, funding_cap_bps=400)


@pytest.mark.parametrize("odd", [1, 2, 3, 7, 10**6 + 3])
def test_socialised_loss_is_paid_to_the_last_unit(odd: int):
    """Peers 34: a loss rounded half up, so that what is paid is not what is lost. Sizes, cash and
    fund are odd: what claimants can collect never exceeds what the pool has for them."""
    world, loser, winners = stage(
        loser_cash=150 * WAD + odd,
        size=10 * WAD + 6 * odd,
        winners=(WAD + odd, 3 * WAD + 2 * odd, 6 * WAD + 3 * odd),
        insurance=7 * WAD + odd,
    )
    late = world.trader("late", 5_000 * WAD)
    world.price(60 * WAD + odd)
    for winner in winners:
        world.fill(winner, late, -world.size(winner), 60 * WAD + odd)
    world.sound()
    world.close_all(loser)
    world.settle(*winners, late, *winners)
    paid = sum(world.cash(winner) - 1_000 * WAD for winner in winners)
    # In: the loser's cash, the fund's draw, what late has lost. Out: the same, or less by a wei.
    drawn = 7 * WAD + odd - world.vault.view.insurance()
    put_in = 150 * WAD + odd + drawn + 5_000 * WAD - world.cash(late)
    assert 0 <= put_in - paid <= 8
    owed = sum(world.clearing.view.unsettled(winner) for winner in winners)
    assert 0 <= world.clearing.view.shortfall(1) - owed <= 8
    world.sound()


@pytest.mark.parametrize("size", [10**16, 10**16 + 1, 12_345_678_912_345_678, 10**24])
def test_funding_is_zero_sum_at_any_open_interest(size: int):
    """Peers 38: funding not zero-sum, precision lost with small open interest."""
    world = Stage(FUNDED)
    buyer, seller = world.trader("buyer", 10**26), world.trader("seller", 10**26)
    world.next_block()
    for i in range(12):
        world.price(100 * WAD, seconds=(1, 600, 28_800)[i % 3])
        price = 100 * WAD + (i % 5 - 1) * WAD
        world.fill(*((buyer, seller) if i % 4 else (seller, buyer)), size, price)
        world.sound()
        for numerator in (0, 1, 2, 4, 10**6):
            left = dust(world, world.people, 1, numerator)
            # An entry misses less than 1 wei of price, a credit 1 wei and shares / 2^72.
            assert 0 <= left <= 8 * (i + 2) * (1 + 100 * numerator + size // WAD)
    assert world.clearing.view.funding(1)[0] != 0
    index = world.clearing.view.funding(1)[0]
    size_held = world.size(buyer)
    before = world.equity(buyer), world.equity(seller)
    world.next_block(28_800)
    moved = -size_held * (world.clearing.view.funding(1)[0] - index) // WAD
    assert moved != 0
    rounding = 2 + (size >> 69)  # a few credits' shares / 2^72
    assert abs(world.equity(buyer) - before[0] - moved) <= rounding
    assert abs(world.equity(seller) - before[1] + moved) <= rounding


def test_funding_does_not_depend_on_how_often_it_is_touched():
    """Peers 38: path independence: many touches or none, the index and both sides are the same."""
    ends = []
    for touches in (1, 48):
        world = Stage(FUNDED)
        buyer, seller = world.trader("buyer", 10**6 * WAD), world.trader("seller", 10**6 * WAD)
        world.next_block(60)
        world.fill(buyer, seller, 777 * WAD + 1, 101 * WAD)
        for _ in range(touches):
            world.next_block(48 * 3_600 // touches)
            world.settle(buyer, seller)
        rate = world.clearing.view.funding(1)
        ends.append((*rate, world.equity(buyer), world.equity(seller)))
    assert ends[0][1] == ends[1][1] > 0
    assert abs(ends[0][0] - ends[1][0]) <= 48  # each first touch truncates once
    for i in (2, 3):
        assert abs(ends[0][i] - ends[1][i]) <= 48 * 780


def test_origin_of_a_transaction_is_nobodys_identity():
    """Peers 39: tx.origin as identity. A contract that the owner calls cannot act for the owner."""
    world, _, (winner,) = stage()
    at, _ = world.chain.deploy(compile_file(RELAY).initcode, sender=KEEPER)
    relay = Contract(world.chain, at, compile_file(RELAY).abi)
    owner = address("winner 0")
    vault, house = world.vault, world.clearing
    with pytest.raises(Reverted, match=r"^vault: not the owner$"):
        relay.send.relay([vault.address], [vault.data.withdraw(winner, WAD, KEEPER)], sender=owner)
    world.price(86 * WAD)
    with pytest.raises(Reverted, match=r"^liquidation: not the operator$"):
        relay.send.relay(
            [house.address],
            [house.data.liquidate(world.trader("loser"), 1, WAD, winner)],
            sender=owner,
        )
    relay.send.relay([house.address], [house.data.set_operator(KEEPER, 2**255)], sender=owner)
    assert house.view.operator_expiry(owner, KEEPER) == 0
    assert house.view.operator_expiry(relay.address, KEEPER) == 2**255


def test_signature_of_anyone_else_trades_for_nobody():
    """Peers 39: identity is what was signed, not who sends."""
    wired = Wired()
    victim, thief = wired.trader("victim", 1_000 * WAD), wired.trader("thief", 1_000 * WAD)
    wired.chain.mine()
    wired.report(SOL, 100 * WAD)
    order = Order(wired.account(victim), SOL, True, WAD, 103 * WAD)
    forged = wired.ballast.sign_order(order, thief)
    sell = wired.sign(thief, False, WAD, 103 * WAD, SOL)
    for signature in (forged.signature, b"", bytes(65), forged.signature[:-1] + b"\x00"):
        with pytest.raises(Reverted, match=r"^settlement: bad signature$"):
            wired.ballast.match(SignedOrder(order, signature), [sell], [WAD], sender=victim.address)
    assert wired.house.view.markets_of(wired.account(victim)) == []


def cycle(world: Stage, trader: bytes, maker: bytes, market: int) -> tuple[int, int]:
    """Open and close once; gas of each."""
    world.next_block()
    gas = []
    for buyer, seller in ((trader, maker), (maker, trader)):
        receipt = world.clearing.send.fill(
            market, buyer, seller, WAD, 100 * WAD, sender=address("venue"), exact_gas=True
        )
        gas.append(receipt.gas_used)
    return gas[0], gas[1]


def test_nothing_of_a_user_grows_for_ever():
    """Peers 40: per-user arrays that only grow (Velar: 500, then bricked). Gas of the 300th round
    trip is that of the third, over changing markets."""
    world = Stage(prices=(100 * WAD,) * 3)
    trader, maker = world.trader("trader", 1_000 * WAD), world.trader("maker", 10**6 * WAD)
    world.next_block()
    for market in world.markets:
        world.fill(maker, world.trader("anchor", 10**6 * WAD), 5 * WAD, 100 * WAD, market)
    early = [cycle(world, trader, maker, market) for _ in range(2) for market in world.markets][-3:]
    rng = random.Random(40)
    for _ in range(300):
        market = rng.choice(world.markets)
        world.fill(trader, maker, WAD, 100 * WAD, market)
        if rng.random() < 0.1:
            world.next_block()
        world.fill(maker, trader, WAD, 100 * WAD, market)
        assert world.clearing.view.markets_of(trader) == []
    late = [cycle(world, trader, maker, market) for market in world.markets]
    for before, after in zip(early, late, strict=True):
        assert max(after) <= max(before) * 101 // 100
        assert after[1] <= before[1] * 101 // 100
    assert world.equity(trader) == world.cash(trader) == 1_000 * WAD


def test_claims_and_debts_of_a_user_do_not_grow_either():
    """Peers 40: 60 rounds of waiting, being paid, being deleveraged leave no trace in the gas."""
    world, _, (winner,) = stage(loser_cash=5_000 * WAD)
    maker = world.trader("maker", 10**6 * WAD)
    gas = []
    for i in range(60):
        world.price(100 * WAD)
        loser = world.trader(f"loser {i}", 15 * WAD)
        world.next_block()
        world.fill(loser, winner, WAD, 100 * WAD)
        world.price(84 * WAD)
        receipt = world.clearing.send.deleverage(loser, sender=KEEPER, exact_gas=True)
        gas.append(receipt.gas_used)
        world.fill(winner, maker, WAD // 2, 84 * WAD)
        world.settle(winner, maker)
    assert max(gas[-20:]) <= max(gas[5:25]) * 105 // 100
    world.sound()


def test_seventeenth_market_is_refused_and_the_sixteen_can_be_left():
    """Peers 40: at most 16 legs, each of which can be closed and replaced by another market's."""
    world = Stage(prices=(100 * WAD,) * 17)
    trader, maker = world.trader("trader", 1_000 * WAD), world.trader("maker", 10**6 * WAD)
    second = world.trader("second", 10**6 * WAD)
    world.next_block()
    order = [9, 1, 16, 4, 12, 2, 7, 15, 3, 11, 8, 5, 14, 6, 13, 10]
    for market in order:
        world.fill(trader, maker, WAD, 100 * WAD, market)
    assert world.clearing.view.markets_of(trader) == list(range(1, 17))
    with pytest.raises(Reverted, match=r"^account: too many markets$"):
        world.fill(trader, second, WAD, 100 * WAD, 17)
    world.fill(trader, maker, WAD, 100 * WAD, 16)  # growing what is there is no new market
    world.fill(maker, trader, WAD, 100 * WAD, 4)
    world.fill(trader, second, WAD, 100 * WAD, 17)
    for market in [17, *order]:
        held = world.size(trader, market)
        if held:
            world.fill(second if market == 17 else maker, trader, held, 100 * WAD, market)
    assert world.clearing.view.markets_of(trader) == []
    assert world.equity(trader) == 1_000 * WAD
    assert world.cash(INSURANCE) == 0
    world.sound()
