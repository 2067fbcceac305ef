"""Feeds, bounds and the owner."""

import pytest

from ballast.build import artifact
from ballast.chain import ZERO_ADDRESS
from ballast.errors import Reverted


def test_set_feed(s):
    other = s.deploy("MockAggregator", 18)
    receipt = s.oracle.send.set_feed(s.market, other.address, 86_400, sender=s.owner)
    assert s.oracle.event(receipt, "FeedSet").args == {
        "market": s.market,
        "old_feed": s.feed.address,
        "old_heartbeat_seconds": 3_600,
        "feed": other.address,
        "heartbeat_seconds": 86_400,
    }
    assert s.oracle.view.feed_of(s.market) == (other.address, 86_400)


def test_decimals_are_read_when_the_feed_is_set(s):
    s.feed.send.set_decimals(6, sender=s.keeper)
    assert s.observe()[0] == 100 * 10**18
    s.oracle.send.set_feed(s.market, s.feed.address, 3_600, sender=s.owner)
    assert s.observe()[0] == 10_000 * 10**18


def test_no_change(s):
    with pytest.raises(Reverted, match=r"^chainlink: no change$"):
        s.oracle.send.set_feed(s.market, s.feed.address, 3_600, sender=s.owner)


@pytest.mark.parametrize(
    ("market", "heartbeat", "reason"),
    [
        (0, 3_600, "bad market"),
        (4_096, 3_600, "bad market"),
        (1, 0, "bad heartbeat"),
        (1, 172_801, "bad heartbeat"),
    ],
)
def test_bounds(s, market, heartbeat, reason):
    with pytest.raises(Reverted, match=f"^chainlink: {reason}$"):
        s.oracle.send.set_feed(market, s.feed.address, heartbeat, sender=s.owner)


def test_bounds_are_allowed_themselves(s):
    for market, heartbeat in ((1, 1), (4_095, 172_800)):
        s.oracle.send.set_feed(market, s.feed.address, heartbeat, sender=s.owner)


def test_no_feed(s):
    with pytest.raises(Reverted, match=r"^chainlink: zero feed$"):
        s.oracle.send.set_feed(s.market, ZERO_ADDRESS, 3_600, sender=s.owner)
    wide = s.deploy("MockAggregator", 37)
    with pytest.raises(Reverted, match=r"^chainlink: decimals above 36$"):
        s.oracle.send.set_feed(s.market, wide.address, 3_600, sender=s.owner)


def test_administration_is_the_owners(s):
    with pytest.raises(Reverted, match=r"^ownable: caller is not the owner$"):
        s.oracle.send.set_feed(s.market, s.feed.address, 60, sender=s.keeper)


def test_ownership_moves_in_two_steps(s):
    s.oracle.send.transfer_ownership(s.keeper, sender=s.owner)
    assert s.oracle.view.owner().lower() == s.owner
    with pytest.raises(Reverted, match=r"^ownable_2step: caller is not the new owner$"):
        s.oracle.send.accept_ownership(sender=s.owner)
    s.oracle.send.accept_ownership(sender=s.keeper)
    assert s.oracle.view.owner().lower() == s.keeper


def test_construction(s, l2):
    assert s.oracle.view.sequencer_feed() == ZERO_ADDRESS
    assert l2.oracle.view.sequencer_feed() == l2.sequencer.address
    assert s.oracle.view.grace_seconds() == 1_800
    code = artifact("ChainlinkOracle").deploy_code
    for args, reason in (
        ((ZERO_ADDRESS, ZERO_ADDRESS, 0), "zero owner"),
        ((s.owner, ZERO_ADDRESS, 3_601), "bad grace"),
    ):
        with pytest.raises(Reverted, match=f"^chainlink: {reason}$"):
            s.chain.deploy(code(*args), sender=s.keeper)
    s.chain.deploy(code(s.owner, ZERO_ADDRESS, 3_600), sender=s.keeper)
