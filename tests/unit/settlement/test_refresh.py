"""`refresh`: every leg into the bucket of the account's present leverage, by anyone (S12)."""

from __future__ import annotations

from tests.support.checks import assert_sound, bucket_id, emitted, position_changed
from tests.support.world import KEEPER, WAD, World

P = 100 * WAD


def refresh(world, account):
    return world.clearing.send.refresh(account, sender=KEEPER)


def setup():
    world = World(prices=(P, P))
    trader = world.trader("trader", 500 * WAD)
    rival = world.trader("rival", 100_000 * WAD)
    world.next_block()
    world.fill(trader, rival, 5 * WAD, P, 1)
    world.fill(trader, rival, 20 * WAD, P, 2)
    return world, trader, rival


def test_all_legs_move_to_the_tier_of_now():
    world, trader, rival = setup()
    view = world.clearing.view
    # The first leg was ranked when it was alone (leverage 1), the second at 5.
    assert view.bucket_of(trader, 1) == bucket_id(P, 0, True)
    assert view.bucket_of(trader, 2) == bucket_id(P, 3, True)
    receipt = refresh(world, trader)
    assert emitted(world, receipt) == [
        position_changed(trader, 5 * WAD, P, bucket_id(P, 3, True), left_base=5 * WAD)
    ]
    assert refresh(world, trader).logs == []
    assert_sound(world, [trader, rival])


def test_a_winner_gains_rank_by_it():
    world, trader, rival = setup()
    world.price(120 * WAD, 2)
    refresh(world, trader)
    view = world.clearing.view
    # notional 500 + 2,400 over equity 900: tier 3 (<= 5) still; after a deposit of 600: <= 2.
    assert view.bucket_of(trader, 2) == bucket_id(P, 3, True)
    world.deposit(trader, 600 * WAD)
    assert refresh(world, trader).logs == [], "what was deposited in this block does not count"
    world.next_block()
    score = view.adl_rank(trader, 2)[0]
    names = [name for name, _ in emitted(world, refresh(world, trader))]
    assert names == ["PriceFixed", "PriceFixed", "PositionChanged", "PositionChanged"]
    assert view.bucket_of(trader, 2) == bucket_id(P, 1, True)
    assert view.adl_rank(trader, 2)[0] < score
    assert_sound(world, [trader, rival])


def test_a_loser_is_ranked_up_and_the_bankrupt_last():
    world, trader, _rival = setup()
    world.price(85 * WAD, 2)
    refresh(world, trader)  # 500 + 1,700 over 200
    assert world.clearing.view.bucket_of(trader, 1) == bucket_id(P, 5, True)
    world.price(70 * WAD, 2)
    refresh(world, trader)
    assert world.clearing.view.equity(trader) == -100 * WAD
    assert world.clearing.view.bucket_of(trader, 2) == bucket_id(P, 7, True)


def test_an_empty_account_is_left_alone():
    world, _, _ = setup()
    assert refresh(world, world.trader("stranger")).logs == []
