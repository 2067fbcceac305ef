"""Rates and sizes: how much one client may ask for."""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ballast.relay.refusal import Refusal

BODY_BYTES = 8_192
BODY_SECONDS = 10
MESSAGE_BYTES = 4_096
CLIENTS = 50_000
"""Clients whose rates are remembered; the one not seen for longest is forgotten first."""

Scope = dict[str, Any]
Receive = Callable[[], Any]
Send = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Limits:
    """What one client (an address) may do, and one account. `*_per_second` may be saved up for
    two seconds."""

    orders_per_second: float = 50.0
    reads_per_second: float = 50.0
    streams: int = 20
    open_orders: int = 200
    queued: int = 2_000
    """Matches not sent yet, of all, above which no order is taken."""


class Rate:
    """A token bucket for each client."""

    def __init__(
        self, per_second: float, clock: Callable[[], float] = time.monotonic, burst_seconds: int = 2
    ) -> None:
        self._per_second, self._most = per_second, max(1.0, per_second * burst_seconds)
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> None:
        """Count one request. Raises `Refusal`."""
        now = self._clock()
        left, since = self._left.pop(client, (self._most, now))
        left = min(self._most, left + (now - since) * self._per_second)
        allowed = left >= 1
        self._left[client] = (left - 1 if allowed else left), now
        if len(self._left) > CLIENTS:
            self._left.popitem(last=False)
        if not allowed:
            raise Refusal(
                "too_many_requests",
                f"more than {self._per_second:g} of these requests a second",
                "slow down; the stream tells of changes without being asked",
                retry_after=1,
            )


class Gate:
    """What every request passes before anything else looks at it (ASGI): rates, and the size of its
    body, told or not. Bodies are small: they are read here and handed on whole."""

    def __init__(self, app: Any, limits: Limits) -> None:
        self._app = app
        self._rates = {True: Rate(limits.orders_per_second), False: Rate(limits.reads_per_second)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        writes = scope["method"] not in ("GET", "HEAD", "OPTIONS")
        try:
            if scope["path"].startswith("/api/"):
                client = scope.get("client")
                self._rates[writes].take(client[0] if client else "unknown")
            handed_on = _replayed(await _body(receive), receive) if writes else receive
        except Refusal as refusal:
            await _refuse(refusal, send)
            return
        await self._app(scope, handed_on, send)


async def _body(receive: Receive) -> bytes:
    """All of a body. Raises `Refusal`."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                body += message.get("body", b"")
                if len(body) > BODY_BYTES:
                    text = f"the body has more than {BODY_BYTES} bytes"
                    raise Refusal("too_large", text, "send less")
                if not message.get("more_body"):
                    return bytes(body)
    except TimeoutError:
        text = f"the body did not come within {BODY_SECONDS} s"
        raise Refusal("bad_json", text, "send it at once") from None


def _replayed(body: bytes, receive: Receive) -> Receive:
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Any:
        return waiting.pop() if waiting else await receive()

    return replay


async def _refuse(refusal: Refusal, send: Send) -> None:
    body = json.dumps(refusal.body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if refusal.retry_after is not None:
        headers.append((b"retry-after", b"%d" % refusal.retry_after))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
