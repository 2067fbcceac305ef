"""The relay under load: `python -m ballast.relay.load` (make load).

A node and a relay as processes of their own on this machine; so many orders a second from many
accounts, sent when they are due whether or not earlier ones were answered, and so many WebSocket
clients that listen. In the middle the relay is killed (SIGKILL) and started again. Afterwards every
order that was acknowledged is asked for. Latency is from when an order was due to its answer.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
import httpx
import uvloop
import websockets
from ape import accounts, networks
from ape.logging import LogLevel, logger
from eth_account.signers.local import LocalAccount

from ballast import build, config, contracts, standin
from ballast.ape_chain import ApeChain
from ballast.client import Ballast
from ballast.deploy import deploy, deploy_token
from ballast.errors import BallastError
from ballast.node import Node
from ballast.record import Record
from ballast.relay.client import wire
from ballast.signing import (
    Domain,
    Order,
    account_id,
    key_from_label,
    order_digest,
    sign_order,
)

WAD = 10**18
PRICE = 100_000
DEPOSIT = 100_000 * 10**6
MATCHER = key_from_label("matcher")
START_SECONDS = 120
CONNECTIONS = 64
ANSWER_SECONDS = 30
CROSSING = 0.02
"""Of the orders so many take: what a node here mines beside the rest."""
RESULT = build.ROOT / "build" / "load.json"


@dataclass
class Result:
    """What a run has shown. Latencies are ms."""

    commit: str
    machine: str
    asked_per_second: int
    seconds: int
    listeners: int
    sent: int = 0
    acknowledged: int = 0
    unanswered: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    per_second: float = 0.0
    median_ms: float = 0.0
    p99_ms: float = 0.0
    worst_ms: float = 0.0
    cpu_ms_an_order: float = 0.0
    """The relay's own, streaming to all listeners and matching included."""
    messages: int = 0
    cut_off: int = 0
    restart_seconds: float = 0.0
    lost: int = 0
    fills: int = 0


@click.command()
@click.option("--rate", default=500, show_default=True, help="Orders a second.")
@click.option("--listeners", default=200, show_default=True, help="WebSocket clients.")
@click.option("--seconds", default=20, show_default=True, help="Before the kill, and after.")
@click.option("--accounts", "traders", default=100, show_default=True)
def main(rate: int, listeners: int, seconds: int, traders: int) -> None:
    """Load a relay, kill it in the middle, and count what is lost."""
    made = Result(_commit(), _machine(), rate, seconds, listeners)
    with tempfile.TemporaryDirectory() as name, _market(traders) as (url, record, keys):
        uvloop.run(_run(made, Path(name), url, record, keys))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(asdict(made), indent=2) + "\n")
    click.echo(json.dumps(asdict(made), indent=2))
    if made.lost:
        raise click.ClickException(f"{made.lost} acknowledged orders are lost")


# The run


