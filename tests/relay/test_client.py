"""`RelayClient` and the example maker, against a real relay."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from ballast.maker import Maker, MakerSettings
from ballast.relay.client import RelayClient, RelayError
from tests.support.live import WAD, Live
from tests.support.patience import PATIENCE_SECONDS, until
from tests.support.relaying import RelayProcess, Trading


@pytest.fixture
def client(relay: RelayProcess) -> Iterator[RelayClient]:
    found = RelayClient(relay.url)
    yield found
    found.close()


def test_an_orders_life(
    client: RelayClient, market: Live, relay: RelayProcess, trading: Trading
) -> None:
    key = market.traders[0]
    assert client.domain() == market.ballast.order_domain
    assert client.markets() == market.ballast.markets
    kept = client.place(trading.order(0, True, 0.001, 98_000))
    assert client.order(kept["hash"])["status"] == "open"
    assert kept["hash"] in [order["hash"] for order in client.orders(market.account(0))]
    assert client.book(1)["bids"]
    assert client.cancel(kept["hash"], key)["status"] == "cancelled"
    with pytest.raises(RelayError, match="nothing is left to do") as caught:
        client.cancel(kept["hash"], key)
    assert caught.value.code == "order_closed"


def test_the_stream_and_the_tape(
    client: RelayClient, market: Live, relay: RelayProcess, trading: Trading
) -> None:
    account = market.account(1)
    told = client.stream(f"account:0x{account.hex()}")
    assert next(told)["account"]["account"] == "0x" + account.hex()
    client.place(trading.order(1, True, 0.001, 100_500))
    client.place(trading.order(2, False, 0.001, 100_500))
    fills = (message for message in told if message["type"] == "fill")
    assert next(fills)["fill"]["price"] == str(100_500 * WAD)
    assert client.fills(account)[0]["size"] == str(WAD // 1_000)
    assert client.trades(1)[0]["price"] == str(100_500 * WAD)
    assert client.forced_closes(account) == []
    client.funding(account)


def test_no_relay() -> None:
    with pytest.raises(RelayError, match="is its address right") as caught:
        RelayClient("http://127.0.0.1:9").config()
    assert caught.value.code == "unreachable"
    with pytest.raises(RelayError):
        next(RelayClient("http://127.0.0.1:9").stream("prices"))


def test_a_maker_quotes_follows_and_leaves(
    client: RelayClient, market: Live, relay: RelayProcess, trading: Trading
) -> None:
    settings = MakerSettings(10.0, 5.0, 2, 200.0, 2_000.0, interval_seconds=0.2)
    maker = Maker(client, market.traders[3], settings, ("BTC",))
    stop, worker = threading.Event(), None
    try:
        worker = threading.Thread(target=maker.run, args=(stop,))
        worker.start()

        def prices() -> list[int]:
            other = RelayClient(relay.url)
            return [int(order["limit_price"]) for order in other.orders(maker.account)]

        until(lambda: len(prices()) == 4)
        first = prices()
        market.move(1.01)
        until(lambda: len(now := prices()) == 4 and min(now) > max(first) * 0.999)
        # Its position leans the quotes.
        before = sorted(prices())
        client.place(trading.order(4, False, 0.003, 98_100))
        until(lambda: len(now := prices()) == 4 and all(map(int.__lt__, sorted(now), before)))
    finally:
        stop.set()
        if worker is not None:
            worker.join(PATIENCE_SECONDS)
    assert client.orders(maker.account) == []


def test_a_maker_for_no_market(client: RelayClient, market: Live, relay: RelayProcess) -> None:
    with pytest.raises(Exception, match="no market DOGE: there is BTC"):
        Maker(client, market.traders[3], MakerSettings(), ("DOGE",))
