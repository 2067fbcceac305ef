"""What counts as explained: strangers' penalties and rewards, own fees come back, nothing else."""

from __future__ import annotations

import pytest

from ballast.adversary.actions import Action, Vocabulary, amount
from ballast.adversary.arena import WAD, Arena
from ballast.adversary.judge import NEVER, Judge, dust
from ballast.adversary.rules import PRICES, RULES
from ballast.adversary.stages import STAGES
from ballast.errors import Reverted

OWN = 3
"""Own accounts of most stages; other people are numbered behind them."""


def judged(stage: str, rule: str = "real") -> tuple[Arena, Judge]:
    arena = Arena(RULES[rule](), PRICES)
    STAGES[stage](arena)
    return arena, Judge(arena, Vocabulary())


def act(kind: str, **genes: float) -> Action:
    usual = {"who": 0, "whom": 0, "market": 0, "mode": 0, "part": 1.0, "offset": 0.0}
    return Action(kind, **{**usual, **genes})  # type: ignore[arg-type]


def test_doing_nothing_gains_nothing() -> None:
    _, judge = judged("normal")
    outcome = judge.run([])
    assert (outcome.gain, outcome.worst, outcome.overdrawn) == (0, 0, NEVER)
    assert set(outcome.features) == {0}


def test_a_program_is_taken_back() -> None:
    arena, judge = judged("whale")
    before = arena.wealth(), arena.vault.view.insurance(), arena.chain.block_number
    whale = len(arena.own) + arena.others.index(arena.person("whale"))
    assert judge.run([act("deleverage", whom=whale)]).calls
    assert (arena.wealth(), arena.vault.view.insurance(), arena.chain.block_number) == before
    assert arena.resolutions == []


def test_a_strangers_penalty_is_earned() -> None:
    arena, judge = judged("whale")
    bull = len(arena.own) + arena.others.index(arena.person("bull C"))
    outcome = judge.run([act("liquidate", whom=bull)])
    assert outcome.gain > 0
    assert outcome.earned >= outcome.gain
    assert 0 <= -outcome.unexplained <= 2


def test_the_reward_for_a_stranger_is_earned() -> None:
    arena, judge = judged("whale")
    whale = len(arena.own) + arena.others.index(arena.person("whale"))
    outcome = judge.run([act("deleverage", whom=whale)])
    assert outcome.gain == outcome.earned > 0
    assert NEVER < outcome.overdrawn <= 0


def test_the_reward_for_an_own_account_is_own_fees_come_back() -> None:
    arena, judge = judged("broken_pair", "edge")
    outcome = judge.run([act("deleverage", whom=OWN)])
    assert 0 < outcome.refunded <= outcome.fees_paid == arena.fees_paid
    assert outcome.earned == 0
    assert outcome.unexplained <= dust(arena, 1)


def test_fees_are_a_loss() -> None:
    _, judge = judged("normal")
    outcome = judge.run([act("trade", mode=2, part=0.5)])
    assert outcome.gain == outcome.unexplained < 0


def test_a_refused_call_is_left_out() -> None:
    _, judge = judged("normal")
    outcome = judge.run([act("deleverage", whom=OWN), act("unstake", mode=2)])
    assert outcome.calls == []
    assert outcome.useful == []


def test_amounts_are_crumbs_parts_or_all() -> None:
    assert amount(0.0, WAD) == 1
    assert amount(0.05, WAD) == WAD // 100
    assert amount(0.43, WAD) == pytest.approx(WAD // 2, rel=0.01)
    assert amount(0.9, WAD) == WAD


def test_what_is_not_there_is_refused() -> None:
    arena, _ = judged("normal")
    with pytest.raises(Reverted):
        Vocabulary().carry_out(arena, act("cross", who=0, whom=0))


@pytest.mark.parametrize("stage", STAGES)
def test_stages_stand_in_a_fresh_block(stage: str) -> None:
    """No cash of the block, every price known, a purse to play with."""
    arena, _ = judged(stage)
    assert arena.wallet() > 0
    for account in arena.own:
        assert arena.vault.view.cash_of(account)[1] == 0
    for market, price in arena.prices.items():
        assert arena.house.view.price(market)[0] == price
