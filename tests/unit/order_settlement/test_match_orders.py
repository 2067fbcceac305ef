"""`match_orders`: what reaches the clearinghouse, and what does not."""

import pytest
from eth_account import Account

from ballast.build import artifact
from ballast.chain import ZERO_ADDRESS
from ballast.errors import Reverted
from ballast.signing import SignedOrder, account_id, order_digest, typed_order

WAD = 10**18


def test_one_maker(s):
    taker, maker = s.sign(s.taker, True), s.sign(s.maker, False)
    receipt = s.match(taker, [maker], [4 * WAD])
    assert s.clearinghouse.view.fill_count() == 1
    assert s.clearinghouse.view.fill_market() == s.market
    assert s.clearinghouse.view.fill_taker() == taker.order.account
    assert s.clearinghouse.view.fill_taker_is_buyer() is True
    fill = s.clearinghouse.view.last_fill()
    assert fill == ([maker.order.account], [4 * WAD], [100 * WAD])
    assert s.filled(taker) == s.filled(maker) == 4 * WAD
    events = s.settlement.events(receipt)
    assert [event.name for event in events] == ["OrderFilled", "OrderFilled"]
    for event, signed in zip(events, (maker, taker), strict=True):
        assert event.args == {
            "order_hash": order_digest(s.domain, signed.order),
            "account": signed.order.account,
            "market": s.market,
            "size_base": 4 * WAD,
            "filled_base": 4 * WAD,
        }


def test_many_makers_in_one_call_each_at_its_own_price(s):
    taker = s.sign(s.taker, False, size=30 * WAD, limit_price=90 * WAD)
    first = s.sign(s.maker, True, limit_price=95 * WAD)
    second = s.sign(s.second, True, limit_price=90 * WAD)
    third = s.sign(s.maker, True, limit_price=101 * WAD, salt=1)
    receipt = s.match(taker, [first, second, third], [WAD, 2 * WAD, 3 * WAD])
    assert s.clearinghouse.view.fill_count() == 1
    assert s.clearinghouse.view.fill_taker_is_buyer() is False
    assert s.clearinghouse.view.last_fill() == (
        [first.order.account, second.order.account, third.order.account],
        [WAD, 2 * WAD, 3 * WAD],
        [95 * WAD, 90 * WAD, 101 * WAD],
    )
    assert s.filled(taker) == 6 * WAD
    sizes = [(event.size_base, event.filled_base) for event in s.settlement.events(receipt)]
    assert sizes == [(n * WAD, n * WAD) for n in (1, 2, 3, 6)]


def test_twenty_makers(s):
    taker = s.sign(s.taker, True, size=20 * WAD)
    makers = [s.sign(s.maker, False, salt=salt) for salt in range(20)]
    s.match(taker, makers, [WAD] * 20)
    assert s.filled(taker) == 20 * WAD


def test_partial_fills_add_up(s):
    taker, maker = s.sign(s.taker, True), s.sign(s.maker, False)
    s.match(taker, [maker], [4 * WAD])
    receipt = s.match(taker, [maker], [6 * WAD])
    assert s.filled(taker) == s.filled(maker) == 10 * WAD
    assert [event.filled_base for event in s.settlement.events(receipt)] == [10 * WAD] * 2


def test_over_filled_by_one_unit(s):
    taker, maker = s.sign(s.taker, True), s.sign(s.maker, False, size=20 * WAD)
    s.match(taker, [maker], [4 * WAD])
    with pytest.raises(Reverted, match=r"^settlement: over-filled$"):
        s.match(taker, [maker], [6 * WAD + 1])
    maker = s.sign(s.maker, False, size=6 * WAD, salt=1)
    large = s.sign(s.taker, True, size=20 * WAD)
    with pytest.raises(Reverted, match=r"^settlement: over-filled$"):
        s.match(large, [maker], [6 * WAD + 1])


def test_replay_of_a_full_order(s):
    taker, maker = s.sign(s.taker, True), s.sign(s.maker, False)
    s.match(taker, [maker], [10 * WAD])
    with pytest.raises(Reverted, match=r"^settlement: over-filled$"):
        s.match(taker, [maker], [1])


def test_a_maker_named_twice_is_filled_once(s):
    taker, maker = s.sign(s.taker, True, size=20 * WAD), s.sign(s.maker, False)
    with pytest.raises(Reverted, match=r"^settlement: over-filled$"):
        s.match(taker, [maker, maker], [10 * WAD, 1])
    s.match(taker, [maker, maker], [7 * WAD, 3 * WAD])
    assert s.filled(maker) == 10 * WAD


def test_sizes_that_would_overflow(s):
    taker = s.sign(s.taker, True, size=2**256 - 1)
    maker = s.sign(s.maker, False, size=2**256 - 1)
    with pytest.raises(Reverted, match=r"^settlement: over-filled$"):
        s.match(taker, [maker, s.sign(s.second, False, size=2**256 - 1)], [2**255, 2**255])
    s.match(taker, [maker], [2**256 - 1])


def test_refused_fill_leaves_nothing_filled(s):
    taker, maker = s.sign(s.taker, True), s.sign(s.maker, False)
    s.clearinghouse.send.set_refusing_fills(True, sender=s.matcher)
    with pytest.raises(Reverted, match=r"^fill: refused$"):
        s.match(taker, [maker], [WAD])
    assert s.filled(taker) == 0


