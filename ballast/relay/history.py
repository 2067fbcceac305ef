"""What has happened, out of the facts kept: trades, candles, fills, forced closes, funding.

A forced close changes a rank bucket, not the accounts in it. An account's part follows from its own
records: between two changes of its position, what it lost of its size is exactly what it went in
with less what it came out with; several closes of the bucket share that by their sizes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ballast.mirror import WAD, Account
from ballast.relay import facts
from ballast.relay.facts import Fact
from ballast.relay.store import RelayStore
from ballast.relay.terms import Terms

POSITIONS = 1_000
"""Changes of an account's positions that are looked at, the latest."""
MOST_CANDLES = 1_000
_END = 2**62, 0


@dataclass(frozen=True)
class Holding:
    """A position between two moments: `size` base, shorts negative; the last one is still held
    (`end` None)."""

    market: int
    start: Fact
    size: int
    end: Fact | None

    @property
    def until(self) -> tuple[int, int]:
        """Its end's place in time."""
        return self.end.position if self.end else _END


def trade_of(fact: Fact) -> dict[str, Any]:
    """A fill as `/api/trades` tells it."""
    taker_is_buy = fact.details["taker_is_buy"]
    return {
        "id": fact.id,
        "market": fact.market,
        "price": fact.details["price"],
        "size": fact.details["size"],
        "taker_side": None if taker_is_buy is None else ("buy" if taker_is_buy else "sell"),
        "timestamp": fact.timestamp,
        "block": fact.block,
        "transaction": fact.transaction,
    }


def fill_of(fact: Fact, account: bytes) -> dict[str, Any]:
    """A fill as one of its two accounts sees it."""
    is_buyer = fact.account == account
    whose = "buyer" if is_buyer else "seller"
    taker_is_buy = fact.details["taker_is_buy"]
    return {
        "id": fact.id,
        "market": fact.market,
        "side": "buy" if is_buyer else "sell",
        "is_maker": None if taker_is_buy is None else taker_is_buy != is_buyer,
        "price": fact.details["price"],
        "size": fact.details["size"],
        "fee": fact.details[f"{whose}_fee"],
        "order": fact.details[f"{whose}_order"],
        "timestamp": fact.timestamp,
        "block": fact.block,
        "transaction": fact.transaction,
    }


def candles(
    store: RelayStore, market: int, interval: int, first: int, last: int, of: str
) -> list[dict[str, Any]]:
    """Open, high, low, close and volume of every interval with something in it, oldest first, of
    fills (`trades`) or of the oracle (`oracle`); times are Unix seconds."""
    kinds = (facts.FILL,) if of == "trades" else (facts.PRICE, facts.FIXING)
    found: dict[int, list[int]] = {}
    for fact in store.facts_between(kinds, market, first, last):
        price, size = int(fact.details["price"]), int(fact.details.get("size", 0))
        begin = fact.timestamp - fact.timestamp % interval
        candle = found.get(begin)
        if candle is None:
            found[begin] = [price, price, price, price, size]
        else:
            candle[1], candle[2] = max(candle[1], price), min(candle[2], price)
            candle[3], candle[4] = price, candle[4] + size
    names = ("open", "high", "low", "close", "volume")
    return [
        {"time": begin, **{n: str(v) for n, v in zip(names, candle, strict=True)}}
        for begin, candle in sorted(found.items())[-MOST_CANDLES:]
    ]


def forced_closes(store: RelayStore, account: bytes, now: Account) -> list[dict[str, Any]]:
    """All that was closed of an account against its will, newest first."""
    own = store.facts_of_account((facts.LIQUIDATED, facts.BANKRUPT), account, POSITIONS)
    holdings = _holdings(store, account)
    found = []
    for fact in own:
        if fact.account == account:
            held = [h for h in holdings if h.market == fact.market and h.size]
            before = [h for h in held if h.start.position < fact.position]
            is_long = bool(before) and before[-1].size > 0
            told = _forced(fact, fact.kind, is_long, int(fact.details["size"]))
            found.append((fact, told | {"oracle_price": _fixed(store, fact)}))
    for holding in holdings:
        parts = _parts(store, holding, now)
        for fact, size in parts:
            told = _forced(fact, "deleveraged", holding.size > 0, size)
            found.append((fact, told | {"oracle_price": fact.details["oracle_price"]}))
    found.sort(key=lambda pair: pair[0].position, reverse=True)
    return [told for _, told in found]


