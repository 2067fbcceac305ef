"""Crashes lived through on the page: by a winner, by two losers; a relay and a node are there, the
keepers are the test."""

from __future__ import annotations

from playwright.sync_api import expect

from ballast.signing import account_id
from tests.support.live import WAD, Live
from tests.support.relaying import RelayProcess, Trading
from tests.web.site import Site, axe, done, fact, modes, picture

UNIT = 10**12
"""One unit of the token, in WAD."""
WINNER, BANKRUPT, LOSER, MAKER, LIQUIDATED, OTHER = range(6)


def test_a_winner_is_deleveraged_claims_and_withdraws_all(
    desk: Site, town: Live, trading: Trading, relay: RelayProcess
) -> None:
    key = town.traders[WINNER]
    account = account_id(key.address)
    view = town.ballast.clearinghouse.view
    town.trade(1, WINNER, BANKRUPT, 40_000)
    town.trade(1, WINNER, LOSER, 5_000)
    town.trade(1, OTHER, LOSER, 2_000)

    # Before: the page says how near it is.
    town.report({1: 102_000 * WAD}, seconds=1)
    page = desk.connected(key)
    expect(page.locator("#adl-headline")).to_contain_text("ADL risk: high, first in line")
    assert view.adl_rank(account, 1)[1:] == (0, 5)
    expect(page.locator("#positions table")).to_contain_text("5 of 5, high")
    expect(page.locator("#adl-record")).to_contain_text("nothing of yours has ever been closed")
    assert axe(page) == []
    page.get_by_label("Of the other side, bankrupt").fill("85")
    page.get_by_label("Owing beyond its margin").fill("3")
    expect(page.locator("#adl-taken")).to_contain_text("worse than the oracle's")
    picture(page, "crash-first-in-line")
    picture(page, "trading-adl", "#adl")

    # The crash: the short is bankrupt, insurance does not suffice, the queue pays.
    town.report({1: 105_000 * WAD}, seconds=1)
    bankrupt = account_id(town.traders[BANKRUPT].address)
    assert view.equity(bankrupt) < 0
    [(_, _, size, price)] = view.preview_deleverage(bankrupt)
    town.ballast.deleverage(bankrupt, sender=town.sender)
    cost = size * (105_000 * WAD - price) // WAD
    assert cost > 100 * WAD
    words = f"Your BTC long was deleveraged: 0.400000 at {price / WAD:,.1f} tUSD"
    expect(page.locator("#notices")).to_contain_text(words)
    record = page.locator("#adl-record")
    expect(record).to_contain_text("its margin and the insurance fund did not cover all it owed")
    expect(record).to_contain_text("the oracle's price was 105,000.0")
    expect(record).to_contain_text(f"gave up {cost / WAD:,.2f} tUSD of profit nobody had paid yet")
    expect(record.locator("tbody tr")).to_have_count(1)
    expect(record.locator("tbody tr")).to_contain_text(f"{cost / WAD:,.2f} tUSD")
    assert (record.locator("tbody code").get_attribute("title") or "").startswith("0x")
    expect(page.locator("#fund-history")).to_contain_text("BTC")
    modes(page, "crash-winner")
    picture(page, "trading-deleveraged", "#notices")
    picture(page, "trading-record", "#adl-record")
    picture(page, "trading-fund", "#fund")
    page.get_by_role("button", name="I have read this").click()
    expect(page.locator("#notices")).not_to_contain_text("was deleveraged")

    # The rest is closed at a profit while its loser holds on: a claim waits.
    relay.place(trading.order(MAKER, True, 0.05, 104_950))
    page.get_by_role("button", name="Close BTC").click()
    expect(page.locator("#ticket-size")).to_have_value("0.05")
    assert fact(page, "#preview", "Position after").startswith("0.000000")
    page.locator("#place").click()
    done(page, "Sell order")
    expect(page.locator("#tab-panel")).to_contain_text("No open positions")
    expect(page.locator("#preview-refused")).to_contain_text("Nothing to reduce")
    claim = view.unsettled(account)
    assert claim > 100 * WAD
    expect(page.locator("#claim")).to_contain_text(f"Claim waiting: +{claim / WAD:,.2f} tUSD")
    expect(page.locator("#notices")).to_contain_text("Claims waiting in this group")
    modes(page, "crash-claim")
    picture(page, "trading-claim", "#account")
    page.get_by_role("button", name="Settle now").click()
    done(page, "Your cash is what it was: nothing has come in yet")

    # A keeper settles the loser; the claim is paid.
    town.ballast.settle(account_id(town.traders[LOSER].address), sender=town.sender)
    page.get_by_role("button", name="Settle now").click()
    done(page, f"Cash +{claim / WAD:,.2f} tUSD")
    expect(page.locator("#claim")).to_be_empty()
    assert view.unsettled(account) < UNIT

    # Everything can be withdrawn.
    cash = town.ballast.vault.view.balance_of(account)
    assert cash > 2_000 * WAD
    before = town.ballast.token.view.balanceOf(key.address)
    expect(page.locator("#money")).to_contain_text(f"{cash / WAD:,.2f} tUSD")
    page.get_by_role("button", name="All that is free").click()
    expect(page.locator("#amount")).to_have_value(
        f"{cash // UNIT // 10**6}.{cash // UNIT % 10**6:06}"
    )
    page.get_by_role("button", name="Withdraw", exact=True).click()
    done(page, "Withdraw")
    assert town.ballast.token.view.balanceOf(key.address) - before == cash // UNIT
    assert town.ballast.vault.view.balance_of(account) == cash % UNIT
    expect(page.locator("#money dl div", has_text="Cash")).to_contain_text("0.00 tUSD")
    picture(page, "crash-withdrawn")
    tells_the_bankrupt(desk, town)


