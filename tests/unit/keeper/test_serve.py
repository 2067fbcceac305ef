"""Health and metrics over HTTP."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest

from ballast.errors import ConfigError
from ballast.keeper.command import served
from ballast.keeper.metrics import Metrics


class Patient:
    """Who is asked how he is, in a keeper's place."""

    def __init__(self) -> None:
        self.well = True
        self.metrics = Metrics()

    def health(self) -> tuple[bool, dict]:
        return self.well, {"ok": self.well, "head": 7}


@pytest.fixture
def patient() -> Patient:
    return Patient()


@pytest.fixture
def address(patient: Patient) -> Iterator[str]:
    patient.metrics.head.set(7)
    patient.metrics.sent.labels("settle", "done").inc()
    with served(patient, "127.0.0.1", 0) as found:  # type: ignore[arg-type]
        yield found
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{found}/health")


def test_health_is_200_or_503(patient: Patient, address: str) -> None:
    answer = httpx.get(f"{address}/health")
    assert (answer.status_code, answer.json()) == (200, {"ok": True, "head": 7})
    patient.well = False
    answer = httpx.get(f"{address}/health")
    assert (answer.status_code, answer.json()["ok"]) == (503, False)


def test_metrics_are_in_prometheus_form(address: str) -> None:
    answer = httpx.get(f"{address}/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "ballast_keeper_head 7.0" in answer.text.splitlines()
    counted = 'ballast_keeper_transactions_total{kind="settle",what="done"} 1.0'
    assert counted in answer.text.splitlines()


def test_nothing_else_is_served(address: str) -> None:
    assert httpx.get(f"{address}/").status_code == 404


def test_a_taken_port_is_said_at_the_start(patient: Patient) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigError, match="cannot be used"),
            served(patient, "127.0.0.1", port),  # type: ignore[arg-type]
        ):
            pass
