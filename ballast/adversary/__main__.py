"""`python -m ballast.adversary`: the long search; exit 1 where a bug was found."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ballast import config
from ballast.adversary import block, funding, report
from ballast.adversary.crash import Crash
from ballast.adversary.crash_search import FEES, MARGINS, frontier, search
from ballast.adversary.crowd import CrowdConfig
from ballast.adversary.paths import mirrored, recorded, synthetic
from ballast.adversary.policy import Policy
from ballast.adversary.rules import RULES
from ballast.adversary.stages import STAGES
from ballast.build import ROOT
from ballast.errors import BallastError

CONSOLE = Console()
GAMES = (*block.GAMES, "funding", "crash", "tiers")
SHOWN = 5
file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--game", "games", multiple=True, type=click.Choice(GAMES), help="Default: all.")
@click.option("--rules", multiple=True, type=click.Choice(list(RULES)), help="Default: all.")
@click.option("--stage", "stages", multiple=True, type=click.Choice(list(STAGES)))
@click.option("--programs", default=10_000, show_default=True, type=click.IntRange(1))
@click.option("--plays", default=100, show_default=True, type=click.IntRange(6))
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0))
@click.option("--delay", default=1, show_default=True, type=click.IntRange(0), help="Of keepers.")
@click.option("--prices", multiple=True, type=file, help="Further recorded crashes.")
def cli(**options: Any) -> None:
    """Search what an adversary could gain: in a block, by funding, and over a crash."""
    began = time.monotonic()
    try:
        with _bars() as bars:
            long = LongSearch(bars, **options)
            long.run()
    except BallastError as error:
        raise click.ClickException(str(error)) from error
    long.data["seconds"] = round(time.monotonic() - began, 1)
    report.write_json(ROOT / "build" / "adversary.json", long.data)
    CONSOLE.print(f"build/adversary.json; {long.data['seconds']:.0f} s, {long.faults} faults")
    sys.exit(1 if long.faults else 0)


def _bars() -> Progress:
    text = TextColumn("{task.description:40}")
    return Progress(text, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=CONSOLE)


class LongSearch:
    """All games asked for; `faults` counts bugs and passed caps, `data` is what is kept."""

    def __init__(
        self,
        bars: Progress,
        games: tuple[str, ...],
        rules: tuple[str, ...],
        stages: tuple[str, ...],
        programs: int,
        plays: int,
        seed: int,
        delay: int,
        prices: tuple[Path, ...],
    ) -> None:
        self._bars, self._games = bars, games or GAMES
        self._rules, self._stages = rules or tuple(RULES), stages or tuple(STAGES)
        self._programs, self._plays, self._seed = programs, plays, seed
        self._crowd = CrowdConfig(delay=delay)
        self._paths = [recorded(), *(recorded(path) for path in prices)]
        self._config = config.load(config.PARAMETERS / "local.toml")
        self.faults = 0
        self.data: dict[str, Any] = {
            "seed": seed,
            "programs": programs,
            "plays": plays,
            "delay": delay,
        }

    def run(self) -> None:
        """One game after the other."""
        self._block()
        for game in ("funding", "crash", "tiers"):
            if game in self._games:
                getattr(self, f"_{game}")()

    def _counting(self, name: str, total: int) -> Callable[[], None]:
        task = self._bars.add_task(name, total=total)
        return lambda: self._bars.advance(task)

    def _block(self) -> None:
        games = [game for game in block.GAMES if game in self._games]
        tasks = block.searches(games, self._rules, self._stages)
        if not tasks:
            return
        done = self._counting("at given prices", len(tasks))
        results = []
        for task in tasks:
            results.append(block.search(*task, self._programs, self._seed))
            done()
        report.print_block(CONSOLE, results)
        self.data["block"] = [report.block_json(found) for found in results]
        self.faults += sum(found.is_bug for found in results)

    def _funding(self) -> None:
        days = funding.table()
        report.print_funding(CONSOLE, days)
        self.data["funding"] = [{**vars(day), "gain_bps": day.gain_bps} for day in days]

    def _crash(self) -> None:
        """The best policies on each recorded path, and what the first path's does elsewhere."""
        paths = [*self._paths, mirrored(self._paths[0])]
        best = None
        self.data["crash"] = []
        for path in paths:
            done = self._counting(f"policies on {path.name}", self._plays)
            crash = Crash(self._config, path, self._crowd)
            found = search(crash, self._plays, self._seed, done)
            best = best or found[0][0]
            self.faults += sum(bool(played.violations) for _, played in found)
            rows = [(f"{place}", *scored) for place, scored in enumerate(found[:SHOWN], 1)]
            report.print_policies(CONSOLE, f"Best policies on {path.name}", rows)
            shown = [report.played_json(*scored) for scored in found[:SHOWN]]
            self.data["crash"].append({"path": path.name, "best": shown})
        assert best
        self.data["elsewhere"] = []
        everywhere = [Crash(self._config, p, self._crowd) for p in (*paths, *synthetic())]
        for name, policy in (("The first path's best policy", best), ("A pair held", Policy())):
            rows = [(crash.path.name, policy, crash.play(policy)) for crash in everywhere]
            self.faults += sum(bool(played.violations) for _, _, played in rows)
            report.print_policies(CONSOLE, f"{name}, on all paths", rows)
            self.data["elsewhere"] += [
                {"path": path, **report.played_json(policy, played)} for path, _, played in rows
            ]

    def _tiers(self) -> None:
        """Which margins, caps and fees make it a losing game on each recorded path."""
        self.data["tiers"] = []
        for number, path in enumerate(self._paths):
            done = self._counting(f"tiers on {path.name}", self._plays * len(MARGINS) * len(FEES))
            rows = list(
                frontier(self._config, path, self._crowd, self._plays, self._seed, MARGINS, done)
            )
            report.print_frontier(CONSOLE, path.name, rows)
            self.faults += sum(bool(row.played.violations) for row in rows)
            shown = [
                {**vars(row.tier), **report.played_json(row.policy, row.played)} for row in rows
            ]
            self.data["tiers"].append({"path": path.name, "rows": shown})
            if not number:
                report.plot(ROOT / "build" / "adversary.png", rows)


if __name__ == "__main__":
    cli()
