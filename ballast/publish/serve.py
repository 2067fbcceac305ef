"""A small HTTP server: JSON pages, health and metrics; on loopback unless told otherwise."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from ballast.errors import ConfigError

LOOPBACK = "127.0.0.1"
REQUEST_SECONDS = 10

Page = Callable[[], tuple[int, Any]]
"""Gives an HTTP status and what is sent as JSON."""


@contextmanager
def serving(
    pages: Mapping[str, Page], metrics: CollectorRegistry, port: int, host: str = LOOPBACK
) -> Iterator[str]:
    """Serve `pages` by path, and `/metrics`, while the context lasts; yields the address.

    Port 0 takes a free one. Raises `ConfigError` where the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_SECONDS

        def do_GET(self) -> None:
            page = pages.get(self.path)
            if page is not None:
                status, content = page()
                self._answer(status, "application/json", json.dumps(content).encode())
            elif self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(metrics))
            else:
                self._answer(404, "application/json", b'{"error": "no such page"}')

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Requests are not logged; they are many and say nothing."""

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        raise ConfigError(f"port {port} of {host} cannot be used: {error.strerror}") from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
    thread.start()
    try:
        yield f"http://{host}:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
