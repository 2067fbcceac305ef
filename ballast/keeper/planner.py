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
(`sender.SendSettings`). Only 2 must earn more than its gas.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeVar

import numpy as np

from ballast.columns import Columns, Screen, summed
from ballast.config import MarketParams
from ballast.keeper import actions
from ballast.keeper.actions import (
    DELEVERAGE_MANY,
    GAS,
    KEEPER_KINDS,
    LIQUIDATE_MANY,
    Action,
    Kind,
)
from ballast.mirror import BPS, WAD, Account, Book, Leg
from ballast.model import grid

STALE = 1
GRACE = 4
MARGIN_USED_BPS = 9_000
"""Of its free margin a liquidator uses so much: prices go on moving until the call is mined."""
CALLS = 8
"""Calls of `deleverage` for one account in one plan, at most."""
SETTLES = 8
"""Accounts settled at one price, at most."""
_BPS_WAD = WAD // BPS
_T = TypeVar("_T")


def _at_once(account: bytes) -> float:
    return 0.0


@dataclass(frozen=True)
class PlanSettings:
    """What a keeper wants. Amounts are quote WAD.

    `liquidator` is the account that takes legs over (None: none is). `native_quote` is what
    one native coin is worth. A liquidation must bring more than `min_profit_quote` after gas; a
    settlement must move at least `min_settle_quote`; at most `max_refresh` accounts a price are
    re-ranked, which stand at least `refresh_tiers` tiers wrong.
    """

    kinds: frozenset[Kind] = frozenset(KEEPER_KINDS)
    liquidator: bytes | None = None
    native_quote: int = 0
    min_profit_quote: int = 0
    min_settle_quote: int = 10 * WAD
    max_refresh: int = 4
    refresh_tiers: int = 1


@dataclass(frozen=True)
class Batch:
    """The contract that takes several legs over in one transaction (LiquidationBatch.vy), and
    whether the liquidator lets it."""

    target: str
    is_allowed: bool


@dataclass(frozen=True)
class Situation:
    """What a plan is made from. `columns` stand at `timestamp` (Unix seconds).

    `prices` (WAD) and `statuses` (bit sets of docs/SPEC.md section 6) are what the next block will
    fix; `adl_params` are the buckets of one `deleverage` and its reward in bps; `gas_price` is wei
    a gas; `batch` is None where the liquidator can have none; `busy` are accounts that something is
    under way for, and `bound_quote` is the liquidator's margin (WAD) that it will bind; `wait`
    tells how many turns to let others have an account first.
    """

    columns: Columns
    timestamp: int
    prices: Mapping[int, int]
    statuses: Mapping[int, int]
    params: Mapping[int, MarketParams]
    adl_params: tuple[int, int]
    gas_price: int
    busy: frozenset[bytes] = frozenset()
    bound_quote: int = 0
    batch: Batch | None = None
    wait: Callable[[bytes], float] = _at_once


@dataclass(frozen=True)
class Plan:
    """Actions in their order (what waits longer comes later), and what was seen: numbers of
    accounts, and claims that wait (quote WAD) by group."""

    actions: list[Action]
    bankrupt: int
    liquidatable: int
    waiting: dict[int, int]


@dataclass(frozen=True)
class Terms:
    """What `liquidate` allows of a leg: size (base WAD) and penalty (WAD of the notional)."""

    size: int
    penalty_wad: int


@dataclass
class Means:
    """A liquidator's account and what of its margin is free, quote WAD."""

    account: Account
    free_quote: int


def plan(now: Situation, settings: PlanSettings, target: str) -> Plan:
    """What to do about a situation, by calls of the clearinghouse at `target`."""
    return _Planner(now, settings, target).plan()


