"""The worked example of design section 6, to the last unit."""

from __future__ import annotations

from tests.support.checks import assert_sound, bucket_id, emitted, pool, position_changed, refuses
from tests.support.world import INSURANCE, KEEPER, MAX, WAD, World, address


def at_80(
    a_cash: int = 150, a_size: int = 10, buckets: int = 8
) -> tuple[World, bytes, bytes, bytes]:
    """A: long from 100. B: short 4 from 120. C: short 6 from 100. Market at 80, pool 80, insurance
    20. Where A's size is 5, another trader is long the other 5 from 100."""
    world = World(prices=(120 * WAD,), buckets=buckets)
    a = world.trader("a", a_cash * WAD)
    b = world.trader("b", 100 * WAD)
    c = world.trader("c", 200 * WAD)
    other = world.trader("other", 10_000 * WAD)
    world.fill(other, b, 4 * WAD, 120 * WAD)
    world.price(100 * WAD)
    world.fill(a, other, 4 * WAD, 100 * WAD)
    world.fill(a, c, (a_size - 4) * WAD, 100 * WAD)
    if a_size == 5:
        world.fill(world.trader("another", 10_000 * WAD), c, 5 * WAD, 100 * WAD)
    world.price(80 * WAD)
    world.donate(INSURANCE, 20 * WAD)
    return world, a, b, c


def test_insurance_first_then_both_buckets_at_83():
    world, a, b, c = at_80()
    assert world.vault.view.pool_of(1) == 80 * WAD
    assert world.clearing.view.equity(a) == -50 * WAD

    assert world.deleverage(a) == (0, 0)

    assert world.vault.view.insurance() == 0
    assert world.vault.view.pool_of(1) == 250 * WAD
    for account in (b, c):
        world.clearing.send.settle(account, sender=address("anyone"))
    assert world.cash(b) == (100 + 148) * WAD
    assert world.cash(c) == (200 + 102) * WAD
    assert world.cash(a) == 0
    assert world.vault.view.pool_of(1) == 0
    assert world.clearing.view.shortfall(1) == 0
    assert world.clearing.view.open_interest(1) == (0, 0)


def everyone(world: World) -> list[bytes]:
    return [world.trader(label) for label in ("a", "b", "c", "other", "another")]


def settle(world: World, *accounts: bytes) -> None:
    for account in accounts:
        world.clearing.send.settle(account, sender=address("anyone"))


def forced(world: World, receipt, account: bytes) -> list[tuple[bytes, int, int]]:
    """(bucket, size, price) of each forced close."""
    closes = [args for _, args in emitted(world, receipt, "ForcedClose")]
    for args in closes:
        assert (args["account"], args["market"], args["oracle_price"]) == (account, 1, 80 * WAD)
    return [(args["bucket_id"], args["size"], args["price"]) for args in closes]


B_BUCKET = bucket_id(120 * WAD, 7, False)  # filled in the block of its deposit
C_BUCKET = bucket_id(100 * WAD, 2, False)


def test_its_events_in_full():
    world, a, _b, _c = at_80()
    receipt = world.clearing.send.deleverage(a, sender=KEEPER)
    assert emitted(world, receipt) == [
        (
            "PriceFixed",
            {
                "market": 1,
                "price": 80 * WAD,
                "timestamp": world.chain.timestamp,
                "status": 0,
                "funding_index": 0,
            },
        ),
        *(
            (
                "ForcedClose",
                {
                    "account": a,
                    "market": 1,
                    "bucket_id": bucket,
                    "size": size,
                    "price": 83 * WAD,
                    "oracle_price": 80 * WAD,
                    "credit_index": -83 * 2**72,
                },
            )
            for bucket, size in ((B_BUCKET, 4 * WAD), (C_BUCKET, 6 * WAD))
        ),
        position_changed(a, 0, 100 * WAD, left_base=10 * WAD, realised_quote=-150 * WAD),
        ("Moved", {"source": INSURANCE, "target": pool(1), "amount_quote": 20 * WAD}),
        (
            "InsuranceDrawn",
            {"group": 1, "market": 1, "account": a, "amount_quote": 20 * WAD},
        ),
        ("Moved", {"source": a, "target": pool(1), "amount_quote": 150 * WAD}),
        (
            "Deleveraged",
            {
                "account": a,
                "market": 1,
                "size": 10 * WAD,
                "oracle_price": 80 * WAD,
                "deficit_quote": 30 * WAD,
                "insurance_quote": 20 * WAD,
            },
        ),
    ]
    assert_sound(world, everyone(world))


