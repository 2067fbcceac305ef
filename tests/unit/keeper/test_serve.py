"""Health and metrics over HTTP."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest

from ballast.keeper.metrics import Metrics
from ballast.keeper.serve import ServeError, StatusServer


class Patient:
    """Who is asked how he is."""

    well = True

    def health(self) -> tuple[bool, dict]:
        return self.well, {"ok": self.well, "head": 7}


@pytest.fixture
def patient() -> Patient:
    return Patient()


@pytest.fixture
def address(patient: Patient) -> Iterator[str]:
    metrics = Metrics()
    metrics.head.set(7)
    metrics.sent.labels("settle", "done").inc()
    server = StatusServer(patient.health, metrics.registry, "127.0.0.1", 0)
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{server.port}/health")


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
        with pytest.raises(ServeError, match="cannot be listened on"):
            StatusServer(patient.health, Metrics().registry, "127.0.0.1", port)
