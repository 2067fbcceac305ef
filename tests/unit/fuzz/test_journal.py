"""A refused call leaves nothing in the model; what was done before it stays."""

import pickle

import pytest

from ballast import model
from ballast.fuzz.journal import Journal

TRADER = b"trader"


@pytest.fixture
def journal():
    journal = Journal(model.Clearing(8, 0))
    journal.call(lambda exact: exact.deposit(TRADER, 100))
    return journal


def half_done(exact):
    """Refused with a deposit made: the model's own calls would take only the second back."""
    exact.deposit(TRADER, 1)
    exact.withdraw(TRADER, 1_000)


def test_refused_call_is_taken_back(journal):
    before = pickle.dumps(journal.model.state)
    with pytest.raises(model.ModelError, match="insufficient"):
        journal.call(half_done)
    assert pickle.dumps(journal.model.state) == before
    assert len(journal) == 1


def test_refused_call_is_taken_back_after_a_mark(journal):
    journal.mark()
    assert len(journal) == 0
    journal.apply(lambda exact: exact.advance(12))
    with pytest.raises(model.ModelError):
        journal.call(half_done)
    assert (journal.model.cash(TRADER), journal.model.now, len(journal)) == (100, 12, 1)


@pytest.mark.parametrize("call", [half_done, lambda exact: exact.deposit(TRADER, 1)])
def test_asking_changes_nothing(journal, call):
    reason = journal.refusal(call)
    assert (reason is None) == (call is not half_done)
    assert (journal.model.cash(TRADER), len(journal)) == (100, 1)
