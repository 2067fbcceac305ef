"""The markets' books: price, then time. Nothing but arithmetic; they know no chain and no clock.

An order stays at its place while parts of it are in flight, so that what comes back after a failed
match has lost nothing. After every change `uncross` takes the pairs that meet: of two orders the
later one takes, at the earlier one's price.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ballast.relay.kept import Kept

MAX_MAKERS = 20
"""What one `match_orders` takes."""
OWN_ORDER = "it would fill the account's own order"
CROSSES = "post-only, and it would take"
NOTHING_TO_REDUCE = "nothing to reduce"

Reducible = Callable[[Kept], int]
"""How much base (WAD) a reduce-only order's account has against it."""


@dataclass(slots=True, eq=False)
class Match:
    """One order that takes, against up to `MAX_MAKERS` that rest; `sizes` are base, WAD."""

    taker: Kept
    makers: list[Kept] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    @property
    def parts(self) -> Iterator[tuple[Kept, int]]:
        """Every order in it and its size."""
        yield self.taker, sum(self.sizes)
        yield from zip(self.makers, self.sizes, strict=True)


@dataclass(slots=True)
class Uncrossed:
    """What a change of the book leads to: matches, and orders that cannot stay, with the reason."""

    matches: list[Match] = field(default_factory=list)
    dropped: list[tuple[Kept, str]] = field(default_factory=list)


class _Side:
    """One side's levels. `_keys` sorts prices best first: negated for bids."""

    def __init__(self, is_bid: bool) -> None:
        self._sign = -1 if is_bid else 1
        self._keys: list[int] = []
        self._levels: dict[int, list[Kept]] = {}

    def add(self, order: Kept) -> None:
        price = order.order.limit_price
        level = self._levels.get(price)
        if level is None:
            level = self._levels[price] = []
            insort(self._keys, self._sign * price)
        insort(level, order, key=_sequence)

    def remove(self, order: Kept) -> None:
        price = order.order.limit_price
        level = self._levels[price]
        level.remove(order)
        if not level:
            del self._levels[price]
            del self._keys[bisect_left(self._keys, self._sign * price)]

    def level(self, price: int) -> tuple[int, int]:
        """What can be matched at a price: base (WAD) and orders."""
        sizes = [order.available for order in self._levels.get(price, ())]
        return sum(sizes), sum(1 for size in sizes if size)

    def prices(self) -> Iterator[int]:
        """Best first."""
        for key in self._keys:
            yield self._sign * key

    def best_first(self) -> Iterator[Kept]:
        for price in self.prices():
            yield from self._levels[price]


