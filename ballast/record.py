"""`deployments/<network>.json`: what was deployed where, and how far an unfinished one got."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ballast.config import DeployConfig, from_file_data
from ballast.errors import DeployError

COMPLETE = "complete"
UNFINISHED = "unfinished"
FOLDER = Path(__file__).resolve().parent.parent / "deployments"
_BESIDE = ("collateral", "owner", "faucet")


@dataclass
class Record:
    """A deployment. `block` is the one before its first transaction (indexers start there).

    `parameters` is the configuration in file form, with `collateral` and `owner` beside it, and
    `faucet` (the decimals) where the collateral is a `TestToken` of this deployment. `announced` is
    what the owner has announced for markets: parameters in file form and when they may be set.
    `arguments` are the constructors', ABI-encoded in hex, as explorers ask for them.
    `core_nonce` is the deployer's nonce from which the core's addresses were predicted.
    """

    chain_id: int
    block: int
    deployer: str
    parameters: dict[str, Any]
    compiler: dict[str, Any]
    commit: str
    contracts: dict[str, str] = field(default_factory=dict)
    markets: dict[str, int] = field(default_factory=dict)
    status: str = UNFINISHED
    core_nonce: int | None = None
    announced: dict[str, dict[str, Any]] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> DeployConfig:
        """The configuration asked for."""
        data = {k: v for k, v in self.parameters.items() if k not in _BESIDE}
        return from_file_data(data)

    @property
    def owner(self) -> str:
        """Who is to own the contracts."""
        return str(self.parameters["owner"])

    def save(self, path: Path | None) -> None:
        """Write the record, whole or not at all; nothing where `path` is None."""
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_text(json.dumps(asdict(self), indent=2) + "\n")
        temporary.replace(path)


def load(path: Path) -> Record:
    """Read a record. Raises `DeployError`."""
    try:
        return Record(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise DeployError(f"{path.name} is no deployment record: {error}") from error


def path_for(network: str) -> Path:
    """Where a network's record is kept, by its name (`ethereum:local:test` is `local`)."""
    parts = network.split(":")
    name = parts[1] if len(parts) > 1 and parts[0] == "ethereum" else "-".join(parts[:2])
    return FOLDER / f"{name}.json"