def test_the_preview_is_what_then_happens():
    world, a, _b, _c = at_80()
    preview = [tuple(s) for s in world.clearing.view.preview_deleverage(a)]
    assert preview == [(1, B_BUCKET, 4 * WAD, 83 * WAD), (1, C_BUCKET, 6 * WAD, 83 * WAD)]


def test_b_cannot_leave_by_liquidate():
    world, a, b, _c = at_80()
    with refuses("liquidation: insurance short"):
        world.clearing.send.liquidate(a, 1, MAX, b, sender=address("b"))
    with refuses("liquidation: insurance short"):
        world.clearing.send.liquidate(a, 1, WAD, b, sender=address("b"))


def test_with_cash_250_a_is_not_bankrupt():
    world, a, _b, _c = at_80(a_cash=250)
    assert world.clearing.view.equity(a) == 50 * WAD
    assert world.clearing.view.preview_deleverage(a) == []
    with refuses("waterfall: account solvent"):
        world.deleverage(a)


def test_size_5_closes_b_before_c_at_86():
    world, a, b, c = at_80(a_cash=50, a_size=5)
    assert world.vault.view.pool_of(1) == 80 * WAD
    assert world.clearing.view.equity(a) == -50 * WAD
    view = world.clearing.view
    assert view.adl_rank(b, 1)[0] > view.adl_rank(c, 1)[0] > 0
    receipt = world.clearing.send.deleverage(a, sender=KEEPER)
    assert forced(world, receipt, a) == [
        (B_BUCKET, 4 * WAD, 86 * WAD),
        (C_BUCKET, WAD, 86 * WAD),
    ]
    settle(world, b, c)
    assert world.cash(b) == (100 + 136) * WAD
    # 86 over C's 6 shares is no whole number: 1 wei against C, which stays in the pool (S2).
    assert world.cash(c) == (200 + 14) * WAD - 1
    assert world.vault.view.pool_of(1) == 1
    assert world.cash(a) == world.vault.view.insurance() == 0
    assert view.position(c, 1) == (-5 * WAD, 100 * WAD, 100 * WAD)
    assert view.open_interest(1) == (5 * WAD, 5 * WAD)
    assert_sound(world, everyone(world))


def test_one_bucket_a_call_83_then_83():
    world, a, b, c = at_80(buckets=1)
    receipt = world.clearing.send.deleverage(a, sender=KEEPER)
    assert world.clearing.returned(receipt, "deleverage", 1) == (480 * WAD, 30 * WAD)
    assert forced(world, receipt, a) == [(B_BUCKET, 4 * WAD, 83 * WAD)]
    drawn = emitted(world, receipt, "Deleveraged")[0][1]
    assert (drawn["deficit_quote"], drawn["insurance_quote"]) == (12 * WAD, 8 * WAD)
    assert world.cash(a) == 90 * WAD
    assert world.clearing.view.equity(a) == -30 * WAD
    receipt = world.clearing.send.deleverage(a, sender=KEEPER)
    assert world.clearing.returned(receipt, "deleverage", 1) == (0, 0)
    assert forced(world, receipt, a) == [(C_BUCKET, 6 * WAD, 83 * WAD)]
    drawn = emitted(world, receipt, "Deleveraged")[0][1]
    assert (drawn["deficit_quote"], drawn["insurance_quote"]) == (18 * WAD, 12 * WAD)
    with refuses("waterfall: account solvent"):
        world.deleverage(a)
    settle(world, b, c)
    assert world.vault.view.pool_of(1) == world.cash(a) == 0
    assert (world.cash(b), world.cash(c)) == (248 * WAD, 302 * WAD)
    assert_sound(world, everyone(world))
