"""Random sequences with gaps: S1 to S6 exact in every state, and what single calls may do."""

from dataclasses import replace
from fractions import Fraction

import pytest

from ballast.model import WAD, Clearing


def _equities(model: Clearing, names: list[str]) -> dict[str, Fraction]:
    return {name: model.equity(name) for name in names}


def _unpaid(model: Clearing, name: str) -> Fraction:
    """Waiting claims and open gains of an account."""
    gains = [model.position(name, market) for market in model.markets_of(name)]
    parts = [max(0, p.unrealised) + max(0, p.closed + p.funding) for p in gains if p]
    return sum(parts, sum(model.claim(name), Fraction(0)))


@pytest.mark.parametrize("seed", range(12))
def test_invariants_hold_in_every_state(make_walk, seed: int) -> None:
    walk = make_walk(seed, accounts=10, fees=seed % 2 == 0)
    for _ in range(500):
        walk.step()
        assert walk.violations() == []
    assert walk.done["deleverage"] > 0


@pytest.mark.parametrize("seed", range(100, 106))
def test_others_lose_only_unpaid_profit(make_walk, seed: int) -> None:
    """S3 by equity; S5: settle and refresh cost nobody anything."""
    walk = make_walk(seed, fees=False)
    walk.model.set_adl(2, 0)
    for _ in range(300):
        before = walk.model.clone()
        last = walk.model.last_waterfall
        action = walk.step()
        if action in ("settle", "refresh"):
            assert _equities(walk.model, before.accounts()) == _equities(before, before.accounts())
        if action == "deleverage" and walk.model.last_waterfall is not last:
            closed = walk.model.last_waterfall.account
            for name in before.accounts():
                if name != closed:
                    lost = before.equity(name) - walk.model.equity(name)
                    assert lost <= _unpaid(before, name)
            assert walk.model.equity(closed) >= before.equity(closed)


@pytest.mark.parametrize("seed", range(200, 204))
def test_bankrupts_are_always_resolved(make_walk, seed: int) -> None:
    """Whatever the state, repeated calls end with nobody below zero, and the shortfall is at most
    the claims and open gains that are not paid."""
    walk = make_walk(seed)
    for _ in range(250):
        walk.step()
    for _ in range(500):
        bankrupt = [name for name in walk.names if walk.model.equity(name) < 0]
        if not bankrupt:
            break
        walk.model.deleverage(bankrupt[0], "keeper")
        assert walk.violations() == []
    assert not [name for name in walk.names if walk.model.equity(name) < 0]
    for group in (1, 2):
        members = [name for name in walk.model.accounts() if walk.model.group_of(name) == group]
        unpaid = sum((_unpaid(walk.model, name) for name in members), Fraction(0))
        assert walk.model.shortfall(group) <= unpaid + WAD // 10**9


@pytest.mark.parametrize("seed", range(300, 304))
def test_liquidation_never_hurts_the_rest(make_walk, seed: int) -> None:
    """S7."""
    walk = make_walk(seed)
    for _ in range(600):
        before = walk.model.clone()
        done = walk.done.get("liquidate", 0)
        walk.step()
        if walk.done.get("liquidate", 0) == done:
            continue
        for name in before.accounts():
            equity, maintenance = before.equity(name), before.margin(name)[1]
            now, rest = walk.model.equity(name), walk.model.margin(name)[1]
            if equity < 0:
                assert now >= equity
            elif equity < maintenance and rest < maintenance:
                assert now >= 0
                assert now * maintenance >= equity * rest
    assert walk.done["liquidate"] > 0


@pytest.mark.parametrize("seed", range(400, 404))
def test_whoever_meets_initial_can_close(make_walk, seed: int) -> None:
    """S8, tried on a copy; and who has neither positions nor debts can take all cash out. The
    minimum notional is lifted: it may refuse the counterparty of a rest, never the account."""
    walk = make_walk(seed)
    closed = 0
    for _ in range(200):
        walk.step()
        for name in walk.names:
            if walk.model.backing(name) >= walk.model.margin(name)[0]:
                trial = walk.model.clone()
                trial.advance(1)
                for entry in trial.state.markets.values():
                    entry.params = replace(entry.params, min_notional_quote=0)
                for market in trial.markets_of(name):
                    _close(trial, name, market, "house2" if market == 3 else "house1")
                    closed += 1
                if trial.markets_of(name) == [] and trial.debt(name) == 0 and trial.cash(name) >= 1:
                    trial.withdraw(name, int(trial.cash(name)))
    assert closed > 100


def _close(model: Clearing, name: str, market: int, house: str) -> None:
    position = model.position(name, market)
    if position is None or abs(position.size) < WAD // 10**9:
        model.settle(name)
        return
    if position.size > 0:
        model.fill(market, house, name, int(position.size), model.price(market)[0])
    else:
        model.fill(market, name, house, int(-position.size), model.price(market)[0])
