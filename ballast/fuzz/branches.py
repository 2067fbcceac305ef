"""Which branches of the waterfall a run has been through."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ballast.model.market import PENDING, STALE

if TYPE_CHECKING:
    from ballast.fuzz.pair import Pair

BRANCHES = (
    "insurance cap hit",
    "insurance fund empty",
    "several accounts bankrupt at once",
    "ADL resumed",
    "water-filling bound",
    "shortfall written",
    "shortfall paid down",
    "claims waiting and shared",
    "take-over of a bankrupt account with insurance",
    "counterparty bankrupt in turn",
    "bucket id retired and converted",
    "stale leg beside fresh ones",
    "breaker waiting",
    "tier changed by refresh",
)
"""A run of the ci profile must have been through every one of them."""


class Branches:
    """Counts; `state` looks at a pair after every call, the others after calls of their kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._unfinished: set[bytes] = set()
        self._hit: set[bytes] = set()
        self._shortfalls: dict[int, int] = {}
        self._conversions = 0

    def fired(self, branch: str) -> None:
        """Count one."""
        assert branch in BRANCHES, branch
        self.counts[branch] += 1

    def state(self, pair: Pair) -> None:
        """What shows in the state after a call."""
        state = pair.model.state
        for number, group in state.groups.items():
            if group.shortfall < self._shortfalls.get(number, 0):
                self.fired("shortfall paid down")
            self._shortfalls[number] = group.shortfall
            if len(group.allotted) > 1:
                self.fired("claims waiting and shared")
        if pair.holdings.conversions > self._conversions:
            self.fired("bucket id retired and converted")
        self._conversions = pair.holdings.conversions
        for market in state.markets.values():
            if market.fixed_block == state.block and market.fixed.status & PENDING:
                self.fired("breaker waiting")

    def liquidated(self, pair: Pair, account: bytes, was_bankrupt: bool) -> None:
        """After a liquidation."""
        if was_bankrupt:
            self.fired("take-over of a bankrupt account with insurance")
        self._stale_leg(pair, account)

    def deleveraged(self, pair: Pair, account: bytes) -> None:
        """After a call of `deleverage`, which the model has made, too."""
        state = pair.model.state
        record = state.last_waterfall
        if record is None:
            return
        if account in self._unfinished:
            self.fired("ADL resumed")
        bankrupt = state.equity(account) < 0
        (self._unfinished.add if bankrupt else self._unfinished.discard)(account)
        if account in self._hit:
            self.fired("counterparty bankrupt in turn")
        self._hit.update(loss.account for loss in record.losses if loss.lost > 0)  # type: ignore[misc]
        self._stale_leg(pair, account)
        if record.shortfall:
            self.fired("shortfall written")
        for leg in record.legs:
            fund, allowance, maintenance = leg.insurance_caps
            if leg.insurance < leg.deficit and leg.insurance in (allowance, maintenance):
                self.fired("insurance cap hit")
            if fund == 0 < leg.deficit:
                self.fired("insurance fund empty")
            if any(
                abs(taken.price - leg.oracle_price) < leg.distance
                for taken in record.taken
                if taken.market == leg.market
            ):
                self.fired("water-filling bound")
        if sum(state.equity(other) < 0 for other in state.accounts) >= 1 + bankrupt:
            self.fired("several accounts bankrupt at once")

    def _stale_leg(self, pair: Pair, account: bytes) -> None:
        state = pair.model.state
        if any(state.quote(m).status & STALE for m in state.seen(account).legs):
            self.fired("stale leg beside fresh ones")
