"""`deposit`: what it credits, what counts as fresh, what it refuses (S1)."""

import pytest

from ballast.errors import Reverted


@pytest.mark.parametrize("decimals", [0, 6, 8, 18])
def test_deposit_credits_the_exact_amount(make, decimals):
    s = make(decimals=decimals)
    receipt = s.deposit(s.account, 123)
    assert s.vault.view.balance_of(s.account) == 123 * s.scale
    assert s.vault.view.total() == 123 * s.scale
    assert s.token.view.balanceOf(s.vault.address) == 123
    event = s.vault.event(receipt, "Deposited")
    assert event.args["account"] == s.account
    assert event.args["payer"].lower() == s.trader
    assert event.args["amount_quote"] == 123 * s.scale
    assert s.custody_holds()


def test_anyone_may_deposit_for_another(s):
    s.deposit(s.account, 5, sender=s.stranger)
    assert s.vault.view.balance_of(s.account) == 5 * s.scale


def test_fresh_adds_up_within_a_block_and_lapses_with_it(s):
    s.deposit(s.account, 10)
    s.chain.mine()
    assert s.vault.view.cash_of(s.account) == (10 * s.scale, 0)
    s.deposit(s.account, 3)
    s.deposit(s.account, 4)
    assert s.vault.view.cash_of(s.account) == (17 * s.scale, 7 * s.scale)
    s.chain.mine()
    assert s.vault.view.cash_of(s.account) == (17 * s.scale, 0)


def test_fresh_is_never_more_than_cash(s):
    s.deposit(s.account, 10)
    s.move(s.account, s.pool, 6 * s.scale)
    assert s.vault.view.cash_of(s.account) == (4 * s.scale, 4 * s.scale)


def test_what_the_clearinghouse_credits_is_not_fresh(s):
    s.deposit(s.rival_account, 10, sender=s.rival)
    s.move(s.rival_account, s.account, 6 * s.scale)
    assert s.vault.view.cash_of(s.account) == (6 * s.scale, 0)


def test_token_that_returns_nothing(make):
    s = make("NoReturnToken")
    s.deposit(s.account, 8)
    assert s.vault.view.balance_of(s.account) == 8 * s.scale


def test_tokens_sent_without_a_call_are_nobodys(s):
    s.token.send.mint(s.vault.address, 50, sender=s.stranger)
    s.deposit(s.account, 1)
    assert s.vault.view.total() == s.scale
    assert s.custody_holds()


def test_zero_owner_is_refused(s):
    s.give(s.trader, 5)
    for system_key in (s.insurance, s.fees, s.reserve, s.pool, bytes(32)):
        with pytest.raises(Reverted, match=r"^vault: zero owner$"):
            s.vault.send.deposit(system_key, 5, sender=s.trader)


def test_zero_amount_is_refused(s):
    with pytest.raises(Reverted, match=r"^vault: zero amount$"):
        s.vault.send.deposit(s.account, 0, sender=s.trader)


def test_token_that_keeps_a_fee_is_refused(make):
    s = make("FeeToken", 1)
    s.give(s.trader, 10_000)
    with pytest.raises(Reverted, match=r"^vault: transfer fee$"):
        s.vault.send.deposit(s.account, 10_000, sender=s.trader)
    s.token.send.set_fee(0, sender=s.owner)
    s.vault.send.deposit(s.account, 10_000, sender=s.trader)


def test_token_that_answers_false_is_refused(make):
    s = make("FeeToken", 0)
    s.give(s.trader, 10)
    s.token.send.set_refuses(True, sender=s.owner)
    with pytest.raises(Reverted, match=r"^vault: transfer failed$"):
        s.vault.send.deposit(s.account, 10, sender=s.trader)


def test_amount_no_ledger_could_hold(s):
    with pytest.raises(Reverted, match=r"^vault: amount too large$"):
        s.vault.send.deposit(s.account, 2**104, sender=s.trader)


def test_bound_of_the_ledger(make):
    most = 2**104 - 1
    s = make(decimals=18)
    s.give(s.trader, most)
    s.vault.send.donate(s.insurance, most, sender=s.trader)
    s.give(s.trader, 1)
    with pytest.raises(Reverted, match=r"^vault: total too large$"):
        s.vault.send.deposit(s.account, 1, sender=s.trader)
    s.move(s.insurance, s.pool, most)
    s.move(s.pool, s.account, most)
    assert s.vault.view.cash_of(s.account) == (most, 0)
    assert s.vault.view.insurance() == s.vault.view.keeper_reserve() == 0
    assert s.vault.view.last_draw_block() == s.chain.block_number
    assert s.custody_holds()


def test_all_of_it_in_one_deposit(make):
    most = 2**104 - 1
    s = make(decimals=18)
    s.deposit(s.account, most)
    assert s.vault.view.cash_of(s.account) == (most, most)
    s.chain.mine()
    assert s.vault.view.cash_of(s.account) == (most, 0)
