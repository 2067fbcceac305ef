"""Publishers, their collector and keepers of a deployment, each a process as operators start it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eth_account.signers.local import LocalAccount

from ballast.testnet.processes import Processes


class Operators:
    """Started on a network (as Ape names it), for a record; their databases are in `folder`."""

    def __init__(self, processes: Processes, network: str, record: Path, folder: Path) -> None:
        self._processes, self._folder = processes, folder
        self._common = ("--network", network, "--deployment", str(record))

    def publish(
        self,
        publishers: Sequence[LocalAccount],
        collector: LocalAccount,
        replay: Path,
        start: float,
        speed: float,
    ) -> None:
        """A publisher for each key, and `collector`. They replay a price file `speed` times as
        fast as it was, from `start` (Unix seconds) on."""
        names = [f"publisher-{number}" for number in range(len(publishers))]
        for name, key in zip(names, publishers, strict=True):
            self._processes.start(
                name,
                *("publish", "publisher", *self._common, "--replay", str(replay)),
                *("--replay-start", str(start), "--speed", str(speed), "--port", "0"),
                *("--interval", "1", "--confirm-seconds", "1", "--publisher-key-env", "KEY"),
                KEY=hex_of(key),
            )
        pattern = r"publisher 0x\w+ at (http://\S+)/reports"
        urls = [self._processes.announced(name, pattern) for name in names]
        self._processes.start(
            "collector",
            *("publish", "collector", *self._common, "--sender-key-env", "KEY", "--poll", "1"),
            *("--collector-port", "0", "--deviation-bps", "25"),
            *(word for url in urls for word in ("--publisher", url)),
            KEY=hex_of(collector),
        )

    def keep(self, name: str, key: LocalAccount) -> None:
        """A keeper; the second one of a name goes on with the first one's database."""
        self._processes.start(
            name,
            *("keeper", *self._common, "--db", f"sqlite:///{self._folder}/{name}.db"),
            *("--key-env", "KEY", "--port", "0", "--max-spend", "5", "--poll", "0.5"),
            KEY=hex_of(key),
        )


def hex_of(key: LocalAccount) -> str:
    """A private key as commands read it from their environment."""
    return "0x" + bytes(key.key).hex()
