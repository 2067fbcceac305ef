"""The open orders: which expire, and which count."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ballast.relay.kept import Kept
from ballast.relay.orders import OpenOrders
from ballast.relay.store import open_relay_store
from ballast.signing import Order, SignedOrder

ACCOUNT = b"a" * 32


def order(number: int, expiry: int) -> Kept:
    signed = SignedOrder(Order(ACCOUNT, 1, True, 100, 5, expiry=expiry, salt=number), b"s" * 65)
    return Kept(number.to_bytes(32, "big"), signed, "0x", number, 5, 5)


@pytest.fixture
def orders(tmp_path: Path) -> Iterator[OpenOrders]:
    store = open_relay_store(f"sqlite:///{tmp_path}/relay.db")
    yield OpenOrders(store)
    store.close()


def expired(orders: OpenOrders, now: int) -> list[Kept]:
    """All that expire, closed as they come."""
    found = []
    while (kept := orders.pop_expired(now)) is not None:
        orders.drop(kept)
        found.append(kept)
    return found


def test_the_earliest_expiry_first_and_none_before_its_time(orders: OpenOrders) -> None:
    late, early, closed = order(1, 30), order(2, 10), order(3, 5)
    for kept in (late, early, closed):
        orders.track(kept)
    orders.drop(closed)
    assert expired(orders, 10) == []
    assert expired(orders, 31) == [early, late]
    assert (len(orders), orders.of(ACCOUNT)) == (0, [])


def test_what_is_being_written_counts_and_is_not_open(orders: OpenOrders) -> None:
    opened, written = order(1, 30), order(2, 30)
    orders.track(opened)
    orders.count(written)
    assert orders.of(ACCOUNT) == [opened, written]
    assert orders.get(written.hash) is None
    assert written.hash not in orders
    orders.uncount(written)
    assert (orders.of(ACCOUNT), orders.all()) == ([opened], [opened])
