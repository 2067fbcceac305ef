"""The mirror's benchmark on few accounts: it measures, it decides right, and it says so."""

from __future__ import annotations

import json

from ballast.bench import mirror_speed


def test_a_short_run() -> None:
    result = mirror_speed.measure(accounts=300, rounds=3, seed=2)
    assert result["accounts"] == 300
    assert 300 <= result["legs"] <= 900
    assert result["wrong_decisions"] == 0
    assert result["error_of_bound"] < 1
    assert result["liquidatable_most"] > 0
    assert json.loads(json.dumps(result)) == result
    assert "| both |" in mirror_speed.section(result)


def test_the_same_seed_gives_the_same_book() -> None:
    one, other = (mirror_speed.synthetic(50, 7) for _ in range(2))
    assert one.book(3) == other.book(3)
