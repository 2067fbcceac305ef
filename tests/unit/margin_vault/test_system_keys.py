"""`donate`, `stake`, `unstake`, `collect_fees`: money of the system's keys (S1)."""

import pytest

from ballast.build import artifact
from ballast.contract import Contract
from ballast.errors import Reverted


@pytest.mark.parametrize("name", ["insurance", "reserve"])
def test_donate(s, name):
    key = getattr(s, name)
    s.give(s.stranger, 10)
    receipt = s.vault.send.donate(key, 10, sender=s.stranger)
    assert s.vault.view.balance_of(key) == 10 * s.scale
    event = s.vault.event(receipt, "Donated")
    assert event.args["key"] == key
    assert event.args["payer"].lower() == s.stranger
    assert event.args["amount_quote"] == 10 * s.scale
    assert s.custody_holds()


def test_other_keys_take_no_gifts(s):
    """S2: a gift to a pool would break what its balance is compared with."""
    s.give(s.stranger, 10)
    for key in (s.pool, s.fees, s.account, bytes(32)):
        with pytest.raises(Reverted, match=r"^vault: key takes no gifts$"):
            s.vault.send.donate(key, 10, sender=s.stranger)


def test_donate_zero(s):
    with pytest.raises(Reverted, match=r"^vault: zero amount$"):
        s.vault.send.donate(s.insurance, 0, sender=s.stranger)


def test_stake_and_unstake(s):
    s.give(s.fund, 10)
    receipt = s.vault.send.stake(10, sender=s.fund)
    assert s.vault.event(receipt, "Staked").args == {"amount_quote": 10 * s.scale}
    assert s.vault.view.insurance() == 10 * s.scale
    assert s.custody_holds()
    receipt = s.vault.send.unstake(4, s.stranger, sender=s.fund)
    event = s.vault.event(receipt, "Unstaked")
    assert event.args["receiver"].lower() == s.stranger
    assert event.args["amount_quote"] == 4 * s.scale
    assert s.token.view.balanceOf(s.stranger) == 4
    assert s.vault.view.insurance() == 6 * s.scale
    assert s.custody_holds()


def test_staking_is_the_funds(s):
    s.give(s.stranger, 10)
    with pytest.raises(Reverted, match=r"^vault: not the insurance fund$"):
        s.vault.send.stake(10, sender=s.stranger)
    with pytest.raises(Reverted, match=r"^vault: not the insurance fund$"):
        s.vault.send.unstake(10, s.stranger, sender=s.owner)


def test_unstake_is_bounded_by_insurance(s):
    s.deposit(s.account, 100)
    s.give(s.fund, 10)
    s.vault.send.stake(10, sender=s.fund)
    with pytest.raises(Reverted, match=r"^vault: insufficient balance$"):
        s.vault.send.unstake(11, s.stranger, sender=s.fund)
    with pytest.raises(Reverted, match=r"^vault: zero amount$"):
        s.vault.send.unstake(0, s.stranger, sender=s.fund)
    with pytest.raises(Reverted, match=r"^vault: bad receiver$"):
        s.vault.send.unstake(1, s.vault.address, sender=s.fund)
    s.vault.send.unstake(10, s.stranger, sender=s.fund)
    assert s.vault.view.insurance() == 0


def test_stake_refuses_a_fee(make):
    s = make("FeeToken", 100)
    s.give(s.fund, 1_000)
    with pytest.raises(Reverted, match=r"^vault: transfer fee$"):
        s.vault.send.stake(1_000, sender=s.fund)


def test_collect_fees(s):
    s.deposit(s.account, 10)
    s.move(s.account, s.fees, 3 * s.scale + 1)
    receipt = s.vault.send.collect_fees(3, s.stranger, sender=s.owner)
    event = s.vault.event(receipt, "FeesCollected")
    assert event.args["receiver"].lower() == s.stranger
    assert event.args["amount_quote"] == 3 * s.scale
    assert s.token.view.balanceOf(s.stranger) == 3
    assert s.vault.view.fees() == 1
    assert s.custody_holds()
    with pytest.raises(Reverted, match=r"^vault: insufficient balance$"):
        s.vault.send.collect_fees(1, s.stranger, sender=s.owner)


def test_collect_fees_is_the_protocol_owners(s):
    s.deposit(s.account, 10)
    s.move(s.account, s.fees, 3 * s.scale)
    for sender in (s.stranger, s.fund, s.trader):
        with pytest.raises(Reverted, match=r"^vault: not the protocol owner$"):
            s.vault.send.collect_fees(1, s.stranger, sender=sender)


def test_insurance_and_reserve_leave_each_other_alone(s):
    """They share a slot."""
    vault = s.vault.view
    for key, amount in ((s.insurance, 10), (s.reserve, 4)):
        s.give(s.stranger, amount)
        s.vault.send.donate(key, amount, sender=s.stranger)
    s.move(s.reserve, s.account, 3 * s.scale)
    s.move(s.insurance, s.pool, 6 * s.scale)
    s.move(s.pool, s.reserve, s.scale)
    held = [4 * s.scale, 2 * s.scale]
    assert [vault.insurance(), vault.keeper_reserve()] == held
    assert vault.ledger_words([s.insurance, s.reserve]) == held
    assert [vault.cash_of(key) for key in (s.insurance, s.reserve)] == [(cash, 0) for cash in held]
    with pytest.raises(Reverted, match=r"^vault: insufficient balance$"):
        s.move(s.reserve, s.account, 2 * s.scale + 1)
    with pytest.raises(Reverted, match=r"^vault: insufficient balance$"):
        s.move(s.insurance, s.pool, 4 * s.scale + 1)
    s.move(s.reserve, s.account, 2 * s.scale)
    assert [vault.insurance(), vault.keeper_reserve()] == [4 * s.scale, 0]
    assert s.custody_holds()


def test_nothing_is_fresh_with_a_key_of_the_system(s):
    """The note would stand where the reserve does."""
    made = artifact("MarginVault")
    code = made.deploy_code(s.token.address, s.trader, s.fund)
    vault = Contract(s.chain, s.chain.deploy(code, sender=s.owner)[0], made.abi)
    for key in (s.insurance, s.reserve, s.pool):
        with pytest.raises(Reverted, match=r"^vault: zero owner$"):
            vault.send.mark_fresh(key, 1, sender=s.trader)
    assert vault.view.keeper_reserve() == 0
