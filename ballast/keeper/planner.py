"""What is to be done at these prices: from the mirror to actions, nothing asked and nothing sent.

In this order:

1. `deleverage` of the bankrupt (E < 0), the deepest first, in batches, each as often as the buckets
   it will meet ask for (who is solvent by then is passed over). It draws insurance itself,
   so a take-over of a bankrupt account is never needed.
2. `liquidate` of those below maintenance, the nearest to bankruptcy first, one leg of each: the
   largest that the keeper's own account can carry, in whole or in part, where it pays. Several go
   into one transaction once the keeper's owner lets LiquidationBatch do so (`allow`).
3. `settle` of those whose open losses can pay claims that wait, the largest first.
4. `refresh` of winners who stand in another tier than their leverage, the largest first.

What others are to do first (`Situation.wait`) has transactions of its own, after the rest.
1, 3 and 4 serve the protocol and may cost more gas than they bring: a budget bounds them
(`costs.SendSettings`). Only 2 must earn more than its gas.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ballast.keeper.actions import Action, Kind
from ballast.keeper.deleveraging import deleverages
from ballast.keeper.liquidating import liquidations
from ballast.keeper.situation import PlanSettings, Situation, Survey
from ballast.keeper.upkeep import refreshes, settlements

_MAKERS: dict[Kind, Callable[[Survey], list[Action]]] = {
    Kind.DELEVERAGE: deleverages,
    Kind.LIQUIDATE: liquidations,
    Kind.SETTLE: settlements,
    Kind.REFRESH: refreshes,
}


@dataclass(frozen=True)
class Plan:
    """Actions in their order (what waits longer comes later), and what was seen: numbers of
    accounts, and claims that wait (quote WAD) by group."""

    actions: list[Action]
    bankrupt: int
    liquidatable: int
    waiting: dict[int, int]


def plan(now: Situation, settings: PlanSettings, target: str) -> Plan:
    """What to do about a situation, by calls of the clearinghouse at `target`."""
    survey = Survey(now, settings, target)
    found: list[Action] = []
    for kind, make in _MAKERS.items():
        if kind in settings.kinds:
            found += make(survey)
    found.sort(key=lambda action: action.wait)
    screen = survey.screen
    waiting = {number: group.claims.size for number, group in survey.book.groups.items()}
    return Plan(found, int(screen.bankrupt.sum()), int(screen.liquidatable.sum()), waiting)
