"""Call data and signatures made by hand are those of the ABI and of eth-account."""

import pytest

from ballast import contracts, signing
from ballast.evm import Revm
from ballast.fuzz.rules.orders import Signed
from ballast.fuzz.signer import Signer, high_s, match_data, report_data
from ballast.signing import Order, SignedReport

ADDRESS = "0x" + "5e" * 20
WAD = 10**18


def signed(length, **changes):
    order = Order(bytes(range(32)), 3, True, 10 * WAD, 99 * WAD, **changes)
    return Signed(order, bytes(32), bytes(range(length)), ADDRESS)


@pytest.mark.parametrize("makers", [0, 1, 3])
@pytest.mark.parametrize("length", [0, 64, 65, 200])
def test_match_data(makers, length):
    taker = signed(length, reduce_only=True, salt=2**255)
    others = [signed(length + i, post_only=True, expiry=i) for i in range(makers)]
    sizes = [WAD + i for i in range(makers)]
    settlement = contracts.at(Revm(), contracts.SETTLEMENT, ADDRESS)
    expected = settlement.data.match_orders(
        taker.as_tuple(), [other.as_tuple() for other in others], sizes
    )
    assert match_data(taker, others, sizes) == expected


@pytest.mark.parametrize("reports", [0, 1, 3])
def test_report_data(reports):
    batch = [
        SignedReport(m, [WAD] * m, list(range(m + 1)), [bytes(65 - i) for i in range(m)])
        for m in range(reports)
    ]
    oracle = contracts.at(Revm(), contracts.SIGNED_ORACLE, ADDRESS)
    assert report_data(batch) == oracle.data.report_prices([r.as_tuple() for r in batch])


def test_sign():
    signer, account = Signer("somebody"), signing.key_from_label("somebody")
    digest = bytes(range(32))
    assert signer.address == account.address
    assert signer.sign(digest) == signing.sign_digest(digest, account)


def test_high_s():
    good = Signer("somebody").sign(bytes(32))
    assert high_s(good) != good
    assert high_s(high_s(good)) == good
