"""The list of mutants that change nothing: each is a mutant of the contracts as they are."""

from __future__ import annotations

from ballast.build import ROOT
from ballast.mutation import equal
from ballast.mutation.generate import Mutant, module_path, mutants_of


def test_every_entry_is_a_mutant_and_has_a_reason() -> None:
    known = equal.known()
    assert known
    assert all(known.values())
    modules = {module for module, _, _ in known}
    made = {
        (mutant.module, mutant.before.strip(), mutant.after.strip())
        for module in modules
        for mutant in mutants_of(module, (ROOT / module_path(module)).read_text())
    }
    assert known.keys() <= made


def test_lines_may_move() -> None:
    (module, before, after), why = next(iter(equal.known().items()))
    assert equal.reason(Mutant(module, 1, f"  {before}\n", f"  {after}\n")) == why
    assert equal.reason(Mutant(module, 1, f"  {before}\n", f"  {after} \n")) == why
    assert equal.reason(Mutant(module, 1, f"  {before}\n", "  pass\n")) is None
