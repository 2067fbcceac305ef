"""Reduce-only orders shrink a position, to zero at most, and never grow or flip it."""

import pytest

from ballast.errors import Reverted

WAD = 10**18


@pytest.mark.parametrize("is_buy", [True, False])
def test_a_taker_is_cut_to_its_position(s, is_buy):
    s.set_position(s.taker, -3 * WAD if is_buy else 3 * WAD)
    taker, maker = s.sign(s.taker, is_buy, reduce_only=True), s.sign(s.maker, not is_buy)
    s.match(taker, [maker], [10 * WAD])
    assert s.clearinghouse.view.last_fill()[1] == [3 * WAD]
    assert s.filled(taker) == s.filled(maker) == 3 * WAD


@pytest.mark.parametrize("is_buy", [True, False])
def test_a_maker_is_cut_to_its_position(s, is_buy):
    s.set_position(s.maker, 3 * WAD if is_buy else -3 * WAD)
    taker, maker = s.sign(s.taker, is_buy), s.sign(s.maker, not is_buy, reduce_only=True)
    s.match(taker, [maker], [10 * WAD])
    assert s.clearinghouse.view.last_fill()[1] == [3 * WAD]
    assert s.filled(taker) == s.filled(maker) == 3 * WAD


def test_the_smaller_position_counts(s):
    s.set_position(s.taker, -3 * WAD)
    s.set_position(s.maker, 2 * WAD)
    taker = s.sign(s.taker, True, reduce_only=True)
    s.match(taker, [s.sign(s.maker, False, reduce_only=True)], [10 * WAD])
    assert s.clearinghouse.view.last_fill()[1] == [2 * WAD]


def test_a_smaller_size_is_not_changed(s):
    s.set_position(s.taker, -3 * WAD)
    s.match(s.sign(s.taker, True, reduce_only=True), [s.sign(s.maker, False)], [WAD])
    assert s.clearinghouse.view.last_fill()[1] == [WAD]


def test_the_cut_comes_before_the_bound_of_the_order(s):
    s.set_position(s.taker, -3 * WAD)
    taker = s.sign(s.taker, True, reduce_only=True, size=3 * WAD)
    s.match(taker, [s.sign(s.maker, False)], [10 * WAD])
    assert s.filled(taker) == 3 * WAD


@pytest.mark.parametrize("size", [0, 3 * WAD])
def test_nothing_to_reduce(s, size):
    """No position, or one that the order would grow."""
    s.set_position(s.taker, size)
    s.set_position(s.maker, -size)
    with pytest.raises(Reverted, match=r"^settlement: nothing to reduce$"):
        s.match(s.sign(s.taker, True, reduce_only=True), [s.sign(s.maker, False)], [WAD])
    with pytest.raises(Reverted, match=r"^settlement: nothing to reduce$"):
        s.match(s.sign(s.taker, True), [s.sign(s.maker, False, reduce_only=True)], [WAD])


def test_a_takers_position_is_spent_maker_by_maker(s):
    s.set_position(s.taker, -3 * WAD)
    taker = s.sign(s.taker, True, reduce_only=True)
    makers = [s.sign(s.maker, False), s.sign(s.second, False)]
    s.match(taker, makers, [2 * WAD, 2 * WAD])
    assert s.clearinghouse.view.last_fill()[1] == [2 * WAD, WAD]
    with pytest.raises(Reverted, match=r"^settlement: nothing to reduce$"):
        s.match(taker, makers, [3 * WAD, WAD])


def test_one_account_twice_in_a_batch(s):
    """Peers 18: two reduce-only orders of one account must not flip it together."""
    s.set_position(s.maker, 3 * WAD)
    makers = [s.sign(s.maker, False, reduce_only=True, salt=salt) for salt in (1, 2)]
    taker = s.sign(s.taker, True, size=20 * WAD)
    s.match(taker, makers, [2 * WAD, 2 * WAD])
    assert s.clearinghouse.view.last_fill()[1] == [2 * WAD, WAD]
    with pytest.raises(Reverted, match=r"^settlement: nothing to reduce$"):
        s.match(taker, makers, [3 * WAD, WAD])


def test_a_plain_order_before_a_reduce_only_one(s):
    s.set_position(s.maker, 3 * WAD)
    plain = s.sign(s.maker, False, salt=1)
    closing = s.sign(s.maker, False, reduce_only=True, salt=2)
    other = s.sign(s.second, False)
    taker = s.sign(s.taker, True, size=30 * WAD)
    s.match(taker, [plain, other, closing], [2 * WAD, 5 * WAD, 9 * WAD])
    assert s.clearinghouse.view.last_fill()[1] == [2 * WAD, 5 * WAD, WAD]
    with pytest.raises(Reverted, match=r"^settlement: nothing to reduce$"):
        s.match(taker, [plain, closing], [4 * WAD, WAD])
