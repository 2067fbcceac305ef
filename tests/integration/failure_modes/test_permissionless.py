"""Peers 7: the permissionless path that reverts in production wiring. Everything meant for anyone,
by addresses without any role, on what `ballast.deploy.deploy` has wired, with both oracles."""

from __future__ import annotations

import pytest

from ballast.errors import Reverted
from tests.support.wired import HEARTBEAT, LINK, PUBLISHERS, SOL, WAD, Wired
from tests.support.world import MAX

MARKETS = [pytest.param(SOL, id="signed"), pytest.param(LINK, id="chainlink")]


@pytest.fixture
def wired() -> Wired:
    return Wired()


def opened(w: Wired, market: int, loser_cash: int, insurance: int = 0):
    """Loser long 10 from 100 against a winner; the taker's fee is 0.5, the maker's 0.1."""
    loser, winner = w.trader("loser", loser_cash), w.trader("winner", 1_000 * WAD)
    w.chain.mine()
    w.report(SOL, 100 * WAD)
    w.trade(loser, winner, 10 * WAD, 100 * WAD, market)
    if insurance:
        w.donate(1, insurance)
    return loser, winner


@pytest.mark.parametrize("market", MARKETS)
def test_strangers_trade_settle_and_refresh(wired: Wired, market: int):
    """Peers 7: orders, settle, refresh."""
    loser, winner = opened(wired, market, 150 * WAD)
    wired.prices(90 * WAD, 90 * WAD)
    for key in (loser, winner):
        account = wired.account(key)
        wired.house.send.settle(account, sender=wired.stranger())
        wired.house.send.refresh(account, sender=wired.stranger())
    wired.trade(winner, loser, 10 * WAD, 90 * WAD, market)
    for key in (loser, winner):
        wired.house.send.settle(wired.account(key), sender=wired.stranger())
        assert wired.house.view.position(wired.account(key), market)[0] == 0
    # 100 from one to the other; taker fee 0.5 and 0.45, maker fee 0.1 and 0.09.
    cash = wired.vault.view.balance_of
    assert cash(wired.account(loser)) == 150 * WAD - 100 * WAD - 59 * WAD // 100
    assert cash(wired.account(winner)) == 1_000 * WAD + 100 * WAD - 55 * WAD // 100


@pytest.mark.parametrize("market", MARKETS)
def test_stranger_liquidates_into_an_account_of_its_own(wired: Wired, market: int):
    """Peers 7: liquidate."""
    loser, _ = opened(wired, market, 115 * WAD)
    passer_by = wired.trader("passer-by", 5_000 * WAD)
    wired.prices(90 * WAD, 90 * WAD)
    account = wired.account(loser)
    equity, (_, upkeep) = wired.house.view.equity(account), wired.house.view.margin(account)
    assert 0 < equity < upkeep
    offered = wired.house.view.max_liquidation(account, market)[0]
    assert wired.liquidate(account, market, passer_by) == offered > 0
    assert wired.house.view.position(wired.account(passer_by), market)[0] == offered


@pytest.mark.parametrize("market", MARKETS)
def test_stranger_takes_over_a_bankrupt_account_that_insurance_covers(wired: Wired, market: int):
    """Peers 7: the insurance path."""
    loser, _ = opened(wired, market, 105 * WAD, insurance=1_000 * WAD)
    passer_by = wired.trader("passer-by", 5_000 * WAD)
    wired.prices(89 * WAD, 89 * WAD)
    deficit, before = -wired.house.view.equity(wired.account(loser)), wired.vault.view.insurance()
    assert 5 * WAD < deficit < 6 * WAD
    assert wired.liquidate(wired.account(loser), market, passer_by) == 10 * WAD
    assert before - wired.vault.view.insurance() == deficit
    assert wired.house.view.equity(wired.account(loser)) == 0


@pytest.mark.parametrize("market", MARKETS)
def test_stranger_deleverages_and_is_paid(wired: Wired, market: int):
    """Peers 7: deleverage (the very path that reverted)."""
    loser, winner = opened(wired, market, 105 * WAD)
    wired.donate(3, 10 * WAD)
    wired.prices(80 * WAD, 80 * WAD, seconds=60)
    account, caller = wired.account(loser), wired.stranger()
    assert wired.house.view.equity(account) < 0
    preview = wired.house.view.preview_deleverage(account)
    assert [entry.size_base for entry in preview] == [10 * WAD]
    receipt = wired.house.send.deleverage(account, sender=caller)
    assert wired.house.returned(receipt, "deleverage", 1) == (0, 0)
    assert wired.vault.view.balance_of(wired.ballast.account_id(caller)) == 16 * WAD // 100
    assert wired.house.view.position(wired.account(winner), market)[0] == 0


