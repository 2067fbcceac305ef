"""Water-filling and pro rata parts."""

from hypothesis import given
from hypothesis import strategies as st

from ballast.model.exact import pro_rata
from ballast.model.waterfall import common_distance

buckets = st.lists(
    st.tuples(st.integers(0, 10**20), st.integers(1, 10**40)), min_size=1, max_size=9
)


def _filled(parts: list[tuple[int, int]], distance: int) -> int:
    return sum(size * min(cap, distance) for cap, size in parts)


@given(buckets, st.integers(0, 10**61))
def test_distance_is_the_least_that_fills(parts: list[tuple[int, int]], need: int) -> None:
    distance = common_distance([c for c, _ in parts], [s for _, s in parts], need)
    most = max(cap for cap, _ in parts)
    assert 0 <= distance <= most
    if need <= _filled(parts, most):
        assert _filled(parts, distance) >= need
        assert distance == 0 or _filled(parts, distance - 1) < need
    else:
        assert distance == most


@given(buckets, st.integers(0, 10**61))
def test_rounding_takes_less_than_one_wei_of_price(parts: list[tuple[int, int]], need: int) -> None:
    distance = common_distance([c for c, _ in parts], [s for _, s in parts], need)
    excess = _filled(parts, distance) - need
    assert excess < sum(size for _, size in parts)


def test_where_a_cap_binds_the_others_go_further() -> None:
    assert common_distance([5, 100], [1, 1], 20) == 15
    assert common_distance([5, 100], [1, 1], 10) == 5
    assert common_distance([5, 100], [1, 1], 21) == 16
    assert common_distance([0, 0], [3, 4], 1) == 0


@given(st.lists(st.integers(1, 10**50), min_size=1, max_size=20), st.data())
def test_pro_rata_parts(weights: list[int], data: st.DataObject) -> None:
    total = sum(weights)
    amount = data.draw(st.integers(0, total))
    parts = pro_rata(amount, weights)
    assert sum(parts) == amount
    for part, weight in zip(parts, weights, strict=True):
        assert 0 <= part <= weight
        assert abs(part * total - amount * weight) < total
