"""Risk as the chain tells it: previews, the deleveraging queue, claims, insurance, pauses."""

from __future__ import annotations

import re
from decimal import Decimal

from playwright.sync_api import Page, expect

from ballast.signing import Order, account_id
from tests.support.live import PRICES, WAD, Live
from tests.web.site import Site, axe, done, fact, picture

FUNDED = "1,000.00 tUSD"


def number(text: str) -> Decimal:
    """The first number of a text."""
    found = re.search(r"[−-]?[\d,]+(\.\d+)?", text)
    assert found, text
    return Decimal(found[0].replace(",", "").replace("−", "-"))


def fill_ticket(page: Page, side: str, size: str, price: str) -> None:
    """A limit order, not sent."""
    page.locator(f"#side-{side}").check()
    page.locator("#ticket-size").fill(size)
    page.locator("#ticket-price").fill(price)


def test_a_preview_is_what_the_chain_does(site: Site, town: Live) -> None:
    page = site.connected(town.traders[0])
    fill_ticket(page, "buy", "0.05", "100100")
    # Without a book the order would rest: maker fee, at its own price.
    assert fact(page, "#preview", "Fee") == "0.5005 tUSD"
    told = {
        term: fact(page, "#preview", term)
        for term in (
            "Position after",
            "Equity after",
            "Liquidation price",
            "Margin needed",
            "Leverage",
            "ADL risk",
        )
    }
    picture(page, "preview")
    price = town.ballast.oracle.view.observe(1)[0]
    assert price == PRICES[1]
    account = account_id(town.traders[0].address)
    orders = [
        Order(account_id(town.traders[1].address), 1, False, WAD // 20, 100_100 * WAD, salt=901),
        Order(account, 1, True, WAD // 20, 100_100 * WAD, salt=902),
    ]
    signed = [
        town.ballast.sign_order(order, town.traders[1 - place])
        for place, order in enumerate(orders)
    ]
    town.ballast.match(signed[0], [signed[1]], [WAD // 20], sender=town.sender)
    view = town.ballast.clearinghouse.view
    cent = Decimal("0.005")
    assert number(told["Position after"]) == Decimal("0.05")
    assert abs(number(told["Equity after"]) - Decimal(view.equity(account)) / WAD) <= cent
    assert abs(number(told["Margin needed"]) - Decimal(view.margin(account)[0]) / WAD) <= cent
    assert abs(
        number(told["Liquidation price"]) - Decimal(view.liquidation_price(account, 1)) / WAD
    ) <= Decimal("0.05")
    assert f"({view.adl_rank(account, 1)[2]} of 5)" in told["ADL risk"]


def test_a_preview_of_what_would_be_refused_says_why(site: Site, town: Live) -> None:
    page = site.connected(town.traders[0])
    fill_ticket(page, "buy", "1", "100000")
    expect(page.locator("#preview-refused")).to_contain_text("margin: below initial")
    expect(page.locator("#preview-refused")).to_contain_text("What to do: deposit")
    picture(page, "trading-refused", "#preview")
    fill_ticket(page, "buy", "0.01", "104000")
    expect(page.locator("#preview-refused")).to_contain_text("clearing: price outside band")
    picture(page, "preview-refused")


def test_the_adl_panel_tells_rank_queue_and_what_would_be_taken(site: Site, town: Live) -> None:
    town.trade(1, 0, 1, 4_000)
    town.trade(1, 2, 3, 2_000)
    town.report({1: 104_000 * WAD})
    key = town.traders[0]
    account = account_id(key.address)
    score, ahead, band = town.ballast.clearinghouse.view.adl_rank(account, 1)
    page = site.connected(key)
    assert (ahead, band) == (0, 5)
    expect(page.locator("#adl-headline")).to_contain_text("ADL risk: high, first in line")
    assert number(fact(page, "#adl-rank", "Ahead of you")) == Decimal(ahead) / WAD
    assert score > 0
    page.get_by_label("Of the other side, bankrupt").fill("100")
    page.get_by_label("Owing beyond its margin").fill("3")
    expect(page.locator("#adl-taken")).to_contain_text("100.0 % of your position")
    taken = number(fact(page, "#adl-taken", "At a price of"))
    assert Decimal(100_000) <= taken < Decimal(104_000)
    expect(page.locator("#adl-lower li").first).to_be_visible()
    assert axe(page) == []
    picture(page, "adl")


def test_what_a_bankruptcy_takes_is_what_the_panel_said(site: Site, town: Live) -> None:
    """The real thing: the only short goes bankrupt, and the queue of longs pays."""
    town.trade(1, 0, 1, 40_000)
    town.report({1: 105_000 * WAD})
    view = town.ballast.clearinghouse.view
    loser, winner = account_id(town.traders[1].address), account_id(town.traders[0].address)
    assert view.equity(loser) < 0
    price, closed = 105_000 * WAD, -view.position(loser, 1)[0]
    owed = Decimal(-view.equity(loser)) / (Decimal(closed) * price / WAD) * 100
    page = site.connected(town.traders[0])
    page.get_by_label("Of the other side, bankrupt").fill("100")
    page.get_by_label("Owing beyond its margin").fill(f"{owed:.14f}")
    expect(page.locator("#adl-taken")).to_contain_text("100.0 % of your position")
    said = number(fact(page, "#adl-taken", "At a price of"))
    slices = view.preview_deleverage(loser)
    assert [s[2] for s in slices] == [closed]
    assert abs(said - Decimal(slices[0][3]) / WAD) <= Decimal("0.1")
    picture(page, "adl-bankrupt")
    town.ballast.deleverage(loser, sender=town.sender)
    assert view.position(winner, 1)[0] == 0
    expect(page.locator("#adl-rank")).to_contain_text("You have no position in this market")
    expect(page.locator("#positions")).to_contain_text("closed by force")
    page.get_by_role("button", name="Book the result").click()
    done(page, "Settle")
    expect(page.locator("#positions")).to_contain_text("No open positions")


def test_refreshing_the_rank_is_offered_when_it_helps(site: Site, town: Live) -> None:
    town.trade(1, 0, 1, 3_500)
    town.ballast.deposit(account_id(town.traders[0].address), 9_000 * 10**6, sender=town.sender)
    page = site.connected(town.traders[0])
    button = page.get_by_role("button", name="Refresh now")
    expect(button).to_be_visible()
    button.click()
    done(page, "Refresh the rank")
    expect(page.locator("#adl-lower")).to_contain_text("You are ranked by your present leverage")


def test_a_claim_that_waits_is_shown_and_settled(site: Site, town: Live) -> None:
    """The winner closes against a third trader while the loser still holds: the pool is empty."""
    town.trade(1, 0, 1, 10_000)
    town.report({1: 105_000 * WAD})
    town.trade(1, 2, 0, 10_500)
    account = account_id(town.traders[0].address)
    claim = town.ballast.clearinghouse.view.unsettled(account)
    assert claim > 0
    page = site.connected(town.traders[0])
    expect(page.locator("#claim")).to_contain_text("Claim waiting")
    expect(page.locator("#notices")).to_contain_text("Claims waiting in this group")
    picture(page, "claim-waiting")
    town.ballast.settle(account_id(town.traders[1].address), sender=town.sender)
    page.get_by_role("button", name="Settle now").click()
    done(page, "Settle")
    expect(page.locator("#claim")).to_be_empty()
    assert town.ballast.clearinghouse.view.unsettled(account) == 0


def test_stakes_and_leaves_the_insurance_fund(site: Site, town: Live) -> None:
    key = town.traders[0]
    page = site.connected(key)
    page.get_by_label("Amount to stake").fill("500")
    page.get_by_role("button", name="Stake", exact=True).click()
    done(page, "Stake")
    expect(page.locator("#fund-mine")).to_contain_text("500.00 tUSD")
    page.get_by_role("button", name="Request to leave with all").click()
    done(page, "Request to leave")
    expect(page.locator("#fund-mine")).to_contain_text("You can leave from")
    picture(page, "fund-leaving")
    ready = town.ballast.fund.view.redeem_ready_at(key.address)
    town.node.ask("evm_setNextBlockTimestamp", hex(ready + 10))
    town.mine(1)
    page.evaluate(f"Date.now = () => {(ready + 20) * 1000}")
    button = page.get_by_role("button", name="Leave now")
    before = town.ballast.token.view.balanceOf(key.address)
    town.mine(1)
    button.click()
    done(page, "Leave the fund")
    assert town.ballast.token.view.balanceOf(key.address) - before >= 499_999_999


def test_a_stale_price_and_a_pause_are_said(site: Site, town: Live) -> None:
    page = site.connected(town.traders[0])
    expect(page.locator("#notices")).not_to_contain_text("stale")
    town.chain.mine(3_600)
    expect(page.locator("#notices")).to_contain_text("The oracle's price is stale")
    fill_ticket(page, "buy", "0.01", "100000")
    expect(page.locator("#preview-refused")).to_contain_text("market: stale price")
    picture(page, "stale")
    town.report(dict(PRICES))
    expect(page.locator("#notices")).not_to_contain_text("stale")
    town.ballast.clearinghouse.send.pause(1, True, sender=town.sender)
    expect(page.locator("#notices")).to_contain_text("This market is paused")
    expect(page.locator("#preview-refused")).to_contain_text("market: paused")
    picture(page, "paused")


def test_a_delegate_is_authorised_and_revoked(site: Site, town: Live) -> None:
    key = town.traders[0]
    account = account_id(key.address)
    page = site.connected(key)
    page.get_by_role("button", name="Authorise", exact=True).click()
    done(page, "Authorise this page's key")
    expect(page.locator("#delegate-active")).to_be_visible()
    kept = page.evaluate(
        "Object.keys(localStorage).filter((name) => name.startsWith('ballast:delegate'))"
    )
    assert len(kept) == 1
    picture(page, "delegate")
    page.get_by_role("button", name="Revoke now").click()
    done(page, "Revoke this page's key")
    expect(page.get_by_role("button", name="Authorise", exact=True)).to_be_visible()
    assert (
        page.evaluate(
            "Object.keys(localStorage).filter((name) => name.startsWith('ballast:delegate'))"
        )
        == []
    )
    events = town.node.ask(
        "eth_getLogs",
        {"address": town.ballast.settlement.address, "fromBlock": "0x0", "toBlock": "latest"},
    )
    assert [
        int(event["data"], 16) > 0 for event in events if account.hex() in event["topics"][1]
    ] == [True, False]


def test_on_a_phone_nothing_is_wider_than_the_screen(site: Site, town: Live) -> None:
    town.trade(1, 0, 1, 4_000)
    page = site.connected(town.traders[0], phone=True, dark=True)
    expect(page.locator("#positions table")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert axe(page) == []
    picture(page, "phone-dark")


def test_trading_by_keyboard_alone(site: Site, town: Live) -> None:
    page = site.connected(town.traders[0])
    page.locator("#ticket-size").focus()
    page.keyboard.type("0.01")
    for name in ("ticket-price", "reduce-only", "post-only", "ticket-expiry", "place"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == name
    expect(page.locator("#preview dl")).to_be_visible()
    page.locator("#tab-Positions").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-Open-orders")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#tab-Open-orders")).to_be_focused()
