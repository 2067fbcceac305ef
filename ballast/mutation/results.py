"""What is known of each mutant, one line of JSON each, so that a run that was cut off goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ballast.mutation.generate import Mutant
from ballast.mutation.trial import Trial, Verdict

COUNTED = (Verdict.FOUND, Verdict.MISSED, Verdict.TIMED_OUT)
"""The verdicts that say something about the tests."""


@dataclass(frozen=True)
class Result:
    """A mutant's trial, and the commit it was made on."""

    mutant: Mutant
    trial: Trial
    commit: str


class Results:
    """The results so far of one sample: of one state of the contracts, and one seed."""

    def __init__(self, folder: Path, contracts: Path, seed: int) -> None:
        self.path = folder / f"{digest(contracts)[:12]}-{seed}.jsonl"
        self._known = {r.mutant.key: r for r in _read(self.path)} if self.path.exists() else {}

    def add(self, result: Result) -> None:
        """Note a result; it replaces an earlier one of the same mutant."""
        self._known[result.mutant.key] = result
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as stream:
            # The line break comes first: a killed run may have left half a line.
            stream.write("\n" + json.dumps(asdict(result)))

    def is_known(self, mutant: Mutant) -> bool:
        """Whether a mutant has been tried."""
        return mutant.key in self._known

    def counted(self) -> list[Result]:
        """The results that say something about the tests."""
        return [r for r in self._known.values() if r.trial.verdict in COUNTED]

    def count(self, verdict: Verdict, module: str | None = None) -> int:
        """How many mutants (of a module) have a verdict."""
        known = (r for r in self._known.values() if module in (None, r.mutant.module))
        return sum(r.trial.verdict == verdict for r in known)

    def survivors(self) -> list[Result]:
        """What the tests did not find, by module and line."""
        left = (r for r in self.counted() if r.trial.verdict is not Verdict.FOUND)
        return sorted(left, key=lambda r: (r.mutant.module, r.mutant.line))

    def score(self) -> float:
        """The part of the counted mutants that was found; 1 where there are none yet."""
        counted = self.counted()
        return self.count(Verdict.FOUND) / len(counted) if counted else 1.0


def digest(contracts: Path) -> str:
    """A digest of all contracts' sources."""
    total = hashlib.sha256()
    for path in sorted(contracts.rglob("*.vy*")):
        total.update(path.relative_to(contracts).as_posix().encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def _read(path: Path) -> Iterator[Result]:
    for line in path.read_text().splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue  # what a killed run was writing
        trial = record["trial"]
        trial["verdict"] = Verdict(trial["verdict"])
        yield Result(Mutant(**record["mutant"]), Trial(**trial), record["commit"])
