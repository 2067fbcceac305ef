"""The book: price, then time; nothing crosses afterwards; nothing is lost or made."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from ballast.relay.book import MAX_MAKERS, NOTHING_TO_REDUCE, Book, Match
from ballast.relay.kept import Kept, Status
from ballast.signing import Order, SignedOrder

ACCOUNTS = [bytes([n]) * 32 for n in range(1, 5)]


class Market:
    """A book with all that was ever put in."""

    def __init__(self) -> None:
        self.book = Book(1, lambda kept: self.positions.get(kept.order.account, 0))
        self.positions: dict[bytes, int] = {}
        self.all: list[Kept] = []
        self.matches: list[Match] = []
        self.dropped: dict[Kept, str] = {}

    def put(self, account: int, is_buy: bool, size: int, price: int, **options: bool) -> Kept:
        number = len(self.all) + 1
        order = Order(ACCOUNTS[account], 1, is_buy, size, price, salt=number, **options)
        kept = Kept(number.to_bytes(32, "big"), SignedOrder(order, b""), "", number, 0, 0)
        self.all.append(kept)
        self.book.put(kept)
        self.uncross()
        return kept

    def uncross(self) -> None:
        made = self.book.uncross()
        self.matches += made.matches
        for kept, reason in made.dropped:
            kept.status = Status.REMOVED
            self.dropped[kept] = reason

    def settle(self, match: Match, is_filled: bool) -> None:
        """What the chain says of a match: all of it, or nothing."""
        self.matches.remove(match)
        for kept, size in match.parts:
            kept.in_flight -= size
            kept.filled += size if is_filled else 0
            if not kept.left:
                self.book.remove(kept)
            elif kept.hash in self.book:
                self.book.touch(kept)
        self.uncross()

    def best(self, is_bid: bool) -> int | None:
        levels = self.book.levels(is_bid, 1)
        return levels[0][0] if levels else None


steps = st.one_of(
    st.tuples(
        st.just("put"),
        st.integers(0, 3),
        st.booleans(),
        st.integers(1, 30),
        st.integers(95, 105),
        st.booleans(),
    ),
    st.tuples(st.just("settle"), st.integers(0, 50), st.booleans()),
    st.tuples(st.just("cancel"), st.integers(0, 50)),
)


@given(st.lists(steps, max_size=40))
def test_whatever_happens(told: list[tuple]) -> None:
    market = Market()
    for kind, *args in told:
        if kind == "put":
            account, is_buy, size, price, post_only = args
            market.put(account, is_buy, size, price, post_only=post_only)
        elif kind == "settle" and market.matches:
            market.settle(market.matches[args[0] % len(market.matches)], args[1])
        elif kind == "cancel" and market.all:
            kept = market.all[args[0] % len(market.all)]
            market.book.remove(kept)
            kept.status = Status.CANCELLED
        check(market)


def check(market: Market) -> None:
    bid, ask = market.best(True), market.best(False)
    assert bid is None or ask is None or bid < ask
    flying: dict[Kept, int] = defaultdict(int)
    for match in market.matches:
        assert 0 < len(match.makers) <= MAX_MAKERS
        assert not match.taker.order.post_only
        for maker, size in zip(match.makers, match.sizes, strict=True):
            assert size > 0
            assert maker.sequence < match.taker.sequence
            assert maker.order.is_buy != match.taker.order.is_buy
            assert maker.order.account != match.taker.order.account
            sign = 1 if match.taker.order.is_buy else -1
            assert sign * maker.order.limit_price <= sign * match.taker.order.limit_price
        for kept, size in match.parts:
            flying[kept] += size
    for kept in market.all:
        assert kept.in_flight == flying[kept]
        assert kept.filled + kept.in_flight <= kept.order.size
    for is_bid in (True, False):
        shown = {p: (s, n) for p, s, n in market.book.levels(is_bid, 500)}
        expected: dict[int, tuple[int, int]] = {}
        for kept in market.all:
            if kept.hash in market.book and kept.order.is_buy == is_bid and kept.available:
                size, count = expected.get(kept.order.limit_price, (0, 0))
                expected[kept.order.limit_price] = size + kept.available, count + 1
        assert shown == expected


@given(
    st.lists(st.tuples(st.integers(1, 20), st.integers(100, 104)), min_size=1, max_size=30),
    st.integers(1, 300),
    st.integers(99, 105),
)
def test_price_then_time(asks: list[tuple[int, int]], size: int, limit: int) -> None:
    """A buyer gets the cheapest first, and of those at one price the earliest: what an order by
    price and time would give, in that order."""
    market = Market()
    for asked, price in asks:
        market.put(0, False, asked, price)
    taker = market.put(1, True, size, limit)
    expected, left = [], size
    for kept in sorted(market.all[:-1], key=lambda k: (k.order.limit_price, k.sequence)):
        if kept.order.limit_price <= limit and left:
            part = min(left, kept.order.size)
            expected.append((kept.hash, part))
            left -= part
    got = [
        (maker.hash, part)
        for match in market.matches
        for maker, part in zip(match.makers, match.sizes, strict=True)
    ]
    assert got == expected
    assert taker.available == left


def test_what_comes_back_keeps_its_place() -> None:
    market = Market()
    first = market.put(0, False, 10, 100)
    second = market.put(1, False, 10, 100)
    market.put(2, True, 10, 100)
    (match,) = market.matches
    assert match.makers == [first]
    market.book.remove(match.taker)
    market.settle(match, False)
    market.put(3, True, 15, 100)
    (match,) = market.matches
    assert (match.makers, match.sizes) == ([first, second], [10, 5])


def test_the_later_of_two_own_orders_is_dropped() -> None:
    market = Market()
    market.put(0, False, 10, 100)
    later = market.put(0, True, 10, 100)
    assert market.matches == []
    assert list(market.dropped) == [later]


def test_post_only_never_takes() -> None:
    market = Market()
    market.put(0, False, 10, 100)
    later = market.put(1, True, 10, 100, post_only=True)
    assert market.matches == []
    assert list(market.dropped) == [later]


def test_reduce_only_is_cut_to_the_position() -> None:
    market = Market()
    market.positions[ACCOUNTS[1]] = 4
    market.put(0, False, 10, 100)
    reducing = market.put(1, True, 10, 100, reduce_only=True)
    (match,) = market.matches
    assert match.sizes == [4]
    market.positions[ACCOUNTS[1]] = 0
    market.settle(match, True)
    assert market.dropped == {reducing: NOTHING_TO_REDUCE}


def test_many_makers_are_several_matches() -> None:
    market = Market()
    for _ in range(MAX_MAKERS + 5):
        market.put(0, False, 1, 100)
    market.put(1, True, 100, 100)
    assert [len(match.makers) for match in market.matches] == [MAX_MAKERS, 5]
