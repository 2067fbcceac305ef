"""What a plan is made from: what the keeper wants, and what there is at these prices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeVar

from ballast.columns import Columns, Screen
from ballast.config import MarketParams
from ballast.keeper.actions import KEEPER_KINDS, Action, Kind
from ballast.mirror import WAD, Book, Leg
from ballast.model.market import GRACE, STALE

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


class Survey:
    """A situation looked over, for calls of the clearinghouse at `target`: `screen` has every
    account at these prices, `book` every group and the liquidator's account."""

    def __init__(self, now: Situation, settings: PlanSettings, target: str) -> None:
        self.now, self.settings, self.target = now, settings, target
        self.columns = now.columns
        self.screen: Screen = now.columns.screen(now.prices, now.timestamp)
        own = [settings.liquidator] if settings.liquidator in now.columns.number else []
        self.book: Book = now.columns.indexer.book(now.timestamp, own)
        self.book.prices = dict(now.prices)
        self._funding = now.columns.indexer.funding(now.timestamp)

    def legs(self, number: int) -> list[Leg]:
        """An account's legs, by its number in the columns."""
        name = self.columns.names[number]
        return list(self.columns.indexer.account(name, self._funding).legs.values())

    def exact(self, number: int) -> tuple[int, int]:
        """An account's equity and maintenance as the chain has them, quote WAD."""
        return self.columns.exact(number, self.now.prices, self.now.timestamp)

    def is_closable(self, market: int) -> bool:
        """Whether liquidation and deleveraging go on in a market."""
        return market in self.now.prices and not self.now.statuses[market] & (STALE | GRACE)

    def free(self, numbers: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """Those of some accounts that nothing is under way for: number and name."""
        for number in map(int, numbers):
            account = self.columns.names[number]
            if account not in self.now.busy:
                yield number, account

    def in_turn(self, action: Action) -> Action:
        """An action that waits for the turn of its (first) account."""
        return replace(action, wait=self.now.wait(action.accounts[0]))

    def batches(
        self, found: Sequence[_T], account: Callable[[_T], bytes], most: int
    ) -> Iterator[tuple[float, list[_T]]]:
        """What waits for the same turn, in its order, at most so many together."""

        def wait(one: _T) -> float:
            return self.now.wait(account(one))

        for turn, group in groupby(sorted(found, key=wait), key=wait):
            some = list(group)
            for start in range(0, len(some), most):
                yield turn, some[start : start + most]
