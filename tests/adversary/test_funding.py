"""The game of time: what washing the premium brings is bounded by the funding cap alone."""

from __future__ import annotations

import pytest

from ballast.adversary.funding import wash

CAP_BPS_A_DAY = 3 * 75


def test_an_hourly_wash_takes_nearly_the_cap_and_no_more() -> None:
    day = wash(3_600, 0)
    assert 200 < day.received_bps <= CAP_BPS_A_DAY
    assert day.fees_bps == pytest.approx(24 * 2 * 5 * 1.03 / 64, rel=0.05)


def test_honest_volume_pulls_against_it() -> None:
    assert wash(3_600, 5).received_bps < wash(3_600, 0).received_bps / 4
