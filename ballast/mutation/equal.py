"""Mutants that change nothing, as people have found, with reasons: `equal.toml` beside this."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from ballast.mutation.generate import Mutant

FILE = Path(__file__).with_suffix(".toml")


def reason(mutant: Mutant) -> str | None:
    """Why a mutant is no fault; None where nobody says that. Lines may move."""
    return known().get((mutant.module, mutant.before.strip(), mutant.after.strip()))


@cache
def known() -> dict[tuple[str, str, str], str]:
    """Every reason, by module and change."""
    listed = tomllib.loads(FILE.read_text())["equal"]
    return {(each["module"], each["before"], each["after"]): each["why"] for each in listed}
