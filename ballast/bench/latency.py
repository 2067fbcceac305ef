"""How soon a keeper answers a price: from a report's block to the last transaction it brings about.

A market of so many accounts is on a node, and a keeper (a process, with the node's RPC and nothing
else) follows it through the worst minutes of the crash of 10 October 2025: a report each, and as
many blocks after it as the keeper needs. Blocks come every `BLOCK_SECONDS` of real time.
`build/latency.json`, and a section of docs/KEEPERS.md.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from ballast import scenario
from ballast.bench.crash_run import minute_prices
from ballast.bench.keeper_process import KeeperProcess
from ballast.bench.node_market import KEEPERS, Built, Stage, build
from ballast.build import ROOT
from ballast.errors import BallastError
from ballast.keeper.settings import Options

RESULT = ROOT / "build" / "latency.json"
PAGE = ROOT / "docs" / "KEEPERS.md"
BEGIN, END = "<!-- latency: written by `make latency` -->", "<!-- latency: end -->"
ACCOUNTS = (1_000, 10_000)
REPORTS = {2: 8, 12: 4}
"""How many, by the seconds from block to block."""
FIRST_MINUTE = 22
MOST_BLOCKS = 12
START_SECONDS = 300
OPTIONS = Options(
    native_price="100", max_spend="9", max_fee="50", poll=0.05, max_refresh=0, in_flight=64
)


@dataclass
class Answer:
    """What a report brought about. Milliseconds from when its block was there: until the keeper had
    planned, to the first and to the last transaction of that plan; `same_block` of these `sent`
    were sent before the next block was due. `later` ones finish what the first left (what was
    refused, further legs); nothing was left to do `blocks` blocks after the report's."""

    bankrupt: int
    liquidatable: int
    planned_ms: float
    first_ms: float
    last_ms: float
    sent: int
    same_block: int
    later: int
    blocks: int


@dataclass
class Measured:
    """One size and block time."""

    accounts: int
    block_seconds: int
    answers: list[Answer] = field(default_factory=list)


class NotAnswered(BallastError):
    """The keeper does not do what is to be measured."""


def measure(built: Built, block_seconds: int, folder: Path) -> Measured:
    """A keeper through some reports. Raises `NotAnswered`, `NodeError`."""
    found = Measured(built.accounts, block_seconds)
    prices = minute_prices(scenario.read())[FIRST_MINUTE:][: REPORTS[block_seconds]]
    with Stage(built, folder) as stage:
        keeper = KeeperProcess(stage.url, stage.record_path, folder, KEEPERS[0], OPTIONS)
        keeper.start()
        try:
            _wait(keeper, "block", stage.node.block()[0])
            for _, coins in prices:
                told = {
                    built.record.markets[coin]: int(price * 1e6) * 10**12
                    for coin, price in coins.items()
                }
                answer = _answer(stage, keeper, told, block_seconds)
                if answer is not None:
                    found.answers.append(answer)
        finally:
            keeper.kill()
    return found


def _answer(
    stage: Stage, keeper: KeeperProcess, prices: dict[int, int], block_seconds: int
) -> Answer | None:
    """One report, and blocks until the keeper has nothing left to do; None where it asked for
    nothing at all, or a step waited for a second report."""
    stage.report(prices, block_seconds)
    begin = stage.mine(block_seconds)
    number = stage.node.block()[0]
    waits = False
    for block in range(1, MOST_BLOCKS + 1):
        time.sleep(max(0.0, begin + block * block_seconds - time.time()))
        waits = stage.report_again(block_seconds) or waits
        stage.mine(block_seconds)
        looks = _looks(keeper, number)
        if looks and looks[-1][0]["planned"] == 0 and (block > 1 or not waits):
            break
    looks = _looks(keeper, number)
    if waits or not looks or not looks[0][1:]:
        return None
    look, sent = looks[0][0], [_at(line) - begin for line in looks[0][1:]]
    return Answer(
        look["bankrupt"],
        look["liquidatable"],
        round((_at(look) - begin) * 1e3, 1),
        round(min(sent) * 1e3, 1),
        round(max(sent) * 1e3, 1),
        len(sent),
        sum(after < block_seconds for after in sent),
        sum(len(lines) - 1 for lines in looks[1:]),
        looks[-1][0]["number"] - number,
    )


def _looks(keeper: KeeperProcess, number: int) -> list[list[dict[str, Any]]]:
    """What it has said since a block: for each block it looked at, that line and those of what it
    sent."""
    found: list[list[dict[str, Any]]] = []
    for line in keeper.said():
        if line["event"] == "block" and line["number"] >= number:
            found.append([line])
        elif line["event"] == "sent" and found:
            found[-1].append(line)
    return found


def _wait(keeper: KeeperProcess, event: str, number: int) -> dict[str, Any]:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        for line in keeper.said(event):
            if line["number"] >= number:
                return line
        time.sleep(0.1)
    raise NotAnswered(f"the keeper has not seen block {number}: {keeper.log.read_text()[-500:]}")


def _at(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["timestamp"].replace("Z", "+00:00")).timestamp()


def table(found: Sequence[Measured]) -> str:
    """Median and worst, as docs/KEEPERS.md shows them."""
    lines = [
        "| accounts | block | reports | transactions | planned | first sent | last sent | "
        "before the next block | later ones | nothing left after |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in found:
        answers = one.answers
        row = [f"{one.accounts:,}", f"{one.block_seconds} s", str(len(answers))]
        row.append(_both([a.sent for a in answers], ""))
        for name in ("planned_ms", "first_ms", "last_ms"):
            row.append(_both([getattr(a, name) for a in answers], " ms"))
        share = sum(a.same_block for a in answers) / max(1, sum(a.sent for a in answers))
        row += [f"{share:.0%}", _both([a.later for a in answers], "")]
        row.append(_both([a.blocks for a in answers], " blocks"))
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def _both(figures: Sequence[float], unit: str) -> str:
    if not figures:
        return "-"
    return f"{statistics.median(figures):,.0f} / {max(figures):,.0f}{unit}"


def write(found: Sequence[Measured], page: Path = PAGE) -> None:
    """The table into the page, between its marks."""
    text = page.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n\n{table(found)}\n\n{END}{after}")


@click.command()
@click.option("--accounts", multiple=True, type=click.IntRange(100), help="Default: 1,000, 10,000.")
def cli(accounts: tuple[int, ...]) -> None:
    """Measure, write build/latency.json and the table of docs/KEEPERS.md."""
    found: list[Measured] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        markets = [build(size, folder / f"{size}") for size in accounts or ACCOUNTS]
        for built in markets:
            for seconds in REPORTS:
                stage = folder / f"{built.accounts} {seconds}"
                found.append(measure(built, seconds, stage))
                click.echo(table(found[-1:]))
    told = {"cores": os.cpu_count(), "measured": [asdict(one) for one in found]}
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(told, indent=2) + "\n")
    if not accounts:
        write(found)


if __name__ == "__main__":
    cli()
