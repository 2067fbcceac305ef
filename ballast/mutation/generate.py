"""Mechanical faults in the modules that decide over money, by universalmutator's rules for Vyper.

Comments, docstrings, imports, and the `uses:` and `pragma` lines are not code: what is changed in
them is no fault.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import random
import re
import tokenize
from dataclasses import dataclass
from pathlib import Path

from universalmutator import mutator

from ballast.build import CONTRACTS

MODULES = (
    "account_margin",
    "adl_queue",
    "allowances",
    "grid",
    "insurance",
    "ledger",
    "liquidation",
    "positions",
    "settlement",
    "share_buckets",
    "waterfall",
)
RULES = ["universal.rules", "vyper.rules", "python.rules", "solidity.rules"]
"""Those that its command line takes for a `.vy` file."""
NO_CODE = ("from ", "import ", "uses:", "#")
COMMUTATIVE = re.compile(
    r"\b((?:min|max|_mul_div_down|_mul_div_up)\(|(?:_cost_basis|_proceeds)\([^(),]+,)"
    r"([^(),]+),([^(),]+)([,)])"
)
"""A call up to those two of its arguments which it takes in either order, and these."""


@dataclass(frozen=True)
class Mutant:
    """A module with one line changed."""

    module: str
    line: int
    before: str
    after: str

    @property
    def key(self) -> str:
        """The same for the same change of the same line."""
        text = "\0".join((self.module, str(self.line), self.before, self.after))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def path(self) -> Path:
        """The module's file, in a tree."""
        return module_path(self.module)

    @property
    def is_commuted(self) -> bool:
        """Whether it swaps the arguments of a call that takes them in either order: no fault."""
        before, after = ("".join(line.split()) for line in (self.before, self.after))
        return any(
            after == f"{before[: m.start()]}{m[1]}{m[3]},{m[2]}{m[4]}{before[m.end() :]}"
            for m in COMMUTATIVE.finditer(before)
        )

    def applied_to(self, source: str) -> str:
        """The module's source with the fault in it. Raises `ValueError` where it is another one."""
        lines = source.splitlines(keepends=True)
        if lines[self.line - 1] != self.before:
            raise ValueError(f"{self.module}:{self.line} is of another source")
        lines[self.line - 1] = self.after
        return "".join(lines)


def module_path(module: str) -> Path:
    """A module's file, in a tree."""
    return Path("contracts", "modules", f"{module}.vy")


def code_lines(source: str) -> set[int]:
    """The numbers (from 1) of the lines that hold code."""
    found = {
        number
        for number, line in enumerate(source.splitlines(), 1)
        if line.strip() and not line.startswith(NO_CODE) and not line.lstrip().startswith("#")
    }
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.STRING and token.string.startswith('"""'):
            found -= set(range(token.start[0], token.end[0] + 1))
    return found


def mutants_of(module: str, source: str) -> list[Mutant]:
    """Every mutant of a module's source, in the order of its lines."""
    lines = source.splitlines(keepends=True)
    allowed = code_lines(source)
    with contextlib.redirect_stdout(io.StringIO()):
        made = mutator.mutants_regexp(
            lines, ruleFiles=RULES, ignorePatterns=[], ignoreStringOnly=True
        )
    changes = dict.fromkeys((number, after) for number, after, *_ in made if number in allowed)
    return [Mutant(module, number, lines[number - 1], after) for number, after in changes]


def shuffled(seed: int, contracts: Path = CONTRACTS) -> list[Mutant]:
    """All mutants of all modules, in an order fixed by the seed."""
    every: list[Mutant] = []
    for module in MODULES:
        every += mutants_of(module, (contracts.parent / module_path(module)).read_text())
    random.Random(seed).shuffle(every)
    return every