async def _run(
    made: Result, folder: Path, url: str, record: Record, keys: list[LocalAccount]
) -> None:
    relay = _Relay(folder, url, record)
    orders = _orders(record, keys, made.asked_per_second * made.seconds * 2)
    latencies: list[float] = []
    kept: list[bytes] = []
    try:
        relay.start()
        half = len(orders) // 2
        for number, part in enumerate((orders[:half], orders[half:])):
            listening = [asyncio.create_task(_listen(relay, made)) for _ in range(made.listeners)]
            await asyncio.sleep(2)
            # The first half is cut off by the kill while orders are on their way.
            cut = part[-made.asked_per_second :] if number == 0 else []
            began, used = time.monotonic(), relay.cpu_seconds()
            steady = part[: len(part) - len(cut)]
            await _send(relay, made, steady, latencies, kept)
            made.per_second = round(len(steady) / (time.monotonic() - began), 1)
            made.cpu_ms_an_order = round((relay.cpu_seconds() - used) / len(steady) * 1_000, 2)
            if cut:
                sending = asyncio.create_task(_send(relay, made, cut, [], kept))
                await asyncio.sleep(0.5)
                relay.kill()
                await sending
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)
            if cut:
                again = time.monotonic()
                await asyncio.to_thread(relay.start)
                made.restart_seconds = round(time.monotonic() - again, 1)
        await asyncio.sleep(5)
        made.lost = await _count_lost(relay, keys, kept)
        made.fills = await _fills(relay)
    finally:
        relay.end()
    latencies.sort()
    made.acknowledged = len(kept)
    made.median_ms = round(latencies[len(latencies) // 2] * 1_000, 1)
    made.p99_ms = round(latencies[len(latencies) * 99 // 100] * 1_000, 1)
    made.worst_ms = round(latencies[-1] * 1_000, 1)


async def _send(
    relay: _Relay,
    made: Result,
    orders: list[tuple[bytes, bytes]],
    latencies: list[float],
    kept: list[bytes],
) -> None:
    """Send orders as they are due, each on a free connection."""
    free: asyncio.Queue[_Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(_Connection(relay.port))
    refused: Counter[str] = Counter(made.refused)

    async def one(order_hash: bytes, body: bytes, due: float) -> None:
        connection = await free.get()
        try:
            status, answer = await asyncio.wait_for(connection.post(body), ANSWER_SECONDS)
        except (OSError, EOFError, TimeoutError, ValueError):
            connection.close()
            made.unanswered += 1
            return
        finally:
            free.put_nowait(connection)
        latencies.append(time.monotonic() - due)
        if status == 201:
            kept.append(order_hash)
        else:
            refused[str(json.loads(answer)["error"]["code"])] += 1

    began = time.monotonic()
    tasks = []
    for number, (order_hash, body) in enumerate(orders):
        due = began + number / made.asked_per_second
        if (early := due - time.monotonic()) > 0:
            await asyncio.sleep(early)
        tasks.append(asyncio.create_task(one(order_hash, body, due)))
    await asyncio.gather(*tasks)
    made.sent += len(orders)
    made.refused = dict(refused)
    while not free.empty():
        free.get_nowait().close()


class _Connection:
    """HTTP/1.1, one request at a time: the client must not be what is measured."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to an order. Raises `OSError`, `EOFError`."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        head = f"POST /api/orders HTTP/1.1\r\nHost: relay\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
        await writer.drain()
        answered = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(re.search(r"content-length: (\d+)", answered)[1])  # type: ignore[index]
        return int(answered.split()[1]), await reader.readexactly(length)

    def close(self) -> None:
        """Let go; the next request connects again."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _listen(relay: _Relay, made: Result) -> None:
    address = f"ws://127.0.0.1:{relay.port}/api/stream"
    channels = ["book:1", "trades:1", "prices"]
    with suppress(OSError):
        async with websockets.connect(
            address, open_timeout=30, max_size=None, compression=None
        ) as socket:
            await socket.send(json.dumps({"op": "subscribe", "channels": channels}))
            try:
                async for _ in socket:
                    made.messages += 1
            except websockets.ConnectionClosed as error:
                made.cut_off += error.rcvd is not None and error.rcvd.code == 1013


async def _count_lost(relay: _Relay, keys: list[LocalAccount], kept: list[bytes]) -> int:
    """Of the orders acknowledged, those that no account's list has."""
    found: set[str] = set()
    async with httpx.AsyncClient(base_url=relay.url, timeout=30) as client:
        for key in keys:
            path = f"/api/accounts/0x{account_id(key.address).hex()}/orders"
            asked: dict[str, Any] = {"status": "all", "limit": 500}
            while True:
                page = (await client.get(path, params=asked)).json()
                found.update(order["hash"] for order in page["orders"])
                if page["next"] is None:
                    break
                asked["before"] = page["next"]
    return len({"0x" + order_hash.hex() for order_hash in kept} - found)


async def _fills(relay: _Relay) -> int:
    async with httpx.AsyncClient(base_url=relay.url, timeout=30) as client:
        return len((await client.get("/api/trades/1", params={"limit": 500})).json()["trades"])


def _orders(record: Record, keys: list[LocalAccount], count: int) -> list[tuple[bytes, bytes]]:
    """Hash and body of each: most rest near the price, some take."""
    domain = Domain(record.chain_id, record.contracts[contracts.SETTLEMENT])
    dice = random.Random(1)
    expiry = int(time.time()) + 86_400
    found = []
    for salt in range(count):
        key, is_buy = keys[salt % len(keys)], dice.random() < 0.5
        away = dice.randrange(10, 1_000) * (-1 if is_buy else 1)
        if dice.random() < CROSSING:
            away = 1_000 if is_buy else -1_000
        price = (PRICE + away) * WAD
        size = dice.randrange(10, 20) * 10**14
        order = Order(account_id(key.address), 1, is_buy, size, price, expiry=expiry, salt=salt)
        signed = sign_order(domain, order, key)
        found.append((order_digest(domain, order), json.dumps(wire(signed)).encode()))
    return found


# What it runs against


class _Relay:
    """The relay's command as a process."""

    def __init__(self, folder: Path, node: str, record: Record) -> None:
        self._folder, self._node = folder, node
        self._process: subprocess.Popen[bytes] | None = None
        self.port = standin.free_port()
        record.save(folder / "deployment.json")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns once it answers. Raises `BallastError`."""
        command = [str(Path(sys.executable).parent / "ape"), "run", "relay"]
        command += ["--network", "ethereum:local:node", "--rpc", self._node]
        command += ["--deployment", str(self._folder / "deployment.json")]
        command += ["--db", f"sqlite:///{self._folder}/relay.db", "--key-env", "MATCHER_KEY"]
        command += ["--port", str(self.port), "--max-spend", "1000", "--streams", "100000"]
        command += ["--orders-rate", "100000", "--reads-rate", "100000"]
        command += ["--open-orders", "100000"]
        environment = {**os.environ, "PYTHONPATH": str(build.ROOT)}
        environment |= {"WEB3_PROVIDER_URI": self._node, "MATCHER_KEY": MATCHER.key.hex()}
        with (self._folder / "relay.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=build.ROOT, env=environment, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/health", timeout=5).status_code == 200:
                    return
            time.sleep(0.1)
        said = (self._folder / "relay.log").read_text()[-2_000:]
        raise BallastError(f"the relay does not start: {said}")

    def cpu_seconds(self) -> float:
        """What its process has used so far."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """At once, with all it has in hand."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def end(self) -> None:
        """In good order."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(30)


@contextmanager
def _market(traders: int) -> Iterator[tuple[str, Record, list[LocalAccount]]]:
    """A node with a deployment, and traders who have money in it."""
    logger.set_level(LogLevel.ERROR)
    port = standin.free_port()
    options = ["--port", str(port), "--silent", "--hardfork", "cancun", "--block-time", "1"]
    node = subprocess.Popen([standin.anvil_path(), *options], stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        _await_node(url)
        Node(url).ask("evm_setAutomine", True)
        with networks.ethereum.local.use_provider(
            "foundry", provider_settings={"host": url}
        ) as provider:
            yield url, *_deployed(ApeChain(provider), Node(url), traders)
    finally:
        node.terminate()
        node.wait(timeout=10)


def _await_node(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with suppress(BallastError):
            Node(url).chain_id()
            return
        time.sleep(0.1)
    raise BallastError("the node does not start")


def _deployed(chain: ApeChain, node: Node, traders: int) -> tuple[Record, list[LocalAccount]]:
    sender = chain.register(accounts.test_accounts[0])
    token = deploy_token(chain, sender)
    asked = config.load(config.PARAMETERS / "local.toml")
    record = deploy(chain, asked, sender=sender, collateral=token)
    ballast = Ballast.from_deployment(chain, record)
    ballast.token.send.mint(sender, DEPOSIT * traders, sender=sender)
    keys = [key_from_label(f"load {number}") for number in range(traders)]
    for key in keys:
        ballast.deposit(account_id(key.address), DEPOSIT, sender=sender)
    publishers = [key_from_label(f"publisher {i}") for i in range(3)]
    ballast.report_prices({1: PRICE * WAD}, publishers, sender=sender)
    node.ask("anvil_setBalance", MATCHER.address, hex(10_000 * WAD))
    return record, keys


def _commit() -> str:
    said = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=build.ROOT, capture_output=True, text=True
    )
    return said.stdout.strip()


def _machine() -> str:
    names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    load = ", ".join(f"{part:.1f}" for part in os.getloadavg())
    return f"{os.cpu_count()} x {names[0] if names else platform.machine()}, load before {load}"


if __name__ == "__main__":
    main()
