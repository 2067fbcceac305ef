"""A run that was cut off goes on where it ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from ballast.mutation.generate import Mutant
from ballast.mutation.results import Result, Results
from ballast.mutation.trial import Trial, Verdict


@pytest.fixture
def contracts(tmp_path: Path) -> Path:
    folder = tmp_path / "contracts"
    folder.mkdir()
    (folder / "Vault.vy").write_text("a\n")
    return folder


def result(line: int, verdict: Verdict, module: str = "ledger") -> Result:
    trial = Trial(verdict, "tests/unit/test_x.py::test_x", "assert 1 == 2", 3.5)
    return Result(Mutant(module, line, "a + b\n", "a - b\n"), trial, "abc")


def test_results_are_there_at_the_next_start(tmp_path: Path, contracts: Path) -> None:
    first = Results(tmp_path, contracts, 1)
    kept = [result(1, Verdict.FOUND), result(2, Verdict.MISSED)]
    for each in kept:
        first.add(each)
    second = Results(tmp_path, contracts, 1)
    assert second.counted() == kept
    assert all(second.is_known(each.mutant) for each in kept)
    assert not second.is_known(result(3, Verdict.FOUND).mutant)


def test_half_a_line_is_forgotten_and_harms_no_other(tmp_path: Path, contracts: Path) -> None:
    results = Results(tmp_path, contracts, 1)
    results.add(result(1, Verdict.FOUND))
    results.add(result(2, Verdict.FOUND))
    text = results.path.read_text()
    results.path.write_text(text[:-20])
    again = Results(tmp_path, contracts, 1)
    assert not again.is_known(result(2, Verdict.FOUND).mutant)
    again.add(result(3, Verdict.FOUND))
    assert [r.mutant.line for r in Results(tmp_path, contracts, 1).counted()] == [1, 3]


def test_a_later_result_replaces_the_earlier_one(tmp_path: Path, contracts: Path) -> None:
    results = Results(tmp_path, contracts, 1)
    results.add(result(1, Verdict.MISSED))
    results.add(result(1, Verdict.FOUND))
    for known in (results, Results(tmp_path, contracts, 1)):
        assert known.survivors() == []
        assert len(known.counted()) == 1


def test_other_sources_and_other_seeds_have_other_results(tmp_path: Path, contracts: Path) -> None:
    Results(tmp_path, contracts, 1).add(result(1, Verdict.FOUND))
    assert Results(tmp_path, contracts, 2).counted() == []
    (contracts / "Vault.vy").write_text("b\n")
    assert Results(tmp_path, contracts, 1).counted() == []


def test_what_is_no_fault_does_not_count(tmp_path: Path, contracts: Path) -> None:
    results = Results(tmp_path, contracts, 1)
    for line, verdict in enumerate(Verdict):
        results.add(result(line, verdict))
    assert [r.trial.verdict for r in results.counted()] == [
        Verdict.FOUND,
        Verdict.MISSED,
        Verdict.TIMED_OUT,
    ]
    assert results.score() == pytest.approx(1 / 3)
    assert results.count(Verdict.EQUAL) == 1
    assert results.count(Verdict.EQUAL, "ledger") == 1
    assert results.count(Verdict.EQUAL, "grid") == 0


def test_survivors_are_in_order_of_the_source(tmp_path: Path, contracts: Path) -> None:
    results = Results(tmp_path, contracts, 1)
    for module, line in (("ledger", 9), ("grid", 5), ("ledger", 2)):
        results.add(result(line, Verdict.MISSED, module))
    results.add(result(1, Verdict.TIMED_OUT, "grid"))
    found = [(r.mutant.module, r.mutant.line) for r in results.survivors()]
    assert found == [("grid", 1), ("grid", 5), ("ledger", 2), ("ledger", 9)]
