"""A keeper through a crash, deciding from its mirror: what it sends, what it costs, who pays.

After each minute's price it closes the bankrupt against the queue, takes over from those below
maintenance for as long as the liquidators' margin lasts, and looks again, until nothing is left to
do; then it settles losers while claims wait. Its transactions are packed into blocks of 30 million
gas; a block that is full ends, twelve seconds pass, and prices are fixed anew in the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ballast.abi import Event
from ballast.bench.continuous import Closing, Side
from ballast.bench.hall import Hall, Say, silent
from ballast.client import MAX_UINT256
from ballast.columns import Floats, Screen, summed
from ballast.errors import Reverted
from ballast.mirror import WAD
from ballast.model import grid
from ballast.scenario import Scenario

BLOCK_GAS = 30_000_000
BLOCK_SECONDS = 12
MINUTE = 60
ROUNDS = 60
CALLS = 500
MARKETS = 16
WORTH_SETTLING_QUOTE = 10.0
PATIENCE = 3


@dataclass
class Minute:
    """What one price brought. Gas; amounts quote; `blocks` to be done, of `gas` in all;
    `resolve_blocks` to have closed the last bankrupt account; `late_seconds`: how far the minutes
    before had put the keeper behind."""

    timestamp: int
    prices: dict[str, float]
    late_seconds: int = 0
    gas: dict[str, int] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    blocks: int = 0
    resolve_blocks: int = 0
    bankrupt: int = 0
    liquidatable: int = 0
    left: int = 0
    deficit: float = 0.0
    insurance: float = 0.0
    taken: float = 0.0
    shortfall: float = 0.0
    claims: float = 0.0
    notional: float = 0.0


@dataclass
class Resolved:
    """A bankrupt account closed: quote wei. `taken + insurance + shortfall` is the deficit plus
    `over` (rounding)."""

    deficit: int
    insurance: int
    taken: int
    shortfall: int
    over: int
    calls: int
    rounding: int = 0
    """What `over` may be: a wei of price on the size closed, and 4 wei a bucket, leg and call."""


@dataclass
class _Snapshot:
    """The book at the minute's beginning, by leg slot and by account, and what was closed since."""

    owner: Any
    market: Any
    size: Floats
    entry: Floats
    bucket: Any
    result: Floats
    leverage: Floats
    closed: Floats
    paid: Floats
    closings: dict[tuple[int, bool], list[Closing]]


