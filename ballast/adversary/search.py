"""An evolutionary loop over programs: keeps the best program for every kind of effect it has seen.

Doing nothing gains nothing and everything honest costs fees, so a climb by gain alone ends at the
empty program. Instead programs are kept by what they did (which of the system's funds fell or rose,
whose accounts were resolved), one for each such effect: the best by `Outcome.worst`, then the
shortest. Children are mutations and crossings of any two of these, so that a costly detour survives
as long as it is the cheapest one to its effect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from ballast.adversary.actions import Action, Vocabulary
from ballast.adversary.judge import Judge, Outcome

LONGEST = 12
Program = list[Action]


@dataclass
class Found:
    """What a search has seen: the best outcome of all, and how many of each kind."""

    best: Outcome
    programs: int = 0
    effects: dict[tuple[int, ...], Outcome] = field(default_factory=dict)


class Search:
    """One search from one stage, the same for the same seed and number of programs."""

    def __init__(self, judge: Judge, vocabulary: Vocabulary, seed: int) -> None:
        self._judge, self._vocabulary = judge, vocabulary
        self._random = Random(seed)
        self.found = Found(judge.run([]))
        self._keep(self.found.best)

    def run(
        self, programs: int, enough: Callable[[Outcome], bool] = lambda outcome: False
    ) -> Found:
        """Try so many programs; stops where an outcome is enough."""
        for _ in range(programs):
            if enough(self.found.best):
                break
            outcome = self._judge.run(self._next())
            self.found.programs += 1
            self._keep(outcome)
        return self.found

    def _keep(self, outcome: Outcome) -> None:
        known = self.found.effects.get(outcome.features)
        if known is None or _rank(outcome) > _rank(known):
            self.found.effects[outcome.features] = outcome
        if _rank(outcome) > _rank(self.found.best):
            self.found.best = outcome

    def _next(self) -> Program:
        random, draw = self._random, self._vocabulary.draw
        if random.random() < 0.1:
            return [draw(random) for _ in range(random.randint(1, LONGEST))]
        program = list(self._parent())
        if random.random() < 0.3:
            other = self._parent()
            program = (
                program[: random.randint(0, len(program))] + other[random.randint(0, len(other)) :]
            )
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            self._mutate(program)
        return program[:LONGEST]

    def _parent(self) -> Program:
        """A kept program; half of the time the better of two."""
        random, kept = self._random, list(self.found.effects.values())
        one, two = random.choice(kept), random.choice(kept)
        better = one if _rank(one) >= _rank(two) else two
        return better.useful if random.random() < 0.5 else one.useful

    def _mutate(self, program: Program) -> None:
        random, vocabulary = self._random, self._vocabulary
        choice = random.random()
        if choice < 0.45 or not program:
            program.insert(random.randint(0, len(program)), vocabulary.draw(random))
            return
        at = random.randrange(len(program))
        if choice < 0.75:
            program[at] = vocabulary.change(program[at], random)
        elif choice < 0.85:
            program.insert(random.randint(0, len(program)), program[at])
        elif choice < 0.92:
            other = random.randrange(len(program))
            program[at], program[other] = program[other], program[at]
        else:
            del program[at]


def _rank(outcome: Outcome) -> tuple[int, int]:
    return outcome.worst, -len(outcome.calls)
