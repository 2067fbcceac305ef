"""Failure modes of others' oracles (peers 21, 25, 35 to 37)."""

from __future__ import annotations

from pathlib import Path

import pytest

from ballast.build import compile_file
from ballast.contract import Contract
from ballast.errors import Reverted
from ballast.signing import Domain, combine, sign_price
from tests.support.stage import Stage, stage
from tests.support.wired import LINK, PUBLISHERS, SOL, Wired
from tests.support.world import KEEPER, MAX, OWNER, VENUE, WAD, address

SUPPORT = Path(__file__).resolve().parents[2] / "support"
RELAY = SUPPORT / "Relay.vy"
TRANSACTION_GAS = 2**24
"""The most a transaction may have on Ethereum (EIP-7825)."""


@pytest.fixture
def wired() -> Wired:
    return Wired()


def signed(w: Wired, price: int, age: int = 0, market: int = SOL, domain: Domain | None = None):
    """A report of all publishers."""
    domain, time = domain or w.ballast.report_domain, w.chain.timestamp - age
    return combine([sign_price(domain, market, price, time, key) for key in PUBLISHERS])


def test_price_signature_is_good_once_here_and_now(wired: Wired):
    """Peers 21: an old or foreign-chain price signature used again."""
    wired.chain.mine()
    report = signed(wired, 95 * WAD)
    older = signed(wired, 99 * WAD, age=6)
    send = wired.ballast.submit_reports
    send([report], sender=wired.stranger())
    for again in (report, older):
        with pytest.raises(Reverted, match=r"^oracle: not newer$"):
            send([again], sender=wired.stranger())
    wired.chain.mine()
    here = wired.ballast.report_domain
    foreign = Domain(here.chain_id + 1, here.contract)
    elsewhere = Domain(here.chain_id, wired.ballast.settlement.address)
    for domain in (foreign, elsewhere):
        with pytest.raises(Reverted, match=r"^oracle: bad signature$"):
            send([signed(wired, 50 * WAD, domain=domain)], sender=wired.stranger())
    # One market's signatures under another's name.
    market, *rest = signed(wired, 95 * WAD, market=2).as_tuple()
    assert market == 2
    with pytest.raises(Reverted, match=r"^oracle: bad signature$"):
        wired.ballast.oracle.send.report_prices([(SOL, *rest)], sender=wired.stranger())
    aged = signed(wired, 96 * WAD)
    wired.chain.mine(wired.asked.markets[SOL - 1].max_age_seconds + 1)
    with pytest.raises(Reverted, match=r"^oracle: too old$"):
        send([aged], sender=wired.stranger())
    assert wired.house.view.price(SOL)[0] == 95 * WAD


def test_order_signed_for_another_chain_or_contract_is_not_filled(wired: Wired):
    """Peers 21: nor do orders cross chains or contracts, and none is filled twice."""
    from ballast.signing import Order, sign_order

    buyer, seller = (wired.trader(name, 1_000 * WAD) for name in ("buyer", "seller"))
    wired.chain.mine()
    wired.report(SOL, 100 * WAD)
    here = wired.ballast.order_domain
    order = Order(wired.account(buyer), SOL, True, WAD, 100 * WAD)
    sell = wired.sign(seller, False, 5 * WAD, 100 * WAD, SOL)
    for domain in (Domain(1, here.contract), Domain(here.chain_id, wired.house.address)):
        foreign = sign_order(domain, order, buyer)
        with pytest.raises(Reverted, match=r"^settlement: bad signature$"):
            wired.ballast.match(foreign, [sell], [WAD], sender=wired.stranger())
    good = sign_order(here, order, buyer)
    wired.ballast.match(good, [sell], [WAD], sender=wired.stranger())
    with pytest.raises(Reverted, match=r"^settlement: over-filled$"):
        wired.ballast.match(good, [sell], [1], sender=wired.stranger())
    assert wired.house.view.position(wired.account(buyer), SOL)[0] == WAD


