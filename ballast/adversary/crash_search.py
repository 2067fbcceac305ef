"""An evolutionary loop over policies, and what margins, caps and fees leave of the best."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from ballast.adversary.crash import Crash, Played
from ballast.adversary.crowd import CrowdConfig
from ballast.adversary.paths import PricePath
from ballast.adversary.policy import Policy, change, cross, draw
from ballast.config import WAD, DeployConfig

PARENTS = 12
FRESH, CHANGED = 0.15, 0.8
Scored = tuple[Policy, Played]
KNOWN = (
    Policy(),
    Policy(leaves_first=False),
    Policy(coins=4),
    Policy(coins=4, leaves_first=False),
    Policy(trigger=0.003, rounds=8),
    Policy(trigger=0.003, rounds=20, roll=0.7, flees=True),
)
"""Where every search begins: held (in all coins, in the last one), with the winner first or last;
repeated; and kept thin."""


def search(
    crash: Crash,
    plays: int,
    seed: int,
    progress: Callable[[], None] = lambda: None,
    with_stake: bool = True,
) -> list[Scored]:
    """Policies with their results on one path, the best first. Without a stake the gain is the
    pairs' alone: a staker has his part of what others pay beside."""
    random = Random(seed)
    found: dict[Policy, Played] = {}
    while len(found) < plays:
        best = sorted(found, key=lambda policy: -found[policy].gain)[:PARENTS]
        if len(found) < len(KNOWN):
            policy = KNOWN[len(found)]
        elif random.random() < FRESH:
            policy = draw(random)
        else:
            policy = cross(random.choice(best), random.choice(best), random)
            policy = change(policy, random) if random.random() < CHANGED else policy
        if not with_stake:
            policy = replace(policy, stake=0.0, bails=False)
        if policy not in found:
            found[policy] = crash.play(policy)
            progress()
    return sorted(found.items(), key=lambda item: -item[1].gain)


@dataclass(frozen=True)
class Tier:
    """Margins, caps and fee of every market; the group has the same cap."""

    initial_bps: int
    maintenance_bps: int
    cap_quote: int
    fee_bps: int

    def applied(self, config: DeployConfig) -> DeployConfig:
        """The configuration with these."""
        cap = self.cap_quote * WAD
        markets = tuple(
            replace(
                market,
                initial_margin_bps=self.initial_bps,
                maintenance_margin_bps=self.maintenance_bps,
                liquidation_penalty_bps=min(market.liquidation_penalty_bps, self.maintenance_bps),
                insurance_cap_quote=cap,
                maker_fee_bps=min(market.maker_fee_bps, self.fee_bps),
                taker_fee_bps=self.fee_bps,
            )
            for market in config.markets
        )
        groups = tuple(replace(group, insurance_cap_quote=cap) for group in config.groups)
        return replace(config, markets=markets, groups=groups)


MARGINS = (
    (200, 120),
    (400, 200),
    (600, 300),
    (1_000, 500),
    (1_500, 750),
    (2_500, 1_250),
    (4_000, 2_000),
)
CAPS = (250_000, 25_000, 0)
FEES = (5, 10, 25)
TAKEN_ALONG = 6


@dataclass(frozen=True)
class Row:
    """The best policy under a tier, and what it came to."""

    tier: Tier
    policy: Policy
    played: Played


def frontier(
    config: DeployConfig,
    path: PricePath,
    crowd: CrowdConfig,
    plays: int,
    seed: int,
    margins: Sequence[tuple[int, int]],
    progress: Callable[[], None] = lambda: None,
) -> Iterator[Row]:
    """For every margin tier and fee: policies searched for at the first cap, and the best of them,
    with those every search begins with, played anew under each other cap."""
    for initial, maintenance in margins:
        for fee in FEES:
            known: list[Policy] = []
            for cap in CAPS:
                tier = Tier(initial, maintenance, cap, fee)
                crash = Crash(tier.applied(config), path, crowd)
                if known:
                    scored = [(policy, crash.play(policy)) for policy in known]
                    scored.sort(key=lambda item: -item[1].gain)
                else:
                    scored = search(crash, plays, seed, progress, with_stake=False)
                    known = [*KNOWN, *(policy for policy, _ in scored[:TAKEN_ALONG])]
                yield Row(tier, *scored[0])