def funding(store: RelayStore, account: bytes, now: Account, terms: Terms) -> list[dict[str, Any]]:
    """What an account has paid (negative) or got for holding each size, newest first."""
    found: list[dict[str, Any]] = []
    fixings: dict[int, list[Fact]] = {}
    for holding in _holdings(store, account):
        if not holding.size:
            continue
        known = fixings.setdefault(
            holding.market, store.facts_between((facts.FIXING,), holding.market, 0, 2**62)
        )
        size, begin = holding.size, holding.start
        cuts: list[tuple[Fact | None, int]] = list(_parts(store, holding, now))
        for cut, closed in [*cuts, (holding.end, 0)]:
            first = _index_at(known, begin)
            last = _index_at(known, cut) if cut else terms.markets[holding.market].funding_index
            found.append(
                {
                    "id": begin.id,
                    "market": holding.market,
                    "size": str(size),
                    "amount": str(-size * (last - first) // WAD),
                    "from": begin.timestamp,
                    "to": cut.timestamp if cut else terms.head.timestamp,
                    "index_from": str(first),
                    "index_to": str(last),
                }
            )
            if cut is not None:
                size, begin = (size - closed if size > 0 else size + closed), cut
    found.sort(key=lambda row: tuple(map(int, row["id"].split("-"))), reverse=True)
    return found


def _holdings(store: RelayStore, account: bytes) -> list[Holding]:
    """An account's positions over time, market by market."""
    by_market: dict[int, list[Fact]] = {}
    for fact in reversed(store.facts_of_account((facts.POSITION,), account, POSITIONS)):
        by_market.setdefault(fact.market, []).append(fact)
    return [
        Holding(market, start, int(start.details["size"]), end)
        for market, changes in by_market.items()
        for start, end in zip(changes, [*changes[1:], None], strict=True)
    ]


def _parts(store: RelayStore, holding: Holding, now: Account) -> list[tuple[Fact, int]]:
    """The closes of a holding's bucket, each with what it took of the holding (base)."""
    if not holding.size:
        return []
    if holding.end is not None:
        left = int(holding.end.details["left"])
    else:
        leg = now.legs.get(holding.market)
        left = leg.size if leg else 0
    lost = abs(holding.size) - left
    if lost <= 0:
        return []
    last = holding.end.timestamp if holding.end else 2**62
    bucket = holding.start.details["bucket"]
    closes = [
        fact
        for fact in store.facts_between(
            (facts.FORCED,), holding.market, holding.start.timestamp, last
        )
        if fact.details["bucket"] == bucket
        and holding.start.position < fact.position < holding.until
    ]
    return _shared(lost, closes)


def _shared(lost: int, closes: Sequence[Fact]) -> list[tuple[Fact, int]]:
    total = sum(int(fact.details["size"]) for fact in closes)
    found, told = [], 0
    reached = 0
    for fact in closes:
        reached += int(fact.details["size"])
        upto = lost * reached // total
        found.append((fact, upto - told))
        told = upto
    return found


def _forced(fact: Fact, kind: str, is_long: bool, size: int) -> dict[str, Any]:
    return {
        "id": fact.id,
        "kind": kind,
        "market": fact.market,
        "side": "long" if is_long else "short",
        "size": str(size),
        "price": fact.details["price"],
        "timestamp": fact.timestamp,
        "block": fact.block,
        "transaction": fact.transaction,
    }


def _fixed(store: RelayStore, fact: Fact) -> str:
    """The oracle's price at a fact: its market's was fixed earlier in the same block."""
    fixings = store.facts_between((facts.FIXING,), fact.market, fact.timestamp, fact.timestamp)
    return str([f for f in fixings if f.position < fact.position][-1].details["price"])


def _index_at(fixings: Sequence[Fact], fact: Fact) -> int:
    """The funding index that was in force at a fact."""
    place = bisect_left(fixings, fact.position, key=lambda fixing: fixing.position)
    return int(fixings[place - 1].details["index"]) if place else 0