def test_prices_only_move_forward_in_time(wired: Wired):
    """Peers 25: out-of-order prices; a newer one that was overtaken never comes into force."""
    wired.chain.mine(60)
    newest, late = signed(wired, 97 * WAD), signed(wired, 80 * WAD, age=30)
    wired.ballast.submit_reports([newest], sender=wired.stranger())
    with pytest.raises(Reverted, match=r"^oracle: not newer$"):
        wired.ballast.submit_reports([late], sender=wired.stranger())
    # Against what waits, too.
    wired.chain.mine(60)
    wired.ballast.submit_reports([signed(wired, 50 * WAD)], sender=wired.stranger())
    wired.chain.mine(6)
    with pytest.raises(Reverted, match=r"^oracle: not newer$"):
        wired.ballast.submit_reports([signed(wired, 50 * WAD, age=10)], sender=wired.stranger())
    assert wired.house.view.price(SOL)[0] == 97 * WAD


@pytest.mark.parametrize("answer", [0, -1, -(10**10), 2**255 - 1])
def test_price_of_zero_or_less_is_none(wired: Wired, answer: int):
    """Peers 25: price zero or negative. It counts as no answer: the last price, stale."""
    buyer, seller = (wired.trader(name, 1_000 * WAD) for name in ("buyer", "seller"))
    wired.chain.mine()
    wired.report(SOL, 100 * WAD)
    wired.trade(buyer, seller, 10 * WAD, 100 * WAD, LINK)
    equity = wired.house.view.equity(wired.account(buyer))
    wired.chain.mine()
    now = wired.chain.timestamp
    wired.feed.send.set_round(99, answer, now, now, 99, sender=wired.stranger())
    assert wired.house.view.price(LINK)[0] == 100 * WAD
    assert wired.house.view.price_status(LINK) == 1
    assert wired.house.view.equity(wired.account(buyer)) == equity
    with pytest.raises(Reverted, match=r"^market: stale price$"):
        wired.trade(buyer, seller, WAD, 100 * WAD, LINK)
    wired.trade(seller, buyer, 10 * WAD, 100 * WAD, LINK)
    assert wired.house.view.position(wired.account(buyer), LINK)[0] == 0


def test_signed_price_of_zero_is_refused(wired: Wired):
    """Peers 25: at the door of the signed oracle, and of a market that never had a price."""
    wired.chain.mine()
    for price in (0, 2**96):
        with pytest.raises(Reverted, match=r"^oracle: price out of range$"):
            wired.ballast.submit_reports([signed(wired, price)], sender=wired.stranger())
    buyer, seller = (wired.trader(name, 1_000 * WAD) for name in ("buyer", "seller"))
    wired.chain.mine()
    with pytest.raises(Reverted, match=r"^market: no price$"):
        wired.trade(buyer, seller, WAD, 100 * WAD, 1)


def test_stale_price_opens_and_pays_nothing(wired: Wired):
    """Peers 35: a stale price accepted. One second either side of the market's age."""
    age = wired.asked.markets[SOL - 1].max_age_seconds
    buyer, seller = (wired.trader(name, 1_000 * WAD) for name in ("buyer", "seller"))
    wired.chain.mine()
    wired.report(SOL, 100 * WAD)
    wired.trade(buyer, seller, 10 * WAD, 100 * WAD)
    wired.chain.mine(age)
    with wired.chain.rolled_back():
        wired.trade(buyer, seller, WAD, 100 * WAD)
        wired.ballast.withdraw(wired.account(buyer), 10**6, sender=buyer.address)
    wired.chain.mine(1)
    with pytest.raises(Reverted, match=r"^market: stale price$"):
        wired.trade(buyer, seller, WAD, 100 * WAD)
    with pytest.raises(Reverted, match=r"^market: stale price$"):
        wired.ballast.withdraw(wired.account(buyer), 10**6, sender=buyer.address)
    with pytest.raises(Reverted, match=r"^market: stale price$"):
        wired.liquidate(wired.account(buyer), SOL, seller)
    wired.trade(seller, buyer, 10 * WAD, 100 * WAD)
    wired.ballast.withdraw(wired.account(buyer), 10**6, sender=buyer.address)


