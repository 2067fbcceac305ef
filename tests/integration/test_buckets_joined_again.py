"""A bucket that was drained and joined again: ids, and old members to the last unit (section 5)."""

from __future__ import annotations

import pytest

from tests.support.sound import queue
from tests.support.stage import Stage, drained
from tests.support.world import WAD

RATIO = 2**16


@pytest.mark.parametrize("left", [1, 10**6, 2 * 10**8])
def test_joiner_opens_a_new_id_and_the_old_member_is_converted(left: int):
    """shares > 2^16 x size: the next join opens the next epoch; old members keep what they had."""
    world, old, maker = drained(left)
    view = world.clearing.view
    assert world.size(old) == -left
    id_before = view.bucket_of(old, 1)
    size, shares, epoch, _, _ = view.bucket(1, id_before)
    assert (size, shares) == (left, 10 * WAD)
    assert shares > RATIO * size
    equity = world.equity(old)
    joiner = world.trader("joiner", 10**5 * WAD)
    world.next_block()
    world.fill(maker, joiner, 3 * WAD, 100 * WAD)
    id_after = view.bucket_of(joiner, 1)
    assert id_after == id_before + (1 << 17)
    assert view.bucket_of(old, 1) == id_after  # seen through the conversion, untouched
    assert view.bucket(1, id_after)[:3] == (3 * WAD + left, 3 * WAD + left, epoch + 1)
    assert view.retired((1 << 32) | (id_before & (2**17 - 1)), epoch)[:2] == (left, 10 * WAD)
    assert (world.size(old), world.size(joiner)) == (-left, -3 * WAD)
    assert abs(world.equity(old) - equity) <= 1
    world.settle(old)
    assert world.size(old) == -left
    assert abs(world.equity(old) - equity) <= 2
    world.sound()


def test_bucket_within_the_ratio_keeps_its_id():
    """One unit either side of the ratio: at shares = 2^16 x size the id stays."""
    least = -(-10 * WAD // RATIO)
    for left, renewed in ((least, False), (least - 1, True)):
        world, old, maker = drained(left)
        before = world.clearing.view.bucket_of(old, 1)
        joiner = world.trader("joiner", 10**5 * WAD)
        world.next_block()
        world.fill(maker, joiner, WAD, 100 * WAD)
        after = world.clearing.view.bucket_of(joiner, 1)
        assert (after != before) == renewed
        assert after & (2**17 - 1) == before & (2**17 - 1)
        assert 0 <= -world.size(joiner) - WAD <= 1  # a short's view is rounded up
        assert world.size(old) == -left
        world.sound()


def test_emptied_bucket_is_left_for_good():
    """Drained to nothing: out of the queue; the next joiner has a new id, and the old member is
    paid what its closing brought, and holds nothing."""
    world, old, maker = drained(0)
    view = world.clearing.view
    assert world.size(old) == 0
    equity = world.equity(old)
    assert [entry.size_base for entry in queue(world, 1, False)] == [2 * WAD]  # far's alone
    joiner = world.trader("joiner", 10**5 * WAD)
    world.next_block()
    world.fill(maker, joiner, WAD, 100 * WAD)
    assert view.bucket_of(joiner, 1) >> 17 == 2
    assert world.size(old) == 0
    assert abs(world.equity(old) - equity) <= 1
    world.settle(old)
    assert view.markets_of(old) == []
    assert abs(world.equity(old) - equity) <= 1
    world.sound()


def test_member_passed_over_by_many_epochs_is_still_exact():
    """Drain and join, five times over, the first member touching nothing: it has its wei and its
    money, and shares do not inflate."""
    world = Stage(buckets=20)
    old, maker = world.trader("old", 10**5 * WAD), world.trader("maker", 10**7 * WAD)
    far = world.trader("far", 10**5 * WAD)
    world.price(2 * WAD)
    world.fill(maker, far, 2 * WAD, 2 * WAD)
    world.price(100 * WAD)
    world.fill(maker, old, 10 * WAD, 100 * WAD)
    members, ids = [old], {world.clearing.view.bucket_of(old, 1)}
    for i in range(5):
        victim = world.trader(f"victim {i}", 500 * WAD)
        world.next_block()
        total = sum(-world.size(member) for member in members)
        world.fill(victim, maker, total - 7 * 10**7 - i, 100 * WAD)
        before = [world.equity(member) for member in members]
        world.price(1 * WAD)
        world.deleverage(victim)
        world.price(100 * WAD)
        joiner = world.trader(f"joiner {i}", 10**5 * WAD)
        world.next_block()
        world.fill(maker, joiner, 10 * WAD, 100 * WAD)
        members.append(joiner)
        ids.add(world.clearing.view.bucket_of(joiner, 1))
        held = sum(-world.size(member) for member in members[:-1])
        in_bucket = world.clearing.view.bucket(1, world.clearing.view.bucket_of(joiner, 1))[:2]
        assert in_bucket[1] < 2 * (10 * WAD + held + len(members))
        assert sum(world.equity(member) for member in members) >= sum(before)
        world.sound()
    assert len(ids) >= 4
    for member in members:
        equity = world.equity(member)
        world.settle(member)
        assert abs(world.equity(member) - equity) <= 4
    world.sound()
