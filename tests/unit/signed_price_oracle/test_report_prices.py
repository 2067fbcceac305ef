"""`report_prices`: who may sign what, when, and what a report is worth."""

import dataclasses

import pytest
from eth_account import Account

from ballast.errors import Reverted
from ballast.signing import Domain, typed_report

WAD = 10**18
ORDER_OF_THE_CURVE = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def refused(s, reason, *reports):
    with pytest.raises(Reverted, match=f"^oracle: {reason}$"):
        s.send(*reports)


def test_first_report(s):
    now = s.chain.timestamp
    receipt = s.send(s.report(100 * WAD, 5))
    assert s.oracle.view.price(s.market) == (100 * WAD, now - 5)
    assert s.oracle.view.observe(s.market) == (100 * WAD, now - 5, 0)
    assert s.oracle.view.pending(s.market) == (0, 0)
    assert [event.args for event in s.oracle.events(receipt)] == [
        {"market": s.market, "price_wad": 100 * WAD, "timestamp": now - 5}
    ]
    assert s.oracle.events(receipt)[0].name == "PriceReported"


@pytest.mark.parametrize(
    ("prices", "median"),
    [
        ((3, 1, 2), 2),
        ((1, 2, 3), 2),
        ((3, 2, 1), 2),
        ((2, 2, 1), 2),
        ((4, 1, 3, 2), 2),
        ((4, 4, 1, 1), 1),
        ((5, 3, 1, 2, 4), 3),
        ((1, 10**9, 10**9, 1, 2), 2),
    ],
)
def test_lower_median(s, prices, median):
    s.send(s.report([price * WAD for price in prices], signers=s.publishers[: len(prices)]))
    assert s.price() == median * WAD


def test_oldest_time(s):
    s.send(s.report(WAD, (3, 5, 4)))
    assert s.oracle.view.price(s.market)[1] == s.chain.timestamp - 5


def test_spread_of_times(s):
    refused(s, "spread too wide", s.report(WAD, (3, 6, 4)))
    refused(s, "spread too wide", s.report(WAD, (0, 0, 3)))


def test_age_at_submission(s):
    refused(s, "too old", s.report(WAD, 61))
    refused(s, "too old", s.report(WAD, (60, 61, 60)))
    s.send(s.report(WAD, 60))


def test_no_tolerance_for_the_future(s):
    refused(s, "from the future", s.report(WAD, -1))
    refused(s, "from the future", s.report(WAD, (0, 0, -1)))
    refused(s, "from the future", s.report(WAD, s.chain.timestamp - 2**255))
    s.send(s.report(WAD, 0))


def test_time_moves_forward(s):
    """Peers 21 and 25: the same report again, and one that comes late."""
    report = s.report(WAD, 5)
    s.send(report)
    refused(s, "not newer", report)
    refused(s, "not newer", s.report(WAD, 6))
    s.send(s.report(WAD, 4))


def test_prices_out_of_range(s):
    refused(s, "price out of range", s.report(0))
    refused(s, "price out of range", s.report((WAD, WAD, 0)))
    refused(s, "price out of range", s.report((WAD, 2**96, WAD)))
    s.send(s.report(2**96 - 1))
    assert s.price() == 2**96 - 1


def test_smallest_price(s):
    s.send(s.report(1))
    assert s.price() == 1


def test_too_few(s):
    refused(s, "below threshold", s.report(WAD, signers=s.publishers[:2]))


def test_lengths(s):
    report = s.report(WAD)
    for change in ({"prices": [WAD] * 2}, {"timestamps": report.timestamps * 2}, {"prices": []}):
        refused(s, "length mismatch", dataclasses.replace(report, **change))


def test_no_publisher(s):
    refused(s, "bad signature", s.report(WAD, signers=[*s.publishers[:2], s.outsider]))


def test_a_publisher_counts_once(s):
    first = s.report(WAD, signers=s.publishers[:2])
    second = s.report(2 * WAD, signers=s.publishers[1:2])
    twice = dataclasses.replace(
        first,
        prices=first.prices + second.prices,
        timestamps=first.timestamps + second.timestamps,
        signatures=first.signatures + second.signatures,
    )
    refused(s, "signers not ascending", twice)


def test_order_of_the_signers(s):
    report = s.report(WAD)
    refused(
        s, "signers not ascending", dataclasses.replace(report, signatures=report.signatures[::-1])
    )


def test_everything_is_signed(s):
    report = s.report(WAD)
    for change in (
        {"market": 2},
        {"prices": [2 * WAD] * 3},
        {"timestamps": [report.timestamps[0] - 1] * 3},
    ):
        if change == {"market": 2}:
            s.oracle.send.set_market(2, 60, 500, sender=s.owner)
        refused(s, "bad signature", dataclasses.replace(report, **change))


def test_another_chain_or_contract(s):
    for domain in (
        Domain(s.chain.chain_id + 1, s.oracle.address),
        Domain(s.chain.chain_id, s.keeper),
    ):
        refused(s, "bad signature", s.report(WAD, domain=domain))


def test_malformed_signatures(s):
    report = s.report(WAD)
    good = report.signatures[0]
    twin_s = ORDER_OF_THE_CURVE - int.from_bytes(good[32:64], "big")
    twin = good[:32] + twin_s.to_bytes(32, "big") + bytes([55 - good[64]])
    for bad in (b"", bytes(65), good[:64], twin):
        signatures = [bad, *report.signatures[1:]]
        refused(s, "bad signature", dataclasses.replace(report, signatures=signatures))


def test_unknown_market(s):
    refused(s, "unknown market", s.report(WAD, market=2))


def test_batch(s):
    s.oracle.send.set_market(2, 60, 500, sender=s.owner)
    receipt = s.send(s.report(WAD, 2), s.report(7 * WAD, market=2), s.report(WAD + 1, 1))
    assert [event.market for event in s.oracle.events(receipt)] == [1, 2, 1]
    assert s.price() == WAD + 1
    assert s.oracle.view.price(2)[0] == 7 * WAD


def test_a_bad_report_stops_the_batch(s):
    refused(s, "unknown market", s.report(WAD), s.report(WAD, market=2))
    with pytest.raises(Reverted, match=r"^oracle: no price$"):
        s.oracle.view.price(s.market)


def test_largest_batch(s):
    signers = s.publishers
    for market in range(2, 17):
        s.oracle.send.set_market(market, 60, 500, sender=s.owner)
    s.send(*(s.report(market * WAD, signers=signers, market=market) for market in range(1, 17)))
    assert s.oracle.view.price(16)[0] == 16 * WAD


def test_digest_is_what_wallets_sign(s):
    """eth-account's own encoding of the typed data, not this project's."""
    message = typed_report(s.domain, s.market, WAD, 1_760_000_000)
    signed = Account.sign_typed_data(s.outsider.key, full_message=message)
    digest = s.oracle.view.report_digest(s.market, WAD, 1_760_000_000)
    assert digest == bytes(signed.message_hash)
    assert s.oracle.view.eip712Domain()[1:3] == ("Ballast", "1")
