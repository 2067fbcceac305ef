"""A fill that a reorganisation undid opened its order again as another object, read from the
database. The list of expiries then compared the two, which cannot be compared, and the relay took
no order until its next start; or it closed the old object, which was in no book."""

from __future__ import annotations

from pathlib import Path

from ballast.relay.book import Books
from ballast.relay.orders import OpenOrders
from ballast.relay.store import open_relay_store
from tests.unit.relay.test_orders import expired, order


def test_an_order_opened_again_expires_once_and_leaves_its_book(tmp_path: Path) -> None:
    store = open_relay_store(f"sqlite:///{tmp_path}/relay.db")
    orders, books = OpenOrders(store), Books(lambda kept: 0)
    before, again = order(1, 30), order(1, 30)
    orders.track(before)
    orders.drop(before)
    orders.track(again)
    books.put(again)
    assert orders.latest(before) is again
    closed = expired(orders, 31)
    assert closed == [again]
    books.remove(closed[0])
    assert len(books.of(1)) == 0
    store.close()
