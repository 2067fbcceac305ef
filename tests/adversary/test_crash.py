"""The crash: what a pair takes out of the fund stays inside its caps, and what makes it lose."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from random import Random

import pytest

from ballast import config
from ballast.adversary import policy
from ballast.adversary.arena import WAD
from ballast.adversary.crash import Crash
from ballast.adversary.crash_search import Tier, search
from ballast.adversary.crowd import CrowdConfig
from ballast.adversary.paths import jump, largest_moves, mirrored, recorded
from ballast.adversary.policy import Policy

LOCAL = config.load(config.PARAMETERS / "local.toml")
CROWD = CrowdConfig(traders=8)
PAIR = Policy(notional=1.0)
THIN = Tier(200, 120, 250_000, 5)


@cache
def crash(percent: int, tier: Tier = THIN, delay: int = 1) -> Crash:
    path = jump(percent, coins=("BTC", "SOL"))
    return Crash(tier.applied(LOCAL), path, replace(CROWD, delay=delay))


@pytest.mark.parametrize("percent", [-20, -5, 5, 20])
@pytest.mark.parametrize("leaves_first", [True, False])
def test_a_pair_holds_an_option_on_the_fund_inside_its_caps(
    percent: int, leaves_first: bool
) -> None:
    played = crash(percent).play(replace(PAIR, leaves_first=leaves_first))
    assert played.violations == []
    assert played.bankrupt == 2
    assert played.bet == 0
    assert played.drawn > 0
    assert played.gain > 0
    at = 1 + percent / 100
    assert played.drawn <= 2 * 1_000_000 * WAD * at * 0.012 * 1.001  # the legs' maintenance margin


@pytest.mark.parametrize("cap", [0, 5_000])
def test_draws_end_at_the_caps(cap: int) -> None:
    tier = replace(THIN, cap_quote=cap)
    played = crash(-20, tier).play(replace(PAIR, notional=10.0))
    assert played.violations == []
    assert played.drawn <= 3 * cap * WAD * 1.01


@pytest.mark.parametrize("percent", [-10, 10])
def test_a_margin_wider_than_the_jump_makes_it_a_losing_game(percent: int) -> None:
    wide = Tier(2_400, 1_200, 250_000, 5)
    for asked in (PAIR, replace(PAIR, leaves_first=False), replace(PAIR, margin=1.5)):
        played = crash(percent, wide).play(asked)
        assert played.drawn == 0
        assert played.gain < 0


def test_nothing_is_won_where_nothing_happens() -> None:
    played = crash(0).play(PAIR)
    assert played.gain == -played.fees < 0
    assert (played.bankrupt, played.drawn, played.penalties) == (0, 0, 0)


def test_a_game_is_taken_back_and_leaves_nothing_behind() -> None:
    scene = crash(-10)
    before = scene.arena.wealth(), scene.arena.chain.block_number
    first = scene.play(PAIR)
    scene.play(replace(PAIR, resolves=False, rounds=4))
    assert scene.play(PAIR) == first
    assert (scene.arena.wealth(), scene.arena.chain.block_number) == before


def test_the_search_keeps_the_best_first() -> None:
    found = search(crash(-5), 8, seed=1)
    gains = [played.gain for _, played in found]
    assert len(found) == 8
    assert gains == sorted(gains, reverse=True)


def test_policies_are_drawn_changed_and_shown() -> None:
    random = Random(1)
    one, two = policy.draw(random), policy.draw(random)
    child = policy.cross(one, two, random)
    assert {policy.change(child, random) for _ in range(20)} - {child}
    assert Policy().shown() == "default"
    assert "notional 1" in PAIR.shown()


def test_mirrored_prices_rise_as_the_recorded_fall() -> None:
    path = recorded()
    first, other = path.first(), mirrored(path)
    assert other.first() == first
    for one, two in zip(path.steps, other.steps, strict=True):
        for coin, price in one.prices.items():
            assert price * two.prices[coin] // first[coin] == pytest.approx(first[coin], rel=1e-12)


def test_largest_moves_look_no_further_than_asked() -> None:
    path = jump(-10, drift_bps=-10, coins=("BTC",))
    fall, rise = largest_moves(path, 15)["BTC"]
    assert fall == pytest.approx(-0.10, abs=1e-9)
    assert rise == 0
    assert largest_moves(path, 60)["BTC"][0] < fall
