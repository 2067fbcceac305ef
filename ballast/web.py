"""HTTP both ways: a small server of JSON pages, health and metrics, and careful reading of others'.

The server is on loopback unless told otherwise.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from ballast.errors import ConfigError, SourceError

LOOPBACK = "127.0.0.1"
REQUEST_SECONDS = 10
MAX_BODY_BYTES = 1 << 20

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
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
    )
    thread.start()
    try:
        yield f"http://{host}:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def http_url(text: str, whose: str) -> httpx.URL:
    """An address, checked. Raises `ConfigError`, which does not show it: it may hold a secret."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ConfigError(f"the {whose}'s address is none: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(f"the {whose}'s address has to begin with https:// or http://")
    return url


def read_json(
    client: httpx.Client, url: str, name: str, timeout_seconds: float, **options: Any
) -> Any:
    """A page as JSON, of at most `MAX_BODY_BYTES` and within a time, however it is sent; `options`
    are those of `json.loads`. Raises `SourceError`, which names it `name`."""
    deadline = time.monotonic() + timeout_seconds
    body = b""
    try:
        with client.stream("GET", url, timeout=timeout_seconds) as answer:
            if not answer.is_success:
                raise SourceError(f"{name}: answered {answer.status_code}")
            for part in answer.iter_bytes():
                body += part
                if len(body) > MAX_BODY_BYTES:
                    raise SourceError(f"{name}: more than {MAX_BODY_BYTES:,} bytes")
                if time.monotonic() > deadline:
                    raise SourceError(f"{name}: not sent in {timeout_seconds:g} s")
        return json.loads(body, **options)
    except (httpx.HTTPError, ValueError, RecursionError) as error:
        raise SourceError(f"{name}: {type(error).__name__}: {error}") from error
