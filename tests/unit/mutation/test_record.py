"""The page that keeps the last result, and people's reasons."""

from __future__ import annotations

from pathlib import Path

import pytest

from ballast.mutation.generate import Mutant
from ballast.mutation.record import HEADING, UNEXPLAINED, explanations, recorded
from ballast.mutation.results import Result, Results
from ballast.mutation.trial import Trial, Verdict

PAGE = f"# Mutants\n\nProse.\n\n{HEADING}\nThe last one.\n"


@pytest.fixture
def results(tmp_path: Path) -> Results:
    (tmp_path / "contracts").mkdir()
    results = Results(tmp_path, tmp_path / "contracts", 7)
    changes = [("    a | b\n", "    a & b\n"), ("  c\n", "  c\n  break;\n"), ("d\n", "e\n")]
    verdicts = (Verdict.MISSED, Verdict.TIMED_OUT, Verdict.FOUND)
    for line, (change, verdict) in enumerate(zip(changes, verdicts, strict=True), 5):
        results.add(Result(Mutant("grid", line, *change), Trial(verdict), "abc"))
    return results


def test_the_result_replaces_the_last_one(results: Results) -> None:
    page = recorded(PAGE, results, 7)
    assert page.startswith(f"# Mutants\n\nProse.\n\n{HEADING}")
    assert "The last one." not in page
    assert "Commit `abc`, seed 7: **33.3% of 3 found**." in page
    assert "| grid | 1 | 1 | 1 | 0 | 0 | 0 |" in page
    assert "| **all** | 1 | 1 | 1 | 0 | 0 | 0 |" in page
    assert "| grid:5 | `a \\| b` | `a & b` | ? |" in page
    assert "| grid:6 | `c` | `c ⏎   break;` | ? |" in page
    assert "grid:7" not in page
    assert recorded(page, results, 7) == page


def test_reasons_are_kept_where_lines_have_moved(results: Results) -> None:
    page = recorded(PAGE, results, 7)
    page = page.replace("grid:5 | `a \\| b` | `a & b` | ?", "grid:4 | `a \\| b` | `a & b` | x | y")
    assert "| grid:5 | `a \\| b` | `a & b` | x | y |" in recorded(page, results, 7)
    assert explanations(page)["grid", "c", "c ⏎   break;"] == UNEXPLAINED