class CrashRun:
    """A hall, taken through a recording minute by minute.

    `minutes`, `resolved` and `sides` (every minute's queues, for `continuous`) are what it
    leaves; `shapes` has (legs closed, buckets touched, gas) of each `deleverage`.
    """

    def __init__(
        self,
        hall: Hall,
        scenario: Scenario,
        minutes: int | None = None,
        refresh: bool = False,
        say: Say = silent,
    ) -> None:
        """`refresh`: before anybody is deleveraged, re-rank every winner whose tier is not its
        present leverage's."""
        self.hall, self._say, self._refreshes = hall, say, refresh
        self._prices = minute_prices(scenario)[:minutes]
        self._shift = hall.chain.timestamp + MINUTE - self._prices[0][0]
        self.minutes: list[Minute] = []
        self.resolved: list[Resolved] = []
        self.sides: list[Side] = []
        self.shapes: list[tuple[int, int, int]] = []
        self.winners: set[int] = set()
        self.touched: set[int] = set()
        self.payers: set[int] = set()
        self.checked = 0
        self.differing = 0
        self._minute = Minute(0, {})
        self._block_gas = 0
        self._shape: _Snapshot | None = None

    def run(self) -> None:
        """All minutes."""
        for number, (timestamp, prices) in enumerate(self._prices, 1):
            due = timestamp + self._shift
            begins = max(due, self.hall.chain.timestamp + BLOCK_SECONDS)
            self.hall.wait_until(begins)
            self._minute = Minute(timestamp, prices, late_seconds=begins - due)
            self.minutes.append(self._minute)
            self._one(prices)
            self._say("crash", number / len(self._prices))

    def _one(self, prices: dict[str, float]) -> None:
        hall, minute = self.hall, self._minute
        markets = hall.client.markets
        self._block_gas, minute.blocks = 0, 1
        asked = {markets[coin]: int(price * 1e6) * 10**12 for coin, price in prices.items()}
        for gas in hall.report(asked, exact_gas=True):
            self._spend("report", gas)
        self._shape = None
        tired: dict[bytes, int] = {}
        screen = self._look()
        if self._refreshes and screen.bankrupt.any():
            self._refresh(screen)
            screen = self._look()
        self._begin(screen)
        for _ in range(ROUNDS):
            if not self._act(screen, tired):
                break
            screen = self._look()
        minute.left = int(screen.bankrupt.sum())
        self._settle(screen)
        self._end()

    def _look(self) -> Screen:
        now = self.hall.chain.timestamp
        self.hall.columns.update(now)
        return self.hall.columns.screen(self.hall.prices, now)

    def _act(self, screen: Screen, tired: dict[bytes, int]) -> bool:
        acted = False
        bankrupt = np.flatnonzero(screen.bankrupt)
        for number in bankrupt[np.argsort(screen.equity[bankrupt])]:
            acted = self._resolve(int(number)) or acted
        if acted:
            self._minute.resolve_blocks = self._minute.blocks
        low = np.flatnonzero(screen.liquidatable)
        room = screen.equity[low] - screen.maintenance[low]
        for number in low[np.argsort(room)]:
            acted = self._take_over(int(number), tired) or acted
        return acted

    # Sending

    def _spend(self, call: str, gas: int) -> None:
        minute = self._minute
        minute.gas[call] = minute.gas.get(call, 0) + gas
        minute.calls[call] = minute.calls.get(call, 0) + 1
        if self._block_gas + gas > BLOCK_GAS:
            minute.blocks += 1
            self._block_gas = 0
            self.hall.chain.mine(BLOCK_SECONDS)
        self._block_gas += gas

    def _send(self, call: str, *args: Any) -> Any:
        """A transaction of the keeper's, or None where it would revert (a keeper simulates)."""
        send = getattr(self.hall.client.clearinghouse.send, call)
        try:
            receipt = send(*args, sender=self.hall.keeper, exact_gas=True)
        except Reverted:
            return None
        self._spend(call, receipt.gas_used)
        return receipt

    def _resolve(self, number: int) -> bool:
        """Call `deleverage` until the account is no longer bankrupt."""
        hall, minute = self.hall, self._minute
        account, columns = hall.columns.names[number], hall.columns
        clearing = hall.client.clearinghouse
        deficit = -columns.exact(number, hall.prices, hall.chain.timestamp)[0]
        if deficit <= 0:
            return False
        before = self._shortfall()
        found = Resolved(deficit, 0, 0, 0, 0, 0)
        left = deficit
        while left > 0 and found.calls < CALLS:
            receipt = self._send("deleverage", account)
            if receipt is None:
                break
            found.calls += 1
            events = clearing.events(receipt)
            legs = buckets = 0
            for place, event in enumerate(events):
                if event.name == "InsuranceDrawn":
                    found.insurance += event.amount_quote
                elif event.name == "Deleveraged":
                    closes = _closes(events[:place], event)
                    legs += 1
                    buckets += len(closes)
                    found.rounding += event.size // WAD + 4 * (len(closes) + 2)
                    found.taken += self._blame(event, closes)
            self.shapes.append((legs, buckets, receipt.gas_used))
            left = clearing.returned(receipt, "deleverage", 1)[1]
        if found.calls == 0:
            return False
        found.shortfall = self._shortfall() - before
        found.over = found.taken + found.insurance + found.shortfall + left - deficit
        self.resolved.append(found)
        minute.bankrupt += 1
        minute.deficit += deficit / WAD
        minute.insurance += found.insurance / WAD
        minute.taken += found.taken / WAD
        minute.shortfall += found.shortfall / WAD
        return True

    def _shortfall(self) -> int:
        return int(self.hall.client.clearinghouse.view.shortfall(1))

    def _take_over(self, number: int, tired: dict[bytes, int]) -> bool:
        """Take over what is allowed of an account's legs, largest first, by whoever still can."""
        hall, columns = self.hall, self.hall.columns
        account, acted = columns.names[number], False
        self._minute.liquidatable += 1
        prices = columns.by_market(hall.prices)
        slots = columns.slots(number)
        for market in sorted(slots, key=lambda m: -abs(columns.size[slots[m]] * prices[m])):
            for liquidator in hall.liquidators:
                if liquidator == account or tired.get(liquidator, 0) >= PATIENCE:
                    continue
                arguments = (account, market, MAX_UINT256, liquidator)
                if self._liquidate(liquidator, arguments):
                    acted = True
                    break
                tired[liquidator] = tired.get(liquidator, 0) + 1
        return acted

    def _liquidate(self, liquidator: bytes, arguments: tuple[Any, ...]) -> bool:
        send = self.hall.client.clearinghouse.send.liquidate
        try:
            receipt = send(*arguments, sender="0x" + liquidator[:20].hex(), exact_gas=True)
        except Reverted as error:
            # Nothing to take (any more) is not the liquidator's fault.
            return error.reason in ("liquidation: account healthy", "liquidation: no position")
        self._spend("liquidate", receipt.gas_used)
        return True

    def _settle(self, screen: Screen) -> None:
        """Let open losses pay claims that wait, largest first."""
        hall, columns = self.hall, self.hall.columns
        waiting = hall.client.clearinghouse.view.claims(1) / WAD
        self._minute.claims = waiting
        if waiting < WORTH_SETTLING_QUOTE:
            return
        used, count = columns.legs, len(columns.names)
        losses = np.minimum(columns.results(hall.prices), 0)
        loss = -summed(columns.owner[:used], losses, count)
        means = np.minimum(loss, columns.cash[:count])
        for number in np.argsort(-means):
            if means[number] < WORTH_SETTLING_QUOTE or waiting < WORTH_SETTLING_QUOTE:
                break
            self._send("settle", columns.names[number])
            waiting = hall.client.clearinghouse.view.claims(1) / WAD

    # Watching

    def _leverage(self, screen: Screen) -> tuple[Floats, Floats]:
        """Every account's leverage (infinite without equity) and notional, quote."""
        columns = self.hall.columns
        used, count = columns.legs, len(columns.names)
        prices = columns.by_market(self.hall.prices)
        worth = np.abs(columns.size[:used]) * prices[columns.market[:used]]
        notional = summed(columns.owner[:used], worth, count)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(screen.equity > 0, notional / screen.equity, np.inf), notional

    def _refresh(self, screen: Screen) -> None:
        columns = self.hall.columns
        used = columns.legs
        leverage, _ = self._leverage(screen)
        owner = columns.owner[:used]
        now = np.searchsorted(np.array(grid.TIER_LEVERAGE[:-1], dtype=float), leverage[owner])
        stored = np.array([key >> 13 & 7 for key in columns.keys])[columns.bucket[:used]]
        gain = (columns.size[:used] != 0) & (columns.results(self.hall.prices) > 0)
        for number in np.unique(owner[gain & (now != stored)]):
            self._send("refresh", columns.names[number])

    def _begin(self, screen: Screen) -> None:
        """Remember the book at this price, before anything is done."""
        hall, columns = self.hall, self.hall.columns
        used = columns.legs
        size = columns.size[:used].copy()
        market = columns.market[:used].copy()
        owner = columns.owner[:used].copy()
        leverage, notional = self._leverage(screen)
        self._minute.notional = float(notional.sum() / 2)
        self._shape = _Snapshot(
            owner,
            market,
            size,
            columns.entry[:used].copy(),
            columns.bucket[:used].copy(),
            columns.results(hall.prices),
            leverage[owner],
            np.zeros(used),
            np.zeros(used),
            {},
        )
        self._check(screen)

    def _check(self, screen: Screen) -> None:
        """A few accounts a minute: the mirror against the chain's views, exactly."""
        hall, columns = self.hall, self.hall.columns
        view, now = hall.client.clearinghouse.view, hall.chain.timestamp
        ranks = columns.ranks(hall.prices)
        step = max(1, len(columns.names) // 10)
        for number in range(len(self.minutes) % step, len(columns.names), step):
            account = columns.names[number]
            equity, needed = view.equity(account), view.margin(account)[1]
            same = columns.exact(number, hall.prices, now) == (equity, needed)
            same &= bool(screen.bankrupt[number]) == (equity < 0)
            same &= bool(screen.liquidatable[number]) == (0 <= equity < needed)
            for market, slot in columns.slots(number).items():
                if columns.size[slot]:
                    place = ranks.buckets[columns.keys[columns.bucket[slot]]]
                    same &= tuple(view.adl_rank(account, market)) == place
            self.checked += 1
            self.differing += not same

    def _blame(self, event: Event, closes: Sequence[Event]) -> int:
        """Share out what a closing took among the members of its buckets; quote wei taken."""
        shape, columns = self._shape, self.hall.columns
        assert shape is not None
        taken, size = 0, 0
        is_long = True
        for close in closes:
            away = abs(close.price - close.oracle_price)
            lost = close.size * away // WAD
            taken += lost
            size += close.size
            is_long = bool(close.bucket_id >> 16 & 1)
            key = close.market << 32 | close.bucket_id & (2**17 - 1)
            slots = np.array(
                [columns.slots(n)[close.market] for n in columns.members(key)], dtype=np.int64
            )
            slots = slots[slots < len(shape.size)]
            weights = np.abs(columns.size[slots])
            if weights.sum() > 0:
                weights = weights / weights.sum()
                shape.closed[slots] += weights * (close.size / WAD)
                shape.paid[slots] += weights * (lost / WAD)
        closing = Closing(size / WAD, event.deficit_quote / WAD)
        if size:
            shape.closings.setdefault((event.market, is_long), []).append(closing)
        return taken

    def _end(self) -> None:
        """Keep the queues of the minute that were used, and who was touched."""
        shape, columns = self._shape, self.hall.columns
        assert shape is not None
        for (market, is_long), closings in shape.closings.items():
            mine = (shape.market == market) & ((shape.size > 0) == is_long) & (shape.size != 0)
            tiers = np.array([columns.keys[row] >> 13 & 7 for row in shape.bucket[mine]])
            side = Side(
                is_long,
                self.hall.prices[market] / WAD,
                np.abs(shape.size[mine]),
                shape.entry[mine],
                shape.leverage[mine],
                shape.result[mine],
                tiers.astype(np.int64),
                shape.closed[mine],
                shape.paid[mine],
                closings,
            )
            self.sides.append(side)
            gain = side.result > 0
            owners = shape.owner[mine]
            self.winners.update(owners[gain].tolist())
            self.touched.update(owners[gain & (side.closed > side.size * 1e-9)].tolist())
            self.payers.update(owners[gain & (side.paid > 0.01)].tolist())


def _closes(events: Sequence[Event], closed: Event) -> list[Event]:
    """The forced closes of a `Deleveraged`: those of its market since the one before it."""
    found: list[Event] = []
    for event in events:
        if event.name == "Deleveraged":
            found = []
        elif event.name == "ForcedClose" and event.market == closed.market:
            found.append(event)
    return found


def minute_prices(scenario: Scenario) -> list[tuple[int, dict[str, float]]]:
    """One price a minute and coin: of the recording's points within the minute the one furthest
    from the minute before, so that no gap is spared the keeper. A coin without a point in a
    minute keeps its price."""
    last: dict[str, float] = {}
    points: dict[int, dict[str, list[float]]] = {}
    for step in scenario.steps():
        for coin, price in step.prices.items():
            last.setdefault(coin, price / WAD)
            points.setdefault(step.timestamp // MINUTE, {}).setdefault(coin, []).append(price / WAD)
    found = []
    for minute in range(min(points), max(points) + 1):
        for coin, seen in points.get(minute, {}).items():
            before = last[coin]
            last[coin] = max(seen, key=lambda price: abs(price - before))
        found.append((minute * MINUTE, dict(last)))
    return found
