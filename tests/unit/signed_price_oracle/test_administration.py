"""Markets, publishers and the owner."""

import pytest

from ballast.build import artifact
from ballast.chain import ZERO_ADDRESS
from ballast.errors import Reverted

WAD = 10**18


def addresses(keys):
    return [key.address for key in keys]


def test_set_market(bare):
    receipt = bare.oracle.send.set_market(7, 60, 500, sender=bare.owner)
    assert bare.oracle.event(receipt, "MarketSet").args == {
        "market": 7,
        "old_max_age_seconds": 0,
        "old_step_bps": 0,
        "max_age_seconds": 60,
        "step_bps": 500,
    }
    assert bare.oracle.view.market_parameters(7) == (60, 500)


def test_a_change_keeps_price_and_time(s):
    s.send(s.report(WAD, 3))
    before = s.oracle.view.price(s.market)
    receipt = s.oracle.send.set_market(s.market, 86_400, 5_000, sender=s.owner)
    event = s.oracle.event(receipt, "MarketSet")
    assert (event.old_max_age_seconds, event.old_step_bps) == (60, 500)
    assert s.oracle.view.price(s.market) == before
    assert s.oracle.view.market_parameters(s.market) == (86_400, 5_000)
    with pytest.raises(Reverted, match=r"^oracle: no change$"):
        s.oracle.send.set_market(s.market, 86_400, 5_000, sender=s.owner)


@pytest.mark.parametrize(
    ("market", "max_age", "step", "reason"),
    [
        (0, 60, 500, "bad market"),
        (4_096, 60, 500, "bad market"),
        (1, 0, 500, "bad max age"),
        (1, 86_401, 500, "bad max age"),
        (1, 60, 0, "bad step"),
        (1, 60, 5_001, "bad step"),
    ],
)
def test_bounds_of_a_market(bare, market, max_age, step, reason):
    with pytest.raises(Reverted, match=f"^oracle: {reason}$"):
        bare.oracle.send.set_market(market, max_age, step, sender=bare.owner)


def test_bounds_are_allowed_themselves(bare):
    for market, max_age, step in ((1, 1, 1), (4_095, 86_400, 5_000)):
        bare.oracle.send.set_market(market, max_age, step, sender=bare.owner)
        assert bare.oracle.view.market_parameters(market) == (max_age, step)


def test_set_publishers(s):
    old, new = addresses(s.publishers), addresses([*s.publishers[:2], s.outsider])
    new.sort(key=lambda address: int(address, 16))
    receipt = s.oracle.send.set_publishers(new, 2, sender=s.owner)
    assert s.oracle.event(receipt, "PublishersSet").args == {
        "old_publishers": old,
        "old_threshold": 3,
        "publishers": new,
        "threshold": 2,
    }
    assert s.oracle.view.publishers() == new
    assert s.oracle.view.threshold() == 2
    assert s.oracle.view.is_publisher(s.outsider.address)
    assert not s.oracle.view.is_publisher(s.publishers[4].address)
    with pytest.raises(Reverted, match=r"^oracle: bad signature$"):
        s.send(s.report(WAD, signers=s.publishers[2:]))
    s.send(s.report(WAD, signers=[s.publishers[0], s.outsider]))


@pytest.mark.parametrize(
    ("count", "threshold", "is_good"),
    [
        (1, 1, True),
        (2, 1, False),
        (2, 2, True),
        (4, 2, False),
        (4, 3, True),
        (5, 2, False),
        (5, 3, True),
        (5, 6, False),
        (3, 0, False),
        (0, 0, False),
        (0, 1, False),
    ],
)
def test_more_than_half(s, count, threshold, is_good):
    publishers = addresses(s.publishers[:count])
    if is_good:
        s.oracle.send.set_publishers(publishers, threshold, sender=s.owner)
        return
    with pytest.raises(Reverted, match=r"^oracle: bad threshold$"):
        s.oracle.send.set_publishers(publishers, threshold, sender=s.owner)


def test_publishers_are_distinct_and_not_zero(s):
    first, second, third = addresses(s.publishers[:3])
    for bad in ([first, first, second], [second, first, third], [ZERO_ADDRESS, first, second]):
        with pytest.raises(Reverted, match=r"^oracle: publishers not ascending$"):
            s.oracle.send.set_publishers(bad, 2, sender=s.owner)


def test_administration_is_the_owners(s):
    with pytest.raises(Reverted, match=r"^ownable: caller is not the owner$"):
        s.oracle.send.set_market(1, 60, 501, sender=s.keeper)
    with pytest.raises(Reverted, match=r"^ownable: caller is not the owner$"):
        s.oracle.send.set_publishers(addresses(s.publishers), 4, sender=s.keeper)
    with pytest.raises(Reverted, match=r"^ownable: caller is not the owner$"):
        s.oracle.send.transfer_ownership(s.keeper, sender=s.keeper)


def test_ownership_moves_in_two_steps(s):
    s.oracle.send.transfer_ownership(s.keeper, sender=s.owner)
    assert s.oracle.view.owner().lower() == s.owner
    assert s.oracle.view.pending_owner().lower() == s.keeper
    with pytest.raises(Reverted, match=r"^ownable_2step: caller is not the new owner$"):
        s.oracle.send.accept_ownership(sender=s.owner)
    s.oracle.send.accept_ownership(sender=s.keeper)
    assert s.oracle.view.owner().lower() == s.keeper


def test_construction(bare):
    code = artifact("SignedPriceOracle").deploy_code
    publishers = addresses(bare.publishers)
    for args, reason in (
        ((ZERO_ADDRESS, publishers, 3), "zero owner"),
        ((bare.owner, publishers, 2), "bad threshold"),
        ((bare.owner, publishers[::-1], 3), "publishers not ascending"),
    ):
        with pytest.raises(Reverted, match=f"^oracle: {reason}$"):
            bare.chain.deploy(code(*args), sender=bare.keeper)
