"""Single calls: what they book, and what they refuse."""

from dataclasses import replace
from fractions import Fraction

import pytest

from ballast.model import GRACE, PENDING, STALE, WAD, ModelError, to_wei


@pytest.fixture
def book(make_book, params):
    """One market at 100; two funded traders, one rich liquidator."""
    book = make_book(params)
    book.fund(long=1_000, short=1_000, rich=100_000)
    return book


def test_open_and_close_at_one_price_never_profits(make_book, params) -> None:
    """S11."""
    book = make_book(replace(params, taker_fee_bps=5))
    book.fund(long=1_000, short=1_000)
    for price in (99, 103):
        book.trade("long", "short", 7, price)
        book.trade("short", "long", 7, price)
    for name in ("long", "short"):
        assert book.model.equity(name) < 1_000 * WAD
        assert book.model.markets_of(name) == []
    assert book.model.violations() == []


def test_profit_is_paid_from_what_the_loser_paid(book) -> None:
    book.trade("long", "short", 10, 100)
    book.set_price(1, 110)
    book.trade("short", "long", 10, 110)
    assert (book.model.cash("long"), book.model.cash("short")) == (1_100 * WAD, 900 * WAD)
    assert book.model.pool_of(1) == book.model.claims(1) == 0


def test_claim_waits_and_settle_draws_on_open_losses(book) -> None:
    book.trade("long", "short", 10, 100)
    book.set_price(1, 110)
    book.trade("rich", "long", 10, 110)
    assert book.model.claims(1) == 100 * WAD
    assert book.model.cash("long") == 1_000 * WAD
    equity = book.model.equity("short")
    book.model.settle("short")
    assert book.model.equity("short") == equity
    assert book.model.cash("short") == 900 * WAD
    assert book.model.position("short", 1).entry == 110 * WAD
    assert book.model.claims(1) == 0
    assert book.model.claim("long") == (0, 100 * WAD)
    book.model.settle("long")
    assert book.model.cash("long") == 1_100 * WAD
    before = repr(book.model.state)
    book.model.settle("long")
    book.model.settle("short")
    assert repr(book.model.state) == before, "S12: a repeated settle changes nothing"


def test_waiting_claims_are_paid_pro_rata(book) -> None:
    book.fund(other=1_000)
    book.trade("long", "short", 6, 100)
    book.trade("other", "short", 2, 100)
    book.set_price(1, 110)
    book.trade("rich", "long", 6, 110)
    book.trade("rich", "other", 2, 110)
    assert book.model.claims(1) == 80 * WAD
    book.trade("short", "rich", 4, 110)
    assert book.model.claims(1) == 40 * WAD
    assert book.model.claim("long") == (30 * WAD, 30 * WAD)
    assert book.model.claim("other") == (10 * WAD, 10 * WAD)


def test_unpaid_profit_backs_no_new_risk(book) -> None:
    book.trade("long", "short", 90, 100)
    book.set_price(1, 120)
    assert book.model.equity("long") == 2_800 * WAD
    with pytest.raises(ModelError, match="below initial"):
        book.trade("long", "rich", 10, 120)


def test_reduction_of_a_weak_account(book) -> None:
    book.trade("long", "short", 100, 100)
    book.set_price(1, 91)
    book.trade("rich", "long", 10, 91)
    with pytest.raises(ModelError, match="health would fall"):
        book.trade("rich", "long", 10, 88)


def test_bankrupt_cannot_leave(book) -> None:
    book.trade("long", "short", 100, 100)
    book.set_price(1, 85)
    with pytest.raises(ModelError, match="health would fall"):
        book.trade("rich", "long", 100, 85)


@pytest.mark.parametrize("status", [STALE, PENDING])
def test_stale_market_only_reduces(book, status: int) -> None:
    book.trade("long", "short", 10, 100)
    book.set_price(1, 100, status)
    with pytest.raises(ModelError, match="stale or pending"):
        book.trade("long", "short", 1, 100)
    with pytest.raises(ModelError, match="stale or pending"):
        book.model.withdraw("long", WAD)
    book.model.withdraw("rich", WAD)
    book.trade("short", "long", 10, 100)


def test_deposit_is_not_withdrawable_in_its_block(book) -> None:
    book.model.deposit("long", 500 * WAD)
    assert book.model.free_cash("long") == 1_000 * WAD
    with pytest.raises(ModelError, match="insufficient cash"):
        book.model.withdraw("long", 1_001 * WAD)
    book.model.withdraw("long", 1_000 * WAD)


def test_deposit_does_not_lift_the_rank_in_its_block(book) -> None:
    book.trade("long", "short", 50, 100)
    assert book.model.position("long", 1).tier == 3
    book.model.deposit("long", 100_000 * WAD)
    book.model.refresh("long")
    assert book.model.position("long", 1).tier == 3
    book.model.advance(1)
    book.model.refresh("long")
    assert book.model.position("long", 1).tier == 0


