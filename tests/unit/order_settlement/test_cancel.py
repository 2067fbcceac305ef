"""`cancel` and `cancel_below`: the owner's and the signer's word, nobody else's."""

import pytest

from ballast.errors import Reverted
from ballast.signing import account_id, order_digest

WAD = 10**18


def cancel(s, signed, sender):
    return s.settlement.send.cancel(order_digest(s.domain, signed.order), sender=sender)


def test_cancel(s):
    maker = s.sign(s.maker, False)
    receipt = cancel(s, maker, s.maker.address)
    digest = order_digest(s.domain, maker.order)
    assert s.settlement.event(receipt, "OrderCancelled").args == {
        "canceller": s.maker.address,
        "order_hash": digest,
    }
    assert s.settlement.view.is_cancelled(s.maker.address, digest)
    with pytest.raises(Reverted, match=r"^settlement: cancelled$"):
        s.match(s.sign(s.taker, True), [maker], [WAD])
    s.match(s.sign(s.taker, True), [s.sign(s.maker, False, salt=1)], [WAD])


def test_a_taker_can_be_cancelled(s):
    taker = s.sign(s.taker, True)
    cancel(s, taker, s.taker.address)
    with pytest.raises(Reverted, match=r"^settlement: cancelled$"):
        s.match(taker, [s.sign(s.maker, False)], [WAD])


def test_the_rest_of_a_partly_filled_order(s):
    maker = s.sign(s.maker, False)
    s.match(s.sign(s.taker, True), [maker], [WAD])
    cancel(s, maker, s.maker.address)
    with pytest.raises(Reverted, match=r"^settlement: cancelled$"):
        s.match(s.sign(s.taker, True), [maker], [WAD])


def test_a_strangers_word_counts_for_nothing(s):
    maker = s.sign(s.maker, False)
    cancel(s, maker, s.matcher)
    cancel(s, maker, s.taker.address)
    s.match(s.sign(s.taker, True), [maker], [WAD])
    # Nor does it stand in the owner's way.
    cancel(s, maker, s.maker.address)
    with pytest.raises(Reverted, match=r"^settlement: cancelled$"):
        s.match(s.sign(s.taker, True), [maker], [WAD])


def test_cancelled_twice(s):
    maker = s.sign(s.maker, False)
    cancel(s, maker, s.maker.address)
    with pytest.raises(Reverted, match=r"^settlement: already cancelled$"):
        cancel(s, maker, s.maker.address)


def test_delegates(s):
    """The delegate that signed may cancel, the owner too; another delegate may not."""
    account = account_id(s.maker.address)
    for delegate in (s.delegate, s.second):
        s.settlement.send.set_delegate(account, delegate.address, 2**40, sender=s.maker.address)
    taker = s.sign(s.taker, True)
    first, second, own = (
        s.sign(s.maker, False, by=by, salt=salt)
        for salt, by in enumerate((s.delegate, s.delegate, s.maker))
    )
    cancel(s, first, s.second.address)
    s.match(taker, [first], [WAD])
    cancel(s, first, s.delegate.address)
    cancel(s, second, s.maker.address)
    cancel(s, own, s.delegate.address)
    for signed in (first, second):
        with pytest.raises(Reverted, match=r"^settlement: cancelled$"):
            s.match(taker, [signed], [WAD])
    s.match(taker, [own], [WAD])


def test_cancel_below(s):
    account = account_id(s.maker.address)
    receipt = s.settlement.send.cancel_below(account, 10, sender=s.maker.address)
    assert s.settlement.event(receipt, "SaltFloorRaised").args == {"account": account, "salt": 10}
    assert s.settlement.view.salt_floor(account) == 10
    taker = s.sign(s.taker, True)
    with pytest.raises(Reverted, match=r"^settlement: below salt floor$"):
        s.match(taker, [s.sign(s.maker, False, salt=9)], [WAD])
    s.match(taker, [s.sign(s.maker, False, salt=10)], [WAD])


def test_cancel_below_is_of_one_account(s):
    s.settlement.send.cancel_below(account_id(s.maker.address), 10, sender=s.maker.address)
    other = s.sign(s.maker, False, account=account_id(s.maker.address, 1))
    s.match(s.sign(s.taker, True), [other], [WAD])


def test_cancel_below_covers_delegates_and_hash_cancels_stay(s):
    account = account_id(s.maker.address)
    s.settlement.send.set_delegate(account, s.delegate.address, 2**40, sender=s.maker.address)
    high = s.sign(s.maker, False, salt=20)
    cancel(s, high, s.maker.address)
    s.settlement.send.cancel_below(account, 10, sender=s.maker.address)
    taker = s.sign(s.taker, True)
    with pytest.raises(Reverted, match=r"^settlement: below salt floor$"):
        s.match(taker, [s.sign(s.maker, False, by=s.delegate, salt=9)], [WAD])
    with pytest.raises(Reverted, match=r"^settlement: cancelled$"):
        s.match(taker, [high], [WAD])


def test_cancel_below_is_the_owners(s):
    """A delegate could end the account's trading by it."""
    account = account_id(s.maker.address)
    s.settlement.send.set_delegate(account, s.delegate.address, 2**40, sender=s.maker.address)
    for sender in (s.matcher, s.delegate.address):
        with pytest.raises(Reverted, match=r"^settlement: not the owner$"):
            s.settlement.send.cancel_below(account, 10, sender=sender)


def test_the_floor_only_rises(s):
    account = account_id(s.maker.address)
    for salt in (0, 10, 10, 9):
        if salt > s.settlement.view.salt_floor(account):
            s.settlement.send.cancel_below(account, salt, sender=s.maker.address)
            continue
        with pytest.raises(Reverted, match=r"^settlement: floor not raised$"):
            s.settlement.send.cancel_below(account, salt, sender=s.maker.address)
