"""What the scripts share: who sends, which record is meant, and errors in a line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import requests
from ape.api import AccountAPI
from web3.exceptions import Web3Exception

from ballast import record
from ballast.ape_chain import ApeChain
from ballast.errors import BallastError, DeployError, NodeError, NodeRefused
from ballast.record import Record

AGAIN = "run the same command again: it goes on where it stopped"


def record_option(command: Any) -> Any:
    """`--deployment`, the deployments file."""
    return click.option(
        "--deployment",
        "record_path",
        type=click.Path(dir_okay=False, path_type=Path),
        help="The deployment's file (default: deployments/<network>.json).",
    )(command)


def network_name(provider: Any) -> str:
    """`sepolia`, `arbitrum-sepolia`, `local`: what a network's files are called."""
    network = provider.network
    return record.path_for(f"{network.ecosystem.name}:{network.name}").stem


def record_file(provider: Any, given: Path | None) -> Path:
    """The deployments file: the one given, else the network's."""
    return given or record.FOLDER / f"{network_name(provider)}.json"


def finished_record(chain: ApeChain, path: Path) -> Record:
    """A record that other scripts may rely on.

    Raises `DeployError` where there is none, it is unfinished, or of another chain.
    """
    if not path.exists():
        raise DeployError(f"no {path.name}: `ape run deploy` on this network comes first")
    kept = record.load(path)
    if kept.status != record.COMPLETE:
        raise DeployError(f"{path.name} is unfinished: `ape run deploy` goes on with it")
    if kept.chain_id != chain.chain_id:
        raise DeployError(f"{path.name} is of chain {kept.chain_id}, not of {chain.chain_id}")
    return kept


def load_account(chain: ApeChain, alias: str | None) -> AccountAPI:
    """An Ape account by alias; locally the first test account where none is given."""
    from ape import accounts

    if alias is not None:
        return accounts.load(alias)
    if chain.is_local:
        return accounts.test_accounts[0]
    raise click.UsageError(
        "--account ALIAS is needed on a live network: `ape accounts list` shows what there is, "
        "`ape accounts import ALIAS` takes a key in"
    )


def unlock(chain: ApeChain, account: AccountAPI) -> str:
    """Let an Ape account send without asking for each transaction; its address.

    Ape takes the passphrase from `APE_ACCOUNTS_<alias>_PASSPHRASE`, else asks for it once.
    """
    if hasattr(account, "set_autosign"):
        account.set_autosign(True)
    return chain.register(account)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Errors of the package and of the node as a message and exit code 1."""
    try:
        yield
    except NodeError as error:
        hint = "" if isinstance(error, NodeRefused) else f": {AGAIN}"
        raise click.ClickException(f"{error}{hint}") from error
    except BallastError as error:
        raise click.ClickException(str(error)) from error
    except (requests.RequestException, Web3Exception, TimeoutError) as error:
        raise click.ClickException(f"the node failed ({type(error).__name__}): {AGAIN}") from error
