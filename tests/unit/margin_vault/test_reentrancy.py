"""A token that calls back in the middle of a transfer finds no door open and no sum wrong (S1)."""

import pytest

from ballast.abi import decode_reason
from ballast.signing import account_id


@pytest.fixture
def c(make):
    """A vault over a token that calls back, the token itself owning an account with cash."""
    s = make("CallbackToken")
    s.own = account_id(s.token.address)
    s.deposit(s.own, 100, sender=s.stranger)
    s.deposit(s.account, 100)
    s.give(s.trader, 100)
    s.token.send.mint(s.token.address, 100, sender=s.stranger)
    approval = s.token.data.approve(s.vault.address, 100)
    s.token.send.execute(s.token.address, approval, sender=s.stranger)
    s.chain.mine()
    return s


def attacks(c):
    data = c.vault.data
    return [
        data.deposit(c.own, 1),
        data.withdraw(c.own, 1, c.stranger),
        data.donate(c.insurance, 1),
        data.collect_fees(1, c.stranger),
        data.stake(1),
        data.unstake(1, c.stranger),
        data.move(c.own, c.pool, 1),
    ]


@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("attack", range(7))
def test_callback_out_of_a_deposit(c, attack, is_before):
    c.token.send.set_callback(c.vault.address, attacks(c)[attack], is_before, sender=c.stranger)
    c.vault.send.deposit(c.account, 10, sender=c.trader)
    assert c.token.view.calls() == 1
    assert not c.token.view.succeeded()
    assert c.vault.view.total() == 210 * c.scale
    assert c.vault.view.balance_of(c.account) == 110 * c.scale


@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("attack", range(7))
def test_callback_out_of_a_withdrawal(c, attack, is_before):
    c.token.send.set_callback(c.vault.address, attacks(c)[attack], is_before, sender=c.stranger)
    c.vault.send.withdraw(c.account, 10, c.trader, sender=c.trader)
    assert c.token.view.calls() == 1
    assert not c.token.view.succeeded()
    assert c.vault.view.total() == 190 * c.scale
    assert c.vault.view.balance_of(c.own) == 100 * c.scale


def test_the_same_withdrawal_twice(c):
    """The token takes its own account's cash twice in one call."""
    withdrawal = c.vault.data.withdraw(c.own, 100, c.stranger)
    c.token.send.set_callback(c.vault.address, withdrawal, False, sender=c.stranger)
    c.token.send.execute(c.vault.address, withdrawal, sender=c.stranger)
    assert not c.token.view.succeeded()
    assert c.token.view.balanceOf(c.stranger) == 100
    assert c.vault.view.balance_of(c.own) == 0


@pytest.mark.parametrize("is_before", [True, False])
def test_a_callback_sees_a_ledger_that_is_covered(c, is_before):
    """S1 in the middle of a transfer: the debit is done before the tokens go."""
    c.token.send.set_callback(c.vault.address, c.vault.data.total(), is_before, sender=c.stranger)
    c.vault.send.withdraw(c.account, 10, c.trader, sender=c.trader)
    assert c.token.view.succeeded()
    assert int.from_bytes(c.token.view.answer(), "big") == 190 * c.scale

    c.token.send.set_callback(c.vault.address, c.vault.data.total(), is_before, sender=c.stranger)
    c.vault.send.deposit(c.account, 10, sender=c.trader)
    assert int.from_bytes(c.token.view.answer(), "big") == 190 * c.scale


def test_the_clearinghouse_may_move_while_a_transfer_is_under_way(c):
    """`move` has no lock: the debit is done, so it can only move what is left."""
    move = c.clearinghouse.data.move(c.account, c.pool, 91 * c.scale)
    c.token.send.set_callback(c.clearinghouse.address, move, False, sender=c.stranger)
    c.vault.send.withdraw(c.account, 10, c.trader, sender=c.trader)
    assert not c.token.view.succeeded()
    assert decode_reason(c.token.view.answer()) == "vault: insufficient balance"

    move = c.clearinghouse.data.move(c.account, c.pool, 80 * c.scale)
    c.token.send.set_callback(c.clearinghouse.address, move, False, sender=c.stranger)
    c.vault.send.withdraw(c.account, 10, c.trader, sender=c.trader)
    assert c.token.view.succeeded()
    assert c.vault.view.balance_of(c.account) == 0
    assert c.vault.view.pool_of(1) == 80 * c.scale
    assert c.vault.view.total() == 180 * c.scale


def test_release_cannot_reenter_the_vault(c):
    """Nothing the clearinghouse is led to call during `release` gets through the lock."""
    c.clearinghouse.send.set_release_call(
        c.vault.address, c.vault.data.collect_fees(1, c.stranger), sender=c.owner
    )
    c.vault.send.withdraw(c.account, 10, c.trader, sender=c.trader)
    assert not c.clearinghouse.view.release_succeeded()
    # The views stay open to it.
    c.clearinghouse.send.set_release_call(
        c.vault.address, c.vault.data.cash_of(c.account), sender=c.owner
    )
    c.vault.send.withdraw(c.account, 10, c.trader, sender=c.trader)
    assert c.clearinghouse.view.release_succeeded()