def test_strangers_bring_prices_and_note_outages(wired: Wired):
    """Peers 7: report_prices, note_outage."""
    wired.chain.mine()
    wired.ballast.report_prices(
        {1: 64_000 * WAD, 2: 2_500 * WAD}, PUBLISHERS, sender="0x" + "77" * 20
    )
    assert wired.house.view.price(1)[0] == 64_000 * WAD
    wired.chain.mine(HEARTBEAT + 100)
    assert wired.house.view.price_status(LINK) & 1
    wired.answer(100 * WAD)
    gap = wired.feed.view.latest_round()
    wired.answer(100 * WAD)
    assert not wired.house.view.price_status(LINK) & 4
    wired.ballast.chainlink.send.note_outage(LINK, gap, sender=wired.stranger())
    assert wired.house.view.price_status(LINK) == 4


def test_strangers_give_stake_and_deposit_and_only_their_own_comes_back(wired: Wired):
    """Peers 7: deposit for another, donate, stake; and what nobody but the owner may."""
    trader = wired.trader("trader", 100 * WAD)
    account = wired.account(trader)
    wired.donate(1, 5 * WAD)
    wired.donate(3, 5 * WAD)
    staker = wired.stranger()
    wired.ballast.token.send.mint(staker, 10**6, sender=staker)
    wired.ballast.stake(10**6, sender=staker)
    assert wired.vault.view.insurance() == 6 * WAD
    assert (
        wired.ballast.fund.view.convertToAssets(wired.ballast.fund.view.balanceOf(staker)) <= 10**6
    )
    wired.chain.mine()
    thief = wired.stranger()
    with pytest.raises(Reverted, match=r"^vault: not the owner$"):
        wired.vault.send.withdraw(account, 1, thief, sender=thief)
    wired.ballast.withdraw(account, 100 * 10**6, sender=trader.address)
    assert wired.vault.view.balance_of(account) == 0


def test_strangers_have_no_other_door(wired: Wired):
    """Peers 7, the negative twin: what is not meant for anyone refuses them all."""
    account = wired.account(wired.trader("trader", 100 * WAD))
    params = wired.house.view.market_params(SOL)
    calls = [
        (wired.house.send.fill, (SOL, account, bytes(31) + b"\x09", WAD, WAD)),
        (wired.house.send.fill_orders, (SOL, account, True, [], [], [])),
        (wired.house.send.release, (account, 1)),
        (wired.house.send.list_market, (tuple(params),)),
        (wired.house.send.announce, (SOL, tuple(params))),
        (wired.house.send.set_market, (SOL, tuple(params))),
        (wired.house.send.set_group, (1, 0, 3_600)),
        (wired.house.send.set_adl, (1, 0)),
        (wired.house.send.set_venue, ("0x" + "01" * 20, True)),
        (wired.house.send.set_guardian, ("0x" + "01" * 20,)),
        (wired.house.send.pause, (0, True)),
        (wired.house.send.transfer_ownership, ("0x" + "01" * 20,)),
        (wired.house.send.accept_ownership, ()),
        (wired.vault.send.move, (account, bytes(31) + b"\x01", 1)),
        (wired.vault.send.charge, (account, 1, 0, 0)),
        (wired.vault.send.stake, (1,)),
        (wired.vault.send.unstake, (1, "0x" + "01" * 20)),
        (wired.vault.send.collect_fees, (1, "0x" + "01" * 20)),
        (wired.ballast.oracle.send.set_market, (SOL, 60, 1)),
        (wired.ballast.oracle.send.set_publishers, ([PUBLISHERS[0].address], 1)),
        (wired.ballast.chainlink.send.set_feed, (LINK, wired.feed.address, 60)),
    ]
    for send, args in calls:
        with pytest.raises(Reverted) as refused:
            send(*args, sender=wired.stranger())
        assert refused.value.reason, args
    for engine in ("SettlementEngine", "LiquidationEngine", "WaterfallEngine"):
        at = wired.record.contracts[engine]
        for name, args in (
            ("settle", (account,)),
            ("refresh", (account,)),
            ("liquidate", (account, SOL, MAX, account)),
            ("deleverage", (account,)),
        ):
            data = getattr(wired.house.data, name)(*args)
            with pytest.raises(Reverted):
                wired.chain.send(at, data, sender=wired.stranger())
