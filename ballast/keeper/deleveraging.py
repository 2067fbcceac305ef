"""Which of the bankrupt are closed against the queue, and in how many calls."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ballast.columns import Columns
from ballast.keeper import actions
from ballast.keeper.actions import DELEVERAGE_MANY, Action
from ballast.keeper.situation import Survey
from ballast.mirror import BPS, WAD, Leg

CALLS = 8
"""Calls of `deleverage` for one account in one plan, at most."""


def deleverages(survey: Survey) -> list[Action]:
    """The deepest bankrupt first, in batches, each as often as the buckets it will meet ask for."""
    screen, prices = survey.screen, survey.now.prices
    bankrupt = np.flatnonzero(screen.bankrupt)
    if not len(bankrupt):
        return []
    deepest = bankrupt[np.argsort(screen.equity[bankrupt], kind="stable")]
    queues = _Queues(survey.columns, prices)
    buckets, reward_bps = survey.now.adl_params
    found: list[tuple[bytes, int]] = []
    for number, account in survey.free(deepest):
        legs = survey.legs(number)
        open_legs = [leg for leg in legs if survey.is_closable(leg.market)]
        if legs and not open_legs:
            continue
        notional = sum(leg.size * prices[leg.market] // WAD for leg in open_legs)
        met = sum(queues.take(leg) for leg in open_legs)
        calls = min(max(1, -(-met // buckets)), CALLS)
        found += [(account, notional * reward_bps // BPS // calls)] * calls
    made: list[Action] = []
    for wait, batch in survey.batches(found, lambda one: one[0], DELEVERAGE_MANY):
        accounts, reward = [a for a, _ in batch], sum(r for _, r in batch)
        action = actions.deleverage(survey.target, accounts, reward)
        made.append(replace(action, wait=wait))
    return made


class _Queues:
    """How many buckets forced closes will meet, one after the other. Close, not exact: funding and
    insurance move nobody here."""

    def __init__(self, columns: Columns, prices: Mapping[int, int]) -> None:
        self._ahead: dict[tuple[int, bool], list[int]] = {}
        self._taken: dict[tuple[int, bool], int] = {}
        for key, (_, ahead, _) in columns.ranks(prices).buckets.items():
            self._ahead.setdefault((key >> 32, bool(key >> 16 & 1)), []).append(ahead)
        for side in self._ahead.values():
            side.sort()

    def take(self, leg: Leg) -> int:
        """Close a leg against the other side; buckets met."""
        side = leg.market, not leg.is_long
        ahead, start = self._ahead.get(side, []), self._taken.get(side, 0)
        self._taken[side] = start + leg.size
        first = bisect_right(ahead, start) - 1
        return bisect_left(ahead, start + leg.size) - max(0, first)
