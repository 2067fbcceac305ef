"""`price`, `observe`, `pending`: when there is a price, and when it is stale."""

import pytest

from ballast.errors import Reverted

WAD = 10**18


def test_stale_one_second_after_its_max_age(s):
    s.send(s.report(WAD))
    time = s.chain.timestamp
    s.chain.mine(60)
    assert s.oracle.view.price(s.market) == (WAD, time)
    assert s.oracle.view.observe(s.market) == (WAD, time, 0)
    s.chain.mine(1)
    with pytest.raises(Reverted, match=r"^oracle: stale$"):
        s.oracle.view.price(s.market)
    assert s.oracle.view.observe(s.market) == (WAD, time, 1)


def test_silence_is_normal(s):
    """Peers 35: no grace for the pull oracle, whatever the gap."""
    s.send(s.report(WAD))
    s.chain.mine(10**6)
    s.send(s.report(WAD))
    assert s.oracle.view.observe(s.market)[2] == 0


@pytest.mark.parametrize("view", ["price", "observe"])
def test_no_price_yet(s, view):
    with pytest.raises(Reverted, match=r"^oracle: no price$"):
        getattr(s.oracle.view, view)(s.market)
    assert s.oracle.view.pending(s.market) == (0, 0)


@pytest.mark.parametrize("view", ["price", "observe", "pending", "market_parameters"])
def test_unknown_market(s, view):
    for market in (0, 2, 2**256 - 1):
        with pytest.raises(Reverted, match=r"^oracle: unknown market$"):
            getattr(s.oracle.view, view)(market)
