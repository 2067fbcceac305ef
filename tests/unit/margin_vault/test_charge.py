"""`charge`: a fee shared out, by the clearinghouse alone, sums unchanged (S1)."""

import pytest

from ballast.errors import Reverted


def test_it_is_shared_out(s):
    s.deposit(s.account, 10)
    receipt = s.charge(s.account, 1, 2, 3)
    vault = s.vault.view
    assert vault.balance_of(s.account) == 10 * s.scale - 6
    assert (vault.insurance(), vault.fees(), vault.keeper_reserve()) == (1, 2, 3)
    assert s.vault.event(receipt, "Charged").args == {
        "account": s.account,
        "insurance_quote": 1,
        "protocol_quote": 2,
        "reserve_quote": 3,
    }
    assert vault.last_draw_block() == 0
    assert s.custody_holds()


def test_a_part_may_be_nothing(s):
    s.deposit(s.account, 10)
    s.charge(s.account, 0, 0, 4)
    s.charge(s.account, 0, 5, 0)
    vault = s.vault.view
    assert (vault.insurance(), vault.fees(), vault.keeper_reserve()) == (0, 5, 4)
    assert s.custody_holds()


def test_the_note_of_what_is_fresh_stays(s):
    s.deposit(s.account, 10)
    s.charge(s.account, s.scale, 0, 0)
    assert s.vault.view.cash_of(s.account) == (9 * s.scale, 9 * s.scale)


def test_only_the_clearinghouse(s):
    s.deposit(s.account, 10)
    for sender in (s.trader, s.owner, s.fund):
        with pytest.raises(Reverted, match=r"^vault: not the clearinghouse$"):
            s.vault.send.charge(s.account, 1, 0, 0, sender=sender)


def test_no_balance_goes_below_zero(s):
    s.deposit(s.account, 10)
    cash = 10 * s.scale
    for parts in ((cash + 1, 0, 0), (0, cash, 1), (1, 0, cash)):
        with pytest.raises(Reverted, match=r"^vault: insufficient balance$"):
            s.charge(s.account, *parts)
    s.charge(s.account, 0, cash, 0)
    assert s.vault.view.fees() == cash


def test_parts_that_overflow_are_refused(s):
    s.deposit(s.account, 10)
    with pytest.raises(Reverted):
        s.charge(s.account, 2**256 - 1, 1, 0)


def test_a_systems_key_cannot_be_charged(s):
    """Insurance pays pools alone."""
    s.give(s.stranger, 10)
    s.vault.send.donate(s.insurance, 10, sender=s.stranger)
    for key in (s.insurance, s.fees, s.reserve, s.pool):
        with pytest.raises(Reverted, match=r"^vault: zero owner$"):
            s.charge(key, 0, 1, 0)
