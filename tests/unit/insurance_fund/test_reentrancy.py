"""A token that calls back finds the fund locked and the vault's ledger whole."""

import pytest

VIRTUAL = 10**9


@pytest.fixture
def c(make):
    s = make("CallbackToken")
    s.shares = s.stake(1_000)
    s.token.send.mint(s.token.address, 1_000, sender=s.stranger)
    approval = s.token.data.approve(s.fund.address, 1_000)
    s.token.send.execute(s.token.address, approval, sender=s.stranger)
    return s


def attacks(c):
    data = c.fund.data
    return [
        data.deposit(100, c.stranger),
        data.mint(VIRTUAL, c.stranger),
        data.redeem(VIRTUAL, c.stranger, c.staker),
        data.withdraw(1, c.stranger, c.staker),
        data.request_redeem(1),
        data.cancel_redeem(),
        data.totalAssets(),
        data.convertToAssets(VIRTUAL),
    ]


@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("attack", range(8))
def test_callback_out_of_a_deposit(c, attack, is_before):
    """The views are locked too: in between, tokens and shares do not match."""
    c.give(c.rival, 500)
    c.token.send.set_callback(c.fund.address, attacks(c)[attack], is_before, sender=c.stranger)
    c.fund.send.deposit(500, c.rival, sender=c.rival)
    assert c.token.view.calls() == 1
    assert not c.token.view.succeeded()
    assert c.fund.view.balanceOf(c.rival) == 500 * VIRTUAL
    assert c.fund.view.totalAssets() == 1_500


@pytest.mark.parametrize("attack", range(8))
def test_callback_out_of_a_redemption(c, attack):
    c.ready(c.shares)
    c.fund.send.approve(c.token.address, c.shares, sender=c.staker)
    c.token.send.set_callback(c.fund.address, attacks(c)[attack], False, sender=c.stranger)
    c.redeem(400 * VIRTUAL)
    assert c.token.view.calls() == 1
    assert not c.token.view.succeeded()
    assert c.fund.view.totalSupply() == 600 * VIRTUAL
    assert c.token.view.balanceOf(c.staker) == 400


def test_a_draw_out_of_a_deposit(c):
    """The price is read before the token is called: a loss in between falls on the newcomer too."""
    c.give(c.rival, 500)
    pool = (2**64 + 1).to_bytes(32, "big")
    draw = c.clearinghouse.data.move((1).to_bytes(32, "big"), pool, 500 * c.scale)
    c.token.send.set_callback(c.clearinghouse.address, draw, True, sender=c.stranger)
    c.fund.send.deposit(500, c.rival, sender=c.rival)
    assert c.token.view.succeeded()
    assert c.fund.view.totalAssets() == 1_000
    assert c.worth(c.rival) == 333
