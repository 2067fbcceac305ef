"""What the machines run on: core deployments with tokens of 6, 8 and 18 decimals.

Each is deployed once; a run takes it, and hands it back as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache

from ballast import model
from ballast.fuzz.adopt import adopt
from ballast.fuzz.arena import Arena
from ballast.fuzz.tape import TapedRevm
from ballast.fuzz.wiring import Wiring, fresh
from tests.support.twin import arena_of, model_of
from tests.support.world import (
    DONOR,
    MAX,
    REAL_FEES,
    WAD,
    ZERO_FEES,
    MarketParams,
    World,
    account_id,
    address,
)

HEIR = address("heir")
STAKERS = tuple(address(f"staker {i}") for i in range(4))
PRICES = (100 * WAD, 2_500 * WAD, 3 * WAD // 10, 64_000 * WAD, 100 * WAD)
GROUPS = (1, 1, 1, 2, 1)
RESERVED = 5
"""The market kept for draining buckets."""
DRAINED = [account_id(address(f"drained {i}")) for i in range(7)]
GROUP_CAP = 500 * WAD
REWARD_BPS = 2


@dataclass(frozen=True)
class Setting:
    """What makes one arena differ from another."""

    name: str
    decimals: int
    token: str
    buckets: int
    params: MarketParams


FUNDED = replace(
    REAL_FEES,
    premium_cap_bps=500,
    funding_cap_bps=400,
    price_band_bps=1_500,
    insurance_cap_quote=100 * WAD,
    min_notional_quote=5 * WAD,
)
BARE = replace(ZERO_FEES, insurance_cap_quote=0, min_notional_quote=5 * WAD)
SETTINGS = (
    Setting("18 decimals, fees and funding", 18, "Token", 4, FUNDED),
    Setting("6 decimals, fees and funding", 6, "Token", 2, FUNDED),
    Setting("8 decimals, a token that returns nothing", 8, "NoReturnToken", 6, FUNDED),
    Setting("18 decimals, neither fees nor insurance", 18, "Token", 3, BARE),
)


@cache
def _built(setting: Setting) -> tuple[World, model.Clearing]:
    """The world, and the exact model of it."""
    world = World(
        setting.params,
        prices=PRICES,
        groups=GROUPS,
        decimals=setting.decimals,
        token=setting.token,
        buckets=setting.buckets,
        reward_bps=REWARD_BPS,
        insurance_cap_quote=GROUP_CAP,
        chain=TapedRevm(),
    )
    world.mint(DONOR, 2**90)
    for staker in STAKERS:
        world.mint(staker, 2**90)
        world.token.send.approve(world.fund.address, MAX, sender=staker)
    return world, model_of(world)


@contextmanager
def arena(setting: Setting, accounts: list[bytes]) -> Iterator[tuple[Arena, model.Clearing]]:
    """An arena and its model, for one run."""
    world, exact = _built(setting)
    before = world.chain.snapshot()
    try:
        yield replace(arena_of(world), accounts=list(accounts)), exact.clone()
    finally:
        world.chain.revert(before)


@cache
def _wired(decimals: int) -> tuple[Wiring, model.Clearing]:
    """The contracts as they are deployed, and the exact model of them."""
    its = fresh(decimals)
    return its, adopt(its.chain, its.vault, its.clearing, its.token, its.accounts).clearing


@contextmanager
def wired(decimals: int) -> Iterator[tuple[Wiring, model.Clearing]]:
    """The same for one run."""
    its, exact = _wired(decimals)
    before = its.chain.snapshot()
    try:
        yield its.copy(), exact.clone()
    finally:
        its.chain.revert(before)


def people(count: int) -> list[bytes]:
    """Accounts: two subaccounts of each of half as many owners."""
    return [account_id(address(f"trader {i // 2}"), i % 2) for i in range(count)]