def test_after_an_outage_nobody_is_closed_by_force_for_a_grace_period(wired: Wired):
    """Peers 35: restart on a stale price (dYdX v4, $462k). One second either side of the grace."""
    loser, winner = wired.trader("loser", 105 * WAD), wired.trader("winner", 5_000 * WAD)
    wired.chain.mine()
    wired.report(SOL, 100 * WAD)
    wired.trade(loser, winner, 10 * WAD, 100 * WAD, LINK)
    wired.chain.mine(3 * 3_600)
    wired.answer(50 * WAD)  # the feed is back, far below
    account, grace = wired.account(loser), wired.asked.chainlink.grace_seconds
    assert wired.house.view.equity(account) < 0
    for seconds in (0, grace - 1):
        wired.chain.mine(seconds)
        with pytest.raises(Reverted, match=r"^waterfall: nothing to close$"):
            wired.house.send.deleverage(account, sender=wired.stranger())
        with pytest.raises(Reverted, match=r"^market: grace period$"):
            wired.liquidate(account, LINK, winner)
    wired.deposit(account, 500 * WAD)  # deposits and reductions do not wait
    with wired.chain.rolled_back():
        wired.trade(winner, loser, 5 * WAD, 50 * WAD, LINK)
        assert wired.house.view.position(account, LINK)[0] == 5 * WAD
    with wired.chain.rolled_back():
        wired.chain.mine(1)
        assert wired.house.view.equity(account) > 0
        with pytest.raises(Reverted, match=r"^waterfall: account solvent$"):
            wired.house.send.deleverage(account, sender=wired.stranger())
    wired.chain.mine(1)
    wired.answer(25 * WAD)
    wired.house.send.deleverage(account, sender=wired.stranger())
    assert wired.house.view.position(account, LINK)[0] == 0


def test_sandwich_of_ones_own_report_gains_nothing():
    """Peers 36: two prices in one block: trade, report, trade back, all in one transaction."""
    world = Stage()
    relay, _ = world.chain.deploy(compile_file(RELAY).initcode, sender=KEEPER)
    relay = Contract(world.chain, relay, compile_file(RELAY).abi)
    world.clearing.send.set_venue(relay.address, True, sender=OWNER)
    taker, maker = world.trader("taker", 10_000 * WAD), world.trader("maker", 10_000 * WAD)
    world.next_block()
    house, oracle = world.clearing, world.oracle
    for target in (110, 90):
        calls = [
            (house.address, house.data.fill(1, taker, maker, 10 * WAD, 100 * WAD)),
            (oracle.address, oracle.data.set_price(1, target * WAD)),
            (house.address, house.data.fill(1, maker, taker, 10 * WAD, 100 * WAD)),
        ]
        relay.send.relay([to for to, _ in calls], [data for _, data in calls], sender=KEEPER)
        assert house.view.price(1)[0] == 100 * WAD  # until the block ends
        assert world.equity(taker) == world.equity(maker) == 10_000 * WAD
        world.next_block()
        assert house.view.price(1)[0] == target * WAD
        oracle.send.set_price(1, 100 * WAD, sender=KEEPER)
        world.next_block()
    world.sound()


def test_one_block_has_one_price_for_everything():
    """Peers 36: trading, liquidation and deleveraging see the price of the first use."""
    world, loser, (winner,) = stage()
    other = world.trader("other", 10_000 * WAD)
    world.price(90 * WAD)
    world.fill(other, winner, WAD, 90 * WAD)
    world.oracle.send.set_price(1, 20 * WAD, sender=KEEPER)
    with pytest.raises(Reverted, match=r"^clearing: price outside band$"):
        world.fill(other, winner, WAD, 20 * WAD)
    with pytest.raises(Reverted, match=r"^waterfall: account solvent$"):
        world.deleverage(loser)
    with pytest.raises(Reverted, match=r"^liquidation: account healthy$"):
        world.clearing.send.liquidate(loser, 1, MAX, other, sender=address("other"))
    assert world.equity(loser) == 50 * WAD
    world.next_block()
    assert world.equity(loser) == -650 * WAD


