"""`make app`: an exchange on loopback, with a page to trade on (docs/TRADING.md)."""

from __future__ import annotations

import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from ballast.app.exchange import Exchange, Plan
from ballast.build import ROOT
from ballast.errors import BallastError

CONSOLE = Console(highlight=False, soft_wrap=True)
FOLDER = ROOT / "build" / "app"


@click.command()
@click.option("--port", default=0, help="The page's (default: 8800, or another where it is taken).")
@click.option("--traders", default=Plan.traders, show_default=True, type=click.IntRange(2, 500))
@click.option("--seed", default=Plan.seed, show_default=True, type=click.IntRange(0))
@click.option("--block-seconds", default=Plan.block_seconds, show_default=True)
@click.option(
    "--speed",
    default=Plan.speed,
    show_default=True,
    type=click.FloatRange(1, 120),
    help="How much faster than it was the recorded crash goes.",
)
@click.option(
    "--calm-minutes",
    default=Plan.calm_minutes,
    show_default=True,
    type=click.FloatRange(0),
    help="Until it begins.",
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=FOLDER,
    help="Logs, databases and the record (emptied first; default: build/app).",
)
def main(folder: Path, **asked: float) -> None:
    """Start a node, deploy, publish recorded prices, keep, relay, serve the page, and quote; go on
    until SIGTERM or Ctrl-C, and end every process then."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    began, stop = time.monotonic(), threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        # Once: what ends the processes must not be interrupted.
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)
        if stop.is_set():
            return
        stop.set()
        if not is_ready.is_set():
            sys.exit(0)

    is_ready = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)

    def say(text: str) -> None:
        CONSOLE.print(f"[dim]{time.monotonic() - began:5.0f} s[/]  {text}")

    def ready(url: str) -> None:
        is_ready.set()
        say(f"the crash begins in {asked['calm_minutes']:g} minutes; logs are in {folder}")
        print(f"Ballast: {url}", flush=True)

    plan = Plan(**asked)  # type: ignore[arg-type]
    try:
        Exchange(plan, folder, say).run(ready, stop)
    except BallastError as error:
        raise click.ClickException(f"{error}\nlogs: {folder}") from error


if __name__ == "__main__":
    main()
