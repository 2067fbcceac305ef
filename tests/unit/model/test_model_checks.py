"""The checks find what they are for: each one on a state or record with one thing wrong."""

from dataclasses import replace

import pytest

from ballast.model import WAD, Clearing, Loss, checks


@pytest.fixture
def model(make_book, params) -> Clearing:
    """After a deleveraging over two buckets, with insurance; nothing is wrong."""
    book = make_book(params)
    book.fund(bankrupt=100, low=1_000, high=100, rich=10_000)
    book.model.donate("insurance", 5 * WAD)
    book.trade("bankrupt", "high", 4, 100)
    book.trade("bankrupt", "low", 5, 100)
    book.set_price(1, 85)
    book.model.deleverage("bankrupt", "keeper")
    assert len(book.model.last_waterfall.taken) == 2
    assert book.model.violations() == []
    return book.model


def test_s1_finds_money_from_nowhere(model: Clearing) -> None:
    model.state.fees += 1
    assert checks.s1(model.state)


def test_s2_finds_a_crumb(model: Clearing) -> None:
    model.state.accounts["low"].legs[1].closed += 1
    assert checks.s2(model.state, {1: 3 * WAD})


def test_s2_finds_unequal_interest(model: Clearing) -> None:
    model.state.accounts["low"].legs[1].size -= 1
    assert any("sizes" in text for text in checks.s2(model.state, {}))


def test_s3_finds_paid_profit_taken(model: Clearing) -> None:
    model.last_waterfall.losses.append(Loss("low", 1, 2, 1))
    assert checks.s3(model.last_waterfall)


def test_s4_finds_a_wrong_order(model: Clearing) -> None:
    model.last_waterfall.taken.reverse()
    assert checks.s4(model.last_waterfall)


def test_s5_finds_a_negative_balance(model: Clearing) -> None:
    model.state.reserve = -1
    assert checks.s5(model.state)


def test_s6_finds_insurance_held_back(model: Clearing) -> None:
    record = model.last_waterfall
    record.legs[0] = replace(record.legs[0], drawn=record.legs[0].drawn - 1)
    assert checks.s6(record)
    record.equity_before = 0
    assert len(checks.s6(record)) == 2


def test_structure_finds_a_wrong_tick(model: Clearing) -> None:
    model.settle("low")
    model.fill(1, "rich", "low", 10 * WAD, 85 * WAD)
    model.state.accounts["low"].legs[1].tick += 1
    assert checks.structure(model.state)
