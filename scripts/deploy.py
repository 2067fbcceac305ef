"""`ape run deploy --network ...`: deploy everything, hand it over, and check it on chain."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from ape.cli import ConnectedProviderCommand, network_option
from ape.logging import LogLevel, logger
from rich.console import Console
from rich.table import Table

from ballast import commands, config, record
from ballast.abi import checksum
from ballast.ape_chain import ApeChain
from ballast.build import ROOT
from ballast.deploy import DEPLOYMENT_GAS, check_faucet, deploy, plan
from ballast.errors import DeployError

CONSOLE = Console()
CONFIRMATIONS = 2
"""Blocks upon the last transaction before the chain is read back, on a live network."""


def commit_id() -> str:
    """The commit of the working tree, marked where it has changes; "" outside a repository."""

    def git(*args: str) -> str:
        command = ["git", "-C", str(ROOT), *args]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def parameter_file(name: str, given: Path | None) -> Path:
    """The file given, else the network's of `parameters/`."""
    path = given or config.PARAMETERS / f"{name}.toml"
    if not path.exists():
        raise click.UsageError(f"there is no parameters/{name}.toml: pass --parameters FILE")
    return path


def check_record(chain: ApeChain, path: Path) -> None:
    """Forget a dead local chain's record; refuse to replace a live deployment this node lacks."""
    if not path.exists():
        return
    kept = record.load(path)
    if any(chain.code(address) for address in kept.contracts.values()):
        return
    if chain.is_local:
        path.unlink()
    elif kept.status == record.COMPLETE:
        raise DeployError(
            f"{path.name} holds a whole deployment of which this node shows nothing: is the node "
            "in step with its chain? To deploy anew, move the file away"
        )


def check_balance(chain: ApeChain, sender: str) -> None:
    """Raises `DeployError` where the deployer cannot pay for the gas at the present price."""
    cost, balance = DEPLOYMENT_GAS * chain.gas_price, chain.balance(sender)
    if balance < cost:
        raise DeployError(
            f"{sender} has {balance / 10**18:.6f} ETH; {DEPLOYMENT_GAS:,} gas, enough for a "
            f"deployment, cost {cost / 10**18:.6f} now: send it more, or wait for another price"
        )


def print_plan(steps: list[tuple[str, str]]) -> None:
    """Print what would be done."""
    table = Table("#", "step", title="Plan (nothing is sent)")
    table.add_column("address", no_wrap=True, overflow="fold", min_width=42)
    for number, (address, step) in enumerate(steps, 1):
        table.add_row(str(number), step, address)
    CONSOLE.print(table)


def print_record(kept: record.Record, path: Path, spent_wei: int) -> None:
    """Print what is deployed."""
    table = Table("contract", "address", title=f"Chain {kept.chain_id}")
    for name, address in kept.contracts.items():
        table.add_row(name, address)
    CONSOLE.print(table)
    markets = ", ".join(f"{symbol} = {number}" for symbol, number in kept.markets.items())
    CONSOLE.print(f"markets: {markets}")
    CONSOLE.print(f"every wire and parameter read back from the chain, as asked; in {path.name}")
    CONSOLE.print(f"this run cost {spent_wei / 10**18:.6f} ETH")
    if kept.owner != kept.deployer:
        CONSOLE.print(f"ownership is offered to {kept.owner}: `ape run govern accept-ownership`")


@click.command(cls=ConnectedProviderCommand)
@network_option(default="ethereum:local:test")
@click.option("--account", "alias", help="Ape account that deploys (local: a test account).")
@click.option(
    "--parameters",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Parameter file (default: parameters/<network>.toml).",
)
@click.option("--oracle", type=click.Choice(config.ORACLES), help="Prices every market (signed).")
@click.option("--publisher", "publishers", multiple=True, help="Signs prices; once for each.")
@click.option("--threshold", type=int, help="Publishers that must sign (more than half).")
@click.option("--collateral", help="The ERC-20 (default: a test token, on testnets).")
@click.option("--decimals", default=6, show_default=True, help="Decimals of the test token.")
@click.option("--owner", help="Who is to own it all; has to accept (default: the deployer).")
@click.option("--guardian", help="Who may pause what adds risk (default: the parameter file's).")
@commands.record_option
@click.option("--dry-run", is_flag=True, help="Print the plan and send nothing.")
def cli(provider: Any, **options: Any) -> None:
    """Deploy Ballast. Safe to run again: it goes on where it stopped, and checks at the end."""
    logger.set_level(LogLevel.ERROR)
    with commands.plain_errors():
        run(provider, **options)


def run(
    provider: Any,
    *,
    alias: str | None = None,
    parameters: Path | None = None,
    oracle: str | None = None,
    publishers: tuple[str, ...] = (),
    threshold: int | None = None,
    collateral: str | None = None,
    decimals: int = 6,
    owner: str | None = None,
    guardian: str | None = None,
    record_path: Path | None = None,
    dry_run: bool = False,
) -> None:
    """What the command does. Raises `BallastError`."""
    chain = ApeChain(provider)
    if collateral is None:
        check_faucet(chain.chain_id)
    path = commands.record_file(provider, record_path)
    account = commands.load_account(chain, alias)
    sender = checksum(str(account.address))
    asked = config.load(
        parameter_file(commands.network_name(provider), parameters),
        oracle=oracle,
        # The signed oracle prices nothing then; the deployer stands in until it does.
        publishers=publishers or ((sender,) if oracle == "chainlink" else ()),
        threshold=threshold,
    )
    if guardian is not None:
        asked = replace(asked, guardian=guardian)
    if dry_run:
        print_plan(plan(chain, asked, sender, owner or sender, collateral is None))
        return
    check_record(chain, path)
    if not path.exists():
        check_balance(chain, sender)
    commands.unlock(chain, account)
    chain.settle_pending(sender)
    before = chain.balance(sender)
    kept = deploy(
        chain,
        asked,
        sender=sender,
        owner=owner,
        collateral=collateral,
        decimals=decimals,
        path=path,
        commit=commit_id(),
        progress=lambda line: CONSOLE.print(f"  {line}", style="dim"),
        settled=lambda: chain.wait_blocks(0 if chain.is_local else CONFIRMATIONS),
    )
    print_record(kept, path, before - chain.balance(sender))
