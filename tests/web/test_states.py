"""States a page must not hide: waiting, refused, undone, without a node, without a relay."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from ballast.signing import account_id
from ballast.standin import StandIn
from tests.support.flaky_rpc import FlakyRpc, broken, flaky_rpc
from tests.support.live import PRICES, PUBLISHERS, WAD, Live
from tests.web.conftest import opened, put_back
from tests.web.site import (
    Site,
    deployment,
    done,
    fact,
    failed,
    modes,
    picture,
    serving,
)


def cash(town: Live, trader: int) -> int:
    """WAD in a trader's account."""
    return int(town.ballast.vault.view.balance_of(account_id(town.traders[trader].address)))


def test_the_node_holds_no_keys(town: Live) -> None:
    assert town.node.ask("eth_accounts") == []
    assert town.chain.chain_id == 11_155_111


def test_a_transaction_that_waits_is_shown_until_its_block(
    site: Site, town: Live, node: StandIn
) -> None:
    page = site.connected(town.traders[0])
    node.set_automine(False)
    page.get_by_label("Amount", exact=True).fill("25")
    withdraw = page.get_by_role("button", name="Withdraw", exact=True)
    withdraw.click()
    waiting = page.locator("#actions [data-stage=pending]", has_text="Withdraw")
    expect(waiting).to_contain_text("Waiting for the block")
    expect(waiting.locator("code")).to_have_attribute("title", page_hash(town))
    expect(withdraw).to_be_disabled()
    expect(page.get_by_role("button", name="Deposit", exact=True)).to_be_enabled()
    assert cash(town, 0) == 1_000 * WAD
    modes(page, "pending")
    node.mine()
    done(page, "Withdraw")
    expect(withdraw).to_be_enabled()
    assert cash(town, 0) == 975 * WAD
    expect(page.locator("#money")).to_contain_text("975.00 tUSD")


def page_hash(town: Live) -> str:
    """The hash of the one transaction in the pool."""
    [by_nonce] = town.node.ask("txpool_content")["pending"].values()
    [transaction] = by_nonce.values()
    return str(transaction["hash"])


def test_a_transaction_that_fails_in_its_block_says_why(
    site: Site, town: Live, node: StandIn
) -> None:
    """It would have passed when it was sent; its block is so late that the price is stale."""
    town.trade(1, 0, 1, 4_000)
    page = site.connected(town.traders[0])
    node.set_automine(False)
    page.get_by_label("Amount", exact=True).fill("25")
    page.get_by_role("button", name="Withdraw", exact=True).click()
    expect(page.locator("#actions [data-stage=pending]")).to_be_visible()
    town.node.ask("evm_setNextBlockTimestamp", hex(town.chain.timestamp + 3_600))
    node.mine()
    told = failed(page, "Withdraw")
    assert "Refused: market: stale price" in told
    assert "a price is too old" in told
    assert "What to do: bring a price report" in told
    modes(page, "reverted")


def test_a_shortfall_is_said_with_the_claims_that_wait_for_it(site: Site, town: Live) -> None:
    """The winner has sold to a newcomer without profit: nobody in the queue can pay for the
    bankrupt, and insurance is limited to the leg's maintenance margin."""
    winner, loser, newcomer = 0, 1, 2
    town.trade(1, winner, loser, 40_000)
    town.report({1: 106_000 * WAD}, seconds=1)
    town.trade(1, newcomer, winner, 42_400)
    page = site.connected(town.traders[winner])
    expect(page.locator("#claim")).to_contain_text("Claim waiting")
    account = account_id(town.traders[loser].address)
    town.ballast.deleverage(account, sender=town.sender)
    shortfall = town.ballast.clearinghouse.view.shortfall(1)
    assert shortfall > 100 * WAD
    expect(page.locator("#notices")).to_contain_text(f"Shortfall: {shortfall / WAD:,.2f} tUSD")
    expect(page.locator("#notices")).to_contain_text("Nobody's deposit is touched")
    page.get_by_role("button", name="Settle now").click()
    done(page, "Settle")
    claim = town.ballast.clearinghouse.view.unsettled(account_id(town.traders[winner].address))
    assert abs(claim - shortfall) < WAD // 100
    expect(page.locator("#claim")).to_contain_text(f"Claim waiting: +{claim / WAD:,.2f} tUSD")
    modes(page, "shortfall")
    assert fact(page, "#fund-overview", "Holds") != "2,000.00 tUSD"


