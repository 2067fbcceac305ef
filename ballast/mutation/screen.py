"""Which mutants are worth a trial: programs at all, and other ones than the source.

Most mechanical changes do not compile; the compiler's front end says so in half a second. What it
lets pass may still be refused further on, or become the very code that was there before.
"""

from __future__ import annotations

import gc
import json
from pathlib import Path
from sysconfig import get_path
from typing import Any

from vyper.ast.parse import parse_to_ast
from vyper.compiler.input_bundle import FileInput, FilesystemInputBundle
from vyper.compiler.phases import CompilerData

from ballast.mutation.generate import Mutant
from ballast.mutation.trial import Verdict, execute

SMALLEST = {
    "allowances": "Governance",
    "grid": "mocks/GridMock",
    "insurance": "LiquidationEngine",
    "liquidation": "LiquidationEngine",
    "share_buckets": "mocks/BucketsMock",
    "waterfall": "WaterfallEngine",
}
"""The smallest contract that has the module; of the others it is this one:"""
SMALLEST_OF_OTHERS = "SettlementEngine"


def compiles(mutant: Mutant, tree: Path) -> bool:
    """Whether the smallest contract with this module in it gets through parsing and analysis."""
    path = (tree / mutant.path).resolve()
    contents = mutant.applied_to(path.read_text())
    bundle = _Bundle(tree, path, contents)
    name = SMALLEST.get(mutant.module, SMALLEST_OF_OTHERS)
    gc.disable()  # a sixth of the time
    try:
        parse_to_ast(contents)
        _ = CompilerData(bundle.load_file(f"{name}.vy"), bundle).annotated_vyper_module
    except Exception:
        # On sources nobody would write the compiler also fails by accident, with any exception.
        return False
    finally:
        gc.enable()
    return True


async def build(copied: Path, pristine: Path, budget: float) -> Verdict | None:
    """Compile what a mutant changes: None, or why there is no need to try it."""
    status, output = await execute(copied, ["ballast.build", "--jobs", "1"], budget)
    if status is None:
        return Verdict.TIMED_OUT
    if status != 0:
        return Verdict.TOO_LARGE if "too large (" in output else Verdict.NOT_COMPILED
    return Verdict.EQUAL if _codes(copied) == _codes(pristine) else None


def _codes(tree: Path) -> dict[str, tuple[str, str]]:
    """Runtime and creation code of a tree's deployables, as they were last compiled."""
    names = {path.stem for path in (tree / "contracts").glob("*.vy")}
    made = [json.loads(path.read_text()) for path in (tree / "build/artifacts").glob("*.json")]
    return {a["name"]: (a["runtime"], code_of(a["initcode"])) for a in made if a["name"] in names}


def code_of(initcode: str) -> str:
    """Creation code (hex) without the digest of the sources that the compiler appends: its length
    is in the last two bytes, and counts them."""
    return initcode[: -2 * int(initcode[-4:], 16)]


class _Bundle(FilesystemInputBundle):
    """A tree's sources, with other contents in one file."""

    def __init__(self, tree: Path, path: Path, contents: str) -> None:
        super().__init__([Path(get_path("purelib")), tree, tree / "contracts"])
        self._path, self._contents = path, contents

    def _load_from_path(self, resolved_path: Path, original_path: Path) -> Any:
        found = super()._load_from_path(resolved_path, original_path)
        if resolved_path != self._path:
            return found
        return FileInput(found.source_id, original_path, resolved_path, self._contents)
