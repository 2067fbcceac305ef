"""What a publisher signs, what it refuses, and what it serves."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest

from ballast.errors import ConfigError, SourceError
from ballast.publish.publisher import ROUNDS_KEPT, Guard, Limits, Publisher
from ballast.publish.sources import Quote
from ballast.signing import Domain, key_from_label, report_digest, signer_of
from ballast.web import serving

WAD = 10**18
DOMAIN = Domain(31_337, "0x" + "11" * 20)
KEY = key_from_label("publisher 0")


class Told:
    name = "told"

    def __init__(self) -> None:
        self.price: int | None = 100
        self.age = 0
        self.now = 1_001

    def clock(self) -> float:
        return self.now

    def quotes(self) -> dict[str, Quote]:
        if self.price is None:
            raise SourceError("down")
        return {"BTC": Quote(self.price * WAD, self.now - self.age)}


@pytest.fixture
def source() -> Told:
    return Told()


@pytest.fixture
def publisher(source: Told) -> Publisher:
    limits = Limits(max_age_seconds=30, jump_bps=1_000, confirm_seconds=4)
    return Publisher(source, KEY, DOMAIN, {"BTC": 1, "ETH": 2}, limits, 2, source.clock)


def test_signs_once_a_moment_at_even_times(publisher: Publisher, source: Told) -> None:
    (signed,) = publisher.tick()
    assert (signed.market, signed.price, signed.timestamp) == (1, 100 * WAD, 1_000)
    digest = report_digest(DOMAIN, 1, 100 * WAD, 1_000)
    assert signer_of(digest, signed.signature) == KEY.address
    assert publisher.tick() == []
    source.now = 1_002
    assert publisher.tick()[0].timestamp == 1_002


def test_serves_the_last_rounds(publisher: Publisher, source: Told) -> None:
    with serving(publisher.pages(), publisher.metrics, 0) as url:
        assert httpx.get(f"{url}/health").status_code == 503
        for now in range(1_000, 1_050, 2):
            source.now = now
            publisher.tick()
        page: dict[str, Any] = httpx.get(f"{url}/reports").json()
        assert (page["publisher"], page["oracle"]) == (KEY.address, DOMAIN.contract)
        times = [report["timestamp"] for report in page["reports"]]
        assert times == list(range(1_048, 1_048 - 2 * ROUNDS_KEPT, -2))
        assert page["reports"][0]["price"] == str(100 * WAD)
        assert httpx.get(f"{url}/health").status_code == 200
        metrics = httpx.get(f"{url}/metrics").text
        assert 'ballast_publisher_signed_total{symbol="BTC"} 25.0' in metrics
        assert 'refused_total{reason="source has none",symbol="ETH"} 25.0' in metrics
        assert httpx.get(f"{url}/keys").status_code == 404
        source.now = 1_070
        assert httpx.get(f"{url}/health").status_code == 503
        with pytest.raises(ConfigError, match="cannot be used"):
            serving({}, publisher.metrics, int(url.rsplit(":")[-1])).__enter__()


def test_source_down_or_stale_is_not_signed(publisher: Publisher, source: Told) -> None:
    source.price = None
    assert publisher.tick() == []
    source.price, source.age, source.now = 100, 32, 1_004
    assert publisher.tick() == []
    source.now, source.age = 1_006, 30
    assert len(publisher.tick()) == 1


def test_guard_waits_for_a_jump_to_be_confirmed() -> None:
    guard = Guard(Limits(max_age_seconds=30, jump_bps=1_000, confirm_seconds=4))
    waits = "jump waits for confirmation"
    assert guard.refusal("BTC", Quote(100, 10), 10) == ""
    assert guard.refusal("BTC", Quote(110, 11), 11) == ""
    assert guard.refusal("BTC", Quote(50, 12), 12) == waits
    assert guard.refusal("BTC", Quote(51, 14), 14) == waits
    assert guard.refusal("ETH", Quote(50, 14), 14) == ""
    assert guard.refusal("BTC", Quote(52, 16), 16) == ""
    # A jump back within the time was one bad print.
    assert guard.refusal("BTC", Quote(99, 18), 18) == waits
    assert guard.refusal("BTC", Quote(52, 20), 20) == ""
    assert guard.refusal("BTC", Quote(99, 30), 30) == waits
    # The same old quote again confirms nothing.
    assert guard.refusal("BTC", Quote(99, 30), 40) == waits
    # Another jump, elsewhere, waits by itself.
    assert guard.refusal("BTC", Quote(200, 41), 41) == waits
    assert guard.refusal("BTC", Quote(200, 44), 44) == waits
    assert guard.refusal("BTC", Quote(200, 45), 45) == ""


def test_guard_refuses_nonsense() -> None:
    guard = Guard(Limits())
    assert guard.refusal("BTC", Quote(0, 10), 10) == "price out of range"
    assert guard.refusal("BTC", Quote(2**96, 10), 10) == "price out of range"
    assert guard.refusal("BTC", Quote(5, 10), 41) == "source is stale"


def test_settings() -> None:
    with pytest.raises(ConfigError, match="above zero"):
        Limits(jump_bps=0)
    with pytest.raises(ConfigError, match="below one second"):
        Publisher(Told(), KEY, DOMAIN, {}, interval_seconds=0)


def test_runs_until_it_is_told_to_stop(publisher: Publisher, source: Told) -> None:
    stop = threading.Event()
    worker = threading.Thread(target=publisher.run, args=(stop,))
    worker.start()
    stop.set()
    worker.join(5)
    assert not worker.is_alive()