class Book:
    """One market's. `seq` counts changes; `dirty` holds the levels (is it a bid, price) changed
    since `take_changes` was last called."""

    def __init__(self, market: int, reducible: Reducible) -> None:
        self.market = market
        self.seq = 0
        self.dirty: set[tuple[bool, int]] = set()
        self._reducible = reducible
        self._sides = {True: _Side(True), False: _Side(False)}
        self._orders: dict[bytes, Kept] = {}

    def __contains__(self, order_hash: bytes) -> bool:
        return order_hash in self._orders

    def __len__(self) -> int:
        return len(self._orders)

    def put(self, order: Kept) -> None:
        """Add an order, at its place in time; nothing where it is in."""
        if order.hash in self._orders:
            return
        self._orders[order.hash] = order
        self._sides[order.order.is_buy].add(order)
        self.touch(order)

    def remove(self, order: Kept) -> None:
        """Take an order out; nothing where it is not in."""
        if self._orders.pop(order.hash, None) is not None:
            self._sides[order.order.is_buy].remove(order)
            self.touch(order)

    def touch(self, order: Kept) -> None:
        """Note that what is available of an order has changed."""
        self.seq += 1
        self.dirty.add((order.order.is_buy, order.order.limit_price))

    def level(self, is_bid: bool, price: int) -> tuple[int, int]:
        """What can be matched at a price: base (WAD) and orders."""
        return self._sides[is_bid].level(price)

    def levels(self, is_bid: bool, depth: int) -> list[tuple[int, int, int]]:
        """The best levels: price, base, orders."""
        found: list[tuple[int, int, int]] = []
        side = self._sides[is_bid]
        for price in side.prices():
            size, orders = side.level(price)
            if size:
                found.append((price, size, orders))
                if len(found) == depth:
                    break
        return found

    def told(self, depth: int) -> dict[str, Any]:
        """Its best levels, as `/api/book` answers."""
        return {
            "market": self.market,
            "seq": self.seq,
            "bids": [_level(*level) for level in self.levels(True, depth)],
            "asks": [_level(*level) for level in self.levels(False, depth)],
        }

    def take_changes(self) -> tuple[list[list[Any]], list[list[Any]]]:
        """The bids and the asks that are dirty, as JSON; none is from then on."""
        changed: dict[bool, list[list[Any]]] = {True: [], False: []}
        for is_bid, price in sorted(self.dirty):
            changed[is_bid].append(_level(price, *self.level(is_bid, price)))
        self.dirty.clear()
        return changed[True], changed[False]

    def would_take(self, order: Kept) -> Kept | None:
        """The order that a new one would meet first."""
        found = self._best(not order.order.is_buy, None)
        return found if found is not None and _cross(order, found) else None

    def uncross(self) -> Uncrossed:
        """Match what meets, until nothing does. Matched sizes are in flight from then on."""
        made = Uncrossed()
        while True:
            bid, ask = self._best(True, made), self._best(False, made)
            if bid is None or ask is None or bid.order.limit_price < ask.order.limit_price:
                return made
            earlier, later = sorted((bid, ask), key=_sequence)
            if bid.order.account == ask.order.account:
                self._drop(later, OWN_ORDER, made)
            elif later.order.post_only:
                self._drop(later, CROSSES, made)
            else:
                self._pair(later, earlier, made)

    def _pair(self, taker: Kept, maker: Kept, made: Uncrossed) -> None:
        size = min(self._free(taker), self._free(maker))
        last = made.matches[-1] if made.matches else None
        if last is None or last.taker is not taker or len(last.makers) == MAX_MAKERS:
            last = Match(taker)
            made.matches.append(last)
        last.makers.append(maker)
        last.sizes.append(size)
        for order in (taker, maker):
            order.in_flight += size
            self.touch(order)

    def _drop(self, order: Kept, reason: str, made: Uncrossed) -> None:
        self.remove(order)
        made.dropped.append((order, reason))

    def _free(self, order: Kept) -> int:
        if order.order.reduce_only:
            return min(order.available, max(0, self._reducible(order) - order.in_flight))
        return order.available

    def _best(self, is_bid: bool, made: Uncrossed | None) -> Kept | None:
        """The first order that can be matched. With `made`, reduce-only orders that have nothing
        left to reduce are dropped."""
        found, useless = None, []
        for order in self._sides[is_bid].best_first():
            if self._free(order):
                found = order
                break
            if order.available and not self._reducible(order):
                useless.append(order)
        if made is not None:
            for order in useless:
                self._drop(order, NOTHING_TO_REDUCE, made)
        return found


class Books:
    """Every market's book, from when it is first asked for."""

    def __init__(self, reducible: Reducible) -> None:
        self._reducible = reducible
        self._books: dict[int, Book] = {}

    @property
    def markets(self) -> list[int]:
        """Those that have a book."""
        return list(self._books)

    def of(self, market: int) -> Book:
        """A market's book."""
        if market not in self._books:
            self._books[market] = Book(market, self._reducible)
        return self._books[market]

    def put(self, order: Kept) -> None:
        """Add an order to its book; nothing where it is in."""
        self.of(order.order.market).put(order)

    def remove(self, order: Kept) -> None:
        """Take an order out of its book; nothing where it is not in."""
        if order.order.market in self._books:
            self._books[order.order.market].remove(order)

    def touch(self, order: Kept) -> None:
        """Note that what is available of an order has changed, where its market has a book."""
        if order.order.market in self._books:
            self._books[order.order.market].touch(order)


def _level(price: int, size: int, orders: int) -> list[Any]:
    return [str(price), str(size), orders]


def _cross(one: Kept, other: Kept) -> bool:
    bid, ask = (one, other) if one.order.is_buy else (other, one)
    return bid.order.limit_price >= ask.order.limit_price


def _sequence(order: Kept) -> int:
    return order.sequence
