"""A node whose blocks are mined on command, and a signer with work to do on it."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Any

from eth_account.signers.local import LocalAccount

from ballast.abi import checksum
from ballast.build import compile_file
from ballast.contract import Interface
from ballast.keeper.actions import Action, Kind
from ballast.keeper.costs import SendSettings
from ballast.keeper.rpc import Head, Rpc
from ballast.keeper.sender import Sender
from ballast.keeper.store import open_store
from ballast.keeper.trial import Trial
from ballast.signing import key_from_label

ETHER = 10**18
SETTINGS = SendSettings(max_spend_day=ETHER, max_spend_hour=ETHER)


@cache
def job() -> Any:
    """Job.vy, compiled."""
    return compile_file(Path(__file__).parent / "Job.vy")


class Site:
    """An anvil node on which `Job` is deployed (or was, at `target`). Blocks come by `mine`
    alone."""

    def __init__(self, url: str, store: str = "sqlite://", target: str = "") -> None:
        self.rpc = Rpc(url)
        self.key: LocalAccount = key_from_label("keeper")
        self.rival = key_from_label("rival").address
        self.target = target or self._deploy()
        self.interface = Interface(job().abi)
        self.store = open_store(store).engine
        self.clock = 1_000_000.0
        self.trial = Trial(self.rpc, self.key.address)
        self.sender = self.start()

    def start(self, settings: SendSettings = SETTINGS) -> Sender:
        """A sender as after a start."""
        return Sender(self.rpc, self.key, self.store, settings, lambda: self.clock)

    def _deploy(self) -> str:
        for address in (self.key.address, self.rival):
            self.rpc.ask("anvil_setBalance", address, hex(10 * ETHER))
        request = {"from": self.rival, "data": "0x" + job().initcode.hex()}
        self.rpc.ask("anvil_impersonateAccount", self.rival)
        done = self.rpc.ask("eth_sendTransaction", request)
        for _ in range(100):
            receipt = self.rpc.receipt(done)
            if receipt is not None:
                break
            time.sleep(0.05)
        else:
            raise AssertionError("the node does not mine")
        self.rpc.ask("evm_setAutomine", False)
        return checksum(receipt["contractAddress"])

    def action(self, number: int, call: str = "work", kind: Kind = Kind.SETTLE) -> Action:
        """A call of the job."""
        data = self.interface.function(call, 1).encode((number,))
        account = number.to_bytes(32, "big")
        return Action(kind, self.target, data, (account,), f"{call}:{number}", 100_000)

    def head(self) -> Head:
        """The latest block."""
        head = self.rpc.head()
        assert head is not None
        return head

    def mine(self, blocks: int = 1) -> None:
        """Mine what is in the pool, and check."""
        self.rpc.ask("anvil_mine", hex(blocks))
        self.check()

    def pass_by(self, blocks: int) -> None:
        """Mine blocks too small for a job: it stays in the pool."""
        self.rpc.ask("evm_setBlockGasLimit", hex(60_000))
        self.rpc.ask("anvil_mine", hex(blocks))
        self.rpc.ask("evm_setBlockGasLimit", hex(30_000_000))
        self.check()

    def check(self) -> None:
        """What the keeper does at every head."""
        self.sender.check(self.head())

    def do(self, action: Action, needed: int | None = None) -> Any:
        """Try out and send."""
        gas = self.trial.needed(action) if needed is None else needed
        return self.sender.send(action, gas, self.head())

    def rivals(self, call: str, number: int, fee: int = 50 * 10**9) -> None:
        """The same by another, who pays more."""
        data = self.interface.function(call, 1).encode((number,))
        request = {
            "from": self.rival,
            "to": self.target,
            "data": "0x" + data.hex(),
            "gas": hex(5_000_000),
            "maxFeePerGas": hex(fee),
            "maxPriorityFeePerGas": hex(fee),
        }
        self.rpc.ask("eth_sendTransaction", request)

    def done(self, number: int) -> bool:
        """Whether a job is done, on chain."""
        function = self.interface.function("done", 1)
        request = {"to": self.target, "data": "0x" + function.encode((number,)).hex()}
        return bool(function.decode(self.rpc.call(request)))

    def outcomes(self) -> list[tuple[int, str, str]]:
        """Nonce, state and outcome of every row."""
        return [(row.nonce, row.state, row.outcome) for row in self.sender.history.rows()]

    def what(self) -> list[str]:
        """What has happened since the last call."""
        return [event.what for event in self.sender.history.events()]
