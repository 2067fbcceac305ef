"""Which offers count, which make a report, and when one is due."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from ballast.errors import SigningError, SourceError
from ballast.publish.choice import OnChain, choose, due
from ballast.publish.offers import Offers, Pages
from ballast.signing import (
    Domain,
    SignedPrice,
    key_from_label,
    report_digest,
    sign_price,
    signer_of,
)
from ballast.web import serving

WAD = 10**18
DOMAIN = Domain(31_337, "0x" + "11" * 20)
KEYS = [key_from_label(f"publisher {i}") for i in range(5)]
NAMES = {key.address for key in KEYS}


def offer(publisher: int, price: int, timestamp: int = 100) -> SignedPrice:
    return SignedPrice(f"0x{publisher:040x}", 1, price, timestamp, b"")


def taken(*offers: SignedPrice, newer: int = 0, before: int = 0, after: int = 200) -> list[int]:
    """Who is taken into a report of three, by number."""
    found = choose(offers, 3, newer, before, after, 200)
    return [] if found is None else sorted(int(o.publisher, 16) for o in found.taken)


def test_liars_are_left_out_while_enough_others_remain() -> None:
    honest = [offer(i, 1_000 + i) for i in range(1, 4)]
    found = choose([*honest, offer(4, 500), offer(5, 2_000)], 3, 0, 0, 200, 200)
    assert found is not None
    assert sorted(o.price for o in found.taken) == [1_001, 1_002, 1_003]
    assert {o.price for o in found.outliers} == {500, 2_000}
    assert found.price == 1_002


def test_a_liar_that_is_needed_is_outvoted() -> None:
    for lie in (500, 2_000):
        found = choose([offer(1, 1_000), offer(2, 1_001), offer(3, lie)], 3, 0, 0, 200, 200)
        assert found is not None
        assert found.price in (1_000, 1_001)
        assert [o.price for o in found.outliers] == [lie]


def test_nothing_is_sent_where_nobody_can_say_who_lies() -> None:
    assert taken(offer(1, 1_000), offer(2, 500), offer(3, 2_000)) == []


def test_times_of_a_report() -> None:
    assert taken(offer(1, 9, 100), offer(2, 9, 101), offer(3, 9, 102)) == [1, 2, 3]
    assert taken(offer(1, 9, 100), offer(2, 9, 101), offer(3, 9, 103)) == []
    # The newest moment that enough have signed, and there everybody's newest.
    late = [offer(i, 9, 90) for i in (1, 2, 3)]
    assert taken(*late, offer(1, 9, 100), offer(2, 9, 100)) == [1, 2, 3]
    found = choose([*late, offer(1, 9, 91)], 3, 0, 0, 200, 200)
    assert found is not None
    assert sorted(o.timestamp for o in found.taken) == [90, 90, 91]


def test_bounds_of_time_are_the_contracts() -> None:
    three = [offer(i, 9, 100) for i in (1, 2, 3)]
    assert taken(*three, newer=99) == taken(*three, before=100) == taken(*three, after=100)
    assert taken(*three, newer=99) == [1, 2, 3]
    assert taken(*three, newer=100) == taken(*three, before=101) == taken(*three, after=99) == []


@given(
    honest=st.lists(st.integers(10_000, 10_100), min_size=3, max_size=5),
    lies=st.lists(st.integers(1, 10**6), max_size=2),
)
def test_the_price_is_between_two_honest_ones(honest: list[int], lies: list[int]) -> None:
    offers = [offer(i, price) for i, price in enumerate([*honest, *lies], 1)]
    found = choose(offers, 3, 0, 0, 200, 200)
    assert found is not None
    assert min(honest) <= found.price <= max(honest)
    assert len(found.taken) >= 3


@pytest.mark.parametrize(
    ("known", "price", "at", "why"),
    [
        (OnChain(), 100, 50, "first"),
        (OnChain(10_000, 40, 12_000, 45), 10_000, 50, "breaker"),
        (OnChain(10_000, 40), 10_009, 50, ""),
        (OnChain(10_000, 40), 10_010, 50, "deviation"),
        (OnChain(10_000, 40), 9_990, 50, "deviation"),
        (OnChain(10_000, 40), 10_000, 99, ""),
        (OnChain(10_000, 40), 10_000, 100, "heartbeat"),
    ],
)
def test_when_a_report_is_due(known: OnChain, price: int, at: int, why: str) -> None:
    assert due(known, price, at, heartbeat_seconds=60, deviation_bps=10) == why
    assert OnChain(1, 40, 1, 45).seen == 45


def page(key: Any, *reports: SignedPrice, **changes: Any) -> dict[str, Any]:
    told = [
        {
            "market": report.market,
            "price": str(report.price),
            "timestamp": report.timestamp,
            "signature": "0x" + report.signature.hex(),
            **changes,
        }
        for report in reports
    ]
    return {"publisher": key.address, "reports": told}


def signed(key: Any, price: int = WAD, timestamp: int = 100, market: int = 1) -> SignedPrice:
    return sign_price(DOMAIN, market, price, timestamp, key)


def refusals(told: Any) -> tuple[list[str], list[SignedPrice]]:
    offers = Offers(DOMAIN, [1, 2])
    reasons = offers.add(told, NAMES, 50, 150)
    return reasons, offers.of(1)


def test_good_offers_are_kept_until_they_are_old() -> None:
    offers = Offers(DOMAIN, [1, 2])
    first, second = signed(KEYS[0]), signed(KEYS[0], timestamp=102)
    assert offers.add(page(KEYS[0], first, second), NAMES, 50, 150) == []
    assert offers.of(1) == [first, second]
    # Two prices for one moment: the first one stands.
    assert offers.add(page(KEYS[0], signed(KEYS[0], price=5)), NAMES, 50, 150) == []
    assert offers.of(1) == [first, second]
    offers.forget(101)
    assert offers.of(1) == [second]


def test_times_out_of_bounds_are_passed_over() -> None:
    for when in (49, 151):
        out = signed(KEYS[0], timestamp=when)
        reasons, kept = refusals(page(KEYS[0], out))
        assert "it has stopped, or its clock is wrong" in reasons[0]
        assert kept == []
        good = signed(KEYS[0])
        assert refusals(page(KEYS[0], out, good)) == ([], [good])


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (page(key_from_label("stranger"), signed(KEYS[0])), "is no publisher of this oracle"),
        (page(KEYS[1], signed(KEYS[0])), "signed by somebody else"),
        (page(KEYS[0], signed(KEYS[0]), price=str(2 * WAD)), "signed by somebody else"),
        (page(KEYS[0], signed(KEYS[0]), timestamp=101), "signed by somebody else"),
        (page(KEYS[0], signed(KEYS[0]), market=2), "signed by somebody else"),
        (page(KEYS[0], signed(KEYS[0], market=3)), "market 3 is not known"),
        (page(KEYS[0], signed(KEYS[0]), price="0"), "price out of range"),
        (page(KEYS[0], signed(KEYS[0]), signature="0x00"), "not a signature"),
        (page(KEYS[0], signed(KEYS[0]), signature="0x" + "00" * 64 + "1b"), "signature of nobody"),
        (page(KEYS[0], signed(KEYS[0]), signature=7), "not a report"),
        ({"publisher": KEYS[0].address, "reports": [5]}, "not a report"),
        ({"publisher": "me", "reports": []}, "not a publisher's page"),
        (["nothing"], "not a publisher's page"),
    ],
)
def test_bad_offers(told: Any, reason: str) -> None:
    reasons, kept = refusals(told)
    assert len(reasons) == 1
    assert reason in reasons[0]
    assert kept == []


def test_signature_for_another_oracle() -> None:
    other = replace(DOMAIN, chain_id=1)
    reasons, _ = refusals(page(KEYS[0], sign_price(other, 1, WAD, 100, KEYS[0])))
    assert "another oracle" in reasons[0]


def test_signer_of_refuses_the_other_s() -> None:
    digest = report_digest(DOMAIN, 1, WAD, 100)
    good = signed(KEYS[0]).signature
    assert signer_of(digest, good) == KEYS[0].address
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    s = order - int.from_bytes(good[32:64], "big")
    twisted = good[:32] + s.to_bytes(32, "big") + bytes([55 - good[64]])
    with pytest.raises(SigningError, match="low s"):
        signer_of(digest, twisted)


def test_pages_are_read_at_once_whatever_they_do() -> None:
    pages: dict[str, Any] = {
        "/a/reports": lambda: (200, {"publisher": "a"}),
        "/b/reports": lambda: (500, {}),
        "/c/reports": lambda: (200, "x" * (1 << 20)),
    }
    with serving(pages, CollectorRegistry(), 0) as url:
        assert httpx.get(f"{url}/a/reports").status_code == 200
        reader = Pages([f"{url}/{name}/" for name in "abc"] + ["http://127.0.0.1:1"], 2.0)
        good, *bad = (answer for _, answer in reader.read())
        reader.close()
    assert good == {"publisher": "a"}
    assert all(isinstance(answer, SourceError) for answer in bad)
    assert "more than 1,048,576 bytes" in str(bad[1])
