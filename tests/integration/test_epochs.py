"""Buckets drained again and again to a few wei and joined again: epochs are retired, members passed
over by several of them still hold what exact arithmetic gives them (S2, S10)."""

from __future__ import annotations

import pytest

from tests.support.drain import Drain
from tests.support.world import WAD

ROUNDS = 6
FUNDING = {"no funding": 0, "longs pay": 5, "shorts pay": -5}
both_sides = pytest.mark.parametrize("is_long", [True, False], ids=["long", "short"])
with_funding = pytest.mark.parametrize("premium", FUNDING.values(), ids=FUNDING)


@both_sides
@with_funding
def test_members_are_carried_over_epochs(is_long: bool, premium: int) -> None:
    book = Drain(is_long, 2 * 10**8, premium)
    epochs = []
    for round_ in range(ROUNDS):
        book.join(3)
        epochs.append(book.bucket().bucket_id >> 17)
        book.drain(round_)
    assert epochs == list(range(1, ROUNDS + 1))  # each join found a ratio above 2^32
    for member in book.members:
        assert book.twin.settle(member)
    book.twin.compare()
    print(f"\n{book.twin.report()}")


@both_sides
@with_funding
def test_bucket_of_a_few_wei_with_many_members(is_long: bool, premium: int) -> None:
    """Conversion to the next epoch gives a short of a fraction of a wei a whole one."""
    book = Drain(is_long, 3, premium)
    book.join(20)
    book.drain(0)
    book.join(1)
    for seconds in range(3):
        book.twin.new_block({1: 100 * WAD}, 8 * 3_600)
        for member in book.members[seconds::3]:
            assert book.twin.settle(member)
    newcomer = book.members[-1]
    size = book.twin.size(newcomer, 1)
    book.twin.new_block({1: 100 * WAD})
    book.trade(newcomer, book.maker, size, 100, opens=False)
    book.join(1)
    for member in book.members:
        book.twin.settle(member)
    book.twin.compare()
    print(f"\n{book.twin.report()}")


@both_sides
@with_funding
def test_funding_on_rounded_shares_is_dust(is_long: bool, premium: int) -> None:
    """The one way S2's dust can fall below zero: funding on shares that a conversion has rounded.
    It stays within the wei that were rounded, times the funding per base."""
    book = Drain(is_long, 3, premium)
    book.join(20)
    book.drain(0)
    book.join(1)
    for member in book.members[:10]:
        assert book.twin.settle(member)
    book.set_premium()
    book.twin.new_block({1: 100 * WAD}, 150 * 8 * 3_600)
    for member in book.members:
        assert book.twin.settle(member)
    book.twin.compare()
    print(f"\n{book.twin.report()}")
