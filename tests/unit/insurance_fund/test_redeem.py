"""Leaving: escrow, cooldown, window, and the price of the moment (peers 32, 33)."""

import pytest

from ballast.errors import Reverted

VIRTUAL = 10**9


@pytest.fixture
def staked(s):
    """The staker holds 1,000 at the initial price."""
    s.shares = s.stake(1_000)
    return s


def test_request_puts_shares_into_escrow(staked):
    s = staked
    ready_at = s.chain.timestamp + s.cooldown
    receipt = s.fund.send.request_redeem(400 * VIRTUAL, sender=s.staker)
    assert s.fund.event(receipt, "RedeemRequested").args == {
        "owner": s.staker,
        "shares": 400 * VIRTUAL,
        "ready_at": ready_at,
        "lapses_at": ready_at + s.window,
    }
    assert s.fund.view.redeem_ready_at(s.staker) == ready_at
    assert s.fund.view.redeem_lapses_at(s.staker) == ready_at + s.window
    assert s.fund.view.escrowed(s.staker) == 400 * VIRTUAL
    assert s.fund.view.balanceOf(s.staker) == 600 * VIRTUAL
    assert s.fund.view.totalSupply() == 1_000 * VIRTUAL
    with pytest.raises(Reverted, match=r"^erc20: transfer amount exceeds balance$"):
        s.fund.send.transfer(s.rival, 601 * VIRTUAL, sender=s.staker)


def test_redeem(staked):
    s = staked
    s.ready(400 * VIRTUAL)
    receipt = s.fund.send.redeem(300 * VIRTUAL, s.rival, s.staker, sender=s.staker)
    assert s.fund.returned(receipt, "redeem", 3) == 300
    assert s.token.view.balanceOf(s.rival) == 300
    assert s.fund.view.totalAssets() == 700
    assert s.fund.view.totalSupply() == 700 * VIRTUAL
    assert s.fund.view.escrowed(s.staker) == 100 * VIRTUAL
    assert s.fund.view.redeem_ready_at(s.staker) != 0
    assert s.fund.event(receipt, "Withdraw").args == {
        "sender": s.staker,
        "receiver": s.rival,
        "owner": s.staker,
        "assets": 300,
        "shares": 300 * VIRTUAL,
    }
    s.redeem(100 * VIRTUAL)
    assert s.fund.view.redeem_ready_at(s.staker) == s.fund.view.redeem_lapses_at(s.staker) == 0


def test_withdraw(staked):
    s = staked
    s.earn(500)
    s.ready(s.shares)
    cost = s.fund.view.previewWithdraw(100)
    receipt = s.fund.send.withdraw(100, s.staker, s.staker, sender=s.staker)
    assert s.fund.returned(receipt, "withdraw", 3) == cost
    assert s.token.view.balanceOf(s.staker) == 100
    assert s.fund.view.escrowed(s.staker) == s.shares - cost


def test_the_window(staked):
    s = staked
    s.fund.send.request_redeem(s.shares, sender=s.staker)
    s.chain.mine(s.cooldown - 1)
    assert s.fund.view.maxRedeem(s.staker) == s.fund.view.maxWithdraw(s.staker) == 0
    with pytest.raises(Reverted, match=r"^fund: cooling down$"):
        s.redeem(VIRTUAL)
    s.chain.mine(1)
    assert s.fund.view.maxRedeem(s.staker) == s.shares
    assert s.fund.view.maxWithdraw(s.staker) == 1_000
    s.redeem(VIRTUAL)
    s.chain.mine(s.window - 1)
    s.redeem(VIRTUAL)
    s.chain.mine(1)
    assert s.fund.view.maxRedeem(s.staker) == s.fund.view.maxWithdraw(s.staker) == 0
    with pytest.raises(Reverted, match=r"^fund: request lapsed$"):
        s.redeem(VIRTUAL)


def test_a_lapsed_request_starts_again_with_the_same_shares(staked):
    s = staked
    s.ready(s.shares)
    s.chain.mine(s.window)
    s.fund.send.request_redeem(s.shares, sender=s.staker)
    assert s.fund.view.escrowed(s.staker) == s.shares
    assert s.fund.view.redeem_ready_at(s.staker) == s.chain.timestamp + s.cooldown
    with pytest.raises(Reverted, match=r"^fund: cooling down$"):
        s.redeem(VIRTUAL)
    s.chain.mine(s.cooldown)
    s.redeem(s.shares)


def test_a_new_request_always_waits_again(staked):
    """Else one share requested early would carry all others out with it."""
    s = staked
    s.ready(1)
    s.fund.send.request_redeem(s.shares, sender=s.staker)
    with pytest.raises(Reverted, match=r"^fund: cooling down$"):
        s.redeem(VIRTUAL)


def test_a_smaller_request_hands_shares_back(staked):
    s = staked
    s.fund.send.request_redeem(500 * VIRTUAL, sender=s.staker)
    s.fund.send.request_redeem(200 * VIRTUAL, sender=s.staker)
    assert s.fund.view.escrowed(s.staker) == 200 * VIRTUAL
    assert s.fund.view.balanceOf(s.staker) == 800 * VIRTUAL
    s.fund.send.request_redeem(300 * VIRTUAL, sender=s.staker)
    assert s.fund.view.balanceOf(s.fund.address) == 300 * VIRTUAL


