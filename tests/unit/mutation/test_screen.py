"""Which mutants are worth a trial."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from ballast.build import ROOT, artifact
from ballast.mutation.generate import MODULES, Mutant, module_path
from ballast.mutation.screen import SMALLEST, SMALLEST_OF_OTHERS, build, code_of, compiles
from ballast.mutation.trial import Verdict

BODY = "    return a * b // denominator\n"


def mutant(after: str) -> Mutant:
    lines = (ROOT / module_path("fixed_point")).read_text().splitlines(keepends=True)
    return Mutant("fixed_point", lines.index(BODY) + 1, BODY, after)


@pytest.mark.parametrize("after", ["    return a + b // denominator\n", "    return a\n"])
def test_a_program_passes(after: str) -> None:
    assert compiles(mutant(after), ROOT)


@pytest.mark.parametrize(
    "after",
    [
        "    return a * b / denominator\n",  # does not type
        "    return a * // denominator\n",  # does not parse
        "    pass\n",  # does not return
    ],
)
def test_what_is_no_program_does_not(after: str) -> None:
    assert not compiles(mutant(after), ROOT)


@pytest.mark.parametrize("module", MODULES)
def test_the_contract_compiled_has_the_module(module: str) -> None:
    name = SMALLEST.get(module, SMALLEST_OF_OTHERS)
    assert module_path(module).as_posix() in artifact(Path(name).name).sources


def test_the_digest_of_the_sources_is_no_code() -> None:
    code, digest = "6001", "ab" * 32
    appended = digest + "0022"
    assert code_of(code + appended) == code


@pytest.mark.parametrize(
    ("made", "script", "verdict"),
    [
        ("6001", "", Verdict.EQUAL),
        ("6002", "", None),
        ("6001", "raise SystemExit('too large (24,576 bytes or more): Lens')", Verdict.TOO_LARGE),
        ("6001", "raise SystemExit('BuildError')", Verdict.NOT_COMPILED),
        ("6001", "import time; time.sleep(60)", Verdict.TIMED_OUT),
    ],
)
def test_verdicts_without_a_test_run(
    tmp_path: Path, made: str, script: str, verdict: Verdict | None
) -> None:
    trees = [tmp_path / "pristine", tmp_path / "copied"]
    for tree, code in zip(trees, ("6001", made), strict=True):
        for folder in ("contracts", "build/artifacts", "ballast"):
            (tree / folder).mkdir(parents=True)
        (tree / "contracts" / "Lens.vy").write_text("")
        (tree / "ballast" / "__init__.py").write_text("")
        (tree / "ballast" / "build.py").write_text(script)
        record = {"name": "Lens", "runtime": code, "initcode": code + "0002"}
        (tree / "build" / "artifacts" / "Lens.json").write_text(json.dumps(record))
    assert asyncio.run(build(trees[1], trees[0], 3)) is verdict
