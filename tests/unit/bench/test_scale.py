"""The curves on a small scale: flat in counterparties, linear in buckets."""

from __future__ import annotations

from ballast.bench import report, scale


def test_flat_in_counterparties() -> None:
    joined: list[int] = []
    pairs = list(scale.flat((1, 5, 40), joined.append))
    assert [count for count, _ in pairs] == [1, 5, 40]
    assert sum(joined) == 40
    first = pairs[0][1]
    assert all(abs(gas - first) <= report.FLAT_WITHIN * first for _, gas in pairs)


def test_linear_in_buckets() -> None:
    pairs = list(scale.buckets((1, 2, 6)))
    assert [count for count, _ in pairs] == [1, 2, 6]
    first = pairs[0][1]
    for count, gas in pairs[1:]:
        assert first < gas <= first + (count - 1) * report.BUCKET_LIMIT
