"""A real relay process on a real node: orders in, fills on chain, and nothing forgotten."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from ballast import build
from ballast.relay.client import wire
from ballast.signing import account_id, key_from_label
from tests.support.live import WAD, Live
from tests.support.relaying import RelayProcess, Trading, until

pytestmark = pytest.mark.node
PRICE = 100_000.0


def code_of(answer: httpx.Response) -> str:
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "hint"}
    assert all(body["error"].values())
    return str(body["error"]["code"])


def position(market: Live, trader: int) -> int:
    return int(market.ballast.clearinghouse.view.position(market.account(trader), 1)[0])


def test_an_order_is_filled_on_chain(market: Live, relay: RelayProcess, trading: Trading) -> None:
    before = position(market, 0), position(market, 1)
    account = "0x" + market.account(1).hex()
    with relay.stream("book:1", "trades:1", "prices", f"account:{account}") as socket:
        until(socket, channel="prices")
        maker = relay.place(trading.order(0, False, 0.01, PRICE))
        assert maker["status"] == "open"
        level = [[str(int(PRICE) * WAD), str(WAD // 100), 1]]
        assert until(socket, channel="book:1", type="update")["asks"] == level
        taker = relay.place(trading.order(1, True, 0.015, PRICE + 10))
        trade = until(socket, channel="trades:1")["trades"][0]
        assert trade["price"] == str(int(PRICE) * WAD)
        assert trade["size"] == str(WAD // 100)
        assert trade["taker_side"] == "buy"
        fill = until(socket, type="fill")["fill"]
        assert fill["order"] == taker["hash"]
        assert fill["is_maker"] is False
        assert until(socket, type="account")["account"]["positions"]
    assert relay.order(maker["hash"])["status"] == "filled"
    rest = relay.order(taker["hash"])
    assert (rest["status"], rest["filled"]) == ("open", str(WAD // 100))
    assert position(market, 0) - before[0] == -WAD // 100
    assert position(market, 1) - before[1] == WAD // 100
    bids = relay.get("/api/book/1").json()["bids"]
    assert bids == [[str(int(PRICE + 10) * WAD), str(WAD * 5 // 1000), 1]]
    assert relay.cancel(taker["hash"], market.traders[1]).json()["status"] == "cancelled"
    assert relay.get("/api/book/1").json()["bids"] == []
    fills = relay.get(f"/api/accounts/{account}/fills").json()["fills"]
    assert fills[0] == fill
    candles = relay.get("/api/candles/1").json()["candles"]
    assert candles[-1]["close"] == str(int(PRICE) * WAD)
    asked = relay.get("/api/candles/1", interval=60, of="trades")
    assert asked.json()["candles"][-1] == candles[-1]
    assert relay.get("/api/candles/1", interval=61).status_code == 422


def test_config_is_enough_to_sign(market: Live, relay: RelayProcess) -> None:
    told = relay.get("/api/config").json()
    assert told["domain"] == market.ballast.order_domain.typed()
    assert told["contracts"]["OrderSettlement"] == market.ballast.settlement.address
    assert [listed["symbol"] for listed in told["markets"]] == ["BTC", "ETH", "SOL"]
    assert told["markets"][0]["price_band_bps"] == 300
    prices = {row["market"]: row["price"] for row in relay.get("/api/prices").json()["prices"]}
    assert prices == {m: str(p) for m, p in market.prices.items()}
    assert relay.get("/").text == "<p>the page</p>"


def test_the_account_is_the_chains(market: Live, relay: RelayProcess) -> None:
    account = market.account(0)
    view = market.ballast.clearinghouse.view

    def agrees() -> bool:
        told = relay.get(f"/api/accounts/0x{account.hex()}").json()
        initial, maintenance = view.margin(account)
        return (
            told["equity"] == str(view.equity(account))
            and told["initial_margin"] == str(initial)
            and told["maintenance_margin"] == str(maintenance)
        )

    relay.wait(agrees)


def test_the_same_order_again(market: Live, relay: RelayProcess, trading: Trading) -> None:
    signed = trading.order(2, True, 0.01, PRICE - 500)
    first = relay.post(signed)
    again = relay.post(signed)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["hash"] == again.json()["hash"]
    relay.cancel(first.json()["hash"], market.traders[2])
    assert relay.post(signed).json()["status"] == "cancelled"


REFUSED: dict[str, dict[str, Any]] = {
    "expired": {"expiry": 1_600_000_000},
    "unknown_market": {"market": 77},
    "price_outside_band": {"price": PRICE * 0.95},
    "below_minimum": {"base": 0.00001},
    "above_cap": {"base": 5_000},
    "insufficient_margin": {"base": 5},
    "nothing_to_reduce": {"reduce_only": True},
}


@pytest.mark.parametrize("code", REFUSED)
def test_bad_orders(relay: RelayProcess, trading: Trading, code: str) -> None:
    wanted: dict[str, Any] = {"base": 0.01, "price": PRICE - 100} | REFUSED[code]
    answer = relay.post(trading.order(3, True, wanted.pop("base"), wanted.pop("price"), **wanted))
    assert code_of(answer) == code


def test_bad_requests(relay: RelayProcess, trading: Trading) -> None:
    url = f"{relay.url}/api/orders"
    json_type = {"Content-Type": "application/json"}
    for content in (b"{", b"[" * 8_000, b"\xff"):
        assert code_of(httpx.post(url, content=content, headers=json_type)) == "bad_json"
    assert code_of(httpx.post(url, content=b"x" * 9_000, headers=json_type)) == "too_large"
    parts = iter([b"{" * 5_000, b"{" * 5_000])
    assert code_of(httpx.post(url, content=parts, headers=json_type)) == "too_large"
    assert code_of(httpx.post(url, data={"a": "b"})) == "bad_type"
    signed = trading.order(3, True, 0.01, PRICE - 100)
    assert code_of(relay.post(signed, signature="0x00")) == "bad_signature"
    assert code_of(relay.post(signed, more=1)) == "bad_field"
    other = trading.order(3, True, 0.01, PRICE - 100, signer=key_from_label("stranger"))
    assert code_of(relay.post(other)) == "bad_signature"
    for field, value in (("size", "0"), ("size", 5), ("size", "1e3"), ("salt", str(2**256))):
        order = wire(signed)["order"] | {field: value}
        assert code_of(relay.post(signed, order=order)) == "bad_field", field
    assert code_of(relay.get("/api/orders/0x" + "00" * 32)) == "unknown_order"
    assert code_of(relay.get("/api/book/77")) == "unknown_market"
    assert code_of(relay.get("/api/nothing")) == "no_such_page"
    assert code_of(httpx.put(url)) == "method_not_allowed"


def test_post_only_and_own_orders(market: Live, relay: RelayProcess, trading: Trading) -> None:
    ask = relay.place(trading.order(0, False, 0.01, PRICE + 300))
    crossing = trading.order(1, True, 0.01, PRICE + 300, post_only=True)
    assert code_of(relay.post(crossing)) == "would_cross"
    assert code_of(relay.post(trading.order(0, True, 0.01, PRICE + 300))) == "self_match"
    stranger = key_from_label("stranger")
    assert code_of(relay.cancel(ask["hash"], stranger)) == "bad_signature"
    assert relay.cancel(ask["hash"], market.traders[0]).status_code == 200
    assert code_of(relay.cancel(ask["hash"], market.traders[0])) == "order_closed"


def test_cancelling_on_chain(market: Live, relay: RelayProcess, trading: Trading) -> None:
    signed = [trading.order(4, True, 0.01, PRICE - 600 - n) for n in range(3)]
    placed = [relay.place(order) for order in signed]
    owner = market.traders[4]
    market.node.ask("anvil_setBalance", owner.address, hex(WAD))
    market.node.ask("anvil_impersonateAccount", owner.address)
    settlement = market.ballast.settlement

    def send(data: bytes) -> None:
        request = {"from": owner.address, "to": settlement.address, "data": "0x" + data.hex()}
        market.node.ask("eth_sendTransaction", request)

    send(settlement.data.cancel(bytes.fromhex(placed[0]["hash"][2:])))
    relay.wait(lambda: relay.order(placed[0]["hash"])["status"] == "cancelled")
    assert relay.order(placed[1]["hash"])["status"] == "open"
    send(settlement.data.cancel_below(market.account(4), signed[2].order.salt))
    relay.wait(lambda: relay.order(placed[1]["hash"])["status"] == "cancelled")
    assert relay.order(placed[2]["hash"])["status"] == "open"
    below = trading.order(4, True, 0.01, PRICE - 600, salt=1)
    assert code_of(relay.post(below)) == "below_salt_floor"
    # A delegate may sign until it is dismissed.
    delegate = key_from_label("delegate")
    by_delegate = trading.order(4, True, 0.01, PRICE - 700, signer=delegate)
    assert code_of(relay.post(by_delegate)) == "bad_signature"
    send(settlement.data.set_delegate(market.account(4), delegate.address, 2**40))
    relay.wait(lambda: relay.post(by_delegate).status_code in (200, 201))
    send(settlement.data.set_delegate(market.account(4), delegate.address, 0))
    order_hash = "0x" + market.ballast.order_hash(by_delegate.order).hex()
    relay.wait(lambda: relay.order(order_hash)["status"] == "cancelled")
    relay.cancel(placed[2]["hash"], owner)


def test_a_contract_wallet(market: Live, relay: RelayProcess, trading: Trading) -> None:
    key = key_from_label("wallet's key")
    code = build.artifact("ContractWallet").deploy_code(key.address)
    wallet, _ = market.chain.deploy(code, sender=market.sender)
    account = account_id(wallet)
    market.ballast.deposit(account, 1_000 * 10**6, sender=market.sender)

    def signed_by(label: str) -> httpx.Response:
        signer = key_from_label(label)
        order = trading.order(0, True, 0.01, PRICE - 800, signer=signer, account=account)
        return relay.post(order)

    assert code_of(signed_by("stranger")) == "bad_signature"
    relay.wait(lambda: signed_by("wallet's key").status_code == 201)


def test_what_fails_on_chain_is_removed(
    market: Live, relay: RelayProcess, trading: Trading
) -> None:
    """A maker withdraws its margin: its order goes, the taker's goes back and meets the next."""
    account = market.account(5)
    bad = relay.place(trading.order(5, False, 0.05, PRICE + 100))
    good = relay.place(trading.order(0, False, 0.01, PRICE + 200))
    free = int(market.ballast.vault.view.balance_of(account)) // 10**12
    owner = market.traders[5].address
    market.node.ask("anvil_setBalance", owner, hex(WAD))
    market.node.ask("anvil_impersonateAccount", owner)
    data = market.ballast.vault.data.withdraw(account, free, owner)
    vault = market.ballast.vault.address
    market.node.ask("eth_sendTransaction", {"from": owner, "to": vault, "data": "0x" + data.hex()})
    with relay.stream(f"account:0x{account.hex()}") as socket:
        until(socket, type="account")
        taker = relay.place(trading.order(1, True, 0.01, PRICE + 200))
        while (told := until(socket, type="order"))["order"]["status"] != "removed":
            pass
    assert told["order"]["hash"] == bad["hash"]
    assert "margin" in told["order"]["reason"] or "debt" in told["order"]["reason"]
    relay.wait(lambda: relay.order(taker["hash"])["status"] == "filled")
    assert relay.order(good["hash"])["status"] == "filled"


