"""Every record survives being packed, at its extremes, and refuses what does not fit."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ballast.build import artifact
from ballast.contract import Contract
from ballast.evm import Revm
from tests.support.checks import refuses
from tests.support.world import OWNER

ZERO, ONES = "0x" + "00" * 20, "0x" + "ff" * 20


@pytest.fixture(scope="module")
def mock() -> Contract:
    chain = Revm()
    made = artifact("RecordsMock")
    at, _ = chain.deploy(made.deploy_code(), sender=OWNER)
    return Contract(chain, at, made.abi)


def signed(bits: int) -> tuple[int, int]:
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def unsigned(bits: int) -> tuple[int, int]:
    return 0, 2**bits - 1


MICRO = 10**12
FIELDS: dict[str, list[tuple[int, int]]] = {
    "position": [
        unsigned(96),
        unsigned(96),
        unsigned(48),
        unsigned(16),
        unsigned(128),
        signed(128),
    ],
    "bucket": [unsigned(104), unsigned(120), unsigned(32), signed(128), signed(128)],
    "unsettled": [unsigned(128), unsigned(128), unsigned(32), signed(128)],
    "price": [unsigned(96), unsigned(32), unsigned(32), unsigned(35), unsigned(3), signed(58)],
    "flow": [signed(128), unsigned(96), unsigned(32)],
    "allowance": [unsigned(96), unsigned(32), unsigned(96), unsigned(32)],
}


def kept(mock: Contract, name: str, values: tuple[Any, ...]) -> None:
    found = getattr(mock.view, name)(values)
    if name == "position" and not any(values[:4]):
        values = (0,) * 6  # an empty head is no position
    assert tuple(found) == values


@pytest.mark.parametrize("name", FIELDS)
def test_extremes(mock, name):
    ranges = FIELDS[name]
    kept(mock, name, tuple(low for low, _ in ranges))
    kept(mock, name, tuple(high for _, high in ranges))
    for i, (low, high) in enumerate(ranges):
        for value in (low, high, -1 if low < 0 else 1):
            lows = [min(max(0, a), b) for a, b in ranges]
            highs = [b for _, b in ranges]
            kept(mock, name, (*lows[:i], value, *lows[i + 1 :]))
            kept(mock, name, (*highs[:i], value, *highs[i + 1 :]))


@given(st.data())
def test_anything_that_fits(mock, data):
    name = data.draw(st.sampled_from(sorted(FIELDS)))
    kept(mock, name, tuple(data.draw(st.integers(a, b)) for a, b in FIELDS[name]))


def test_retired_buckets_keep_size_shares_and_index(mock):
    for index in signed(128):
        values = (2**104 - 1, 2**120 - 1, 2**32 - 1, index, 5)
        assert tuple(mock.view.retired(values)) == (*values[:4], 0)


def test_words_that_are_shared_leave_each_other_alone(mock):
    for wait in (True, False):
        for values in ((2**127 - 1, wait, 0), (0, wait, 2**128 - 1), (5, wait, 7)):
            assert mock.view.money(*values) == values
    assert mock.view.adl(200, 100) == (200, 100)


@pytest.mark.parametrize("flags", [(True, False), (False, True), (True, True), (False, False)])
def test_risk(mock, flags):
    for values in (
        (ONES, 2**12 - 1, *(2**16 - 1,) * 4, *flags),
        (ZERO, 0, 0, 0, 0, 0, *flags),
        (ZERO, 2**12 - 1, 0, 2**16 - 1, 0, 2**16 - 1, *flags),
    ):
        found = tuple(mock.view.risk(values))
        assert (found[0].lower(), *found[1:]) == (values[0], *values[1:])


def test_limits_and_fees(mock):
    top = (2**64 - 1) * MICRO
    for values in ((2**96 - 1, 0, top), (0, 2**96 - 1, 0), (1, 2, 3 * MICRO)):
        assert tuple(mock.view.limits(values)) == values
    for values in (
        (*(2**16 - 1,) * 4, 2**32 - 1, 2**16 - 1, 2**16 - 1, top),
        (0, 1, 0, 1, 0, 1, 0, MICRO),
        (1, 0, 1, 0, 1, 0, 1, 0),
    ):
        for funding in ((2**16 - 1, 0, 2**32 - 1), (0, 2**16 - 1, 0), (1, 2, 3)):
            assert tuple(map(tuple, mock.view.fees(values, funding))) == (values, funding)


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("position", (2**96, 0, 0, 0, 0, 0), "amount"),
        ("position", (1, 2**96, 0, 0, 0, 0), "amount"),
        ("position", (1, 0, 0, 0, 2**128, 0), "amount"),
        ("position", (1, 0, 0, 0, 0, 2**127), "index"),
        ("position", (1, 0, 0, 0, 0, -(2**127) - 1), "index"),
        ("bucket", (2**104, 0, 0, 0, 0), "amount"),
        ("bucket", (0, 2**120, 0, 0, 0), "amount"),
        ("bucket", (0, 0, 0, 2**127, 0), "index"),
        ("bucket", (0, 0, 0, 0, -(2**127) - 1), "index"),
        ("unsettled", (0, 2**128, 0, 0), "amount"),
        ("unsettled", (0, 0, 0, 2**127), "index"),
        ("price", (2**96, 0, 0, 0, 0, 0), "amount"),
        ("flow", (2**127, 0, 0), "index"),
        ("flow", (0, 2**96, 0), "amount"),
        ("allowance", (2**96, 0, 0, 0), "amount"),
        ("allowance", (0, 0, 2**96, 0), "amount"),
    ],
)
def test_what_does_not_fit_is_refused(mock, name, values, reason):
    with refuses(f"records: {reason} overflow"):
        getattr(mock.view, name)(values)


def test_money_that_does_not_fit(mock):
    for values in ((2**127, False, 0), (0, True, 2**128)):
        with refuses("records: amount overflow"):
            mock.view.money(*values)


# Accounts


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 30)), max_size=60))
def test_markets_of_an_account(mock, steps):
    word, model = 0b1_0000_0000_0111, set()
    for add, market in steps:
        if add and len(model) == 16 and market not in model:
            with refuses("account: too many markets"):
                mock.view.with_market(word, market)
            continue
        name = "with_market" if add else "without_market"
        word = getattr(mock.view, name)(word, market)
        model = model | {market} if add else model - {market}
        assert mock.view.markets_in(word) == sorted(model)
        assert word & 2**64 - 1 == 0b1_0000_0000_0111


def test_sixteen_markets_at_the_end_of_the_range(mock):
    word = 0
    for market in range(4_095, 4_079, -1):
        word = mock.view.with_market(word, market)
    assert mock.view.markets_in(word) == list(range(4_080, 4_096))
    assert mock.view.with_market(word, 4_090) == word
    for market in (1, 4_079):
        with refuses("account: too many markets"):
            mock.view.with_market(word, market)
