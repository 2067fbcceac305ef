"""A fund that has lost all but a trifle takes no deposits until it has been given something."""

import pytest

from ballast.errors import Reverted

VIRTUAL = 10**9
FACTOR = 10**9


def draw_all(s):
    s.draw(s.vault.view.insurance())


def test_deposits_are_refused(s):
    s.stake(10**12)
    draw_all(s)
    assert s.fund.view.is_wiped_out()
    assert s.fund.view.maxDeposit(s.rival) == s.fund.view.maxMint(s.rival) == 0
    s.give(s.rival, 10)
    with pytest.raises(Reverted, match=r"^fund: wiped out$"):
        s.fund.send.deposit(10, s.rival, sender=s.rival)
    with pytest.raises(Reverted, match=r"^fund: wiped out$"):
        s.fund.send.mint(VIRTUAL, s.rival, sender=s.rival)


def test_the_bound_to_the_unit(s):
    """(A + 1) V 1e9 against S + V."""
    s.stake(10**12)
    draw_all(s)
    supply = s.fund.view.totalSupply()
    needed = -(-(supply + VIRTUAL) // (VIRTUAL * FACTOR)) - 1
    s.earn(needed - 1)
    assert s.fund.view.is_wiped_out()
    s.earn(1)
    assert not s.fund.view.is_wiped_out()
    assert s.fund.view.maxDeposit(s.rival) > 0
    s.stake(10**6, s.rival)


def test_a_small_fund_is_open_however_little_is_left(s):
    s.stake(FACTOR - 1)
    draw_all(s)
    assert not s.fund.view.is_wiped_out()
    s.stake(10, s.rival)
    assert s.worth(s.rival) == 10


def test_an_empty_fund_is_open(s):
    assert not s.fund.view.is_wiped_out()
    assert s.fund.view.maxDeposit(s.rival) > 0


def test_deposits_do_not_raise_the_old_shares(s):
    """Old shares have what was given to them, newcomers what they brought."""
    s.stake(10**12)
    draw_all(s)
    s.earn(10**6)
    assert s.worth(s.staker) == 10**6
    s.stake(10**12, s.rival)
    assert s.worth(s.staker) <= 10**6 + 1
    assert s.worth(s.rival) >= 10**12 - 2


def test_redemption_of_a_wiped_out_fund(s):
    shares = s.stake(10**12)
    draw_all(s)
    s.ready(shares)
    assert s.fund.view.maxWithdraw(s.staker) == 0
    with pytest.raises(Reverted, match=r"^fund: zero assets$"):
        s.redeem(shares)
    s.fund.send.cancel_redeem(sender=s.staker)
    s.earn(10)
    s.ready(shares)
    s.redeem(shares)
    assert s.token.view.balanceOf(s.staker) == 10


def test_supply_stays_bounded_over_many_wipe_outs(make):
    """Without the rule the third round would already mint past 256 bits."""
    s = make(decimals=18)
    for _ in range(8):
        draw_all(s)
        if s.fund.view.is_wiped_out():
            supply = s.fund.view.totalSupply()
            s.earn(-(-(supply + VIRTUAL) // (VIRTUAL * FACTOR)) - 1 - s.fund.view.totalAssets())
        if s.vault.view.total() + 10**29 >= 2**104:
            break
        s.stake(10**29)
        assets = s.fund.view.totalAssets()
        assert s.fund.view.totalSupply() + VIRTUAL <= FACTOR * VIRTUAL * (assets + 1)
    assert s.fund.view.totalSupply() < 2**164
    # Every view still answers at the bounds.
    s.fund.view.maxMint(s.rival)
    s.fund.view.previewMint(2**163)
