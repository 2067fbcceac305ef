"""Nobody gains from another by staking or leaving; shares never sum to more than is there."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

VIRTUAL = 10**9

ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["deposit", "mint", "redeem", "withdraw", "earn", "draw"]),
        st.integers(0, 1),
        st.integers(1, 10**13),
    ),
    max_size=25,
)


def price(s):
    view = s.fund.view
    return Fraction(view.totalAssets() + 1, view.totalSupply() + VIRTUAL)


@given(ACTIONS)
def test_staking_never_lowers_the_price(make, actions):
    s = make(cooldown=1)
    stakers = (s.staker, s.rival)
    for name, who, amount in actions:
        staker, before, view = stakers[who], price(s), s.fund.view
        if name == "earn":
            s.earn(amount)
        elif name == "draw":
            s.draw(min(amount * s.scale, s.vault.view.insurance()))
            continue
        elif name == "deposit":
            if view.previewDeposit(amount) == 0 or view.is_wiped_out():
                continue
            expected = view.previewDeposit(amount)
            assert s.stake(amount, staker) == expected
        elif name == "mint":
            shares = amount * VIRTUAL // 3
            cost = view.previewMint(shares)
            if view.is_wiped_out() or cost > view.maxDeposit(staker):
                continue
            s.give(staker, cost)
            s.fund.send.mint(shares, staker, sender=staker)
        else:
            held = view.balanceOf(staker) + view.escrowed(staker)
            shares = min(amount * VIRTUAL // 3, held)
            if view.previewRedeem(shares) == 0:
                continue
            s.fund.send.request_redeem(shares, sender=staker)
            s.chain.mine(1)
            assert view.maxRedeem(staker) == shares
            if name == "redeem":
                s.redeem(shares, staker)
            else:
                assets = view.maxWithdraw(staker)
                s.fund.send.withdraw(assets, staker, staker, sender=staker)
        assert price(s) >= before
        worth = s.worth(s.staker) + s.worth(s.rival)
        assert worth <= view.totalAssets()
        assert view.totalAssets() * s.scale <= s.vault.view.insurance()
