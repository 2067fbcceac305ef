"""Signed prices off publishers' pages: nothing is believed, everything is checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from ballast.abi import checksum
from ballast.errors import SigningError, SourceError
from ballast.publish.sources import MAX_PRICE
from ballast.signing import Domain, SignedPrice, report_digest, signer_of
from ballast.web import http_url, read_json

REPORTS = "/reports"


class Pages:
    """Publishers' pages, asked all at once. A page has `timeout_seconds`, whatever it does."""

    def __init__(self, urls: Sequence[str], timeout_seconds: float) -> None:
        self._urls = [str(http_url(url, "publisher")).rstrip("/") + REPORTS for url in urls]
        self._timeout_seconds = timeout_seconds
        self._client = httpx.Client(follow_redirects=False)
        self._pool = ThreadPoolExecutor(max(1, len(urls)), thread_name_prefix="page")

    def read(self) -> list[tuple[str, Any | SourceError]]:
        """Each address with its page, or with why there is none."""
        return list(zip(self._urls, self._pool.map(self._read, self._urls), strict=True))

    def close(self) -> None:
        """Let go of connections and threads."""
        self._pool.shutdown(cancel_futures=True)
        self._client.close()

    def _read(self, url: str) -> Any | SourceError:
        try:
            return read_json(self._client, url, url, self._timeout_seconds)
        except SourceError as error:
            return error


class Offers:
    """The offers that count: signed for this oracle by one of its publishers, of a known market.

    A publisher's first price for a moment counts, not a second one for the same moment.
    """

    def __init__(self, domain: Domain, markets: Iterable[int]) -> None:
        self._domain, self._markets = domain, set(markets)
        self._kept: dict[tuple[int, str, int], SignedPrice] = {}

    def add(self, page: Any, publishers: set[str], not_before: int, not_after: int) -> list[str]:
        """Take in a page's reports of times within `not_before` to `not_after`; why others do not
        count. (A page shows old ones too: only where all are out of that time is it a reason.)"""
        reasons = []
        out_of_time = 0
        try:
            claimed = checksum(page["publisher"])
            reports = list(page["reports"])
        except (TypeError, KeyError, ValueError):
            return ["not a publisher's page"]
        if claimed not in publishers:
            return [f"{claimed} is no publisher of this oracle"]
        for report in reports:
            try:
                offer = self._offer(report, claimed)
                if not not_before <= offer.timestamp <= not_after:
                    out_of_time += 1
                else:
                    self._take(offer)
            except SigningError as error:
                reasons.append(str(error))
        if reports and out_of_time == len(reports):
            reasons.append("all its times are out of bounds: it has stopped, or its clock is wrong")
        return reasons

    def _offer(self, report: Any, publisher: str) -> SignedPrice:
        try:
            market, timestamp = int(report["market"]), int(report["timestamp"])
            price = int(report["price"])
            signature = bytes.fromhex(report["signature"].removeprefix("0x"))
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise SigningError(f"not a report: {error}") from error
        return SignedPrice(publisher, market, price, timestamp, signature)

    def _take(self, offer: SignedPrice) -> None:
        """Keep an offer that is new and good. Raises `SigningError`."""
        key = offer.market, offer.publisher, offer.timestamp
        if key in self._kept:
            return
        if offer.market not in self._markets:
            raise SigningError(f"market {offer.market} is not known")
        if not 0 < offer.price <= MAX_PRICE:
            raise SigningError("price out of range")
        digest = report_digest(self._domain, offer.market, offer.price, offer.timestamp)
        if signer_of(digest, offer.signature) != offer.publisher:
            raise SigningError("signed by somebody else, or for another oracle")
        self._kept[key] = offer

    def forget(self, before: int) -> None:
        """Let go of offers from before a time."""
        self._kept = {key: offer for key, offer in self._kept.items() if offer.timestamp >= before}

    def of(self, market: int) -> list[SignedPrice]:
        """A market's offers."""
        return [offer for offer in self._kept.values() if offer.market == market]
