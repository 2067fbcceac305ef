"""`deposit`, `mint` and the conversions: always rounded for the fund (peers 33)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ballast.build import artifact
from ballast.errors import Reverted

VIRTUAL = 10**9


def test_first_deposit(s):
    s.give(s.staker, 100)
    receipt = s.fund.send.deposit(100, s.rival, sender=s.staker)
    assert s.fund.returned(receipt, "deposit", 2) == 100 * VIRTUAL
    assert s.fund.view.balanceOf(s.rival) == 100 * VIRTUAL
    assert s.fund.view.totalAssets() == 100
    assert s.vault.view.insurance() == 100 * s.scale
    assert s.token.view.balanceOf(s.vault.address) == 100
    assert s.token.view.balanceOf(s.fund.address) == 0
    assert s.token.view.allowance(s.fund.address, s.vault.address) == 0
    assert s.fund.event(receipt, "Deposit").args == {
        "sender": s.staker,
        "owner": s.rival,
        "assets": 100,
        "shares": 100 * VIRTUAL,
    }


def test_mint(s):
    s.stake(100)
    s.earn(50)
    s.give(s.rival, 10**6)
    cost = s.fund.view.previewMint(10 * VIRTUAL + 1)
    receipt = s.fund.send.mint(10 * VIRTUAL + 1, s.rival, sender=s.rival)
    assert s.fund.returned(receipt, "mint", 2) == cost == 15
    assert s.token.view.balanceOf(s.rival) == 10**6 - cost
    assert s.fund.view.balanceOf(s.rival) == 10 * VIRTUAL + 1


def test_income_raises_the_price_and_losses_lower_it(s):
    s.stake(1_000)
    s.earn(500)
    assert s.worth(s.staker) == 1_499
    s.draw(1_400 * s.scale)
    assert s.worth(s.staker) == 100
    s.stake(100, s.rival)
    assert s.worth(s.rival) == 99
    assert s.worth(s.staker) == 100


@pytest.mark.parametrize("decimals", [0, 6, 8, 18])
def test_metadata(make, decimals):
    s = make(decimals=decimals)
    assert s.fund.view.decimals() == decimals + 9
    assert (s.fund.view.name(), s.fund.view.symbol()) == ("Ballast insurance", "bINS")
    assert s.fund.view.asset() == s.token.address
    assert s.fund.view.vault() == s.vault.address
    assert s.stake(7) == 7 * VIRTUAL


def test_a_part_of_a_unit_is_nobodys(s):
    """`totalAssets` counts whole token units: the vault pays no others."""
    s.stake(10)
    s.draw(1)
    assert s.fund.view.totalAssets() == 9
    assert s.vault.view.insurance() == 10 * s.scale - 1


def test_token_that_returns_nothing(make):
    s = make("NoReturnToken")
    s.stake(10)
    s.stake(10, s.rival)
    assert s.fund.view.totalAssets() == 20


def test_token_that_keeps_a_fee(make):
    s = make("FeeToken", 100)
    s.give(s.staker, 1_000)
    with pytest.raises(Reverted):
        s.fund.send.deposit(1_000, s.staker, sender=s.staker)
    # Not even at the expense of what has been sent to the fund by mistake.
    s.token.send.mint(s.fund.address, 1_000, sender=s.staker)
    with pytest.raises(Reverted, match=r"^vault: transfer fee$"):
        s.fund.send.deposit(1_000, s.staker, sender=s.staker)


def test_token_that_answers_false(make):
    s = make("FeeToken", 0)
    s.give(s.staker, 1_000)
    s.token.send.set_refuses(True, sender=s.staker)
    with pytest.raises(Reverted, match=r"^fund: transfer failed$"):
        s.fund.send.deposit(1_000, s.staker, sender=s.staker)
    s.token.send.set_refuses(False, sender=s.staker)
    s.token.send.set_refuses_approval(True, sender=s.staker)
    with pytest.raises(Reverted, match=r"^fund: approval failed$"):
        s.fund.send.deposit(1_000, s.staker, sender=s.staker)


def test_nothing_for_nothing(s):
    with pytest.raises(Reverted, match=r"^fund: zero assets$"):
        s.fund.send.deposit(0, s.staker, sender=s.staker)
    with pytest.raises(Reverted, match=r"^fund: zero assets$"):
        s.fund.send.mint(0, s.staker, sender=s.staker)
    s.stake(1)
    s.earn(3 * VIRTUAL)
    s.give(s.rival, 1)
    with pytest.raises(Reverted, match=r"^fund: zero shares$"):
        s.fund.send.deposit(1, s.rival, sender=s.rival)


def test_zero_receiver(s):
    s.give(s.staker, 1)
    with pytest.raises(Reverted, match=r"^erc20: mint to the zero address$"):
        s.fund.send.deposit(1, "0x" + "00" * 20, sender=s.staker)


def test_max_deposit_is_what_the_vault_can_hold(make):
    s = make(decimals=18)
    s.stake(5)
    assert s.fund.view.maxDeposit(s.rival) == 2**104 - 1 - 5
    assert s.fund.view.maxMint(s.rival) == (2**104 - 6) * VIRTUAL
    s.give(s.rival, 2**104)
    with pytest.raises(Reverted, match=r"^vault: total too large$"):
        s.fund.send.deposit(2**104 - 5, s.rival, sender=s.rival)
    s.fund.send.deposit(2**104 - 6, s.rival, sender=s.rival)
    assert s.fund.view.maxDeposit(s.rival) == 0


@given(st.integers(1, 10**14), st.integers(0, 10**14), st.integers(1, 10**14))
def test_donating_before_a_deposit_costs_more_than_it_takes(make, first, gift, deposit):
    """First-depositor inflation: the attacker never gains, the victim loses next to nothing."""
    s = make()
    s.stake(first, s.rival)
    if gift:
        s.earn(gift)
    if s.fund.view.previewDeposit(deposit) == 0:
        return
    s.stake(deposit)
    assert s.worth(s.rival) <= first + gift
    lost = deposit - s.worth(s.staker)
    # Less than a share's worth and a unit; and the gift cost its donor 1e9 times the former.
    share = (first + gift + 1) // ((first + 1) * VIRTUAL)
    assert lost <= share + 2
    assert first + gift - s.worth(s.rival) >= (share - 1) * VIRTUAL // 2


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(1, 10**12))
def test_conversions_round_for_the_fund(make, income, loss, amount):
    s = make()
    s.stake(10**9)
    if income:
        s.earn(income)
    s.draw(min(loss * s.scale, s.vault.view.insurance() - s.scale))
    view = s.fund.view
    assets, supply = view.totalAssets() + 1, view.totalSupply() + VIRTUAL
    assert view.convertToShares(amount) == view.previewDeposit(amount) == amount * supply // assets
    assert view.previewWithdraw(amount) == -(-amount * supply // assets)
    assert view.convertToAssets(amount) == view.previewRedeem(amount) == amount * assets // supply
    assert view.previewMint(amount) == -(-amount * assets // supply)


def test_construction_bounds(make):
    for cooldown, window, reason in (
        (0, 1, "bad cooldown"),
        (30 * 86_400 + 1, 1, "bad cooldown"),
        (1, 0, "bad window"),
        (1, 30 * 86_400 + 1, "bad window"),
    ):
        with pytest.raises(Reverted, match=f"^fund: {reason}$"):
            make(cooldown=cooldown, window=window)
    s = make(cooldown=1, window=30 * 86_400)
    assert s.fund.view.window_seconds() == 30 * 86_400
    s = make(cooldown=30 * 86_400, window=1)
    second = artifact("InsuranceFund").deploy_code(s.vault.address, "Second", "2nd", 1, 1)
    with pytest.raises(Reverted, match=r"^fund: not the vault's fund$"):
        s.chain.deploy(second, sender=s.stranger)
    assert (s.fund.view.cooldown_seconds(), s.fund.view.window_seconds()) == (30 * 86_400, 1)