def test_killed_in_the_middle(market: Live, relay: RelayProcess, trading: Trading) -> None:
    """With a match on its way and orders on the book: all of it goes on."""
    resting = [relay.place(trading.order(2, True, 0.01, PRICE - 900 - n)) for n in range(5)]
    market.node.ask("evm_setAutomine", False)
    try:
        maker = relay.place(trading.order(2, False, 0.01, PRICE + 50))
        taker = relay.place(trading.order(1, True, 0.01, PRICE + 50))
        relay.wait(lambda: market.node.ask("txpool_status")["pending"] != "0x0")
        relay.kill()
        relay.start()
        assert relay.order(taker["hash"])["in_flight"] == taker["size"]
    finally:
        market.node.ask("evm_setAutomine", True)
        market.mine(1)
    relay.wait(lambda: relay.order(taker["hash"])["status"] == "filled")
    assert relay.order(maker["hash"])["filled"] == maker["size"]
    for order in resting:
        kept = relay.order(order["hash"])
        assert kept["status"] == "open"
        relay.cancel(order["hash"], market.traders[2])
    account = market.account(1).hex()
    fills = relay.get(f"/api/accounts/0x{account}/fills").json()["fills"]
    assert [fill["order"] for fill in fills].count(taker["hash"]) == 1


