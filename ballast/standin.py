"""A node on this machine that stands in for a public testnet: its chain id, its block time, fees,
no unlocked accounts. It can be killed with what it had not yet saved, and made to reorganise.

`with StandIn() as node:` starts it and ends it; `node.url` is its address, also after a restart.
Every wait has an end. What cannot be done raises `NodeError`.
"""

from __future__ import annotations

import gzip
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from ballast.build import ROOT
from ballast.errors import NodeError
from ballast.node import Node

SEPOLIA = 11_155_111
START_SECONDS = 30
ANSWER_SECONDS = 20
WAIT_SECONDS = 10.0
_GAS_LIMIT = 60_000_000


def anvil_path() -> str:
    """The anvil binary: of `node_modules` (`npm ci`), else of PATH. Raises `NodeError`."""
    local = sorted(ROOT.glob("node_modules/@foundry-rs/anvil-*/bin/anvil"))
    path = str(local[0]) if local else shutil.which("anvil")
    if path is None:
        raise NodeError("no anvil found: run `npm ci`, or put it on PATH")
    return path


def free_port() -> int:
    """A loopback port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether nobody listens on a loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class StandIn:
    """One anvil process on loopback, with a state file behind it.

    `block_seconds` 0 mines a block with each transaction. `folder` keeps `state.json` and `log.txt`
    (default: a temporary one, gone with `stop`); a state file that is there is gone on with.
    `base_fee_wei` fixes the first block's base fee. A request waits `answer_seconds` at most.
    `args` are further options of anvil.
    """

    def __init__(
        self,
        *,
        chain_id: int = SEPOLIA,
        block_seconds: int = 2,
        folder: Path | None = None,
        port: int | None = None,
        base_fee_wei: int | None = None,
        answer_seconds: int = ANSWER_SECONDS,
        args: Sequence[str] = (),
    ) -> None:
        self.chain_id, self.block_seconds = chain_id, block_seconds
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.node = Node(self.url, answer_seconds)
        self._temporary = None if folder else tempfile.TemporaryDirectory(prefix="ballast-node-")
        self.folder = folder or Path(self._temporary.name)  # type: ignore[union-attr]
        self.state = self.folder / "state.json"
        self.log = self.folder / "log.txt"
        self._base_fee_wei, self._args = base_fee_wei, tuple(args)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> StandIn:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.is_running:
            self.stop()
        if self._temporary is not None:
            self._temporary.cleanup()

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process's id. Raises `NodeError` where it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise NodeError("the stand-in does not run")
        return self._process.pid

    # Life and death

    def start(self) -> None:
        """Start from the state file where there is one, and wait until it answers."""
        if self.is_running:
            raise NodeError("the stand-in runs already")
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise NodeError(f"anvil ended at its start: {self.log.read_text()[-500:]}")
            try:
                found = self.node.chain_id()
            except NodeError:
                time.sleep(0.05)
                continue
            if found != self.chain_id:
                raise NodeError(f"{self.url} answers as chain {found}: the port is another's")
            return
        self.kill()
        raise NodeError(f"anvil does not answer {START_SECONDS} s after its start")

    def stop(self) -> None:
        """Save, and end in good order: a restart goes on from the same head."""
        self.save()
        self._end(kill=False)

    def kill(self) -> None:
        """End at once; what came after the last `save` is lost."""
        self._end(kill=True)

    def restart(self) -> None:
        """Start again at the same address, from the state last saved."""
        if self.is_running:
            self.kill()
        self.start()

    def save(self) -> None:
        """Write the chain as it is to the state file, whole or not at all."""
        dumped = self.node.ask("anvil_dumpState")
        temporary = self.state.with_suffix(".tmp")
        temporary.write_bytes(gzip.decompress(bytes.fromhex(dumped[2:])))
        temporary.replace(self.state)

    def _end(self, *, kill: bool) -> None:
        if self._process is None:
            return
        if kill:
            self._process.kill()
        else:
            self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=10)
        self._process = None

    def _command(self) -> list[str]:
        command = [anvil_path(), "--silent", "--port", str(self.port)]
        command += ["--chain-id", str(self.chain_id), "--accounts", "0"]
        command += ["--gas-limit", str(_GAS_LIMIT)]
        if self.block_seconds:
            command += ["--block-time", str(self.block_seconds)]
        if self._base_fee_wei is not None:
            command += ["--base-fee", str(self._base_fee_wei)]
        if self.state.exists():
            command += ["--load-state", str(self.state)]
        return [*command, *self._args]

    # The chain

    @property
    def block_number(self) -> int:
        """The head's number."""
        return self.node.block()[0]

    def fund(self, address: str, wei: int = 10**20) -> None:
        """Add to an address's balance, as a faucet would."""
        balance = int(self.node.ask("eth_getBalance", address, "latest"), 16)
        self.node.ask("anvil_setBalance", address, hex(balance + wei))

    def mine(self, blocks: int = 1, seconds: int = 1) -> None:
        """Mine blocks now, `seconds` apart by their timestamps."""
        self.node.ask("anvil_mine", hex(blocks), hex(seconds))

    def wait_blocks(self, blocks: int = 1) -> None:
        """Wait until the chain itself has mined as many more."""
        target = self.block_number + blocks
        deadline = time.monotonic() + WAIT_SECONDS + 3 * blocks * self.block_seconds
        while self.block_number < target:
            if time.monotonic() > deadline:
                raise NodeError(f"block {target} did not come")
            time.sleep(0.1)

    def set_interval(self, seconds: int) -> None:
        """Mine a block every `seconds`; 0: only by `mine`."""
        self.node.ask("evm_setIntervalMining", seconds)

    def set_automine(self, on: bool) -> None:
        """Mine a block with each transaction, or leave it to the interval."""
        self.node.ask("evm_setAutomine", on)

    def rollback(self, blocks: int) -> None:
        """Take back the last blocks: the head is lower, their transactions never happened."""
        self.node.ask("anvil_rollback", blocks)

    def reorganise(self, blocks: int) -> None:
        """Replace the last blocks by empty ones with other hashes, at the same height."""
        self.node.ask("anvil_reorg", blocks, [])