def test_price_is_fixed_for_a_block(book) -> None:
    book.trade("long", "short", 1, 100)
    book.model.set_price(1, 200 * WAD, book.model.now)
    assert book.model.price(1)[0] == 100 * WAD
    book.model.advance(1)
    assert book.model.price(1)[0] == 200 * WAD


def test_refused_call_does_not_fix_the_price(book) -> None:
    book.model.advance(1)
    with pytest.raises(ModelError):
        book.trade("long", "nobody", 1, 100)
    book.model.set_price(1, 101 * WAD, book.model.now)
    assert book.model.price(1)[0] == 101 * WAD


def test_funding_is_zero_sum_and_path_independent(book) -> None:
    book.trade("long", "short", 10, 100)
    book.model.advance(3_600)
    book.trade("long", "short", 1, 101)
    rate = book.model.funding(1)[1]
    assert rate == WAD * 50 // 10_000, "half way to the premium of 1 %"
    book.model.advance(28_800)
    assert book.model.funding(1)[0] == 100 * WAD * 50 // 10_000
    owed = book.model.position("long", 1).funding
    assert owed == -11 * WAD // 2 == -book.model.position("short", 1).funding
    book.model.refresh("long")
    assert book.model.position("long", 1).funding == 0
    assert book.model.unsettled("long") == 0
    assert book.model.violations() == []


def test_close_by_a_whole_size_leaves_no_dust(make_book, params) -> None:
    book = make_book(params)
    book.fund(bankrupt=40, one=1_000, two=1_000, rich=10_000)
    book.trade("bankrupt", "one", 4, 100)
    book.trade("rich", "two", 3, 100)
    book.set_price(1, 80)
    book.model.deleverage("bankrupt", "keeper")
    size = book.model.position("two", 1).size
    assert size.denominator > 1
    book.model.fill(1, "two", "rich", -int(size) + 1, 80 * WAD)
    assert book.model.markets_of("two") == []
    assert book.model.violations([{1: 55 * WAD}]) == []


def test_members_lose_pro_rata_and_book_at_their_touch(make_book, params) -> None:
    book = make_book(params)
    book.fund(bankrupt=40, one=1_000, two=1_000, rich=10_000)
    book.trade("bankrupt", "one", 4, 100)
    book.trade("rich", "two", 4, 100)
    book.set_price(1, 80)
    book.model.deleverage("bankrupt", "keeper")
    one, two = (book.model.position(name, 1) for name in ("one", "two"))
    assert one.size == two.size == -2 * WAD
    assert one.closed == two.closed == 2 * (100 - 90) * WAD
    assert book.model.cash("one") == 1_000 * WAD
    book.model.settle("one")
    assert book.model.cash("one") == 1_020 * WAD
    assert book.model.position("one", 1).closed == 0


def test_adl_rank_excludes_the_own_bucket(make_book, params) -> None:
    book = make_book(params)
    book.fund(low=1_000, high=100, long=10_000)
    book.trade("long", "high", 5, 100)
    book.trade("long", "low", 15, 100)
    book.set_price(1, 80)
    assert book.model.adl_rank("high", 1)[1:] == (0, 5)
    assert book.model.adl_rank("low", 1)[1:] == (5 * WAD, 4)
    assert [entry.members for entry in book.model.queue(1, False)] == [("high",), ("low",)]


def test_liquidation_restores_the_target(book) -> None:
    book.trade("long", "short", 100, 100)
    book.set_price(1, 94)
    size, price = book.model.max_liquidation("long", 1)
    assert book.model.equity("long") == 400 * WAD
    assert price < 94 * WAD
    assert book.model.liquidate("long", 1, 2**256 - 1, "rich") == size
    ratio = book.model.equity("long") / book.model.margin("long")[1]
    assert Fraction(12, 10) <= ratio < Fraction(12, 10) + Fraction(1, 10**15)
    paid = 100_000 * WAD - book.model.cash("rich")
    penalty = size * (94 * WAD - price) / WAD
    assert abs(paid - penalty / 2) <= 2
    assert abs(book.model.insurance() - penalty * 4_000 / 10_000) <= 2


def test_liquidation_price_is_where_equity_meets_maintenance(book) -> None:
    book.trade("long", "short", 50, 100)
    for name in ("long", "short"):
        price = book.model.liquidation_price(name, 1)
        trial = book.model.clone()
        trial.advance(1)
        trial.set_price(1, int(price), trial.now)
        assert abs(trial.equity(name) - trial.margin(name)[1]) <= 100


