"""`withdraw`: own cash only, after debts, never what came in this block (S1, S5, S8)."""

import pytest

from ballast.chain import ZERO_ADDRESS
from ballast.errors import Reverted


@pytest.mark.parametrize("decimals", [0, 6, 18])
def test_withdraw_pays_out(make, decimals):
    s = make(decimals=decimals)
    s.deposit(s.account, 100)
    s.chain.mine()
    receipt = s.vault.send.withdraw(s.account, 40, s.stranger, sender=s.trader)
    assert s.token.view.balanceOf(s.stranger) == 40
    assert s.vault.view.balance_of(s.account) == 60 * s.scale
    assert s.vault.view.total() == 60 * s.scale
    event = s.vault.event(receipt, "Withdrawn")
    assert event.args["account"] == s.account
    assert event.args["receiver"].lower() == s.stranger
    assert event.args["amount_quote"] == 40 * s.scale
    assert s.clearinghouse.view.released_account() == s.account
    assert s.clearinghouse.view.released_quote() == 40 * s.scale
    assert s.custody_holds()


def test_all_of_it(s):
    s.deposit(s.account, 100)
    s.chain.mine()
    s.vault.send.withdraw(s.account, 100, s.trader, sender=s.trader)
    assert s.vault.view.total() == 0


def test_token_that_returns_nothing(make):
    s = make("NoReturnToken")
    s.deposit(s.account, 8)
    s.chain.mine()
    s.vault.send.withdraw(s.account, 8, s.trader, sender=s.trader)
    assert s.token.view.balanceOf(s.trader) == 8


def test_debts_are_paid_first(s):
    s.deposit(s.account, 100)
    s.chain.mine()
    s.clearinghouse.send.set_debt(s.pool, 30 * s.scale, sender=s.owner)
    with pytest.raises(Reverted, match=r"^vault: insufficient cash$"):
        s.vault.send.withdraw(s.account, 71, s.trader, sender=s.trader)
    s.vault.send.withdraw(s.account, 70, s.trader, sender=s.trader)
    assert s.vault.view.pool_of(1) == 30 * s.scale
    assert s.vault.view.balance_of(s.account) == 0
    assert s.custody_holds()


def test_the_clearinghouse_may_refuse(s):
    s.deposit(s.account, 100)
    s.chain.mine()
    s.clearinghouse.send.set_refusing(True, sender=s.owner)
    with pytest.raises(Reverted, match=r"^margin: below initial$"):
        s.vault.send.withdraw(s.account, 1, s.trader, sender=s.trader)


def test_only_the_owner(s):
    s.deposit(s.account, 100)
    s.chain.mine()
    for sender in (s.stranger, s.owner, s.fund):
        with pytest.raises(Reverted, match=r"^vault: not the owner$"):
            s.vault.send.withdraw(s.account, 1, s.stranger, sender=sender)


def test_nobody_owns_the_systems_keys(s):
    s.deposit(s.account, 100)
    s.move(s.account, s.insurance, 100 * s.scale)
    with pytest.raises(Reverted, match=r"^vault: not the owner$"):
        s.vault.send.withdraw(s.insurance, 1, s.stranger, sender=s.stranger)


def test_what_came_in_this_block_stays_for_it(s):
    s.deposit(s.account, 10)
    s.chain.mine()
    s.deposit(s.account, 5)
    with pytest.raises(Reverted, match=r"^vault: insufficient cash$"):
        s.vault.send.withdraw(s.account, 11, s.trader, sender=s.trader)
    s.vault.send.withdraw(s.account, 10, s.trader, sender=s.trader)
    assert s.vault.view.cash_of(s.account) == (5 * s.scale, 5 * s.scale)
    s.chain.mine()
    s.vault.send.withdraw(s.account, 5, s.trader, sender=s.trader)


def test_a_strangers_unit_blocks_nobody(s):
    """Peers 8 and 20: no timer that another can set."""
    s.deposit(s.account, 10)
    s.chain.mine()
    s.deposit(s.account, 1, sender=s.stranger)
    s.vault.send.withdraw(s.account, 10, s.trader, sender=s.trader)


def test_zero_amount_is_refused(s):
    with pytest.raises(Reverted, match=r"^vault: zero amount$"):
        s.vault.send.withdraw(s.account, 0, s.trader, sender=s.trader)


def test_bad_receivers_are_refused(s):
    s.deposit(s.account, 10)
    s.chain.mine()
    for receiver in (ZERO_ADDRESS, s.vault.address):
        with pytest.raises(Reverted, match=r"^vault: bad receiver$"):
            s.vault.send.withdraw(s.account, 1, receiver, sender=s.trader)


def test_amount_no_ledger_could_hold(s):
    with pytest.raises(Reverted, match=r"^vault: amount too large$"):
        s.vault.send.withdraw(s.account, 2**104, s.trader, sender=s.trader)


def test_token_that_answers_false(make):
    s = make("FeeToken", 0)
    s.deposit(s.account, 10)
    s.chain.mine()
    s.token.send.set_refuses(True, sender=s.owner)
    with pytest.raises(Reverted, match=r"^vault: transfer failed$"):
        s.vault.send.withdraw(s.account, 1, s.trader, sender=s.trader)
    assert s.vault.view.balance_of(s.account) == 10 * s.scale
