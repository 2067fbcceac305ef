"""The game at given prices: every stage under every rule, searched and judged.

Three ways to play it. `face` values what he has at face value: any unexplained gain is a bug.
`time` lets blocks pass beside, prices as they are and no funding: a bug likewise. `money` values it
by what he could carry home: what is found is no bug but a matter of who is served first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ballast.adversary.actions import Vocabulary
from ballast.adversary.arena import Arena
from ballast.adversary.judge import Judge, Outcome, dust
from ballast.adversary.rules import DECIMALS, PRICES, RULES
from ballast.adversary.search import Search
from ballast.adversary.stages import STAGES

GAMES = ("face", "time", "money")
RULES_OF = {"face": ("real", "free", "edge"), "time": ("free",), "money": ("real", "free")}


@dataclass(frozen=True)
class Searched:
    """What a search from one stage under one rule came to."""

    game: str
    rule: str
    stage: str
    programs: int
    effects: int
    best: Outcome
    dust: int

    @property
    def is_bug(self) -> bool:
        """Whether something was gained that nobody can explain."""
        return self.game != "money" and self.best.worst > self.dust


def search(game: str, rule: str, stage: str, programs: int, seed: int) -> Searched:
    """Search one stage; ends early where a bug is found."""
    arena = Arena(RULES[rule](), PRICES, DECIMALS[rule])
    STAGES[stage](arena)
    in_money = game == "money"
    vocabulary = Vocabulary(with_time=game == "time", with_fund=not in_money)
    finder = Search(Judge(arena, vocabulary, in_money), vocabulary, seed)

    def is_bug(outcome: Outcome) -> bool:
        return not in_money and outcome.worst > dust(arena, len(outcome.calls))

    found = finder.run(programs, enough=is_bug)
    return Searched(
        game=game,
        rule=rule,
        stage=stage,
        programs=found.programs,
        effects=len(found.effects),
        best=found.best,
        dust=dust(arena, len(found.best.calls)),
    )


def searches(
    games: Iterable[str], rules: Iterable[str], stages: Iterable[str]
) -> list[tuple[str, str, str]]:
    """Every stage under every rule of every game asked for: (game, rule, stage)."""
    asked = tuple(rules), tuple(stages)
    return [
        (game, rule, stage)
        for game in games
        for rule in RULES_OF[game]
        for stage in asked[1]
        if rule in asked[0]
    ]
