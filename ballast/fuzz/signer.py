"""Keys that sign digests ten times faster than eth-account does, and call data for what is signed.

A match of five makers carries six signatures, a batch of prices a dozen: with eth-account and
eth_abi the fuzzer would spend most of its time on them.
"""

from __future__ import annotations

from collections.abc import Sequence

from coincurve import PrivateKey

from ballast import contracts
from ballast.fuzz.rules.orders import Signed
from ballast.signing import SignedReport, key_from_label

CURVE_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
_MATCH = contracts.interface(contracts.SETTLEMENT).function("match_orders", 3).selector
_REPORT = contracts.interface(contracts.SIGNED_ORACLE).function("report_prices", 1).selector


class Signer:
    """The key of a public label: never for anything of value."""

    def __init__(self, label: str) -> None:
        account = key_from_label(label)
        self.address = str(account.address)
        self._key = PrivateKey(bytes(account.key))

    def __repr__(self) -> str:
        return f"Signer({self.address})"

    def sign(self, digest: bytes) -> bytes:
        """r, s, v of a digest (65 bytes, low s)."""
        made: bytes = self._key.sign_recoverable(digest, hasher=None)
        return made[:64] + bytes([27 + made[64]])


def high_s(signature: bytes) -> bytes:
    """The other signature of the same digest and key, which nobody should take."""
    s = CURVE_ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])


def match_data(taker: Signed, makers: Sequence[Signed], sizes: Sequence[int]) -> bytes:
    """Call data of `match_orders`."""
    return _MATCH + _tail(
        _signed_order(taker), _array([_signed_order(maker) for maker in makers]), _words(sizes)
    )


def report_data(reports: Sequence[SignedReport]) -> bytes:
    """Call data of `report_prices`."""
    return _REPORT + _tail(_array([_report(report) for report in reports]))


def _signed_order(signed: Signed) -> bytes:
    account, *rest = signed.order.as_tuple()
    order = bytes(account) + b"".join([int(value).to_bytes(32, "big") for value in rest])
    return order + _word(len(order) + 32) + _bytes(signed.signature)


def _report(report: SignedReport) -> bytes:
    signatures = _array([_bytes(signature) for signature in report.signatures])
    parts = _words(report.prices), _words(report.timestamps), signatures
    return _word(report.market) + _tail(*parts, before=1)


def _tail(*parts: bytes, before: int = 0) -> bytes:
    """Dynamic members: their places (in a struct with `before` words ahead of them), then they."""
    heads, at = [], 32 * (before + len(parts))
    for part in parts:
        heads.append(_word(at))
        at += len(part)
    return b"".join(heads) + b"".join(parts)


def _array(members: Sequence[bytes]) -> bytes:
    """An array of dynamic members."""
    return _word(len(members)) + _tail(*members)


def _words(values: Sequence[int]) -> bytes:
    """An array of integers."""
    return _word(len(values)) + b"".join([value.to_bytes(32, "big") for value in values])


def _bytes(value: bytes) -> bytes:
    return _word(len(value)) + value + bytes(-len(value) % 32)


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")
