"""Reading without a wallet, connecting one, and moving money with it; no relay is there."""

from __future__ import annotations

from playwright.sync_api import expect

from ballast.signing import account_id
from tests.support.live import WAD, Live
from tests.web.site import Site, axe, done, fact, failed, modes, picture, signatures


def test_shows_the_market_without_a_wallet(site: Site) -> None:
    page = site.open()
    expect(page.locator("#notices")).to_contain_text("Read-only")
    assert "100,000.0" in fact(page, "#market", "BTC oracle price")
    assert "2,000.00 tUSD" in fact(page, "#fund-overview", "Holds")
    assert page.locator("#deposit").is_disabled()
    assert axe(page) == []
    picture(page, "read-only")


def test_a_change_of_market_shows_its_price(site: Site) -> None:
    page = site.open()
    page.get_by_role("combobox", name="Market", exact=True).select_option("2")
    expect(page.locator("#market")).to_contain_text("ETH oracle price")
    assert "4,000" in fact(page, "#market", "ETH oracle price")
    expect(page.locator("#ticket-price")).to_have_value("4000.00")


def test_connects_and_shows_the_account(site: Site, town: Live) -> None:
    page = site.connected(town.traders[0])
    assert fact(page, "#money", "Cash") == "1,000.00 tUSD"
    assert fact(page, "#money", "In your wallet") == "50,000.00 tUSD"
    assert axe(page) == []
    picture(page, "connected")


def test_comes_back_connected_and_leaves_when_told(site: Site, town: Live) -> None:
    page = site.connected(town.traders[0])
    page.reload()
    expect(page.locator(f"[data-owner='{town.traders[0].address}']")).to_be_visible()
    page.get_by_role("button", name="Disconnect").click()
    page.reload()
    expect(page.get_by_role("button", name="Connect Test Wallet")).to_be_visible()


def test_wrong_chain_signs_nothing_until_it_is_switched(site: Site, town: Live) -> None:
    page = site.connected(town.traders[0], starts_on=1)
    expect(page.locator("#notices")).to_contain_text("Wrong network")
    assert page.locator("#deposit").is_disabled()
    modes(page, "wrong-network")
    page.get_by_role("button", name="Switch network").click()
    expect(page.locator("#notices")).not_to_contain_text("Wrong network")
    expect(page.locator("#deposit")).to_be_enabled()


def test_deposits_by_permit_of_exactly_the_amount(site: Site, town: Live) -> None:
    key = town.traders[0]
    before = town.ballast.vault.view.balance_of(account_id(key.address))
    page = site.connected(key)
    page.get_by_label("Amount", exact=True).fill("250.5")
    page.get_by_role("button", name="Deposit", exact=True).click()
    done(page, "Deposit")
    assert town.ballast.vault.view.balance_of(account_id(key.address)) - before == 2505 * WAD // 10
    assert town.ballast.token.view.allowance(key.address, town.ballast.vault.address) == 0
    asked = signatures(page)
    assert [typed["primaryType"] for typed in asked] == ["Permit"]
    assert asked[0]["message"]["value"] == str(2505 * 10**5)
    expect(page.locator("#money")).to_contain_text("1,250.50 tUSD")
    picture(page, "deposited")
    picture(page, "trading-deposit", "#account")


def test_withdraws_what_is_free_and_no_more(site: Site, town: Live) -> None:
    key = town.traders[1]
    page = site.connected(key)
    page.get_by_label("Amount", exact=True).fill("1000.01")
    page.get_by_role("button", name="Withdraw", exact=True).click()
    expect(page.locator("#amount-problem")).to_contain_text("at most 1,000.00 tUSD")
    page.get_by_role("button", name="All that is free").click()
    page.get_by_role("button", name="Withdraw", exact=True).click()
    done(page, "Withdraw")
    assert town.ballast.vault.view.balance_of(account_id(key.address)) == 0
    assert town.ballast.token.view.balanceOf(key.address) == 51_000 * 10**6


def test_a_declined_signature_sends_nothing_and_says_so(site: Site, town: Live) -> None:
    key = town.traders[0]
    page = site.connected(key)
    page.evaluate("testWallet.declines = true")
    page.get_by_label("Amount", exact=True).fill("10")
    page.get_by_role("button", name="Deposit", exact=True).click()
    assert "You declined in the wallet" in failed(page, "Deposit")
    assert town.chain.nonce(key.address) == 0
    modes(page, "declined")


def test_a_subaccount_is_another_account(site: Site, town: Live) -> None:
    page = site.connected(town.traders[0])
    page.get_by_label("Subaccount").fill("7")
    page.get_by_label("Subaccount").press("Tab")
    expect(page.locator("#money")).to_contain_text("Cash")
    expect(page.locator("#money dl div", has_text="Cash").first).to_contain_text("0.00 tUSD")
    page.get_by_label("Amount", exact=True).fill("5")
    page.get_by_role("button", name="Deposit", exact=True).click()
    done(page, "Deposit")
    assert town.ballast.vault.view.balance_of(account_id(town.traders[0].address, 7)) == 5 * WAD
    assert town.ballast.vault.view.balance_of(account_id(town.traders[0].address)) == 1_000 * WAD
    expect(page.locator("#money")).to_contain_text("5.00 tUSD")
    picture(page, "subaccount")


def test_mints_test_money(site: Site, town: Live) -> None:
    page = site.connected(town.traders[0])
    page.get_by_role("button", name="Get 10,000 test tUSD").click()
    done(page, "Test money")
    assert town.ballast.token.view.balanceOf(town.traders[0].address) == 60_000 * 10**6