@pytest.mark.parametrize("blocks", [2, 4])
def test_after_a_reorganisation_the_page_shows_the_chain_as_it_is(
    site: Site, town: Live, node: StandIn, blocks: int
) -> None:
    page = site.connected(town.traders[0])
    page.get_by_label("Amount", exact=True).fill("250")
    page.get_by_role("button", name="Deposit", exact=True).click()
    done(page, "Deposit")
    expect(page.locator("#money")).to_contain_text("1,250.00 tUSD")
    height = node.block_number
    node.reorganise(blocks)
    assert node.block_number == height
    assert cash(town, 0) == 1_000 * WAD
    expect(page.locator("#money dl div", has_text="Cash")).to_contain_text("1,000.00 tUSD")
    assert "The chain was reorganised" in failed(page, "Deposit")
    modes(page, f"reorganised-{blocks}")


def test_a_chain_that_is_shorter_than_it_was_is_followed(site: Site, town: Live) -> None:
    mark = town.mark()
    page = site.connected(town.traders[0])
    town.ballast.deposit(account_id(town.traders[0].address), 77 * 10**6, sender=town.sender)
    expect(page.locator("#money")).to_contain_text("1,077.00 tUSD")
    town.back(mark)
    expect(page.locator("#money dl div", has_text="Cash")).to_contain_text("1,000.00 tUSD")


# Without a node


@pytest.fixture
def proxy(town: Live) -> Iterator[FlakyRpc]:
    """What stands before the node, and can fail."""
    with flaky_rpc(town.url) as found:
        yield found


@pytest.fixture
def far(browser: Browser, wallet: str, town: Live, proxy: FlakyRpc) -> Iterator[Site]:
    """The page, which reads the chain through `proxy`."""
    settings = {"rpc_url": proxy.url, "deployment": deployment(town)}
    with (
        put_back(town),
        serving(settings) as address,
        opened(Site(browser, address, town, wallet)) as found,
    ):
        yield found


def test_a_node_that_fails_is_said_and_read_again_when_it_is_back(
    far: Site, town: Live, proxy: FlakyRpc
) -> None:
    page = far.connected(town.traders[0])
    well = proxy.fault
    proxy.fault = broken
    expect(page.locator("#notices")).to_contain_text("The chain cannot be read")
    expect(page.locator("#notices")).to_contain_text(f"from block {town.chain.block_number}")
    expect(page.locator("#money")).to_contain_text("1,000.00 tUSD")
    page.get_by_label("Amount", exact=True).fill("5")
    page.get_by_role("button", name="Withdraw", exact=True).click()
    assert "That did not work" in failed(page, "Withdraw")
    modes(page, "node-down")
    proxy.fault = well
    expect(page.locator("#notices")).not_to_contain_text("The chain cannot be read")
    page.get_by_role("button", name="Withdraw", exact=True).click()
    done(page, "Withdraw")
    assert cash(town, 0) == 995 * WAD


def test_without_any_node_the_page_says_what_is_missing(
    far: Site, town: Live, proxy: FlakyRpc
) -> None:
    proxy.fault = broken
    page = far.open(town.traders[0])
    page.get_by_role("button", name="Connect Test Wallet").click()
    expect(page.locator("#notices")).to_contain_text("The chain cannot be read")
    expect(page.locator("#money")).to_contain_text("Reading your account")
    picture(page, "node-never-there")


def test_a_price_step_that_waits_is_said(site: Site, town: Live) -> None:
    page = site.connected(town.traders[0])
    town.chain.mine(1)
    town.ballast.report_prices({1: PRICES[1] * 13 // 10}, PUBLISHERS[:3], sender=town.sender)
    assert town.ballast.oracle.view.pending(1)[0]
    expect(page.locator("#notices")).to_contain_text("A large price step waits for confirmation")
    picture(page, "price-step")
