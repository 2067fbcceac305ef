"""`ape run demo`: deploy, trade, and live through a crash, with every step checked."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from ape import accounts
from ape.cli import ConnectedProviderCommand, network_option
from ape.logging import LogLevel, logger
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ballast import config, scenario
from ballast.ape_chain import ApeChain
from ballast.build import ROOT
from ballast.client import Ballast
from ballast.deploy import deploy, deploy_token
from ballast.errors import BallastError
from ballast.population import PopulationConfig
from ballast.replay import markets, report
from ballast.replay.run import Replay, ReplayConfig
from ballast.signing import key_from_label

CONSOLE = Console()
FUEL_WEI = 10**18


@click.command(cls=ConnectedProviderCommand)
@network_option(default="ethereum:local:test")
@click.option(
    "--prices",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=scenario.CRASH_2025_10_10,
    help="Price file: t_utc,coin,interval,open,high,low,close (default: 10 October 2025).",
)
@click.option("--traders", default=60, show_default=True, type=click.IntRange(2, 2_000))
@click.option("--seed", default=PopulationConfig.seed, show_default=True, type=click.IntRange(0))
@click.option(
    "--insurance",
    default=ReplayConfig.insurance_quote,
    show_default=True,
    type=click.IntRange(1),
    help="Staked in the insurance fund, whole quote.",
)
@click.option(
    "--buckets",
    default=2,
    show_default=True,
    type=click.IntRange(1, 200),
    help="Buckets one deleverage call takes at most.",
)
def cli(provider: Any, prices: Path, traders: int, seed: int, insurance: int, buckets: int) -> None:
    """Replay a crash against a fresh deployment; exit 1 at the first violated invariant."""
    logger.set_level(LogLevel.ERROR)
    try:
        violated = run(provider, prices, traders, seed, insurance, buckets)
    except BallastError as error:
        raise click.ClickException(str(error)) from error
    sys.exit(1 if violated else 0)


def run(provider: Any, prices: Path, traders: int, seed: int, insurance: int, buckets: int) -> bool:
    """What the command does; whether an invariant was violated. Raises `BallastError`."""
    began = time.monotonic()
    chain = ApeChain(provider)
    if not chain.is_local:
        raise click.UsageError("the demo moves the chain's time: it runs on local networks only")
    bank = chain.register(accounts.test_accounts[0])
    told = scenario.read(prices)
    if len(told.coins) > markets.MAX_MARKETS:
        raise click.UsageError(f"{len(told.coins)} coins; at most {markets.MAX_MARKETS}")
    base = config.load(config.PARAMETERS / "local.toml")
    base = replace(base, adl=replace(base.adl, buckets_per_call=buckets))
    asked = markets.for_scenario(base, told)
    people = markets.capped(PopulationConfig(traders=traders, seed=seed), told)

    def faucet(address: str) -> None:
        chain.send(address, b"", sender=bank, value=FUEL_WEI)

    with Progress(
        TextColumn("{task.description:10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[now]}"),
        console=CONSOLE,
    ) as bars:
        doing = bars.add_task("deploy", total=None, now="")
        collateral = deploy_token(chain, bank, 6)
        kept = deploy(
            chain,
            asked,
            sender=bank,
            collateral=collateral,
            progress=lambda line: bars.update(doing, now=line[:50]),
        )
        bars.update(doing, total=1, completed=1, now=f"{len(kept.contracts)} contracts")
        doing = bars.add_task("trade", total=None, now="")
        for label in ("relay", "staker", "keeper", *(f"trader {i}" for i in range(traders))):
            chain.register(key_from_label(label))
        client = Ballast.from_deployment(chain, kept)
        replay = Replay(
            client, asked, told, people, ReplayConfig(insurance_quote=insurance), faucet
        )
        replay.prepare(lambda line: bars.update(doing, advance=1, now=line))
        done = replay.result.trades
        bars.update(doing, total=done, completed=done, now=f"{traders} traders")
        total = len(told.steps())
        doing = bars.add_task("crash", total=total, now="")
        result = replay.run(lambda line: bars.update(doing, advance=1, now=line))
    report.print_stages(CONSOLE, result)
    report.print_bands(CONSOLE, result.forced)
    report.print_checks(CONSOLE, result)
    seconds = time.monotonic() - began
    extra = {"prices": prices.name, "seed": seed, "coins": told.coins}
    report.write_json(ROOT / "build" / "demo.json", report.as_json(result, seconds, extra))
    report.plot(ROOT / "build" / "demo.png", result)
    CONSOLE.print(f"build/demo.json, build/demo.png; {seconds:.0f} s")
    return bool(result.violations or result.unresolved)
