"""Which legs of those below maintenance the keeper's own account takes over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ballast.keeper import actions
from ballast.keeper.actions import GAS, LIQUIDATE_MANY, Action, Kind
from ballast.keeper.situation import Survey
from ballast.keeper.takeover import Means, bearable, gas_quote, margin_quote, reward_quote, terms
from ballast.mirror import Account
from ballast.model.market import STALE


def liquidations(survey: Survey) -> list[Action]:
    """The nearest to bankruptcy first, one leg of each; none without a liquidator."""
    liquidator, screen = survey.settings.liquidator, survey.screen
    means = None if liquidator is None else _means(survey, liquidator)
    if liquidator is None or means is None:
        return []
    low = np.flatnonzero(screen.liquidatable)
    room = screen.equity[low] / screen.maintenance[low]
    found: list[Action] = []
    for number, account in survey.free(low[np.argsort(room, kind="stable")]):
        if account == liquidator:
            continue
        action = _take_over(survey, number, account, liquidator, means)
        if action is not None:
            means.free_quote -= action.margin_quote
            found.append(action)
    return _batched(survey, found, liquidator)


def _means(survey: Survey, own: bytes) -> Means | None:
    """The liquidator's, where it may take over anything at all."""
    now, book = survey.now, survey.book
    if own not in book.accounts:
        cash = survey.columns.indexer.cash(own)
        return Means(Account(0, cash, 0, 0, {}), cash - now.bound_quote)
    account = book.accounts[own]
    statuses = [now.statuses.get(market, STALE) for market in account.legs]
    if account.debt or any(status & STALE for status in statuses):
        return None
    ratios = {market: params.initial_margin_bps for market, params in now.params.items()}
    needed = book.requirement(own, ratios) + now.bound_quote
    return Means(account, book.backing(own) - needed)


def _take_over(
    survey: Survey, number: int, account: bytes, liquidator: bytes, means: Means
) -> Action | None:
    """Of the account's largest leg that can be borne and pays."""
    now, settings = survey.now, survey.settings
    equity, maintenance = survey.exact(number)
    if not 0 <= equity < maintenance:
        return None
    cost = gas_quote(GAS[Kind.LIQUIDATE], now.gas_price, settings.native_quote)
    legs = survey.legs(number)
    for leg in sorted(legs, key=lambda leg: -leg.size * now.prices.get(leg.market, 0)):
        params = now.params.get(leg.market)
        if not leg.size or params is None or not survey.is_closable(leg.market):
            continue
        if means.account.group not in (0, params.group):
            continue
        price = now.prices[leg.market]
        most = terms(equity, maintenance, leg, price, params)
        size = bearable(means, leg, most, price, params)
        reward = reward_quote(size, most, leg, price, params)
        if size == 0 or reward - cost <= settings.min_profit_quote:
            continue
        margin = margin_quote(size, most, price, params)
        return actions.liquidate(
            survey.target, account, leg.market, size, liquidator, reward, margin
        )
    return None


def _batched(survey: Survey, found: list[Action], liquidator: bytes) -> list[Action]:
    """Several at once where the liquidator lets the batch contract; else it is asked to, the
    first time that there is more than one."""
    batch = survey.now.batch
    if batch is None or not batch.is_allowed:
        made = [survey.in_turn(action) for action in found]
        if batch is not None and len(found) > 1 and Kind.ALLOW in survey.settings.kinds:
            allowed = actions.allow(survey.target, batch.target)
            made.append(replace(allowed, wait=made[-1].wait))
        return made
    return [
        replace(actions.liquidate_many(batch.target, some, liquidator), wait=wait)
        for wait, some in survey.batches(found, lambda one: one.accounts[0], LIQUIDATE_MANY)
    ]
