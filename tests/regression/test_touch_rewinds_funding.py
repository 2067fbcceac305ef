"""Touching a leg of which nothing is left took it out of its bucket at a funding index of zero: the
other members of the bucket were charged, backwards, the funding of the market's whole history."""

from __future__ import annotations

from tests.support.drain import Drain
from tests.support.world import KEEPER


def test_a_bucket_keeps_its_funding_index_when_an_emptied_member_leaves() -> None:
    book = Drain(True, 3, 5)
    book.join(20)
    book.drain(0)
    view = book.twin.world.clearing.view
    index = view.funding(1)[0]
    assert index > 0
    member = book.members[0]
    assert view.position(member, 1)[0] == 0  # 3 wei among 20 members
    bucket_id = view.bucket_of(member, 1)

    book.twin.world.clearing.send.settle(member, sender=KEEPER)

    size, _, _, _, funding_index = view.bucket(1, bucket_id)
    assert (size, funding_index) == (3, index)
