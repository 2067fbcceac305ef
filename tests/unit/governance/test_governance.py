"""The owner's and the guardian's calls: who, within which bounds, after which delay."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.errors import Reverted
from tests.support.checks import assert_sound, emitted, refuses
from tests.support.world import (
    GUARDIAN,
    KEEPER,
    OWNER,
    REAL_FEES,
    VENUE,
    WAD,
    World,
    address,
)

P = 100 * WAD
ZERO = "0x" + "00" * 20
NEW = address("new owner")
DELAY = 2 * 86_400
NOT_OWNER = "ownable: caller is not the owner"


@pytest.fixture
def world() -> World:
    return World(params=REAL_FEES)


def test_list_market(world):
    receipt = world.clearing.send.list_market(world.params.as_tuple(), sender=OWNER)
    assert world.clearing.returned(receipt, "list_market", 1) == 2
    assert [(n, a["market"], tuple(a["params"])) for n, a in emitted(world, receipt)] == [
        ("MarketSet", 2, world.params.as_tuple())
    ]
    assert tuple(world.clearing.view.market_params(2)) == world.params.as_tuple()
    assert not any(tuple(world.clearing.view.market_params(3))[1:])


def test_everything_is_the_owners(world):
    params = world.params.as_tuple()
    send = world.clearing.send
    for sender in (GUARDIAN, VENUE, KEEPER):
        for call in (
            lambda s: send.list_market(params, sender=s),
            lambda s: send.announce(1, params, sender=s),
            lambda s: send.set_market(1, params, sender=s),
            lambda s: send.set_group(1, 0, 86_400, sender=s),
            lambda s: send.set_adl(8, 0, sender=s),
            lambda s: send.set_venue(KEEPER, True, sender=s),
            lambda s: send.set_guardian(KEEPER, sender=s),
            lambda s: send.transfer_ownership(KEEPER, sender=s),
        ):
            with refuses(NOT_OWNER):
                call(sender)


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("oracle", {"oracle": ZERO}),
        ("oracle", {"oracle": address("no contract")}),
        ("group", {"group": 0}),
        ("group", {"group": 4_096}),
        ("group", {"group": 2}),  # not set up
        ("margin", {"initial_margin_bps": 250}),
        ("margin", {"initial_margin_bps": 10_001}),
        ("margin", {"maintenance_margin_bps": 500}),
        ("margin", {"maintenance_margin_bps": 50, "taker_fee_bps": 5}),
        ("fee", {"maker_fee_bps": 6}),
        ("fee", {"taker_fee_bps": 101}),
        ("fee", {"taker_fee_bps": 60, "maintenance_margin_bps": 60, "liquidation_penalty_bps": 0}),
        ("shares", {"fee_insurance_share_bps": 8_001}),
        ("shares", {"fee_reserve_share_bps": 7_001}),
        ("shares", {"liquidator_share_bps": 6_001}),
        ("shares", {"penalty_insurance_share_bps": 5_001}),
        ("penalty", {"liquidation_penalty_bps": 251}),
        ("target", {"liquidation_target_bps": 9_999}),
        ("target", {"liquidation_target_bps": 100_001}),
        ("band", {"price_band_bps": 0}),
        ("band", {"price_band_bps": 2_001}),
        ("caps", {"position_cap_base": 0}),
        ("caps", {"position_cap_base": 10**10 * WAD + 1}),
        ("caps", {"interest_cap_base": 2**96}),
        ("minimum", {"min_notional_quote": 0}),
        ("minimum", {"min_notional_quote": 10**12 + 1}),
        ("minimum", {"min_notional_quote": 2**64 * 10**12}),
        ("reward", {"min_reward_quote": 1}),
        ("reward", {"min_reward_quote": 2**64 * 10**12}),
        ("insurance cap", {"insurance_cap_quote": 2**96}),
        ("refill", {"insurance_refill_seconds": 3_599}),
        ("refill", {"insurance_refill_seconds": 365 * 86_400 + 1}),
        ("premium cap", {"premium_cap_bps": 1_001}),
        ("funding cap", {"funding_cap_bps": 401}),
        ("window", {"premium_window_seconds": 0}),
        ("window", {"premium_window_seconds": 2**32}),
    ],
)
def test_bounds_of_a_market(world, reason, changes):
    params = replace(world.params, **changes).as_tuple()
    for call in (
        lambda: world.clearing.send.list_market(params, sender=OWNER),
        lambda: world.clearing.send.announce(1, params, sender=OWNER),
    ):
        with refuses(f"listing: {reason}"):
            call()
    with pytest.raises(Reverted):
        world.clearing.send.set_market(1, params, sender=OWNER)


@pytest.mark.parametrize(
    "changes",
    [
        {"initial_margin_bps": 251},
        {"initial_margin_bps": 10_000, "maintenance_margin_bps": 9_999},
        {"maintenance_margin_bps": 51, "taker_fee_bps": 50, "liquidation_penalty_bps": 51},
        {"taker_fee_bps": 100, "maker_fee_bps": 100},
        {"fee_insurance_share_bps": 8_000},
        {"liquidator_share_bps": 6_000},
        {"liquidation_target_bps": 10_000},
        {"liquidation_target_bps": 100_000},
        {"price_band_bps": 1},
        {"price_band_bps": 2_000},
        {"position_cap_base": 2**96 - 1, "interest_cap_base": 2**96 - 1},
        {"position_cap_base": 1, "interest_cap_base": 1},
        {"min_notional_quote": 10**12},
        {"min_notional_quote": (2**64 - 1) * 10**12},
        {"min_reward_quote": (2**64 - 1) * 10**12},
        {"insurance_cap_quote": 2**96 - 1},
        {"insurance_refill_seconds": 3_600},
        {"insurance_refill_seconds": 365 * 86_400},
        {"premium_cap_bps": 1_000, "funding_cap_bps": 400},
        {"premium_window_seconds": 2**32 - 1},
        {"premium_window_seconds": 1},
    ],
)
def test_the_ends_of_the_bounds_are_good_and_stored_as_given(world, changes):
    params = replace(world.params, **changes)
    world.clearing.send.list_market(params.as_tuple(), sender=OWNER)
    assert tuple(world.clearing.view.market_params(2)) == params.as_tuple()


def test_market_ids_end_at_4095(world):
    params = world.params.as_tuple()
    for _ in range(4_094):
        world.clearing.send.list_market(params, sender=OWNER)
    assert tuple(world.clearing.view.market_params(4_095)) == params
    with refuses("listing: too many markets"):
        world.clearing.send.list_market(params, sender=OWNER)


def test_set_market_at_once_where_no_requirement_rises(world):
    lower = replace(world.params, initial_margin_bps=400, maintenance_margin_bps=200)
    world.chain.mine()
    receipt = world.clearing.send.set_market(1, lower.as_tuple(), sender=OWNER)
    assert [name for name, _ in emitted(world, receipt)] == ["PriceFixed", "MarketSet"]
    assert tuple(world.clearing.view.market_params(1)) == lower.as_tuple()


@pytest.mark.parametrize("changes", [{"initial_margin_bps": 501}, {"maintenance_margin_bps": 251}])
def test_a_rise_is_announced_and_waits(world, changes):
    higher = replace(world.params, **changes)
    set_market = world.clearing.send.set_market
    with refuses("listing: not announced"):
        set_market(1, higher.as_tuple(), sender=OWNER)
    receipt = world.clearing.send.announce(1, higher.as_tuple(), sender=OWNER)
    ((name, args),) = emitted(world, receipt)
    assert (name, args["market"], tuple(args["params"]), args["effective_at"]) == (
        "MarketAnnounced",
        1,
        higher.as_tuple(),
        world.chain.timestamp + DELAY,
    )
    world.chain.mine(DELAY - 1)
    with refuses("listing: not announced"):
        set_market(1, higher.as_tuple(), sender=OWNER)
    world.chain.mine(1)
    with refuses("listing: not announced"):
        set_market(1, replace(higher, min_reward_quote=0).as_tuple(), sender=OWNER)
    with refuses(NOT_OWNER):
        set_market(1, higher.as_tuple(), sender=KEEPER)
    set_market(1, higher.as_tuple(), sender=OWNER)
    assert tuple(world.clearing.view.market_params(1)) == higher.as_tuple()
    # The announcement is used up.
    set_market(1, world.params.as_tuple(), sender=OWNER)
    with refuses("listing: not announced"):
        set_market(1, higher.as_tuple(), sender=OWNER)


def test_an_announcement_is_for_one_market(world):
    world.clearing.send.list_market(world.params.as_tuple(), sender=OWNER)
    higher = replace(world.params, initial_margin_bps=501).as_tuple()
    world.clearing.send.announce(1, higher, sender=OWNER)
    world.chain.mine(DELAY)
    with refuses("listing: not announced"):
        world.clearing.send.set_market(2, higher, sender=OWNER)


@pytest.mark.parametrize("market", [0, 2, 4_096])
def test_unknown_markets_are_neither_set_nor_announced_nor_paused(world, market):
    params = world.params.as_tuple()
    with refuses("market: unknown"):
        world.clearing.send.set_market(market, params, sender=OWNER)
    with refuses("market: unknown"):
        world.clearing.send.announce(market, params, sender=OWNER)
    if market:
        with refuses("market: unknown"):
            world.clearing.send.pause(market, True, sender=OWNER)
    with refuses("market: unknown"):
        world.clearing.view.insurance_left(market)


def test_a_market_stays_in_its_group(world):
    world.clearing.send.set_group(2, 0, 86_400, sender=OWNER)
    with refuses("listing: group"):
        moved = replace(world.params, group=2).as_tuple()
        world.clearing.send.set_market(1, moved, sender=OWNER)


def test_changed_funding_runs_at_the_old_rate_until_the_change():
    world = World(params=REAL_FEES)
    longs, shorts = (world.trader(label, 10_000 * WAD) for label in ("long", "short"))
    world.next_block(60)
    world.fill(longs, shorts, WAD, 101 * WAD)
    world.next_block(3_600)
    index, rate = world.clearing.view.funding(1)
    assert index > 0
    assert rate > 0
    stopped = replace(world.params, funding_cap_bps=0).as_tuple()
    world.clearing.send.set_market(1, stopped, sender=OWNER)
    assert world.clearing.view.funding(1) == (index, 0)
    world.next_block(3_600)
    assert world.clearing.view.funding(1) == (index, 0)
    assert_sound(world, [longs, shorts])


def test_set_group(world):
    receipt = world.clearing.send.set_group(4_095, 2**96 - 1, 3_600, sender=OWNER)
    args = {"group": 4_095, "insurance_cap_quote": 2**96 - 1, "refill_seconds": 3_600}
    assert emitted(world, receipt) == [("GroupSet", args)]
    assert world.clearing.view.group_params(4_095) == (2**96 - 1, 3_600)


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ((0, 0, 86_400), "group"),
        ((4_096, 0, 86_400), "group"),
        ((1, 2**96, 86_400), "insurance cap"),
        ((1, 0, 3_599), "refill"),
        ((1, 0, 365 * 86_400 + 1), "refill"),
    ],
)
def test_bounds_of_a_group(world, args, reason):
    with refuses(f"listing: {reason}"):
        world.clearing.send.set_group(*args, sender=OWNER)


@pytest.mark.parametrize(("buckets", "reward"), [(1, 0), (200, 100)])
def test_set_adl(world, buckets, reward):
    receipt = world.clearing.send.set_adl(buckets, reward, sender=OWNER)
    args = {"buckets_per_call": buckets, "reward_bps": reward}
    assert emitted(world, receipt) == [("AdlSet", args)]
    assert world.clearing.view.adl_params() == (buckets, reward)


@pytest.mark.parametrize(
    ("args", "reason"), [((0, 0), "buckets"), ((201, 0), "buckets"), ((8, 101), "reward")]
)
def test_bounds_of_adl(world, args, reason):
    with refuses(f"listing: {reason}"):
        world.clearing.send.set_adl(*args, sender=OWNER)


def test_set_venue(world):
    for allowed in (True, False):
        receipt = world.clearing.send.set_venue(KEEPER, allowed, sender=OWNER)
        assert emitted(world, receipt) == [("VenueSet", {"venue": KEEPER, "allowed": allowed})]
        assert world.clearing.view.venues(KEEPER) == allowed
        with refuses("listing: no change"):
            world.clearing.send.set_venue(KEEPER, allowed, sender=OWNER)
    with refuses("listing: zero venue"):
        world.clearing.send.set_venue(ZERO, True, sender=OWNER)


def test_set_guardian(world):
    for old, new in ((GUARDIAN, KEEPER), (KEEPER, ZERO)):
        receipt = world.clearing.send.set_guardian(new, sender=OWNER)
        assert emitted(world, receipt) == [
            ("GuardianSet", {"old_guardian": old, "new_guardian": new})
        ]
        assert world.clearing.view.guardian() == new
    with refuses("listing: no change"):
        world.clearing.send.set_guardian(ZERO, sender=OWNER)
    with refuses("governance: not the guardian"):
        world.clearing.send.pause(1, True, sender=GUARDIAN)


@pytest.mark.parametrize("market", [0, 1])
def test_the_guardian_pauses_and_the_owner_does_both(world, market):
    pause, paused = world.clearing.send.pause, world.clearing.view.is_paused
    receipt = pause(market, True, sender=GUARDIAN)
    assert emitted(world, receipt) == [("Paused", {"market": market, "paused": True})]
    assert paused(1)
    for sender in (GUARDIAN, KEEPER, VENUE):
        with refuses("governance: not the guardian"):
            pause(market, False, sender=sender)
    with refuses("governance: not the guardian"):
        pause(market, True, sender=KEEPER)
    pause(market, False, sender=OWNER)
    assert not paused(1)
    pause(market, True, sender=OWNER)
    assert paused(1)


def test_a_pause_survives_a_change_of_parameters(world):
    world.clearing.send.pause(1, True, sender=GUARDIAN)
    world.clearing.send.set_market(1, world.params.as_tuple(), sender=OWNER)
    assert world.clearing.view.is_paused(1)


def test_a_pause_stops_no_way_out():
    """Nothing can pause withdrawing free cash, reducing, settling, liquidating or deleveraging."""
    world = World(prices=(P,))
    trader = world.trader("trader", 1_000 * WAD)
    rival = world.trader("rival", 100_000 * WAD)
    weak = world.trader("weak", 100 * WAD)
    broke = world.trader("broke", 100 * WAD)
    for account in (trader, weak, broke):
        world.fill(account, rival, 10 * WAD, P)
    world.clearing.send.pause(0, True, sender=GUARDIAN)
    world.clearing.send.pause(1, True, sender=GUARDIAN)
    world.price(945 * WAD // 10)
    liquidator = world.trader("liquidator", 10_000 * WAD)
    world.clearing.send.liquidate(weak, 1, WAD, liquidator, sender=address("liquidator"))
    world.price(85 * WAD)
    assert world.deleverage(broke) == (0, 0)
    world.clearing.send.settle(trader, sender=KEEPER)
    world.clearing.send.refresh(trader, sender=KEEPER)
    world.fill(rival, trader, 5 * WAD, 85 * WAD)
    world.vault.send.withdraw(trader, WAD, KEEPER, sender=address("trader"))
    world.fill(rival, trader, 5 * WAD, 85 * WAD)
    world.vault.send.withdraw(trader, world.cash(trader), KEEPER, sender=address("trader"))
    world.deposit(trader, WAD)


def test_ownership_changes_in_two_steps(world):
    send, view = world.clearing.send, world.clearing.view
    receipt = send.transfer_ownership(NEW, sender=OWNER)
    assert emitted_raw(world, receipt) == ["OwnershipTransferStarted"]
    assert (view.owner(), view.pending_owner()) == (OWNER, NEW)
    with refuses("ownable_2step: caller is not the new owner"):
        send.accept_ownership(sender=KEEPER)
    with refuses(NOT_OWNER):
        send.set_adl(8, 1, sender=NEW)
    receipt = send.accept_ownership(sender=NEW)
    assert emitted_raw(world, receipt) == ["OwnershipTransferred"]
    assert (view.owner(), view.pending_owner()) == (NEW, ZERO)
    with refuses(NOT_OWNER):
        send.set_adl(8, 1, sender=OWNER)
    send.set_adl(8, 1, sender=NEW)


def emitted_raw(world, receipt) -> list[str]:
    return [event.name for event in world.clearing.events(receipt)]


def test_an_offer_can_be_taken_back(world):
    world.clearing.send.transfer_ownership(NEW, sender=OWNER)
    world.clearing.send.transfer_ownership(ZERO, sender=OWNER)
    with refuses("ownable_2step: caller is not the new owner"):
        world.clearing.send.accept_ownership(sender=NEW)


def test_the_owner_collects_protocol_fees_and_nobody_else(world):
    buyer, seller = (world.trader(label, 10_000 * WAD) for label in ("buyer", "seller"))
    world.fill(buyer, seller, 10 * WAD, P)
    fees = world.vault.view.fees()
    assert fees > 0
    for sender in (GUARDIAN, VENUE, KEEPER):
        with refuses("vault: not the protocol owner"):
            world.vault.send.collect_fees(fees, KEEPER, sender=sender)
    world.vault.send.collect_fees(fees, KEEPER, sender=OWNER)
    assert world.token.view.balanceOf(KEEPER) == fees
