"""A token without permits: the page asks for an approval of exactly what is deposited."""

from __future__ import annotations

import pytest

from ballast.signing import account_id
from tests.support.live import WAD, Live
from tests.web.site import Site, done, signatures


@pytest.mark.parametrize("town", [False], indirect=True, ids=["approvals"])
def test_approves_exactly_the_amount(site: Site, town: Live) -> None:
    key = town.traders[0]
    page = site.connected(key)
    page.get_by_label("Amount", exact=True).fill("12.5")
    page.get_by_role("button", name="Deposit", exact=True).click()
    done(page, "Deposit")
    account = account_id(key.address)
    assert town.ballast.vault.view.balance_of(account) == 1_000 * WAD + 125 * WAD // 10
    assert town.ballast.token.view.allowance(key.address, town.ballast.vault.address) == 0
    assert signatures(page) == []
    assert town.chain.nonce(key.address) == 2
