"""What a watcher remembers between two starts: what it has told, and what is not delivered yet.

One JSON file, written whole or not at all. An alert that was found is in it before anything is
posted, so a process that is killed posts it after its next start (twice at worst, never not).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ballast.alerts.rules import Alert, Band, Condition
from ballast.errors import ConfigError


@dataclass
class Queued:
    """An alert on its way to a webhook (by its fingerprint), and since when (Unix seconds)."""

    hook: str
    alert: Alert
    since: float


@dataclass
class Memory:
    """Everything told up to `block`: conditions that hold by key, bands by leg, what to deliver."""

    path: Path | None = None
    block: int | None = None
    conditions: dict[str, Condition] = field(default_factory=dict)
    bands: dict[str, Band] = field(default_factory=dict)
    queue: list[Queued] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path) -> Memory:
        """From its file; empty where there is none. Raises `ConfigError` where it is damaged."""
        if not path.exists():
            return cls(path)
        try:
            kept = json.loads(path.read_text())
            return cls(
                path,
                kept["block"],
                {
                    key: Condition(Alert(**told["alert"]), told["over_since"])
                    for key, told in kept["conditions"].items()
                },
                {key: Band(**told) for key, told in kept["bands"].items()},
                [
                    Queued(item["hook"], Alert(**item["alert"]), item["since"])
                    for item in kept["queue"]
                ],
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{path} is damaged ({error}): delete it, and what holds now is told once more"
            ) from error

    def save(self) -> None:
        """Write the file; nothing where there is no path."""
        if self.path is None:
            return
        kept = {
            "block": self.block,
            "conditions": {key: asdict(told) for key, told in self.conditions.items()},
            "bands": {key: asdict(told) for key, told in self.bands.items()},
            "queue": [asdict(item) for item in self.queue],
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(self.path.name + ".tmp")
        temporary.write_text(json.dumps(kept) + "\n")
        temporary.replace(self.path)