def test_healthy_account_is_not_liquidated(book) -> None:
    book.trade("long", "short", 50, 100)
    assert book.model.max_liquidation("long", 1) == (0, 0)
    with pytest.raises(ModelError, match="healthy"):
        book.model.liquidate("long", 1, WAD, "rich")


def test_shortfall_is_written_off_and_paid_down_by_income(make_book, params) -> None:
    book = make_book(replace(params, taker_fee_bps=10))
    book.fund(loser=20, winner=1_000, rich=100_000)
    book.trade("loser", "winner", 1, 100)
    book.set_price(1, 70)
    book.trade("winner", "rich", 1, 70)
    book.set_price(1, 65)
    book.model.deleverage("loser", "keeper")
    book.model.settle("winner")
    shortfall = book.model.shortfall(1)
    assert shortfall > 0
    assert book.model.equity("loser") == 0
    assert book.model.unsettled("loser") == 0
    assert book.model.claims(1) <= shortfall
    fees = book.model.fees()
    book.trade("rich", "winner", 10, 65)
    assert book.model.shortfall(1) < shortfall
    assert book.model.fees() == fees
    assert book.model.violations() == []


def test_shortfall_first_draws_the_groups_insurance(make_book, params) -> None:
    book = make_book(replace(params, insurance_cap_quote=0))
    book.fund(loser=20, winner=1_000, rich=100_000)
    book.model.donate("insurance", 10 * WAD)
    book.model.set_group(1, 3 * WAD, 3_600)
    book.trade("loser", "winner", 1, 100)
    book.set_price(1, 70)
    book.trade("winner", "rich", 1, 70)
    book.set_price(1, 65)
    book.model.deleverage("loser", "keeper")
    assert book.model.insurance() == 7 * WAD
    assert book.model.group_insurance_left(1) == 0


def _two_markets(make_book, params):
    """Bankrupt by market 2, with a gain in market 1."""
    book = make_book(params, params)
    book.fund(bankrupt=300, other=10_000)
    book.trade("bankrupt", "other", 10, 100, market=1)
    book.trade("bankrupt", "other", 10, 100, market=2)
    book.set_price(1, 110)
    book.set_price(2, 50)
    return book.model


def test_profitable_legs_are_closed_first_at_the_oracle_price(make_book, params) -> None:
    model = _two_markets(make_book, params)
    model.deleverage("bankrupt", "keeper")
    assert [(t.market, t.price) for t in model.last_waterfall.taken] == [
        (1, 110 * WAD),
        (2, 60 * WAD),
    ]
    assert model.equity("other") == 10_300 * WAD


def test_one_leg_a_call_keeps_no_state(make_book, params) -> None:
    model = _two_markets(make_book, params)
    model.set_adl(1, 0)
    assert model.deleverage("bankrupt", "keeper") == (500 * WAD, 100 * WAD)
    assert model.deleverage("bankrupt", "keeper") == (0, 0)


@pytest.mark.parametrize("status", [STALE, GRACE])
def test_a_leg_without_a_price_is_passed_by(make_book, params, status: int) -> None:
    model = _two_markets(make_book, params)
    model.set_price(2, 50 * WAD, model.now, status)
    assert model.deleverage("bankrupt", "keeper") == (500 * WAD, 100 * WAD)
    assert model.markets_of("bankrupt") == [2]
    with pytest.raises(ModelError, match="nothing to close"):
        model.deleverage("bankrupt", "keeper")


@pytest.mark.parametrize(("taker_fee_bps", "reserve"), [(0, 10), (5, 10), (40, 10), (40, 1)])
def test_keeper_is_paid_for_the_notional_closed(
    make_book, params, taker_fee_bps: int, reserve: int
) -> None:
    """Out of the reserve, at most what the legs have paid in fees."""
    model = _two_markets(make_book, replace(params, taker_fee_bps=taker_fee_bps))
    model.set_adl(8, 10)
    model.donate("reserve", reserve * WAD)
    before = model.keeper_reserve()
    model.deleverage("bankrupt", "keeper")
    paid = model.cash("keeper")
    assert paid == before - model.keeper_reserve()
    waterfall = model.last_waterfall
    assert paid == min(waterfall.reward_due, before)
    assert waterfall.reward_due <= to_wei(waterfall.notional_closed) * 10 // 10_000
    assert (paid > 0) == (taker_fee_bps > 0)


def test_an_account_stays_in_its_group_until_it_is_empty(make_book, params) -> None:
    book = make_book(params, replace(params, group=2))
    book.fund(long=1_000, short=1_000, other=1_000)
    book.trade("long", "short", 1, 100)
    with pytest.raises(ModelError, match="other group"):
        book.trade("long", "other", 1, 100, market=2)
    book.trade("short", "long", 1, 100)
    book.trade("long", "other", 1, 100, market=2)
    assert book.model.group_of("long") == 2
    assert book.model.group_of("short") == 1
