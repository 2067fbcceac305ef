"""The worked example of design section 6, to the last unit."""

import pytest

from ballast.model import WAD, Clearing, ModelError

INSURANCE = 20


def _setup(make_book, params, cash_a: int, size_a: int, buckets: int = 8) -> Clearing:
    """Market at 80; A long from 100, B short 4 from 120, C short 6 from 100; pool 80."""
    book = make_book(params, price=120, buckets=buckets)
    book.fund(A=cash_a, B=100, C=200, D=100, early=100)
    book.trade("early", "B", 4, 120)
    book.set_price(1, 100)
    book.trade("A", "early", min(4, size_a), 100)
    book.trade("A" if size_a == 10 else "D", "C", size_a - 4 if size_a == 10 else 5, 100)
    if size_a == 5:
        book.trade("A", "C", 1, 100)
    book.model.donate("insurance", INSURANCE * WAD)
    book.set_price(1, 80)
    return book.model


def _settled_pool(model: Clearing, *accounts: str) -> int:
    for account in accounts:
        model.settle(account)
    return model.pool_of(1)


def test_setting(make_book, params) -> None:
    model = _setup(make_book, params, 150, 10)
    assert model.pool_of(1) == 80 * WAD
    assert model.equity("A") == -50 * WAD
    sizes = {name: model.position(name, 1).size / WAD for name in "ABC"}
    assert sizes == {"A": 10, "B": -4, "C": -6}


def test_one_call(make_book, params) -> None:
    model = _setup(make_book, params, 150, 10)
    assert model.preview_deleverage("A")[0].price == 83 * WAD
    assert model.deleverage("A", "keeper") == (0, 0)
    assert model.insurance() == 0
    assert [(t.price, t.size >> 96) for t in model.last_waterfall.taken] == [
        (83 * WAD, 4 * WAD),
        (83 * WAD, 6 * WAD),
    ]
    assert model.equity("A") == 0
    assert model.markets_of("A") == []
    assert model.equity("B") == (100 + 148) * WAD
    assert model.equity("C") == (200 + 102) * WAD
    assert model.pool_of(1) == 250 * WAD
    assert _settled_pool(model, "B", "C") == 0
    assert model.cash("B") == 248 * WAD
    assert model.cash("C") == 302 * WAD
    assert model.shortfall(1) == 0
    assert model.violations([{1: 7 * WAD}]) == []


def test_b_cannot_leave_by_liquidate(make_book, params) -> None:
    model = _setup(make_book, params, 150, 10)
    assert model.max_liquidation("A", 1) == (0, 0)
    with pytest.raises(ModelError, match="insurance does not cover"):
        model.liquidate("A", 1, 4 * WAD, "B")


def test_take_over_where_insurance_covers_it(make_book, params) -> None:
    model = _setup(make_book, params, 180, 10)
    assert model.equity("A") == -20 * WAD
    assert model.max_liquidation("A", 1) == (10 * WAD, 80 * WAD)
    assert model.liquidate("A", 1, 4 * WAD, "B") == 4 * WAD
    assert model.insurance() == 12 * WAD
    assert model.equity("A") == -12 * WAD


def test_not_bankrupt_cannot_be_deleveraged(make_book, params) -> None:
    model = _setup(make_book, params, 250, 10)
    assert model.equity("A") == 50 * WAD
    with pytest.raises(ModelError, match="not bankrupt"):
        model.deleverage("A", "keeper")


def test_half_the_size(make_book, params) -> None:
    model = _setup(make_book, params, 50, 5)
    assert model.equity("A") == -50 * WAD
    assert model.deleverage("A", "keeper") == (0, 0)
    assert [(t.price, t.size >> 96) for t in model.last_waterfall.taken] == [
        (86 * WAD, 4 * WAD),
        (86 * WAD, 1 * WAD),
    ]
    assert model.insurance() == 0
    assert _settled_pool(model, "B", "C") == 0
    assert model.cash("B") == (100 + 136) * WAD
    assert model.cash("C") == (200 + 14) * WAD
    assert model.violations([{1: 7 * WAD}]) == []


def test_one_bucket_a_call(make_book, params) -> None:
    model = _setup(make_book, params, 150, 10, buckets=1)
    assert model.deleverage("A", "keeper") == (480 * WAD, 30 * WAD)
    first = model.last_waterfall
    assert (first.taken[0].price, first.taken[0].size >> 96) == (83 * WAD, 4 * WAD)
    assert first.legs[0].drawn == 8 * WAD
    assert model.cash("A") == 90 * WAD
    assert model.equity("A") == -30 * WAD
    assert model.position("A", 1).tier == 7
    assert model.deleverage("A", "keeper") == (0, 0)
    second = model.last_waterfall
    assert (second.taken[0].price, second.taken[0].size >> 96) == (83 * WAD, 6 * WAD)
    assert second.legs[0].drawn == 12 * WAD
    assert _settled_pool(model, "B", "C") == 0
    with pytest.raises(ModelError, match="not bankrupt"):
        model.deleverage("A", "keeper")
