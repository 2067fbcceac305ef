"""`price` and `observe`: which rounds are good, and how they are scaled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ballast.errors import Reverted

WAD = 10**18
STALE = 1


def refused(s, reason, view="price"):
    with pytest.raises(Reverted, match=f"^chainlink: {reason}$"):
        getattr(s.oracle.view, view)(s.market)


def test_price(s):
    assert s.oracle.view.price(s.market) == (100 * WAD, s.chain.timestamp - 60)
    assert s.observe() == (100 * WAD, s.chain.timestamp - 60, 0)


@given(st.integers(0, 36), st.integers(1, 2**255 - 1))
def test_scale(make, decimals, answer):
    """To WAD, rounded down, or no price at all."""
    s = make(decimals)
    s.round(2, answer, 0)
    wad = answer * WAD // 10**decimals
    if 0 < wad < 2**96:
        assert s.oracle.view.price(s.market)[0] == wad
    else:
        refused(s, "price out of range")
        refused(s, "price out of range", "observe")


@pytest.mark.parametrize(
    ("decimals", "answer", "wad"),
    [
        (0, 3, 3 * WAD),
        (8, 12_345_678, 123_456_780_000_000_000),
        (18, 2**96 - 1, 2**96 - 1),
        (18, 1, 1),
        (36, 10**18 + 10**18 - 1, 1),
        (36, 2**96 * 10**18 - 1, 2**96 - 1),
    ],
)
def test_scale_at_its_ends(make, decimals, answer, wad):
    s = make(decimals)
    s.round(2, answer, 0)
    assert s.oracle.view.price(s.market)[0] == wad


@pytest.mark.parametrize(
    ("decimals", "answer"),
    [
        (8, 0),
        (8, -1),
        (8, -(2**255)),
        (8, 2**255 - 1),
        (18, 2**96),
        (36, 10**18 - 1),
        (36, 2**96 * 10**18),
        (0, 2**95),
    ],
)
def test_no_usable_answer(make, decimals, answer):
    """Peers 25: zero and negative prices."""
    s = make(decimals)
    s.round(2, answer, 0)
    refused(s, "price out of range")
    refused(s, "price out of range", "observe")


def test_stale_one_second_after_the_heartbeat(s):
    time = s.round(3, 100 * 10**8, 0)
    s.chain.mine(3_600)
    assert s.observe() == (100 * WAD, time, 0)
    assert s.oracle.view.price(s.market) == (100 * WAD, time)
    s.chain.mine(1)
    refused(s, "stale")
    assert s.observe() == (100 * WAD, time, STALE)


def test_round_that_was_never_finished(s):
    s.feed.send.set_round(s.phase + 3, 10**10, s.chain.timestamp, 0, s.phase + 3, sender=s.keeper)
    refused(s, "no price")
    refused(s, "no price", "observe")


def test_answer_of_an_older_round(s):
    s.round(3, 10**10, 0, answered_in=s.phase + 2)
    refused(s, "incomplete round")
    assert s.status() == STALE


def test_round_from_the_future(s):
    s.round(3, 10**10, -1)
    refused(s, "from the future")
    refused(s, "from the future", "observe")
    s.chain.mine(1)
    assert s.status() == 0


def test_feed_that_reverts(s):
    s.feed.send.set_broken(True, False, sender=s.keeper)
    for view in ("price", "observe"):
        with pytest.raises(Reverted, match=r"^aggregator: broken$"):
            getattr(s.oracle.view, view)(s.market)


@pytest.mark.parametrize("view", ["price", "observe", "feed_of", "grace_until"])
def test_unknown_market(s, view):
    for market in (0, 2, 2**256 - 1):
        with pytest.raises(Reverted, match=r"^chainlink: unknown market$"):
            getattr(s.oracle.view, view)(market)
