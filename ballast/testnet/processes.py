"""The commands of the project as processes, each as an operator types it, with a log of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from ballast.build import ROOT
from ballast.errors import BallastError

START_SECONDS = 60
END_SECONDS = 20


class Processes:
    """Started by name, ended together; logs are `folder/NAME.log`."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *command: str, **environment: str) -> None:
        """`ape run COMMAND` in the background; a second one of a name writes on in its log."""
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [str(Path(sys.executable).parent / "ape"), "run", *command],
                cwd=ROOT,
                env={**self._environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def run(self, name: str, *command: str, seconds: int) -> None:
        """The same in the foreground. Raises `BallastError` with what it said last."""
        self.start(name, *command)
        try:
            code = self._running[name].wait(seconds)
        except subprocess.TimeoutExpired:
            raise BallastError(f"{name} took more than {seconds} s: {self._said(name)}") from None
        if code:
            raise BallastError(f"{name} ended with {code}: {self._said(name)}")

    def announced(self, name: str, pattern: str) -> str:
        """What a process says of itself: the first group of a pattern in its log. Raises
        `BallastError` where it ends first, or does not say so."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if match := re.search(pattern, (self._folder / f"{name}.log").read_text()):
                return match[1]
            self.require(name)
            time.sleep(0.1)
        raise BallastError(f"{name} said nothing in {START_SECONDS} s")

    def require(self, *names: str) -> None:
        """Raises `BallastError` where one of them (default: any) has ended by itself."""
        for name in names or self._running:
            code = self._running[name].poll()
            if code is not None:
                raise BallastError(f"{name} ended with {code}: {self._said(name)}")

    def kill(self, name: str) -> None:
        """End one at once (SIGKILL)."""
        process = self._running.pop(name)
        process.kill()
        process.wait(END_SECONDS)

    def end(self) -> None:
        """End all that still run, in good order where they let us."""
        for process in self._running.values():
            if process.poll() is None:
                process.terminate()
        for process in self._running.values():
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(END_SECONDS)
        self._running.clear()

    def _said(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text()[-2_000:].strip()
