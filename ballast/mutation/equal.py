"""Mutants that change nothing, as people have found, with reasons: `equal.toml` beside this."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from ballast.mutation.generate import Mutant

FILE = Path(__file__).with_suffix(".toml")

Change = tuple[str, str, str]
"""Module, line and what stands there instead."""


def reason(mutant: Mutant, source: str) -> str | None:
    """Why a mutant of a module's source is no fault; None where nobody says that. Lines may
    move."""
    found = known().get((mutant.module, mutant.before.strip(), mutant.after.strip()))
    if found is None:
        return None
    under = found.get("under")
    if under is not None and source.splitlines()[mutant.line - 2].strip() != under:
        return None
    return str(found["why"])


@cache
def known() -> dict[Change, dict[str, Any]]:
    """Every entry, by module and change."""
    listed = tomllib.loads(FILE.read_text())["equal"]
    return {(each["module"], each["before"], each["after"]): each for each in listed}