def tells_the_bankrupt(desk: Site, town: Live) -> None:
    """The other side of the same crash."""
    page = desk.connected(town.traders[BANKRUPT])
    expect(page.locator("#notices")).to_contain_text("Your BTC short was closed, bankrupt")
    expect(page.locator("#notices")).to_contain_text("it is not asked of you")
    assert fact(page, "#money", "Equity") == "0.00 tUSD"
    modes(page, "crash-bankrupt")


def test_a_loser_is_liquidated_and_told_what_it_cost(desk: Site, town: Live) -> None:
    key = town.traders[LIQUIDATED]
    account = account_id(key.address)
    view = town.ballast.clearinghouse.view
    town.trade(2, LIQUIDATED, OTHER, 40_000)
    page = desk.connected(key)
    page.get_by_role("combobox", name="Market", exact=True).select_option("2")
    expect(page.locator("#positions table")).to_contain_text("ETH ▲ long")
    picture(page, "loser-before")

    town.report({2: 3_940 * WAD}, seconds=1)
    margin = view.margin(account)
    assert 0 <= view.equity(account) < margin[1]
    equity = view.equity(account)
    liquidator = account_id(town.sender)
    town.ballast.deposit(liquidator, 5_000 * 10**6, sender=town.sender)
    town.ballast.liquidate(account, 2, liquidator, sender=town.sender)
    assert view.position(account, 2)[0] == 0
    cost = equity - view.equity(account)
    assert cost > 10 * WAD
    expect(page.locator("#notices")).to_contain_text("Your ETH long was liquidated: 10.0000 at")
    expect(page.locator("#notices")).to_contain_text(
        f"The difference, {cost / WAD:,.2f} tUSD, is the penalty"
    )
    expect(page.locator("#positions")).to_contain_text("No open positions")
    expect(page.locator("#adl-record tbody tr")).to_contain_text("3,940.00")
    modes(page, "crash-liquidated")
    picture(page, "trading-liquidated", "#notices")
    assert fact(page, "#money", "Equity") == "0.00 tUSD"
    assert view.equity(account) < UNIT
    # A penalty of one per cent is what it had left. It owes nothing, and may begin again.
    page.get_by_label("Amount", exact=True).fill("100")
    page.get_by_role("button", name="Deposit", exact=True).click()
    done(page, "Deposit")
    town.mine(1)  # what came in this block is not free yet
    expect(page.locator("#money dl div", has_text="Free")).to_contain_text("100.00 tUSD")
