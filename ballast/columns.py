"""The keeper's mirror: the indexer's book as numpy columns, re-scored at once after a price.

    logs -> Indexer (exact integers) -> Columns (float64 arrays) -> decisions (exact again)

An account's equity is, up to rounding, linear in the prices: `E = K + sum(q (P - dF))`, `q` the
signed size of a leg, `dF` what its market's funding index has moved since the columns were
renewed, `K` all the rest (cash, claim less debt, what was realised, less what was entered for).
`K` is summed in integers and rounded once: a price costs a product a leg and a sum an account.

How exact. The arrays are floats; what is *decided* is not. Each of at most 16 products and their
sum is rounded by at most 2^-53 of its magnitude, so equity lies within

    2^-48 (|K| + sum(|q| P)) + sum over the legs of (10 wei + 2 shares / 2^72 wei)

of the chain's, requirements likewise: 4e-15 of the notional, 4e-9 quote of a million. (The second
part is what the contracts round: proceeds and requirements by 1 wei, funding by 1 wei a bucket and
shares / 2^72 a credit.) An account that lies nearer than that to a threshold is evaluated in the
contracts' own integers, so `bankrupt` and `liquidatable` are the chain's, always. Scores and sizes
ahead are computed a bucket, not an account, and are integers throughout.

Quote and base are whole units in the float arrays, WAD in the integers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ballast.indexer import Indexer
from ballast.mirror import BPS, CLAIMS_KEY, PLACE_MASK, WAD, Account, bucket_key
from ballast.model import grid

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

RELATIVE_ERROR = 2.0**-48
ROUNDED_WEI = 10
CREDIT_UNIT = 2.0**-71
_FIRST_ROOM = 1_024
_MARKETS = 4_096


@dataclass(frozen=True)
class Screen:
    """All accounts at a price, by their number in `Columns.names`.

    `equity`, `maintenance` and `error` (how far the chain's may lie from either) are quote.
    `bankrupt` (`E < 0`) and `liquidatable` (`0 <= E < MM`) are exact; `examined` is the number
    of accounts that needed integers for it.
    """

    equity: Floats
    maintenance: Floats
    error: Floats
    bankrupt: Flags
    liquidatable: Flags
    examined: int


@dataclass(frozen=True)
class Ranks:
    """All legs' places in the queue at a price.

    `buckets` maps a bucket's key to its score (WAD), the base ahead of it (WAD) and its band: what
    `adl_rank` says of its members. `score`, `ahead` (base) and `band` are the same by leg slot,
    zeros where a slot is free.
    """

    buckets: dict[int, tuple[int, int, int]]
    score: Floats
    ahead: Floats
    band: NDArray[np.int8]


class Columns:
    """The columns of everything an indexer knows.

    `names` lists the accounts; `owner`, `market`, `size` (base, shorts negative), `entry`
    (quote) and `bucket` (index into `keys`) are by leg slot; a free slot has size 0 and bucket 0.
    `update` takes in what the indexer has learnt since.
    """

    def __init__(self, indexer: Indexer) -> None:
        self.indexer = indexer
        self.names: list[bytes] = []
        self.number: dict[bytes, int] = {}
        self.keys: list[int] = [-1]
        self.owner: NDArray[np.int64] = np.zeros(_FIRST_ROOM, dtype=np.int64)
        self.market: NDArray[np.int64] = np.zeros(_FIRST_ROOM, dtype=np.int64)
        self.bucket: NDArray[np.int64] = np.zeros(_FIRST_ROOM, dtype=np.int64)
        self.size: Floats = np.zeros(_FIRST_ROOM)
        self.entry: Floats = np.zeros(_FIRST_ROOM)
        self.result: Floats = np.zeros(_FIRST_ROOM)
        """What a leg has realised, less what its size was entered for: V less q P, quote."""
        self.base: Floats = np.zeros(_FIRST_ROOM)
        """K by account, quote."""
        self.cash: Floats = np.zeros(_FIRST_ROOM)
        """Cash by account, quote."""
        self.group: NDArray[np.int64] = np.zeros(_FIRST_ROOM, dtype=np.int64)
        self._slack: Floats = np.zeros(_FIRST_ROOM)
        self._rows: dict[int, int] = {}
        self._used = 0
        self._free: list[int] = []
        self._slots: list[dict[int, int]] = []
        self._members: list[set[int]] = [set()]
        self._sides: dict[tuple[int, bool], dict[int, int]] = {}
        self._funding: dict[int, int] = {}
        self.timestamp = 0

    # Renewing

    def update(self, timestamp: int) -> int:
        """Take in what has happened up to `timestamp` (Unix seconds); the number of accounts that
        were renewed."""
        touched, moved = self.indexer.changes()
        numbers = {self._number(account) for account in touched}
        for key in moved:
            if key >= CLAIMS_KEY:
                claimants = self.indexer.claimants(key - CLAIMS_KEY)
                numbers.update(self._number(account) for account in claimants)
                continue
            numbers |= self._members[self._row(key)]
            self._occupy(key)
        funding = self.indexer.funding(timestamp)
        if funding != self._funding:
            self._shift(funding)
        self.timestamp = timestamp
        for number in numbers:
            self._renew(number, self.indexer.account(self.names[number], funding))
        return len(numbers)

    def _shift(self, funding: dict[int, int]) -> None:
        """Let everyone's `K` follow the funding indices, as `screen` would."""
        moved = np.zeros(_MARKETS)
        for market, index in funding.items():
            moved[market] = (index - self._funding.get(market, index)) / WAD
        self._funding = funding
        if moved.any():
            used = self._used
            paid = self.size[:used] * moved[self.market[:used]]
            self.result[:used] -= paid
            count = len(self.names)
            self.base[:count] -= summed(self.owner[:used], paid, count)
            volume = np.abs(self.base[:count]) + summed(self.owner[:used], np.abs(paid), count)
            self._slack[:count] += volume * (RELATIVE_ERROR / 8)

    def _number(self, account: bytes) -> int:
        number = self.number.get(account)
        if number is None:
            number = self.number[account] = len(self.names)
            self.names.append(account)
            self._slots.append({})
            if number == len(self.base):
                for name in ("base", "cash", "group", "_slack"):
                    setattr(self, name, _doubled(getattr(self, name)))
        return number

    def _row(self, key: int) -> int:
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = len(self.keys)
            self.keys.append(key)
            self._members.append(set())
        return row

    def _occupy(self, key: int) -> None:
        side = self._sides.setdefault((key >> 32, bool(key >> 16 & 1)), {})
        bucket = self.indexer.buckets.get(key)
        size = bucket.size if bucket else 0
        if size:
            side[key] = size
        else:
            side.pop(key, None)

    def _renew(self, number: int, account: Account) -> None:
        total = account.cash + account.unsettled
        volume, wei = abs(total), 4.0
        slots = self._slots[number]
        for market in [m for m in slots if m not in account.legs]:
            self._vacate(number, slots.pop(market))
        for market, leg in account.legs.items():
            slot = slots.get(market)
            if slot is None:
                slot = slots[market] = self._slot()
            rest = leg.realised - leg.cost_basis(leg.size)
            total += rest
            volume += abs(rest)
            row = self._row(bucket_key(market, leg.bucket_id))
            if row != self.bucket[slot]:
                self._members[self.bucket[slot]].discard(number)
                self._members[row].add(number)
            self.owner[slot], self.market[slot], self.bucket[slot] = number, market, row
            self.size[slot], self.entry[slot] = leg.signed_size / WAD, leg.entry_price / WAD
            self.result[slot] = rest / WAD
            live = self.indexer.buckets[self.keys[row]]
            shares = leg.size * live.shares // live.size + 1 if live.size else 0
            wei += ROUNDED_WEI + shares * CREDIT_UNIT
        self.base[number], self.cash[number] = total / WAD, account.cash / WAD
        self.group[number] = account.group
        self._slack[number] = volume / WAD * RELATIVE_ERROR + wei / WAD

    def _slot(self) -> int:
        if self._free:
            return self._free.pop()
        slot = self._used
        self._used += 1
        if slot == len(self.size):
            for name in ("owner", "market", "bucket", "size", "entry", "result"):
                setattr(self, name, _doubled(getattr(self, name)))
        return slot

    def _vacate(self, number: int, slot: int) -> None:
        self._members[self.bucket[slot]].discard(number)
        self.size[slot] = self.entry[slot] = self.result[slot] = 0.0
        self.bucket[slot] = 0
        self._free.append(slot)

    # Reading

    @property
    def legs(self) -> int:
        """Leg slots in use or free; the arrays beyond are room."""
        return self._used

    def members(self, key: int) -> set[int]:
        """Numbers of the accounts in a bucket."""
        return self._members[self._row(key)]

    def slots(self, number: int) -> dict[int, int]:
        """An account's leg slots by market."""
        return self._slots[number]

    def by_market(self, prices: Mapping[int, int]) -> Floats:
        """Prices (WAD) as an array by market id (quote)."""
        table = np.zeros(_MARKETS)
        for market, price in prices.items():
            table[market] = price / WAD
        return table

    def results(self, prices: Mapping[int, int]) -> Floats:
        """V by leg slot, quote, at prices (WAD)."""
        used = self._used
        at: Floats = self.by_market(prices)[self.market[:used]]
        return self.result[:used] + self.size[:used] * at

    def exact(
        self, number: int, prices: Mapping[int, int], timestamp: int | None = None
    ) -> tuple[int, int]:
        """Equity and maintenance of an account as the chain shows them (`equity`, `margin`), WAD,
        at prices (WAD) and a time (by default that of the last `update`)."""
        funding = self.indexer.funding(self.timestamp if timestamp is None else timestamp)
        return self._exact(self.indexer.account(self.names[number], funding), prices)

    def _exact(self, account: Account, prices: Mapping[int, int]) -> tuple[int, int]:
        ratios = self.indexer.maintenance_bps
        equity = account.cash + account.unsettled
        maintenance = 0
        for market, leg in account.legs.items():
            equity += leg.result(prices[market])
            notional = -(-leg.size * prices[market] // WAD)
            maintenance += -(-notional * ratios[market] // BPS)
        return equity, maintenance

    # Re-scoring

    def screen(self, prices: Mapping[int, int], timestamp: int | None = None) -> Screen:
        """Every account's equity and maintenance, and who is bankrupt or to be liquidated, at
        prices (WAD by market) and a time (by default that of the last `update`)."""
        now = self.timestamp if timestamp is None else timestamp
        used, count = self._used, len(self.names)
        funding = self.indexer.funding(now)
        worth, ratio = np.zeros(_MARKETS), np.zeros(_MARKETS)
        mark = np.zeros(_MARKETS)
        for market, bps in self.indexer.maintenance_bps.items():
            price = prices.get(market, 0)
            worth[market] = (price - funding[market] + self._funding.get(market, 0)) / WAD
            mark[market], ratio[market] = price / WAD, price / WAD * bps / BPS
        place, owner, size = self.market[:used], self.owner[:used], self.size[:used]
        equity = self.base[:count] + summed(owner, size * worth[place], count)
        volume = np.abs(size)
        maintenance = summed(owner, volume * ratio[place], count)
        error = summed(owner, volume * mark[place], count) * RELATIVE_ERROR
        error += self._slack[:count]
        bankrupt = equity < 0
        liquidatable = ~bankrupt & (equity < maintenance)
        near = (np.abs(equity) <= error) | (np.abs(equity - maintenance) <= 2 * error)
        near &= (maintenance > 0) | (equity != 0) | (self.base[:count] != 0)
        doubtful = np.flatnonzero(near)
        for number in doubtful:
            account = self.indexer.account(self.names[number], funding)
            exact, needed = self._exact(account, prices)
            bankrupt[number] = exact < 0
            liquidatable[number] = 0 <= exact < needed
        return Screen(equity, maintenance, error, bankrupt, liquidatable, len(doubtful))

    def ranks(self, prices: Mapping[int, int]) -> Ranks:
        """Every leg's place in the deleveraging queue at prices (WAD by market)."""
        places: dict[int, tuple[int, int, int]] = {}
        for (market, is_long), side in self._sides.items():
            price, interest = prices[market], max(1, self.indexer.interest(market))
            ahead = 0
            for score, key in queue_order(is_long, side, price):
                band = 5 - min(4, 5 * ahead // interest)
                places[key] = score, ahead, band
                ahead += side[key]
        table = np.zeros((len(self.keys), 3))
        for key, (score, ahead, band) in places.items():
            table[self._rows[key]] = score / WAD, ahead / WAD, band
        by_leg = table[self.bucket[: self._used]]
        empty = self.size[: self._used] == 0
        by_leg[empty] = 0
        return Ranks(places, by_leg[:, 0], by_leg[:, 1], by_leg[:, 2].astype(np.int8))


def queue_order(is_long: bool, keys: Iterable[int], price: int) -> list[tuple[int, int]]:
    """Scores (WAD) and keys of one side's buckets, first in line first, at a price (WAD)."""
    profits: dict[int, int] = {}
    order = []
    for key in keys:
        place = key & PLACE_MASK
        tick, tier = place & 0x1FFF, place >> 13 & 7
        if tick not in profits:
            # The highest score of a tick is its profit% of WAD at leverage 1.
            profits[tick] = grid.score(is_long, 0, tick, price)
        profit, leverage = profits[tick], grid.TIER_LEVERAGE[tier]
        score = profit * leverage if profit > 0 else -(-profit // leverage)
        order.append((-score, -tier, tick if is_long else -tick, key))
    order.sort()
    return [(-score, key) for score, _, _, key in order]


def summed(owner: NDArray[np.int64], values: Floats, count: int) -> Floats:
    """Values by leg, summed by account (or whatever `owner` numbers, 0 to `count` - 1)."""
    return np.asarray(np.bincount(owner, values, count), dtype=np.float64)


def _doubled(array: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([array, np.zeros_like(array)])