def gas_quote(gas: int, gas_price: int, native_quote: int) -> int:
    """What gas costs, quote WAD, rounded up."""
    return -(-gas * gas_price * native_quote // WAD)


def terms(equity: int, maintenance: int, leg: Leg, price: int, params: MarketParams) -> Terms:
    """What may be taken of a leg with `0 <= E < MM` (modules/liquidation.vy, `_terms`)."""
    ratio = params.maintenance_margin_bps * _BPS_WAD
    penalty = min(params.liquidation_penalty_bps * _BPS_WAD, ratio * equity // maintenance)
    whole = Terms(leg.size, penalty)
    relief = params.liquidation_target_bps * ratio // BPS
    if equity * 5 < maintenance or relief <= penalty:
        return whole
    wanted = -(-maintenance * params.liquidation_target_bps // BPS)
    notional = -(-(wanted - equity) * WAD // (relief - penalty))
    size = -(-notional * WAD // price)
    if size >= leg.size or _is_dust(leg.size - size, price, params):
        return whole
    return Terms(size, penalty)


def bearable(means: Means, leg: Leg, most: Terms, price: int, params: MarketParams) -> int:
    """How much of a leg (base WAD) a liquidator can take over: within the terms, its free margin,
    the market's minimum and position cap. 0 where that is nothing."""
    own = means.account.legs.get(leg.market)
    held = own.signed_size if own else 0
    towards = held if leg.is_long else -held  # negative: taking over reduces what is held
    size = most.size
    free = means.free_quote * MARGIN_USED_BPS // BPS
    per_base = _margin_quote(WAD, most, price, params)
    size = min(size, max(0, -towards) + max(0, free) * WAD // max(1, per_base))
    size = min(size, params.position_cap_base - towards)
    if size < leg.size and _is_dust(leg.size - size, price, params):
        size = leg.size - _least(price, params)
    after = abs(towards + size)
    if after and _is_dust(after, price, params):
        # What would be left of an opposite position must not be dust either.
        size = -towards if 0 < -towards <= size else 0
        if size < leg.size and _is_dust(leg.size - size, price, params):
            return 0
    return max(0, size)


def _margin_quote(size: int, taken: Terms, price: int, params: MarketParams) -> int:
    """What taking over `size` binds: initial margin, and the part of the penalty passed on."""
    passed_on = taken.penalty_wad * (BPS - params.liquidator_share_bps) // BPS
    share = params.initial_margin_bps * _BPS_WAD + passed_on
    return -(-size * price * share // WAD**2)


def _is_dust(size: int, price: int, params: MarketParams) -> bool:
    return size * price // WAD < params.min_notional_quote


def _least(price: int, params: MarketParams) -> int:
    return -(-params.min_notional_quote * WAD // price)


class _Planner:
    """One plan in the making."""

    def __init__(self, now: Situation, settings: PlanSettings, target: str) -> None:
        self._now, self._settings, self._target = now, settings, target
        self._columns = now.columns
        self._screen: Screen = now.columns.screen(now.prices, now.timestamp)
        self._funding = now.columns.indexer.funding(now.timestamp)
        own = [settings.liquidator] if settings.liquidator in now.columns.number else []
        self._book: Book = now.columns.indexer.book(now.timestamp, own)
        self._book.prices = dict(now.prices)

    def plan(self) -> Plan:
        """See the module."""
        makers = {
            Kind.DELEVERAGE: self._deleverage,
            Kind.LIQUIDATE: self._liquidate,
            Kind.SETTLE: self._settle,
            Kind.REFRESH: self._refresh,
        }
        found: list[Action] = []
        for kind, make in makers.items():
            if kind in self._settings.kinds:
                found += make()
        found.sort(key=lambda action: action.wait)
        screen = self._screen
        waiting = {number: group.claims.size for number, group in self._book.groups.items()}
        return Plan(found, int(screen.bankrupt.sum()), int(screen.liquidatable.sum()), waiting)

    def _account(self, number: int) -> Account:
        return self._columns.indexer.account(self._columns.names[number], self._funding)

    def _is_closable(self, market: int) -> bool:
        """Whether liquidation and deleveraging go on in a market."""
        return market in self._now.prices and not self._now.statuses[market] & (STALE | GRACE)

    def _free(self, numbers: Iterator[int]) -> Iterator[tuple[int, bytes]]:
        for number in numbers:
            account = self._columns.names[number]
            if account not in self._now.busy:
                yield number, account

    # The bankrupt

    def _deleverage(self) -> list[Action]:
        bankrupt = np.flatnonzero(self._screen.bankrupt)
        deepest = bankrupt[np.argsort(self._screen.equity[bankrupt], kind="stable")]
        queues = _Queues(self._columns, self._now.prices) if len(deepest) else None
        buckets, reward_bps = self._now.adl_params
        found: list[tuple[bytes, int]] = []
        for number, account in self._free(map(int, deepest)):
            legs = self._account(number).legs.values()
            open_legs = [leg for leg in legs if self._is_closable(leg.market)]
            if legs and not open_legs:
                continue
            notional = sum(leg.size * self._now.prices[leg.market] // WAD for leg in open_legs)
            met = sum(queues.take(leg) for leg in open_legs) if queues else 0
            calls = min(max(1, -(-met // buckets)), CALLS)
            found += [(account, notional * reward_bps // BPS // calls)] * calls
        made: list[Action] = []
        for wait, batch in self._batches(found, lambda one: one[0], DELEVERAGE_MANY):
            accounts, reward = [a for a, _ in batch], sum(r for _, r in batch)
            action = actions.deleverage(self._target, accounts, reward)
            made.append(replace(action, wait=wait))
        return made

    def _batches(
        self, found: Sequence[_T], account: Callable[[_T], bytes], most: int
    ) -> Iterator[tuple[float, list[_T]]]:
        """What waits for the same turn, in its order, at most so many together."""

        def wait(one: _T) -> float:
            return self._now.wait(account(one))

        for turn, group in groupby(sorted(found, key=wait), key=wait):
            some = list(group)
            for start in range(0, len(some), most):
                yield turn, some[start : start + most]

    # Those below maintenance

    def _liquidate(self) -> list[Action]:
        means = self._means()
        if means is None:
            return []
        low = np.flatnonzero(self._screen.liquidatable)
        room = self._screen.equity[low] / self._screen.maintenance[low]
        found: list[Action] = []
        for number, account in self._free(map(int, low[np.argsort(room, kind="stable")])):
            if account == self._settings.liquidator:
                continue
            action = self._take_over(number, account, means)
            if action is not None:
                means.free_quote -= action.margin_quote
                found.append(action)
        return self._batched(found)

    def _batched(self, found: list[Action]) -> list[Action]:
        """Several at once where the liquidator lets the batch contract; else it is asked to, the
        first time that there is more than one."""
        batch, liquidator = self._now.batch, self._settings.liquidator
        if batch is None or liquidator is None or not batch.is_allowed:
            made = [self._in_turn(action) for action in found]
            if batch is not None and len(found) > 1 and Kind.ALLOW in self._settings.kinds:
                allowed = actions.allow(self._target, batch.target)
                made.append(replace(allowed, wait=made[-1].wait))
            return made
        return [
            replace(actions.liquidate_many(batch.target, some, liquidator), wait=wait)
            for wait, some in self._batches(found, lambda one: one.accounts[0], LIQUIDATE_MANY)
        ]

    def _in_turn(self, action: Action) -> Action:
        return replace(action, wait=self._now.wait(action.accounts[0]))

    def _means(self) -> Means | None:
        """The liquidator's, where it may take over anything at all."""
        own = self._settings.liquidator
        if own is None:
            return None
        if own not in self._book.accounts:
            cash = self._columns.indexer.cash(own)
            return Means(Account(0, cash, 0, 0, {}), cash - self._now.bound_quote)
        account = self._book.accounts[own]
        statuses = [self._now.statuses.get(market, STALE) for market in account.legs]
        if account.debt or any(status & STALE for status in statuses):
            return None
        ratios = {m: params.initial_margin_bps for m, params in self._now.params.items()}
        needed = self._book.requirement(own, ratios) + self._now.bound_quote
        return Means(account, self._book.backing(own) - needed)

    def _take_over(self, number: int, account: bytes, means: Means) -> Action | None:
        """Of the account's largest leg that can be borne and pays."""
        prices = self._now.prices
        equity, maintenance = self._columns.exact(number, prices, self._now.timestamp)
        if not 0 <= equity < maintenance:
            return None
        legs = self._account(number).legs.values()
        for leg in sorted(legs, key=lambda leg: -leg.size * prices.get(leg.market, 0)):
            params = self._now.params.get(leg.market)
            if not leg.size or params is None or not self._is_closable(leg.market):
                continue
            if means.account.group not in (0, params.group):
                continue
            price = prices[leg.market]
            most = terms(equity, maintenance, leg, price, params)
            size = bearable(means, leg, most, price, params)
            reward = _reward(size, most, leg, price, params)
            cost = gas_quote(GAS[Kind.LIQUIDATE], self._now.gas_price, self._settings.native_quote)
            if size == 0 or reward - cost <= self._settings.min_profit_quote:
                continue
            assert self._settings.liquidator is not None
            return actions.liquidate(
                self._target,
                account,
                leg.market,
                size,
                self._settings.liquidator,
                reward,
                _margin_quote(size, most, price, params),
            )
        return None

    # Claims that wait

    def _settle(self) -> list[Action]:
        """Losers whose cash can pay what waits, as far as it takes."""
        columns, least = self._columns, self._settings.min_settle_quote
        used, count = columns.legs, len(columns.names)
        losses = np.minimum(columns.results(self._now.prices), 0)
        loss = -summed(columns.owner[:used], losses, count)
        means = np.minimum(loss, columns.cash[:count])
        means[self._screen.bankrupt] = 0
        found: list[Action] = []
        for number, group in self._book.groups.items():
            waiting = group.claims.size / WAD
            members = np.flatnonzero((columns.group[:count] == number) & (means >= least / WAD))
            richest = members[np.argsort(-means[members], kind="stable")]
            for member, account in self._free(map(int, richest)):
                if waiting < least / WAD or len(found) == SETTLES:
                    break
                waiting -= means[member]
                found.append(self._in_turn(actions.settle(self._target, account)))
        return found

    # Wrong tiers

    def _refresh(self) -> list[Action]:
        """Winners whose tier is not that of their leverage, largest mistake first. Those are asked
        in integers: the columns only tell whom to ask."""
        columns, screen = self._columns, self._screen
        used, count = columns.legs, len(columns.names)
        owner = columns.owner[:used]
        worth = (
            np.abs(columns.size[:used]) * columns.by_market(self._now.prices)[columns.market[:used]]
        )
        notional = summed(owner, worth, count)
        with np.errstate(divide="ignore", invalid="ignore"):
            leverage = np.where(screen.equity > 0, notional / screen.equity, np.inf)
        tier = np.searchsorted(np.array(grid.TIER_LEVERAGE[:-1], dtype=float), leverage[owner])
        stored = np.array([key >> 13 & 7 for key in columns.keys])[columns.bucket[:used]]
        wrong = np.abs(tier - stored) * (columns.size[:used] != 0)
        wrong = wrong * (columns.results(self._now.prices) > 0)
        wrong[wrong < self._settings.refresh_tiers] = 0
        mistake = summed(owner, wrong * worth, count)
        worst = np.argsort(-mistake, kind="stable")[: int((mistake > 0).sum())]
        found: list[Action] = []
        for number, account in self._free(map(int, worst)):
            if len(found) >= self._settings.max_refresh:
                break
            tier = self._tier(number)
            if self._is_ranked_wrongly(number, tier):
                found.append(self._in_turn(actions.refresh(self._target, account, tier)))
        return found

    def _tier(self, number: int) -> int:
        prices = self._now.prices
        equity, _ = self._columns.exact(number, prices, self._now.timestamp)
        legs = self._account(number).legs.values()
        notional = sum(-(-leg.size * prices[leg.market] // WAD) for leg in legs)
        return grid.tier_of(notional, equity)

    def _is_ranked_wrongly(self, number: int, tier: int) -> bool:
        least = self._settings.refresh_tiers
        legs = self._account(number).legs.values()
        return any(leg.size and abs(leg.tier - tier) >= least for leg in legs)


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


def _reward(size: int, taken: Terms, leg: Leg, price: int, params: MarketParams) -> int:
    """What a take-over brings: the liquidator's part of the penalty, topped up to the minimum by no
    more than the maker fees of what is taken (it may have paid more)."""
    notional = size * price // WAD
    kept = notional * taken.penalty_wad // WAD * params.liquidator_share_bps // BPS
    paid = size * leg.entry_price // WAD * params.maker_fee_bps // BPS
    return kept + min(max(0, params.min_reward_quote - kept), paid)
