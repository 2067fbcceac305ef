"""Rates by client, and bodies that are cut off."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from ballast.relay import limits
from ballast.relay.limits import BODY_BYTES, Gate, Limits, Rate
from ballast.relay.refusal import STATUS, Refusal


def test_a_rate_is_a_clients_own() -> None:
    now = 0.0
    rate = Rate(2, lambda: now)
    for _ in range(4):
        rate.take("a")
    with pytest.raises(Refusal) as refused:
        rate.take("a")
    assert (refused.value.status, refused.value.retry_after) == (429, 1)
    rate.take("b")
    now = 0.5
    rate.take("a")
    with pytest.raises(Refusal):
        rate.take("a")


def test_clients_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CLIENTS", 3)
    rate = Rate(0.5, lambda: 0.0)
    for client in "abcd":
        rate.take(client)
    rate.take("a")
    with pytest.raises(Refusal):
        rate.take("d")


def ask(body: list[bytes], method: str = "POST", path: str = "/api/orders") -> tuple[int, bytes]:
    """What comes back, and what got through: (0, body) where the request was handed on."""
    parts = [
        {"type": "http.request", "body": part, "more_body": part is not body[-1]} for part in body
    ]
    sent: list[dict[str, Any]] = []
    through = b""

    async def receive() -> dict[str, Any]:
        return parts.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal through
        through = (await receive())["body"]

    scope = {"type": "http", "method": method, "path": path, "client": ("1.2.3.4", 5)}
    asyncio.run(Gate(app, Limits())(scope, receive, send))
    return (int(sent[0]["status"]), sent[1]["body"]) if sent else (0, through)


def test_a_body_is_handed_on_whole() -> None:
    assert ask([b"a" * 4_000, b"b" * 4_000]) == (0, b"a" * 4_000 + b"b" * 4_000)


def test_a_body_that_is_too_large() -> None:
    status, body = ask([b"a" * BODY_BYTES, b"b"])
    assert status == 413
    assert json.loads(body)["error"]["code"] == "too_large"


def test_every_code_is_documented() -> None:
    from ballast.build import ROOT

    page = (ROOT / "docs" / "RELAY.md").read_text()
    for code, status in STATUS.items():
        row = next((line for line in page.splitlines() if f"`{code}`" in line), None)
        assert row is not None, code
        assert row.startswith(f"| {status} |"), code
