"""A step beyond the bound (5 %) waits for a second report in a later block."""

import pytest

from ballast.errors import Reverted

WAD = 10**18
PENDING = 2


@pytest.fixture
def p(s):
    """The price in force is 100, ten seconds old."""
    s.send(s.report(100 * WAD))
    s.chain.mine(10)
    return s


def names(p, receipt):
    return [(event.name, event.price_wad) for event in p.oracle.events(receipt)]


def test_up_to_the_bound_is_taken(p):
    assert names(p, p.send(p.report(105 * WAD))) == [("PriceReported", 105 * WAD)]
    p.chain.mine()
    p.send(p.report(105 * WAD - 105 * WAD // 20))
    assert p.price() == 105 * WAD - 105 * WAD // 20


@pytest.mark.parametrize("price", [105 * WAD + 1, 95 * WAD - 1, 10**6 * WAD, 1])
def test_beyond_the_bound_waits(p, price):
    old = p.oracle.view.price(p.market)
    receipt = p.send(p.report(price, 1))
    assert [event.args for event in p.oracle.events(receipt)] == [
        {"market": p.market, "price_wad": price, "timestamp": p.chain.timestamp - 1}
    ]
    assert names(p, receipt) == [("PricePending", price)]
    assert p.oracle.view.price(p.market) == old
    assert p.oracle.view.observe(p.market) == (*old, PENDING)
    assert p.oracle.view.pending(p.market) == (price, p.chain.timestamp - 1)


@pytest.mark.parametrize(
    ("first", "second", "taken"),
    [(110, 120, 110), (120, 110, 110), (90, 80, 90), (80, 90, 90), (110, 110, 110)],
)
def test_the_nearer_of_two_counts_at_the_seconds_time(p, first, second, taken):
    p.send(p.report(first * WAD))
    p.chain.mine()
    now = p.chain.timestamp
    assert names(p, p.send(p.report(second * WAD))) == [("PriceReported", taken * WAD)]
    assert p.oracle.view.observe(p.market) == (taken * WAD, now, 0)
    assert p.oracle.view.pending(p.market) == (0, 0)


def test_a_later_block_in_the_same_second_confirms(p):
    p.send(p.report(110 * WAD, 1))
    p.chain.mine(0)
    p.send(p.report(110 * WAD))
    assert p.price() == 110 * WAD


@pytest.mark.parametrize(
    ("first", "second", "kept"), [(110, 120, 110), (120, 110, 110), (80, 90, 90)]
)
def test_the_same_block_does_not_confirm(p, first, second, kept):
    p.send(p.report(first * WAD, 5))
    assert names(p, p.send(p.report(second * WAD, 4))) == [("PricePending", kept * WAD)]
    assert p.price() == 100 * WAD
    assert p.oracle.view.pending(p.market) == (kept * WAD, p.chain.timestamp - 4)
    # It went on waiting from its first block: the next one confirms.
    p.chain.mine()
    p.send(p.report(130 * WAD if kept > 100 else 70 * WAD))
    assert p.price() == kept * WAD


def test_one_batch_does_not_confirm(p):
    p.send(p.report(110 * WAD, 5), p.report(110 * WAD, 4), p.report(110 * WAD, 3))
    assert p.price() == 100 * WAD


def test_back_within_the_bound_clears(p):
    p.send(p.report(110 * WAD))
    p.chain.mine()
    assert names(p, p.send(p.report(101 * WAD))) == [("PriceReported", 101 * WAD)]
    assert p.oracle.view.observe(p.market)[2] == 0
    assert p.oracle.view.pending(p.market) == (0, 0)
    # What waited is void: the next far report is a first one again.
    p.chain.mine()
    p.send(p.report(110 * WAD))
    assert p.price() == 101 * WAD


def test_back_within_the_bound_clears_in_the_same_block(p):
    p.send(p.report(110 * WAD, 1))
    p.send(p.report(99 * WAD))
    assert p.oracle.view.observe(p.market) == (99 * WAD, p.chain.timestamp, 0)


def test_the_other_side_takes_its_place(p):
    p.send(p.report(110 * WAD))
    p.chain.mine()
    assert names(p, p.send(p.report(90 * WAD))) == [("PricePending", 90 * WAD)]
    assert p.price() == 100 * WAD
    # It waits from its own block, not from the first one's.
    p.send_time = p.chain.timestamp
    p.chain.mine(0)
    with pytest.raises(Reverted, match=r"^oracle: not newer$"):
        p.send(p.report(90 * WAD))
    p.chain.mine(1)
    p.send(p.report(85 * WAD))
    assert p.price() == 90 * WAD


def test_the_other_side_in_one_block_does_not_inherit_its_age(p):
    p.send(p.report(110 * WAD))
    p.chain.mine()
    p.send(p.report(90 * WAD, 2), p.report(90 * WAD, 1))
    assert p.price() == 100 * WAD


def test_time_moves_forward_over_what_waits(p):
    """A report older than the one that waits could be picked to undo it."""
    p.send(p.report(110 * WAD, 3))
    for age in (3, 4):
        with pytest.raises(Reverted, match=r"^oracle: not newer$"):
            p.send(p.report(100 * WAD, age))
    p.chain.mine(0)
    p.send(p.report(100 * WAD, 2))
    assert p.price() == 100 * WAD


def test_liquidation_price_goes_stale_while_a_report_waits(p):
    p.send(p.report(110 * WAD))
    p.chain.mine(60)
    assert p.oracle.view.observe(p.market)[2] == PENDING | 1
    # However long it waited, the second one confirms.
    p.send(p.report(111 * WAD))
    assert p.oracle.view.observe(p.market) == (110 * WAD, p.chain.timestamp, 0)


def test_after_a_confirmation_the_bound_is_the_new_prices(p):
    p.send(p.report(150 * WAD))
    p.chain.mine()
    p.send(p.report(150 * WAD, 1), p.report(152 * WAD))
    assert p.price() == 152 * WAD
    p.chain.mine()
    p.send(p.report(100 * WAD))
    assert p.oracle.view.pending(p.market)[0] == 100 * WAD


def test_a_tighter_bound_while_a_report_waits(p):
    """What waits is compared by its side alone; the new report by the bound of now."""
    p.send(p.report(110 * WAD))
    p.oracle.send.set_market(p.market, 60, 2_000, sender=p.owner)
    assert p.oracle.view.pending(p.market)[0] == 110 * WAD
    p.chain.mine()
    p.send(p.report(115 * WAD))
    assert p.oracle.view.observe(p.market) == (115 * WAD, p.chain.timestamp, 0)
