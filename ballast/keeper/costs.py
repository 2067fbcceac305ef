"""What a transaction may cost: its fees, its gas, and its part of the budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ballast.errors import BallastError
from ballast.keeper.actions import Action, Kind
from ballast.keeper.history import DAY, HOUR, History
from ballast.keeper.sent import Outcome, Sent
from ballast.keeper.trial import MAX_GAS

GAS_MARGIN_PERCENT = 30
GAS_SPARE = 150_000
"""A call that meets another price or another bucket than when it was tried out needs more by whole
slots: gas that is left over costs nothing, gas that is short costs all of it."""
BUMP_PERCENT = 25
LEAST_BUMP_PERCENT = 13
"""What pools ask of a replacement is 10 to 12.5 % on both fees."""
ATTEMPTS = 3
"""Times in a row, within an hour, that the same action may come to nothing."""
MINOR = (Kind.SETTLE, Kind.REFRESH)
"""What may use up half of the budget only: a crash finds the other half."""


class NotSent(BallastError):
    """An action is not sent; `why` is a word for the metrics: `busy`, `in flight`, `fee`,
    `budget`, `gas`, `in vain`, `claimed`, `unprofitable`, `refused`, `no answer`."""

    def __init__(self, why: str, text: str) -> None:
        super().__init__(text)
        self.why = why


@dataclass(frozen=True)
class SendSettings:
    """What a sender may do. Fees are wei a gas, `max_spend_*` wei. A first offer tips what the node
    suggests, `max_tip` at most: a node suggests what somebody has just paid, however much.

    `stuck_blocks` in the pool make a transaction stuck, `confirmations` blocks upon its own final.
    """

    max_fee: int = 100 * 10**9
    max_tip: int = 3 * 10**9
    max_spend_day: int = 10**17
    max_spend_hour: int = 10**17
    max_in_flight: int = 8
    stuck_blocks: int = 3
    confirmations: int = 12


@dataclass(frozen=True)
class Fees:
    """Wei a gas: the most that is paid in all, and the builder's part."""

    most: int
    tip: int


class Costs:
    """The bounds of one signer's spending, and what of them its history leaves."""

    def __init__(self, history: History, settings: SendSettings) -> None:
        self._history, self._settings = history, settings

    def tip(self, suggested: int) -> int:
        """What to offer the builder where the node suggests so much, both wei a gas."""
        return min(max(suggested, 1), self._settings.max_tip)

    def fees(self, base_fee: int, tip: int) -> Fees:
        """A first offer at a block's base fee. Raises `NotSent` where that is more than allowed."""
        max_fee = self._settings.max_fee
        if base_fee >= max_fee:
            raise NotSent("fee", f"a gas costs {base_fee} wei and a tip: see --max-fee")
        tip = min(tip, max_fee - base_fee)
        return Fees(min(2 * base_fee + tip, max_fee), tip)

    def raised(self, row: Sent, base_fee: int, tip: int) -> Fees:
        """The next offer for a row: more than its present one, no less than a first one; within
        what is allowed, so `outbids` tells whether it is enough."""
        tip = max(_more(row.tip, BUMP_PERCENT), tip)
        most = max(_more(row.max_fee, BUMP_PERCENT), 2 * base_fee + tip)
        return Fees(min(most, self._settings.max_fee), tip)

    def gas_limit(self, action: Action, needed: int) -> int:
        """Some more than an action needs now, and half as much again for each time that it ran out.
        Raises `NotSent` where that is too much, or where it came to nothing too often."""
        if needed > MAX_GAS:
            raise NotSent("gas", f"{needed} gas is more than one transaction may use")
        vain = self._history.in_vain(action.key)
        if len(vain) >= ATTEMPTS:
            raise NotSent("in vain", f"it came to nothing {len(vain)} times: {', '.join(vain)}")
        for _ in range(vain.count(Outcome.OUT_OF_GAS)):
            needed += needed // 2
        return min(needed * (100 + GAS_MARGIN_PERCENT) // 100 + GAS_SPARE, MAX_GAS)

    def spent(self) -> dict[int, int]:
        """Wei spent by now, by the seconds of each budget (as `History.spent`)."""
        return {seconds: self._history.spent(seconds) for seconds in (HOUR, DAY)}

    def afford(self, kind: str, more: int, spent: Mapping[int, int]) -> None:
        """Raises `NotSent` where so much more (wei) for an action of a kind is beyond a budget,
        after what was `spent`."""
        part = 2 if kind in MINOR else 1
        limits = (DAY, self._settings.max_spend_day), (HOUR, self._settings.max_spend_hour)
        for seconds, limit in limits:
            if spent[seconds] + more > limit // part:
                used = f"{spent[seconds]} of {limit // part} wei are spent in {seconds} s"
                raise NotSent("budget", f"{used}, this costs {more}: see --max-spend")


def outbids(fees: Fees, row: Sent) -> bool:
    """Whether pools take an offer in the place of a row's present one."""
    return fees.most >= _more(row.max_fee, LEAST_BUMP_PERCENT)


def _more(fee: int, percent: int) -> int:
    return -(-fee * (100 + percent) // 100)
