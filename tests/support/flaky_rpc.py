"""A proxy before a node that fails as nodes do: late, cut off, full of errors, or on another chain
by the second question. Real HTTP on loopback, so a client's own handling is what is tested."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

Answer = Any
"""A JSON-RPC answer, or a list of them."""
Fault = Callable[["Exchange"], None]


class Exchange:
    """One request on its way. A fault may change `answer` (None until `forward`), or set `raw`."""

    def __init__(self, target: str, request: Any) -> None:
        self.target = target
        self.request = request
        self.calls: list[dict[str, Any]] = request if isinstance(request, list) else [request]
        self.answer: Answer = None
        self.status = 200
        self.cut = False
        """Send half the answer and hang up."""
        self.silent = False
        """Hang up without a word."""

    @property
    def methods(self) -> set[str]:
        """What is asked for."""
        return {call["method"] for call in self.calls}

    def forward(self) -> None:
        """Ask the node."""
        self.answer = requests.post(self.target, json=self.request, timeout=30).json()

    def refuse(self, code: int, message: str) -> None:
        """Answer every request with an error."""
        errors = [
            {"jsonrpc": "2.0", "id": c["id"], "error": {"code": code, "message": message}}
            for c in self.calls
        ]
        self.answer = errors if isinstance(self.request, list) else errors[0]


def late(seconds: float) -> Fault:
    """The answer comes after so long."""

    def fault(exchange: Exchange) -> None:
        exchange.forward()
        time.sleep(seconds)

    return fault


def cut(exchange: Exchange) -> None:
    """Half of the answer comes."""
    exchange.forward()
    exchange.cut = True


def silent(exchange: Exchange) -> None:
    """The connection is closed without an answer."""
    exchange.silent = True


def overloaded(exchange: Exchange) -> None:
    """An error of JSON-RPC's."""
    exchange.refuse(-32005, "request rate exceeded")


def broken(exchange: Exchange) -> None:
    """A gateway's page in place of an answer."""
    exchange.status = 502
    exchange.answer = "<html>bad gateway</html>"


def no_batches(exchange: Exchange) -> None:
    """A node that takes one request at a time."""
    if isinstance(exchange.request, list):
        exchange.answer = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no"}}


def spans_of(blocks: int) -> Fault:
    """A node that looks for logs in so many blocks at most."""

    def fault(exchange: Exchange) -> None:
        for call in exchange.calls:
            if call["method"] == "eth_getLogs" and "fromBlock" in call["params"][0]:
                wanted = call["params"][0]
                span = int(wanted["toBlock"], 16) - int(wanted["fromBlock"], 16) + 1
                if span > blocks:
                    exchange.refuse(-32602, f"at most {blocks} blocks")

    return fault


def sometimes(share: float, faults: list[Fault], seed: int) -> Fault:
    """One of several faults, for that share of the requests."""
    rnd = random.Random(seed)

    def fault(exchange: Exchange) -> None:
        if rnd.random() < share:
            rnd.choice(faults)(exchange)

    return fault


class FlakyRpc:
    """The proxy. `fault` is tried on every request; what it leaves unanswered is asked of the node.
    `asked` counts methods."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.fault: Fault = lambda exchange: None
        self.asked: Counter[str] = Counter()
        self.url = ""

    def answer(self, request: Any) -> Exchange:
        """What comes back."""
        exchange = Exchange(self.target, request)
        self.asked.update(call["method"] for call in exchange.calls)
        self.fault(exchange)
        if exchange.answer is None and not exchange.silent:
            exchange.forward()
        return exchange


@contextmanager
def flaky_rpc(target: str) -> Iterator[FlakyRpc]:
    """A proxy before the node at an address; it ends with the block."""
    proxy = FlakyRpc(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            exchange = proxy.answer(json.loads(body))
            self.close_connection = exchange.cut or exchange.silent
            if exchange.silent:
                return
            answer = exchange.answer
            text = answer if isinstance(answer, str) else json.dumps(answer)
            sent = text.encode()
            self.send_response(exchange.status)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent[: len(sent) // 2] if exchange.cut else sent)

        def do_OPTIONS(self) -> None:
            """A browser asks whether a page may ask."""
            self.send_response(204)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Access-Control-Allow-Headers", "content-type")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
