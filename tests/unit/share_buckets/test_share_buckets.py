"""Share buckets: who gains by rounding, how epochs end, and that nobody is ever lost or doubled."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ballast.build import artifact
from ballast.contract import Contract
from ballast.evm import Revm
from ballast.mirror import Bucket, member
from tests.support.world import OWNER

KEY = 77
RATIO = 2**16


@pytest.fixture(scope="module")
def deployed() -> Contract:
    chain = Revm()
    made = artifact("BucketsMock")
    at, _ = chain.deploy(made.deploy_code(), sender=OWNER)
    return Contract(chain, at, made.abi)


@pytest.fixture
def mock(deployed):
    with deployed.chain.rolled_back():
        yield deployed


@dataclass
class Held:
    """What a member remembers."""

    shares: int
    epoch: int
    index: int


def join(mock: Contract, size: int, up: bool = False) -> Held:
    receipt = mock.send.join(size, up, sender=OWNER)
    return Held(*mock.returned(receipt, "join", 2))


def take(mock: Contract, size: int, proceeds: int = 0) -> None:
    mock.send.take(size, proceeds, sender=OWNER)


def view(mock: Contract, held: Held, up: bool = False):
    """(shares now, size, credit), which the mirror's arithmetic must say as well."""
    found = tuple(mock.view.member(held.epoch, held.shares, held.index, up))
    stored = mock.view.bucket()
    live = Bucket(*stored)
    mirrored = member(
        KEY,
        live,
        held.epoch,
        held.shares,
        held.index,
        up,
        lambda _, epoch: (
            (b := mock.view.retired(epoch)).size,
            b.shares,
            b.credit_index,
        ),
    )
    assert found == mirrored
    return found


def test_first_member_has_as_many_shares_as_size(mock):
    held = join(mock, 1_000)
    assert held == Held(1_000, 1, 0)
    assert tuple(mock.view.bucket()) == (1_000, 1_000, 1, 0, 0)
    assert view(mock, held) == (1_000, 1_000, 0)


def test_taking_reaches_every_member_pro_rata(mock):
    one, two = join(mock, 300), join(mock, 700)
    take(mock, 500, 5_000)
    assert view(mock, one) == (300, 150, 1_500)
    assert view(mock, two) == (700, 350, 3_500)


@pytest.mark.parametrize("up", [False, True])
def test_sizes_round_against_the_member(mock, up):
    members = [join(mock, 10, up) for _ in range(3)]
    take(mock, 10, 100)
    sizes = [view(mock, m, up)[1] for m in members]
    assert sizes == ([7, 7, 7] if up else [6, 6, 6])  # of 20
    assert [view(mock, m, up)[2] for m in members] == [33, 33, 33]
    take(mock, 0, -100)
    assert [view(mock, m, up)[2] for m in members] == [-1, -1, -1]  # towards minus infinity


@pytest.mark.parametrize("up", [False, True])
def test_shares_round_against_the_joiner(mock, up):
    join(mock, 10, up)
    take(mock, 7)
    late = join(mock, 2, up)  # 10 shares for 3: 6.67
    assert late.shares == (7 if up else 6)
    assert view(mock, late, up)[1] == (3 if up else 1)


def test_a_short_view_is_clamped_to_the_bucket(mock):
    only = join(mock, 10, True)
    other = join(mock, 1, True)
    take(mock, 10)
    assert view(mock, only, True)[1] == view(mock, other, True)[1] == 1


def test_leaving_shares_are_clamped(mock):
    join(mock, 10, True)
    mock.send.leave(11, 10, sender=OWNER)
    assert tuple(mock.view.bucket())[:2] == (0, 0)


def test_an_emptied_bucket_ends_with_its_members_in_it(mock):
    held = join(mock, 1_000)
    take(mock, 1_000, 7_000)
    assert view(mock, held) == (1_000, 0, 7_000)
    late = join(mock, 50)
    assert late.epoch == 2
    assert tuple(mock.view.retired(1)) == (0, 1_000, 1, 7 * 2**72, 0)
    assert view(mock, held) == (0, 0, 7_000)
    take(mock, 0, 500)
    assert view(mock, held) == (0, 0, 7_000), "credits of the next epoch are not its"
    assert view(mock, late) == (50, 50, 500)


def test_the_ratio_opens_the_next_epoch_only_above_2_to_the_16(mock):
    size = 3 * RATIO
    held = join(mock, size)
    take(mock, size - 3)
    same = join(mock, 1)
    assert (same.epoch, same.shares) == (1, RATIO)
    mock.send.leave(same.shares, 1, sender=OWNER)
    take(mock, 1)  # 2 of size for 3 x 2^16 shares
    late = join(mock, 5)
    assert late == Held(5, 2, 0)
    assert tuple(mock.view.bucket()) == (7, 7, 2, 0, 0)
    assert view(mock, held) == (2, 2, 0)
    take(mock, 0, 70)
    assert view(mock, held) == (2, 2, 20)
    assert view(mock, late) == (5, 5, 50)


@pytest.mark.parametrize("up", [False, True])
def test_eight_epochs_are_followed_and_a_ninth_is_nothing(mock, up):
    start = 2**95
    first = join(mock, start, up)
    size = start
    for epoch in range(1, 11):
        assert tuple(mock.view.bucket())[2] == epoch
        shares, seen, credit = view(mock, first, up)
        if epoch <= 9:
            assert seen <= size
        else:
            assert (shares, seen) == (0, 0)
        bucket = mock.view.bucket()
        keep = max(1, bucket.shares // RATIO - 1)
        take(mock, bucket.size - keep, 10**6)
        again = view(mock, first, up)
        assert again[2] >= credit
        size = keep
        join(mock, 2**95, up)
    assert view(mock, first, up)[:2] == (0, 0) or up


@pytest.mark.parametrize("up", [False, True])
@given(steps=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 2**95)), max_size=14))
def test_views_never_sum_beyond_the_right_side(deployed, up, steps):
    """Long views sum to at most the bucket, short views to at least; credits never to more than
    was paid. Against an exact model with fractions."""
    mock = deployed
    with mock.chain.rolled_back():
        members: list[Held] = []
        exact: list[Fraction] = []
        owed = Fraction(0)
        joins = 0
        for kind, number in steps:
            bucket = mock.view.bucket()
            if kind <= 1 and bucket.size + (size := number >> 32 * kind or 1) < 2**96:
                members.append(join(mock, size, up))
                exact.append(Fraction(size))
                joins += 1
            elif kind == 2 and bucket.size:
                taken = min(number, bucket.size)
                take(mock, taken, number % 1_000 - 500)
                owed += number % 1_000 - 500
                exact = [e - e * taken / bucket.size for e in exact]
            elif kind == 3 and members:
                at = number % len(members)
                shares, size, credit = view(mock, members.pop(at), up)
                exact.pop(at)
                owed -= credit
                if shares:
                    mock.send.leave(shares, size, sender=OWNER)
                    left = mock.view.bucket().size
                    total = sum(exact)
                    exact = [e * left / total if total else e for e in exact]
        views = [view(mock, m, up) for m in members]
        size = mock.view.bucket().size
        total = sum(v[1] for v in views)
        slack = len(views) * (1 + joins)
        if up:
            assert not views or size <= total <= size + slack
        else:
            assert total <= size
        assert sum(v[2] for v in views) <= owed
        for (_, seen, _), true in zip(views, exact, strict=True):
            assert abs(seen - true) <= slack + true / 2**15
