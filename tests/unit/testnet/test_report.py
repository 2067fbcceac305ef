"""What a testnet run calls good: nobody left, somebody closed by the queue, nothing violated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.testnet.__main__ import is_good, report
from ballast.testnet.audit import Audit
from ballast.testnet.run import Plan, Result

A, B = b"a" * 32, b"b" * 32


def found(**changes) -> Audit:
    return replace(Audit(9, 112, liquidated={A, B}, deleveraged={B}), **changes)


def judged(*audits: Audit, restarts: int = 1) -> bool:
    return is_good(report(Result(list(audits), keeper_restarts=restarts), Plan()))


def test_an_account_is_counted_once():
    told = report(Result([found()], keeper_restarts=1), Plan())
    assert (told["resolved"], told["liquidated"], told["deleveraged"]) == (2, 2, 1)
    assert is_good(told)


@pytest.mark.parametrize(
    "changes",
    [
        {"bankrupt": [A]},
        {"weak": [A]},
        {"violations": ["S1"]},
        {"deleveraged": set()},
        {"liquidated": set(), "deleveraged": set()},
    ],
)
def test_what_is_not_good(changes):
    assert not judged(found(**changes))


def test_a_violation_in_between_counts():
    assert not judged(found(violations=["S2"]), found())


def test_an_account_resolved_later_is_well():
    assert judged(found(bankrupt=[A]), found())


def test_without_a_restart_it_is_not_what_was_asked():
    assert not judged(found(), restarts=0)
