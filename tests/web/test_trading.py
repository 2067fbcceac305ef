"""Trading from the page over a real relay and a real node, in two browsers' profiles."""

from __future__ import annotations

from playwright.sync_api import expect

from ballast.signing import account_id
from tests.support.live import WAD, Live
from tests.support.relaying import RelayProcess, Trading
from tests.web.site import Site, axe, done, fact, failed, modes, picture, place, signatures, write


def test_reads_the_book_without_wallet_or_node(
    desk: Site, trading: Trading, relay: RelayProcess
) -> None:
    made = relay.place(trading.order(4, False, 0.01, 101_000))
    page = desk.open()
    expect(page.locator("#book")).to_contain_text("101,000.0")
    expect(page.locator("#notices")).to_contain_text("Read-only, without a node")
    assert axe(page) == []
    picture(page, "relay-read-only")
    relay.cancel(made["hash"], trading.live.traders[4])
    expect(page.locator("#book")).to_contain_text("No sell orders")


def test_signs_a_limit_order_of_readable_fields_and_cancels_it(
    desk: Site, town: Live, relay: RelayProcess
) -> None:
    page = desk.connected(town.traders[0])
    write(page, "buy", "0.01", "99000")
    page.locator("#post-only").check()
    assert "rests on the book" in fact(page, "#preview", "Size filled")
    page.locator("#place").click()
    done(page, "Buy order")
    message = signatures(page)[0]["message"]
    assert message["size"] == str(WAD // 100)
    assert message["is_buy"] is True
    assert message["post_only"] is True
    expect(page.locator("#book")).to_contain_text("99,000.0")
    page.locator("#tab-Open-orders").click()
    expect(page.locator("#tab-panel")).to_contain_text("post only")
    assert axe(page) == []
    picture(page, "open-order")
    page.get_by_role("button", name="Cancel: BTC ▲ buy", exact=True).click()
    done(page, "Cancel at the relay")
    expect(page.locator("#tab-panel")).to_contain_text("No open orders")
    assert [typed["primaryType"] for typed in signatures(page)] == ["Order", "Cancel"]


def test_a_declined_order_is_not_placed(desk: Site, town: Live) -> None:
    page = desk.connected(town.traders[0])
    page.evaluate("testWallet.declines = true")
    place(page, "buy", "0.01", "99000")
    assert "You declined in the wallet" in failed(page, "Buy order")
    expect(page.locator("#book")).to_contain_text("No buy orders")


def test_a_refused_order_says_why(desk: Site, town: Live) -> None:
    page = desk.connected(town.traders[0])
    place(page, "buy", "0.01", "120000")
    assert "The relay refused this" in failed(page, "Buy order")
    picture(page, "order-refused")


def test_a_market_order_meets_a_limit_order_and_is_closed_again(
    desk: Site, town: Live, trading: Trading, relay: RelayProcess
) -> None:
    relay.place(trading.order(1, False, 0.02, 100_050))
    relay.place(trading.order(1, True, 0.02, 99_950))
    account = account_id(town.traders[0].address)
    view = town.ballast.clearinghouse.view
    page = desk.connected(town.traders[0])
    write(page, "buy", "0.01", None)
    expect(page.locator("#preview")).to_contain_text(
        "0.010000 of 0.010000 is on the book within your bound"
    )
    assert fact(page, "#preview", "Fee") == "0.5003 tUSD"
    picture(page, "trading-order", "#ticket")
    page.locator("#place").click()
    done(page, "Buy order")
    expect(page.locator("#actions")).to_contain_text("Matched")
    expect(page.locator("#chart figcaption")).to_contain_text("candle")
    expect(page.locator("#positions table")).to_contain_text("BTC ▲ long")
    assert view.position(account, 1)[0] == WAD // 100
    page.locator("#tab-Fills").click()
    expect(page.locator("#tab-panel")).to_contain_text("▲ bought")
    expect(page.locator("#tab-panel")).to_contain_text("taker")
    page.locator("#tab-Funding").click()
    expect(page.locator("#tab-panel table")).to_be_visible()
    page.locator("#tab-Positions").click()
    picture(page, "position")
    picture(page, "trading-position", "#positions")
    page.get_by_role("button", name="Close BTC").click()
    expect(page.locator("#reduce-only")).to_be_checked()
    assert fact(page, "#preview", "Position after").startswith("0.000000")
    page.locator("#place").click()
    done(page, "Sell order")
    expect(page.locator("#tab-panel")).to_contain_text("No open positions")
    assert view.position(account, 1)[0] == 0


def test_orders_of_a_delegate_need_no_wallet_window(desk: Site, town: Live) -> None:
    page = desk.connected(town.traders[2])
    page.get_by_role("button", name="Authorise", exact=True).click()
    done(page, "Authorise this page's key")
    expect(page.locator("#ticket")).to_contain_text("Signed by this page's key")
    picture(page, "trading-delegate", "#delegate")
    page.evaluate("testWallet.declines = true")
    place(page, "sell", "0.01", "101000")
    done(page, "Sell order")
    page.locator("#tab-Open-orders").click()
    page.get_by_role("button", name="Cancel: BTC ▼ sell", exact=True).click()
    done(page, "Cancel at the relay")
    assert signatures(page) == []


def test_an_order_is_cancelled_on_chain(desk: Site, town: Live, relay: RelayProcess) -> None:
    page = desk.connected(town.traders[0])
    place(page, "buy", "0.01", "98500")
    done(page, "Buy order")
    page.locator("#tab-Open-orders").click()
    page.get_by_role("button", name="Cancel on chain: BTC ▲ buy").click()
    done(page, "Cancel on chain")
    expect(page.locator("#tab-panel")).to_contain_text("No open orders")


def test_without_the_relay_the_chain_still_serves(
    desk: Site, town: Live, trading: Trading, relay: RelayProcess
) -> None:
    """All orders are cancelled at once, what is free is withdrawn; the relay comes back, and an
    order of before cannot be matched any more."""
    key = town.traders[5]
    page = desk.connected(key)
    place(page, "buy", "0.01", "98000")
    done(page, "Buy order")
    [signed] = signatures(page)
    relay.kill()
    expect(page.locator("#notices")).to_contain_text("The relay does not answer")
    place(page, "buy", "0.01", "98100")
    assert "The relay does not answer" in failed(page, "Buy order")
    page.locator("#tab-Open-orders").click()
    page.get_by_role("button", name="Cancel all on chain").click()
    done(page, "Cancel all on chain")
    floor = town.ballast.settlement.view.salt_floor(account_id(key.address))
    assert floor > int(signed["message"]["salt"])
    page.get_by_label("Amount", exact=True).fill("10")
    page.get_by_role("button", name="Withdraw", exact=True).click()
    done(page, "Withdraw")
    assert town.ballast.vault.view.balance_of(account_id(key.address)) == 990 * WAD
    modes(page, "relay-gone")
    picture(page, "trading-relay-gone", "#notices")
    relay.start()
    expect(page.locator("#notices")).not_to_contain_text(
        "The relay does not answer", timeout=40_000
    )
    expect(page.locator("#tab-panel")).to_contain_text("No open orders")
    place(page, "buy", "0.01", "98200")
    expect(page.locator("#tab-panel")).to_contain_text("98,200.0")
