"""The list of mutants that change nothing: each is a mutant of the contracts as they are, and says
which line it means."""

from __future__ import annotations

from ballast.build import ROOT
from ballast.mutation import equal
from ballast.mutation.generate import Mutant, module_path, mutants_of


def source_of(module: str) -> str:
    return (ROOT / module_path(module)).read_text()


def test_every_entry_is_a_mutant_and_has_a_reason() -> None:
    known = equal.known()
    assert known
    assert all(entry["why"] for entry in known.values())
    made = [
        m for module in {key[0] for key in known} for m in mutants_of(module, source_of(module))
    ]
    found = {(m.module, m.before.strip(), m.after.strip()) for m in made}
    assert known.keys() <= found
    counted = {(m.module, m.line) for m in made if equal.reason(m, source_of(m.module))}
    assert len(counted) >= len({key[:2] for key in known})


def test_a_line_that_stands_more_than_once_is_told_apart() -> None:
    for (module, before, _), entry in equal.known().items():
        lines = [line.strip() for line in source_of(module).splitlines()]
        above = [lines[place - 1] for place, line in enumerate(lines) if line == before]
        if len(above) > 1:
            assert entry.get("everywhere") or above.count(entry.get("under", "")) == 1, before


def test_another_line_of_the_same_text_is_a_fault() -> None:
    change = "        if claims.shares == 0:\n", "        if claims.shares < 0:\n"
    source = source_of("ledger")
    found = [
        equal.reason(Mutant("ledger", number, *change), source)
        for number, line in enumerate(source.splitlines(), 1)
        if line.strip() == change[0].strip()
    ]
    assert [why is not None for why in found] == [True, False]


def test_lines_may_move() -> None:
    before, after = "    after: uint256 = 0\n", "    after: uint256 = (0+1)\n"
    assert equal.reason(Mutant("positions", 2, before, after), "\n\n") == "Both branches set it."
    assert equal.reason(Mutant("positions", 2, before, "    pass\n"), "\n\n") is None
