"""Where mechanical faults are put, and where not."""

from __future__ import annotations

import pytest

from ballast.build import ROOT
from ballast.mutation.generate import (
    MODULES,
    Mutant,
    code_lines,
    module_path,
    mutants_of,
    shuffled,
)

SOURCE = '''# pragma version 0.4.3
"""
@title A module
@dev    a = b + c >= 0
"""

from modules import records

uses: records

LIMIT: constant(uint256) = 7  # 3 + 4


@internal
def _sum(a: uint256, b: uint256) -> uint256:
    """
    @return a + b
    """
    # 1 + 1
    assert a < b, "module: a + b"
    return a + b  # not a - b
'''


def changed(text: str) -> list[Mutant]:
    line = SOURCE.splitlines().index(text) + 1
    return [mutant for mutant in mutants_of("module", SOURCE) if mutant.line == line]


def test_code_is_what_is_neither_comment_nor_docstring_nor_import() -> None:
    lines = SOURCE.splitlines()
    assert [lines[number - 1].strip() for number in sorted(code_lines(SOURCE))] == [
        "LIMIT: constant(uint256) = 7  # 3 + 4",
        "@internal",
        "def _sum(a: uint256, b: uint256) -> uint256:",
        'assert a < b, "module: a + b"',
        "return a + b  # not a - b",
    ]


def test_mutants_are_in_code_only() -> None:
    assert {mutant.line for mutant in mutants_of("module", SOURCE)} == code_lines(SOURCE)


def test_an_operator_is_replaced() -> None:
    after = [mutant.after.strip() for mutant in changed("    return a + b  # not a - b")]
    assert "return a - b  # not a - b" in after


def test_the_comment_behind_code_is_left_alone() -> None:
    for mutant in changed("    return a + b  # not a - b"):
        assert "# not a + b" not in mutant.after


def test_a_reason_string_is_left_alone() -> None:
    for mutant in changed('    assert a < b, "module: a + b"'):
        assert "module: a - b" not in mutant.after


def test_no_change_is_made_twice() -> None:
    made = mutants_of("module", SOURCE)
    assert len({mutant.key for mutant in made}) == len(made)


def test_a_mutant_changes_its_line_alone() -> None:
    for mutant in mutants_of("module", SOURCE):
        before, after = SOURCE.splitlines(True), mutant.applied_to(SOURCE).splitlines(True)
        assert before[: mutant.line - 1] == after[: mutant.line - 1]
        assert before[mutant.line :] == after[len(after) - len(before) + mutant.line :]


def test_a_mutant_of_another_source_is_refused() -> None:
    mutant = mutants_of("module", SOURCE)[0]
    with pytest.raises(ValueError, match="another source"):
        mutant.applied_to(SOURCE.replace("7", "8").replace("@internal", "@external"))


@pytest.mark.parametrize(
    ("before", "after", "commuted"),
    [
        ("    a: uint256 = b - min(b, c)\n", "    a: uint256 = b - min ( c,b)\n", True),
        ("x = _mul_div_down(a, b, c)\n", "x = _mul_div_down ( b,a, c)\n", True),
        ("x = _mul_div_down(a, b, c)\n", "x = _mul_div_down ( a,c, b)\n", False),
        ("x = -_cost_basis(long, a, b)\n", "x = -_cost_basis(long, b, a)\n", True),
        ("x = -_proceeds(long, a, b)\n", "x = -_proceeds(a, long, b)\n", False),
        ("x = f(a, b)\n", "x = f( b,a)\n", False),
        ("x = min(a, b)\n", "x = max(a, b)\n", False),
    ],
)
def test_what_commutes_is_no_fault(before: str, after: str, commuted: bool) -> None:
    assert Mutant("ledger", 1, before, after).is_commuted is commuted


def test_the_order_is_fixed_by_the_seed() -> None:
    one, same, other = shuffled(1), shuffled(1), shuffled(2)
    assert one == same
    assert one != other
    assert sorted(m.key for m in one) == sorted(m.key for m in other)


@pytest.mark.parametrize("module", MODULES)
def test_modules_are_where_they_are_looked_for(module: str) -> None:
    assert (ROOT / module_path(module)).is_file()