@pytest.mark.parametrize("how", ["reverts", "nonsense", "no oracle"])
def test_broken_market_blocks_no_other(how: str):
    """Peers 37: one broken market blocks all others, and the accounts that hold it."""
    world = Stage(prices=(100 * WAD, 50 * WAD))
    trader, maker = world.trader("trader", 2_000 * WAD), world.trader("maker", 5_000 * WAD)
    bystander = world.trader("bystander", 1_000 * WAD)
    world.next_block()
    world.fill(trader, maker, 10 * WAD, 100 * WAD, 1)
    world.fill(trader, maker, 10 * WAD, 50 * WAD, 2)
    if how == "no oracle":
        world.reconfigure(oracle=world.token.address)
    world.price(100 * WAD)
    if how == "reverts":
        world.oracle.send.set_broken(1, True, sender=KEEPER)
    elif how == "nonsense":
        world.oracle.send.set_observation(1, 2**200, 2**100, 77, sender=KEEPER)
    view = world.clearing.view
    assert view.price(1)[0] == 100 * WAD
    # Others trade, and go; who holds the broken market reduces everywhere and pays its debts.
    world.fill(bystander, world.trader("new", 1_000 * WAD), WAD, 50 * WAD, 2)
    world.fill(maker, trader, 10 * WAD, 50 * WAD, 2)
    world.fill(maker, trader, 10 * WAD, 100 * WAD, 1)
    with pytest.raises(Reverted, match=r"^market: stale price$"):
        world.fill(maker, trader, 10 * WAD, 100 * WAD, 1)
    world.settle(*world.people)
    owner = address("trader")
    world.vault.send.withdraw(trader, 2_000 * WAD, owner, sender=owner)
    assert world.cash(trader) == 0
    world.sound()


def test_oracle_that_burns_all_gas_is_survived():
    """Peers 37: an oracle that fails by taking all the gas (an old `assert`). What is left of one
    transaction's gas carries reductions, settling and the closing of the other legs."""
    world = Stage(prices=(100 * WAD, 100 * WAD))
    trader, maker = world.trader("trader", 300 * WAD), world.trader("maker", 10_000 * WAD)
    world.next_block()
    for market in world.markets:
        world.fill(trader, maker, 10 * WAD, 100 * WAD, market)
    burner, _ = world.chain.deploy(compile_file(SUPPORT / "GasBurner.vy").initcode, sender=KEEPER)
    world.reconfigure(2, oracle=burner)
    world.next_block()
    send, gas = world.clearing.send, {"gas": TRANSACTION_GAS}
    for market in world.markets:
        with world.chain.rolled_back():
            send.fill(market, maker, trader, 10 * WAD, 100 * WAD, sender=VENUE, **gas)
            assert world.size(trader, market) == 0
            send.settle(trader, sender=KEEPER, **gas)
    world.price(60 * WAD, 1)
    assert world.equity(trader) == -100 * WAD
    send.deleverage(trader, sender=KEEPER, **gas)
    assert (world.size(trader, 1), world.size(trader, 2)) == (0, 10 * WAD)
    world.sound()


def test_venue_of_the_scene_is_the_only_one_that_fills():
    """Peers 36, the negative twin: without the venue's right the sandwich does not even trade."""
    world = Stage()
    taker, maker = world.trader("taker", 1_000 * WAD), world.trader("maker", 1_000 * WAD)
    with pytest.raises(Reverted, match=r"^clearing: not a venue$"):
        world.clearing.send.fill(1, taker, maker, WAD, 100 * WAD, sender=KEEPER)
    world.clearing.send.set_venue(VENUE, False, sender=OWNER)
    with pytest.raises(Reverted, match=r"^clearing: not a venue$"):
        world.fill(taker, maker, WAD, 100 * WAD)
