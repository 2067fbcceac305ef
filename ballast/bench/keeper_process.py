"""Keepers as processes of their own, which can be killed at any instant and started again.

They are forked by a server that has loaded everything (loading takes seconds), and are otherwise
what `ape run keeper` runs: a key, a node's address, a database.
"""

from __future__ import annotations

import json
import multiprocessing
import signal
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount

from ballast import record
from ballast.keeper import settings
from ballast.keeper.settings import Options
from ballast.keeper.store import open_store

END_SECONDS = 30
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])


@dataclass
class KeeperProcess:
    """A keeper with a key, its log and its database in `folder`. It has never been started."""

    url: str
    record_path: Path
    folder: Path
    key: LocalAccount
    options: Options = field(default_factory=Options)
    _process: Any = None

    @property
    def database(self) -> str:
        """The database's address."""
        return f"sqlite:///{self.folder}/{self.key.address}.db"

    @property
    def log(self) -> Path:
        """What it says, of all its lives."""
        return self.folder / f"{self.key.address}.log"

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.is_alive()

    def start(self) -> None:
        """Start it (again)."""
        secret = bytes(self.key.key).hex()
        args = (self.url, self.record_path, secret, self.database, self.log, self.options)
        self._process = _CONTEXT.Process(target=_work, args=args, daemon=True)
        self._process.start()

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        self._process.kill()
        self._process.join(END_SECONDS)

    def stop(self) -> int:
        """Let it finish the step in hand; its exit code."""
        self._process.terminate()
        self._process.join(END_SECONDS)
        if self._process.is_alive():
            self.kill()
        return int(self._process.exitcode)

    def said(self, event: str | None = None) -> list[dict[str, Any]]:
        """What it has logged, of one kind or all; a line cut short by a kill is left out."""
        found = []
        for line in self.log.read_text().splitlines() if self.log.exists() else []:
            try:
                told = json.loads(line)
            except ValueError:
                continue
            if event in (None, told.get("event")):
                found.append(told)
        return found


def _work(
    url: str, record_path: Path, secret: str, database: str, log: Path, options: Options
) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with log.open("a", buffering=1) as said:
        sys.stdout = sys.stderr = said
        settings.log_as_json()
        key = Account.from_key(secret)
        chosen = settings.choose(options, url, record.load(record_path), key)
        store = open_store(database)
        settings.assemble(chosen, key, store).run(stop)
        store.close()