def test_a_reorganisation_gives_back_fills(
    market: Live, relay: RelayProcess, trading: Trading
) -> None:
    maker = relay.place(trading.order(0, False, 0.01, PRICE + 20))
    mark = market.mark()
    taker = relay.place(trading.order(1, True, 0.01, PRICE + 20))
    relay.wait(lambda: relay.order(taker["hash"])["status"] == "filled")
    market.node.ask("evm_setAutomine", False)
    market.back(mark)
    market.mine(4)
    relay.wait(lambda: relay.order(maker["hash"])["status"] == "open")
    assert relay.order(taker["hash"])["filled"] == "0"
    market.node.ask("evm_setAutomine", True)
    market.mine(1)
    relay.wait(lambda: relay.order(taker["hash"])["status"] == "filled")
    assert relay.order(maker["hash"])["status"] == "filled"


def test_forced_closes_and_funding(market: Live, relay: RelayProcess, trading: Trading) -> None:
    """A bankrupt long is closed against a short, who is told its part of it."""
    winner, loser = market.account(2), market.account(3)
    relay.place(trading.order(2, False, 0.3, PRICE - 50))
    taker = relay.place(trading.order(3, True, 0.3, PRICE - 50))
    relay.wait(lambda: relay.order(taker["hash"])["status"] == "filled")
    held = -position(market, 2)
    market.report({1: 96_000 * WAD}, seconds=60)
    market.ballast.deleverage(loser, sender=market.sender)
    closed = held + position(market, 2)
    assert closed > 0

    def told() -> list[dict[str, Any]]:
        path = f"/api/accounts/0x{winner.hex()}/forced-closes"
        return list(relay.get(path).json()["forced_closes"])

    relay.wait(lambda: bool(told()))
    assert sum(int(row["size"]) for row in told()) == closed
    assert {(row["kind"], row["side"]) for row in told()} == {("deleveraged", "short")}
    own = relay.get(f"/api/accounts/0x{loser.hex()}/forced-closes").json()["forced_closes"]
    assert own[0]["kind"] == "bankrupt"
    assert own[0]["price"] == own[0]["oracle_price"]
    paid = relay.get(f"/api/accounts/0x{winner.hex()}/funding").json()["funding"]
    assert paid[0]["market"] == 1
    assert paid[0]["to"] >= paid[0]["from"]