@pytest.mark.parametrize("wait", [0, 3, 100])
def test_cancel(staked, wait):
    s = staked
    s.fund.send.request_redeem(400 * VIRTUAL, sender=s.staker)
    s.chain.mine(wait * 86_400)
    receipt = s.fund.send.cancel_redeem(sender=s.staker)
    event = s.fund.event(receipt, "RedeemCancelled")
    assert event.args == {"owner": s.staker, "shares": 400 * VIRTUAL}
    assert s.fund.view.balanceOf(s.staker) == s.shares
    assert s.fund.view.redeem_ready_at(s.staker) == 0
    with pytest.raises(Reverted, match=r"^fund: no request$"):
        s.fund.send.cancel_redeem(sender=s.staker)


def test_only_what_was_requested(staked):
    s = staked
    with pytest.raises(Reverted, match=r"^fund: no request$"):
        s.redeem(VIRTUAL)
    with pytest.raises(Reverted, match=r"^fund: zero shares$"):
        s.fund.send.request_redeem(0, sender=s.staker)
    with pytest.raises(Reverted, match=r"^fund: insufficient shares$"):
        s.fund.send.request_redeem(s.shares + 1, sender=s.staker)
    s.ready(400 * VIRTUAL)
    with pytest.raises(Reverted, match=r"^fund: more than requested$"):
        s.redeem(400 * VIRTUAL + 1)
    with pytest.raises(Reverted, match=r"^fund: zero assets$"):
        s.redeem(0)
    with pytest.raises(Reverted, match=r"^fund: zero assets$"):
        s.redeem(VIRTUAL // 2)


def test_not_in_a_block_with_a_draw(staked):
    s = staked
    s.ready(s.shares)
    s.draw_now(300 * s.scale)
    assert s.fund.view.maxRedeem(s.staker) == s.fund.view.maxWithdraw(s.staker) == 0
    with pytest.raises(Reverted, match=r"^fund: draw in this block$"):
        s.redeem(VIRTUAL)
    s.chain.mine()
    receipt = s.redeem(s.shares)
    assert s.fund.returned(receipt, "redeem", 3) == 700


def test_escrow_goes_on_losing_and_earning(staked):
    s = staked
    s.stake(1_000, s.rival)
    s.ready(s.shares)
    s.draw(1_000 * s.scale)
    assert s.fund.view.maxWithdraw(s.staker) == s.worth(s.rival) == 500
    s.earn(500)
    assert s.fund.view.maxWithdraw(s.staker) == s.worth(s.rival) == 750


def test_another_redeems_with_an_allowance(staked):
    s = staked
    s.ready(s.shares)
    with pytest.raises(Reverted, match=r"^erc20: insufficient allowance$"):
        s.fund.send.redeem(VIRTUAL, s.stranger, s.staker, sender=s.stranger)
    s.fund.send.approve(s.stranger, 2 * VIRTUAL, sender=s.staker)
    s.fund.send.redeem(2 * VIRTUAL, s.stranger, s.staker, sender=s.stranger)
    assert s.token.view.balanceOf(s.stranger) == 2
    with pytest.raises(Reverted, match=r"^erc20: insufficient allowance$"):
        s.fund.send.withdraw(1, s.stranger, s.staker, sender=s.stranger)


def test_requests_are_ones_own(staked):
    s = staked
    s.stake(50, s.rival)
    s.ready(s.shares)
    with pytest.raises(Reverted, match=r"^fund: no request$"):
        s.redeem(VIRTUAL, s.rival)


def test_bad_receiver(staked):
    s = staked
    s.ready(s.shares)
    for receiver in (s.vault.address, "0x" + "00" * 20):
        with pytest.raises(Reverted, match=r"^vault: bad receiver$"):
            s.fund.send.redeem(VIRTUAL, receiver, s.staker, sender=s.staker)


def test_everyone_can_leave(staked):
    """The shares' worths never sum to more than is there."""
    s = staked
    other = s.stake(333, s.rival)
    s.earn(77)
    s.draw(123_456_789 * 10**6)
    s.fund.send.request_redeem(other, sender=s.rival)
    s.ready(s.shares)
    s.redeem(other, s.rival)
    s.redeem(s.shares)
    assert s.fund.view.totalSupply() == 0
    paid = s.token.view.balanceOf(s.staker) + s.token.view.balanceOf(s.rival)
    assert paid + s.fund.view.totalAssets() == 1_000 + 333 + 77 - 124


def test_shares_are_a_token(staked):
    s = staked
    s.fund.send.transfer(s.rival, VIRTUAL, sender=s.staker)
    s.fund.send.approve(s.rival, VIRTUAL, sender=s.staker)
    s.fund.send.transferFrom(s.staker, s.stranger, VIRTUAL, sender=s.rival)
    assert s.fund.view.balanceOf(s.stranger) == VIRTUAL
    # Nobody mints: the module's functions for that are not there.
    for name in ("mint_to", "burn", "burn_from", "set_minter", "is_minter", "owner"):
        assert name not in s.fund.interface.functions
