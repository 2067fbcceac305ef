"""`ape run deploy --network ...`: deploy everything, hand it over, and check it on chain."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from ape import accounts
from ape.api import AccountAPI
from ape.cli import ConnectedProviderCommand, network_option
from ape.logging import LogLevel, logger
from rich.console import Console
from rich.table import Table

from ballast import config, record
from ballast.abi import checksum
from ballast.ape_chain import ApeChain
from ballast.deploy import deploy, deploy_token, plan
from ballast.errors import BallastError

CONSOLE = Console()


def commit_id() -> str:
    """The commit of the working tree, marked where it has changes; "" outside a repository."""
    root = Path(__file__).resolve().parent.parent

    def git(*args: str) -> str:
        command = ["git", "-C", str(root), *args]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def choose_account(alias: str | None, is_local: bool) -> AccountAPI:
    """The deployer: an Ape account by alias, or the first test account on a local network."""
    if alias is not None:
        return accounts.load(alias)
    if is_local:
        return accounts.test_accounts[0]
    raise click.UsageError("--account ALIAS is needed on a live network (see `ape accounts list`)")


def local_collateral(chain: ApeChain, sender: str, path: Path, decimals: int) -> str:
    """The recorded test token if it still lives, else a new one (and no record of a dead chain)."""
    if path.exists():
        kept = str(record.load(path).parameters.get("collateral"))
        if chain.code(kept):
            return kept
        path.unlink()
    return deploy_token(chain, sender, decimals)


def print_plan(steps: list[tuple[str, str]]) -> None:
    """Print what would be done."""
    table = Table("#", "step", title="Plan (nothing is sent)")
    table.add_column("address", no_wrap=True, overflow="fold", min_width=42)
    for number, (address, step) in enumerate(steps, 1):
        table.add_row(str(number), step, address)
    CONSOLE.print(table)


def print_record(kept: record.Record, path: Path) -> None:
    """Print what is deployed."""
    table = Table("contract", "address", title=f"Chain {kept.chain_id}")
    for name, address in kept.contracts.items():
        table.add_row(name, address)
    CONSOLE.print(table)
    markets = ", ".join(f"{symbol} = {number}" for symbol, number in kept.markets.items())
    CONSOLE.print(f"markets: {markets}")
    CONSOLE.print(f"every wire and parameter read back from the chain, as asked; in {path.name}")
    if kept.owner != kept.deployer:
        CONSOLE.print(f"ownership is offered to {kept.owner}, which has to accept it")


@click.command(cls=ConnectedProviderCommand)
@network_option(default="ethereum:local:test")
@click.option("--account", "alias", help="Ape account that deploys (local: a test account).")
@click.option(
    "--parameters",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Parameter file (local: parameters/local.toml).",
)
@click.option("--collateral", help="The ERC-20 (local: a test token is deployed).")
@click.option("--decimals", default=6, show_default=True, help="Decimals of the test token.")
@click.option("--owner", help="Who is to own it all; has to accept (default: the deployer).")
@click.option("--guardian", help="Who may pause what adds risk (default: the parameter file's).")
@click.option("--dry-run", is_flag=True, help="Print the plan and send nothing.")
def cli(
    provider: Any,
    alias: str | None,
    parameters: Path | None,
    collateral: str | None,
    decimals: int,
    owner: str | None,
    guardian: str | None,
    dry_run: bool,
) -> None:
    """Deploy Ballast. Safe to run again: it goes on where it stopped, and checks at the end."""
    logger.set_level(LogLevel.ERROR)
    try:
        run(provider, alias, parameters, collateral, decimals, owner, guardian, dry_run)
    except BallastError as error:
        raise click.ClickException(str(error)) from error


def run(
    provider: Any,
    alias: str | None,
    parameters: Path | None,
    collateral: str | None,
    decimals: int,
    owner: str | None,
    guardian: str | None,
    dry_run: bool,
) -> None:
    """What the command does. Raises `BallastError`."""
    chain = ApeChain(provider)
    if not chain.is_local and (parameters is None or collateral is None):
        raise click.UsageError("--parameters and --collateral are needed on a live network")
    asked = config.load(parameters or config.PARAMETERS / "local.toml")
    if guardian is not None:
        asked = replace(asked, guardian=guardian)
    account = choose_account(alias, chain.is_local)
    sender = checksum(str(account.address))
    if dry_run:
        print_plan(plan(chain, asked, sender, owner or sender, collateral is None))
        return
    chain.register(account)
    network = provider.network
    path = record.path_for(f"{network.ecosystem.name}:{network.name}")
    if collateral is None:
        collateral = local_collateral(chain, sender, path, decimals)
    kept = deploy(
        chain,
        asked,
        sender=sender,
        owner=owner,
        collateral=collateral,
        path=path,
        commit=commit_id(),
        progress=lambda line: CONSOLE.print(f"  {line}", style="dim"),
    )
    print_record(kept, path)
