"""Actions: their order among keepers that look at the same moment."""

from __future__ import annotations

from ballast.keeper import actions
from ballast.keeper.actions import AS_URGENT, Kind, spread
from ballast.signing import key_from_label

HOUSE = "0x" + "11" * 20
KEEPERS = [key_from_label(f"keeper {number}").address for number in range(5)]


def test_keepers_begin_with_different_ones_of_the_urgent() -> None:
    accounts = [bytes([number]) * 32 for number in range(1, 25)]
    taken = [actions.liquidate(HOUSE, a, 1, 10, accounts[0], 0, 0) for a in accounts]
    first = actions.deleverage(HOUSE, accounts, 0)
    last = [actions.settle(HOUSE, a) for a in accounts[:2]]
    orders = [spread([first, *taken, *last], keeper) for keeper in KEEPERS]
    assert len({order[1].key for order in orders}) > 1
    for order in orders:
        assert order[0] == first
        assert {a.kind for a in order[-2:]} == {Kind.SETTLE}
        for start in range(0, len(taken), AS_URGENT):
            some = slice(start, start + AS_URGENT)
            assert {a.key for a in order[1:][some]} == {a.key for a in taken[some]}
    assert spread(taken, KEEPERS[0]) == spread(taken, KEEPERS[0])
