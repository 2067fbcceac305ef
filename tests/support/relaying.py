"""A relay as its operator starts it, and a client of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from eth_account.signers.local import LocalAccount
from websockets.sync.client import ClientConnection, connect

from ballast.relay.client import wire
from ballast.signing import (
    Domain,
    Order,
    SignedOrder,
    cancel_digest,
    key_from_label,
    sign_digest,
    sign_order,
)
from ballast.standin import SEPOLIA
from tests.support.live import Live

ROOT = Path(__file__).resolve().parents[2]
WAD = 10**18
MATCHER = key_from_label("matcher")
START_SECONDS = 90
PATIENCE_SECONDS = 40


class RelayProcess:
    """`ape run relay` in a folder of its own, started, killed and started again on one port."""

    def __init__(self, live: Live, folder: Path, *options: str) -> None:
        self.live, self.folder, self.options = live, folder, options
        self.domain: Domain = live.ballast.order_domain
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        live.record.save(folder / "deployment.json")
        live.node.ask("anvil_setBalance", MATCHER.address, hex(1_000 * WAD))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        log = self.folder / "relay.log"
        log.write_bytes(b"")
        command = [str(Path(sys.executable).parent / "ape"), "run", "relay"]
        network = "sepolia" if self.live.chain.chain_id == SEPOLIA else "local"
        command += ["--network", f"ethereum:{network}:node", "--rpc", self.live.url]
        command += ["--key-env", "MATCHER_KEY"]
        command += ["--deployment", str(self.folder / "deployment.json")]
        command += ["--db", f"sqlite:///{self.folder}/relay.db", "--port", str(self.port)]
        command += ["--max-spend", "100", "--poll", "0.1", *self.options]
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "WEB3_PROVIDER_URI": self.live.url,
            "MATCHER_KEY": MATCHER.key.hex(),
        }
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        deadline = time.monotonic() + START_SECONDS
        while not (found := re.search(r"relay at http://[^:]+:(\d+)", log.read_text())):
            assert self._process.poll() is None, log.read_text()[-3_000:]
            assert time.monotonic() < deadline, log.read_text()[-3_000:]
            time.sleep(0.05)
        self.port = int(found[1])
        self.wait(lambda: self.get("/health").status_code == 200)

    def kill(self) -> None:
        """SIGKILL: nothing is tidied up."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(timeout=10)

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=20)

    def said(self) -> str:
        return (self.folder / "relay.log").read_text()

    # A client's calls

    def get(self, path: str, **params: Any) -> httpx.Response:
        try:
            return httpx.get(self.url + path, params=params, timeout=20)
        except httpx.ConnectError:
            return httpx.Response(599)

    def post(self, signed: SignedOrder, **changed: Any) -> httpx.Response:
        return httpx.post(f"{self.url}/api/orders", json=wire(signed) | changed, timeout=30)

    def place(self, signed: SignedOrder) -> dict[str, Any]:
        answer = self.post(signed)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def cancel(self, order_hash: str, signer: LocalAccount) -> httpx.Response:
        digest = cancel_digest(self.domain, bytes.fromhex(order_hash[2:]))
        body = {"signature": "0x" + sign_digest(digest, signer).hex()}
        return httpx.request("DELETE", f"{self.url}/api/orders/{order_hash}", json=body, timeout=20)

    def order(self, order_hash: str) -> dict[str, Any]:
        return dict(self.get(f"/api/orders/{order_hash}").json())

    @contextmanager
    def stream(self, *channels: str) -> Iterator[ClientConnection]:
        with connect(f"ws://127.0.0.1:{self.port}/api/stream", max_size=2**22) as socket:
            socket.send(json.dumps({"op": "subscribe", "channels": list(channels)}))
            yield socket

    def wait(self, is_so: Any) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if is_so():
                return
            time.sleep(0.05)
        raise AssertionError(f"not within {PATIENCE_SECONDS} s: {self.said()[-3_000:]}")


class Trading:
    """Signs the traders' orders; every one has a salt of its own."""

    def __init__(self, live: Live) -> None:
        self.live, self._salt = live, int(time.time() * 1_000)

    def order(
        self, trader: int, is_buy: bool, base: float, price: float, **options: Any
    ) -> SignedOrder:
        self._salt += 1
        options = {"market": 1, "salt": self._salt, "expiry": int(time.time()) + 86_400} | options
        market = options.pop("market")
        signer = options.pop("signer", self.live.traders[trader])
        account = options.pop("account", self.live.account(trader, market))
        order = Order(
            account, market, is_buy, round(base * 10**6) * 10**12, round(price) * WAD, **options
        )
        return sign_order(self.live.ballast.order_domain, order, signer)


def until(socket: ClientConnection, **wanted: Any) -> dict[str, Any]:
    """The next message with these fields."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    seen = []
    while (left := deadline - time.monotonic()) > 0:
        try:
            told = json.loads(socket.recv(timeout=left))
        except TimeoutError:
            break
        if all(told.get(name) == value for name, value in wanted.items()):
            return dict(told)
        seen.append(told)
    raise AssertionError(f"no {wanted} among {seen[-5:]}")
