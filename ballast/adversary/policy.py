"""How to hold the option on the fund: a rule that is fixed before the path is known.

A pair is two own accounts, long and short by the same size, so that it neither gains nor loses by a
price: what one side wins the other owes. It pays only where the losing side can be left bankrupt.
A policy may look back, never ahead.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from random import Random


@dataclass(frozen=True)
class Policy:
    """When to open pairs, how large, how thin, and what to do when one side is in trouble.

    `notional` is quote (millions) a pair and market; `margin` a side's deposit in initial margins.
    A pair is opened when a coin has moved by `trigger` (part of its price) within the last `memory`
    steps, at most `rounds` times. It is closed (and opened anew, if a round is left) when the
    losing side's equity falls under `roll` initial margins, and under the maintenance margin if
    `flees` (else it is left to the keepers). Once a side is bankrupt the other is closed with an
    honest trader first if `leaves_first`, and the bankrupt deleveraged at once if `resolves` (else
    the keepers do). `crossed` puts all markets of a side into one account. `stake` (millions) is in
    the fund beside, and taken out ahead of the first own draw if `bails`. `coins` has a bit for
    each coin, in alphabetical order.
    """

    notional: float = 5.0
    margin: float = 1.0
    pairs: int = 1
    trigger: float = 0.0
    memory: int = 4
    rounds: int = 1
    roll: float = 0.0
    flees: bool = False
    leaves_first: bool = True
    resolves: bool = True
    crossed: bool = False
    stake: float = 0.0
    bails: bool = False
    coins: int = 7

    def shown(self) -> str:
        """The genes that differ from the default, in a line."""
        usual = Policy()
        told = []
        for item in fields(self):
            value = getattr(self, item.name)
            if value != getattr(usual, item.name):
                told.append(
                    f"{item.name} {value:.3g}"
                    if isinstance(value, float)
                    else f"{item.name} {value}"
                )
        return ", ".join(told) or "default"


def draw(random: Random) -> Policy:
    """Any policy."""
    return Policy(
        notional=random.choice((0.1, 0.5, 1.0, 2.0, 5.0, 10.0)),
        margin=random.choice((1.0, 1.0, 1.1, 1.5, 3.0)),
        pairs=random.choice((1, 1, 2)),
        trigger=random.choice((0.0, 0.0, 0.003, 0.01, 0.02, 0.05)),
        memory=random.choice((1, 4, 20, 80)),
        rounds=random.choice((1, 2, 4, 8, 20)),
        roll=random.choice((0.0, 0.0, 0.5, 0.7, 0.9)),
        flees=random.random() < 0.5,
        leaves_first=random.random() < 0.6,
        resolves=random.random() < 0.8,
        crossed=random.random() < 0.3,
        stake=random.choice((0.0, 0.0, 0.0, 0.2, 2.0)),
        bails=random.random() < 0.5,
        coins=random.randint(1, 7),
    )


def change(policy: Policy, random: Random) -> Policy:
    """The policy with one or two genes drawn anew."""
    other = draw(random)
    values = {item.name: getattr(policy, item.name) for item in fields(policy)}
    for item in random.sample(fields(policy), random.choice((1, 1, 2))):
        values[item.name] = getattr(other, item.name)
    return Policy(**values)


def cross(one: Policy, two: Policy, random: Random) -> Policy:
    """Each gene from one of two policies."""
    return Policy(
        **{item.name: getattr(random.choice((one, two)), item.name) for item in fields(one)}
    )
