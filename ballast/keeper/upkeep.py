"""What keeps the protocol in order at a keeper's expense: claims paid, winners ranked."""

from __future__ import annotations

import numpy as np

from ballast.columns import summed
from ballast.keeper import actions
from ballast.keeper.actions import Action
from ballast.keeper.situation import Survey
from ballast.mirror import WAD
from ballast.model import grid

SETTLES = 8
"""Accounts settled at one price, at most."""


def settlements(survey: Survey) -> list[Action]:
    """Losers whose cash can pay claims that wait, the largest first, as far as it takes."""
    columns, least = survey.columns, survey.settings.min_settle_quote / WAD
    used, count = columns.legs, len(columns.names)
    losses = np.minimum(columns.results(survey.now.prices), 0)
    loss = -summed(columns.owner[:used], losses, count)
    means = np.minimum(loss, columns.cash[:count])
    means[survey.screen.bankrupt] = 0
    found: list[Action] = []
    for number, group in survey.book.groups.items():
        waiting = group.claims.size / WAD
        members = np.flatnonzero((columns.group[:count] == number) & (means >= least))
        richest = members[np.argsort(-means[members], kind="stable")]
        for member, account in survey.free(richest):
            if waiting < least or len(found) == SETTLES:
                break
            waiting -= means[member]
            found.append(survey.in_turn(actions.settle(survey.target, account)))
    return found


def refreshes(survey: Survey) -> list[Action]:
    """Winners whose tier is not that of their leverage, largest mistake first. Those are asked
    in integers: the columns only tell whom to ask."""
    found: list[Action] = []
    for number, account in survey.free(_mistaken(survey)):
        if len(found) >= survey.settings.max_refresh:
            break
        tier = _tier_due(survey, number)
        if tier is not None:
            found.append(survey.in_turn(actions.refresh(survey.target, account, tier)))
    return found


def _mistaken(survey: Survey) -> list[int]:
    """The numbers of accounts that seem to stand in a wrong tier, largest mistake first."""
    columns, screen, prices = survey.columns, survey.screen, survey.now.prices
    used, count = columns.legs, len(columns.names)
    owner, size = columns.owner[:used], columns.size[:used]
    worth = np.abs(size) * columns.by_market(prices)[columns.market[:used]]
    notional = summed(owner, worth, count)
    with np.errstate(divide="ignore", invalid="ignore"):
        leverage = np.where(screen.equity > 0, notional / screen.equity, np.inf)
    tier = np.searchsorted(np.array(grid.TIER_LEVERAGE[:-1], dtype=float), leverage[owner])
    stored = np.array([key >> 13 & 7 for key in columns.keys])[columns.bucket[:used]]
    wrong = np.abs(tier - stored) * (size != 0)
    wrong = wrong * (columns.results(prices) > 0)
    wrong[wrong < survey.settings.refresh_tiers] = 0
    mistake = summed(owner, wrong * worth, count)
    worst = np.argsort(-mistake, kind="stable")[: int((mistake > 0).sum())]
    return list(map(int, worst))


def _tier_due(survey: Survey, number: int) -> int | None:
    """The tier of an account's leverage; None where its legs stand near enough to it."""
    prices = survey.now.prices
    equity, _ = survey.exact(number)
    legs = survey.legs(number)
    notional = sum(-(-leg.size * prices[leg.market] // WAD) for leg in legs)
    tier = grid.tier_of(notional, equity)
    least = survey.settings.refresh_tiers
    is_wrong = any(leg.size and abs(leg.tier - tier) >= least for leg in legs)
    return tier if is_wrong else None
