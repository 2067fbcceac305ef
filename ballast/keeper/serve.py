"""A keeper's health and metrics over HTTP: `/health` (JSON; 503 while it lags) and `/metrics`."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from ballast.errors import BallastError

Health = Callable[[], tuple[bool, dict[str, Any]]]
"""Whether all is well, and what there is to say."""


class ServeError(BallastError):
    """The port cannot be listened on."""


class StatusServer:
    """Answers from a thread of its own, between `start` and `stop`."""

    def __init__(self, health: Health, registry: CollectorRegistry, host: str, port: int) -> None:
        """Port 0 takes a free one. Raises `ServeError`."""
        try:
            self._server = ThreadingHTTPServer((host, port), _handler(health, registry))
        except OSError as error:
            raise ServeError(f"{host}:{port} cannot be listened on: {error}") from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def port(self) -> int:
        """The port listened on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


def _handler(health: Health, registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            if path == "/health":
                well, told = health()
                self._answer(200 if well else 503, "application/json", json.dumps(told).encode())
            elif path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
            else:
                self._answer(404, "text/plain", b"/health or /metrics\n")

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Requests are not logged."""

    return Handler