@pytest.mark.parametrize("is_buy", [True, False])
def test_prices_that_do_not_cross_by_one_wei(s, is_buy):
    worse = -1 if is_buy else 1
    taker = s.sign(s.taker, is_buy, limit_price=100 * WAD + worse)
    maker = s.sign(s.maker, not is_buy)
    with pytest.raises(Reverted, match=r"^settlement: prices do not cross$"):
        s.match(taker, [maker], [WAD])
    better = s.sign(s.taker, is_buy, limit_price=100 * WAD - worse)
    s.match(better, [maker], [WAD])
    assert s.clearinghouse.view.last_fill()[2] == [100 * WAD]


def test_the_last_second_of_an_order(s):
    now = s.chain.timestamp
    taker, maker = s.sign(s.taker, True, expiry=now), s.sign(s.maker, False, expiry=now)
    s.match(taker, [maker], [WAD])
    s.chain.mine(1)
    fresh = s.sign(s.taker, True)
    with pytest.raises(Reverted, match=r"^settlement: expired$"):
        s.match(fresh, [maker], [WAD])
    with pytest.raises(Reverted, match=r"^settlement: expired$"):
        s.match(taker, [s.sign(s.maker, False)], [WAD])


def test_malformed_batches(s):
    taker, maker = s.sign(s.taker, True), s.sign(s.maker, False)
    with pytest.raises(Reverted, match=r"^settlement: no makers$"):
        s.match(taker, [], [])
    for sizes in ([], [1, 1]):
        with pytest.raises(Reverted, match=r"^settlement: length mismatch$"):
            s.match(taker, [maker], sizes)
    with pytest.raises(Reverted, match=r"^settlement: zero size$"):
        s.match(taker, [maker], [0])


def test_orders_that_do_not_belong_together(s):
    taker = s.sign(s.taker, True)
    with pytest.raises(Reverted, match=r"^settlement: same side$"):
        s.match(taker, [s.sign(s.maker, True)], [WAD])
    with pytest.raises(Reverted, match=r"^settlement: market mismatch$"):
        s.match(taker, [s.sign(s.maker, False, market=2)], [WAD])
    with pytest.raises(Reverted, match=r"^settlement: self fill$"):
        s.match(taker, [s.sign(s.taker, False)], [WAD])


def test_two_accounts_of_one_owner_may_trade(s):
    maker = s.sign(s.taker, False, account=account_id(s.taker.address, 1))
    s.match(s.sign(s.taker, True), [maker], [WAD])


def test_post_only_makes_but_does_not_take(s):
    posted = s.sign(s.maker, False, post_only=True)
    s.match(s.sign(s.taker, True), [posted], [WAD])
    with pytest.raises(Reverted, match=r"^settlement: post only taker$"):
        s.match(posted, [s.sign(s.taker, True)], [WAD])


def test_a_bad_maker_stops_the_batch(s):
    taker, good = s.sign(s.taker, True), s.sign(s.maker, False)
    bad = s.sign(s.second, False, by=s.maker)
    with pytest.raises(Reverted, match=r"^settlement: bad signature$"):
        s.match(taker, [good, bad], [WAD, WAD])
    assert s.filled(good) == 0


def test_order_hash_is_what_wallets_sign(s):
    """eth-account's own encoding of the typed data, not this project's."""
    order = s.order(s.maker, False, post_only=True, expiry=2**40, salt=77)
    signed = Account.sign_typed_data(s.maker.key, full_message=typed_order(s.domain, order))
    assert s.settlement.view.order_hash(order) == bytes(signed.message_hash)
    s.match(s.sign(s.taker, True), [SignedOrder(order, bytes(signed.signature))], [WAD])
    name, version, chain_id, contract = s.settlement.view.eip712Domain()[1:5]
    assert (name, version, chain_id) == ("Ballast", "1", s.chain.chain_id)
    assert contract == s.settlement.address


def test_a_match_cannot_be_entered_again(s):
    """The clearinghouse is called last and the lock is held meanwhile."""
    taker, maker = s.sign(s.taker, True), s.sign(s.maker, False)
    again = s.settlement.data.match_orders(taker, [maker], [WAD])
    s.clearinghouse.send.set_fill_call(s.settlement.address, again, sender=s.matcher)
    s.match(taker, [maker], [WAD])
    assert not s.clearinghouse.view.fill_succeeded()
    assert s.filled(maker) == WAD


def test_fills_are_recorded_before_the_clearinghouse_is_called(s):
    taker, maker = s.sign(s.taker, True), s.sign(s.maker, False)
    asked = s.settlement.data.filled(order_digest(s.domain, maker.order))
    s.clearinghouse.send.set_fill_call(s.settlement.address, asked, sender=s.matcher)
    s.match(taker, [maker], [WAD])
    assert int.from_bytes(s.clearinghouse.view.fill_answer(), "big") == WAD


def test_construction(s):
    assert s.settlement.view.clearinghouse() == s.clearinghouse.address
    with pytest.raises(Reverted, match=r"^settlement: zero clearinghouse$"):
        s.chain.deploy(artifact("OrderSettlement").deploy_code(ZERO_ADDRESS), sender=s.matcher)
