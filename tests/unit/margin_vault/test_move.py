"""`move`: the clearinghouse's alone, sums unchanged, insurance to pools only (S1, S5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ballast.errors import Reverted


def test_move(s):
    s.deposit(s.account, 10)
    receipt = s.move(s.account, s.pool, 4 * s.scale)
    assert s.vault.view.balance_of(s.account) == 6 * s.scale
    assert s.vault.view.pool_of(1) == 4 * s.scale
    assert s.vault.view.total() == 10 * s.scale
    event = s.vault.event(receipt, "Moved")
    assert event.args == {"source": s.account, "target": s.pool, "amount_quote": 4 * s.scale}


def test_zero_moves_nothing_and_says_nothing(s):
    assert s.vault.events(s.move(s.insurance, s.account, 0)) == []
    assert s.vault.view.last_draw_block() == 0


def test_to_itself_changes_nothing(s):
    s.deposit(s.account, 10)
    s.move(s.account, s.account, 10 * s.scale)
    assert s.vault.view.cash_of(s.account) == (10 * s.scale, 10 * s.scale)
    assert s.custody_holds()


def test_move_keeps_the_note_of_what_is_fresh(s):
    s.deposit(s.account, 10)
    s.deposit(s.rival_account, 10, sender=s.rival)
    s.move(s.account, s.rival_account, s.scale)
    assert s.vault.view.cash_of(s.account) == (9 * s.scale, 9 * s.scale)
    assert s.vault.view.cash_of(s.rival_account) == (11 * s.scale, 10 * s.scale)


def test_only_the_clearinghouse(s):
    s.deposit(s.account, 10)
    for sender in (s.trader, s.owner, s.fund):
        with pytest.raises(Reverted, match=r"^vault: not the clearinghouse$"):
            s.vault.send.move(s.account, s.pool, 1, sender=sender)


def test_no_balance_goes_below_zero(s):
    s.deposit(s.account, 10)
    with pytest.raises(Reverted, match=r"^vault: insufficient balance$"):
        s.move(s.account, s.pool, 10 * s.scale + 1)
    s.move(s.account, s.pool, 10 * s.scale)
    with pytest.raises(Reverted, match=r"^vault: insufficient balance$"):
        s.move(s.account, s.pool, 1)


def test_a_draw_goes_to_a_pool_and_is_noted(s):
    s.give(s.stranger, 10)
    s.vault.send.donate(s.insurance, 10, sender=s.stranger)
    s.chain.mine()
    s.move(s.insurance, s.pool, 3 * s.scale)
    assert s.vault.view.last_draw_block() == s.chain.block_number
    assert s.vault.view.insurance() == 7 * s.scale
    last = (2**64 + 4_095).to_bytes(32, "big")
    s.move(s.insurance, last, 1)
    assert s.vault.view.pool_of(4_095) == 1
    none, above = (2**64).to_bytes(32, "big"), (2**64 + 4_096).to_bytes(32, "big")
    for target in (s.account, s.fees, s.reserve, s.insurance, none, above):
        with pytest.raises(Reverted, match=r"^vault: insurance pays pools only$"):
            s.move(s.insurance, target, 1)


def test_other_moves_are_no_draws(s):
    s.deposit(s.account, 10)
    s.move(s.account, s.insurance, 1)
    s.move(s.account, s.pool, 1)
    s.move(s.pool, s.account, 1)
    assert s.vault.view.last_draw_block() == 0


def test_views_of_the_systems_keys(s):
    s.deposit(s.account, 10)
    for amount, target in enumerate((s.insurance, s.fees, s.reserve, s.pool), start=1):
        s.move(s.account, target, amount)
    assert s.vault.view.insurance() == 1
    assert s.vault.view.fees() == 2
    assert s.vault.view.keeper_reserve() == 3
    assert s.vault.view.pool_of(1) == 4
    assert s.vault.view.pool_of(2) == 0
    s.move(s.pool, (2**64 + 4_096).to_bytes(32, "big"), 1)
    assert s.vault.view.pool_of(4_096) == s.vault.view.pool_of(2**256 - 1) == 0
    # 2^256 - 2^64 + 1 would wrap round to the insurance's key.
    assert s.vault.view.pool_of(2**256 - 2**64 + 1) == 0


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 12 * 10**12)), max_size=20
    )
)
def test_ledger_agrees_with_a_dict(make, moves):
    s = make()
    keys = (s.account, s.rival_account, s.pool, s.fees)
    s.deposit(s.account, 10)
    s.deposit(s.rival_account, 5, sender=s.rival)
    model = {s.account: 10 * s.scale, s.rival_account: 5 * s.scale, s.pool: 0, s.fees: 0}
    for source, target, amount in moves:
        if model[keys[source]] >= amount:
            s.move(keys[source], keys[target], amount)
            model[keys[source]] -= amount
            model[keys[target]] += amount
    assert model == {key: s.vault.view.balance_of(key) for key in keys}
    assert s.custody_holds()
