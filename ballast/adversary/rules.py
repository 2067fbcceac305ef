"""Parameters to play under: the real ones, none at all, and those at the ends of their bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ballast import config
from ballast.config import DeployConfig, GroupConfig

WAD = 10**18
PRICES = (100 * WAD, 2_000 * WAD, WAD)
"""Of the three markets: two in one clearing group, the third alone in another."""


def real() -> DeployConfig:
    """Fees, margins and caps as deployed (parameters/local.toml)."""
    return _three(
        initial_margin_bps=400,
        maintenance_margin_bps=200,
        insurance_cap_quote=20_000 * WAD,
    )


def free() -> DeployConfig:
    """No fees, penalties or rewards, wide bands: nothing that a small gain could hide behind."""
    return _three(
        initial_margin_bps=400,
        maintenance_margin_bps=200,
        maker_fee_bps=0,
        taker_fee_bps=0,
        liquidation_penalty_bps=0,
        min_reward_quote=0,
        price_band_bps=2_000,
        funding_cap_bps=0,
        insurance_cap_quote=20_000 * WAD,
        reward_bps=0,
    )


def edge() -> DeployConfig:
    """Rewards, penalties and bands as high as the contracts allow, and every share at its end."""
    return _three(
        initial_margin_bps=200,
        maintenance_margin_bps=190,
        maker_fee_bps=0,
        taker_fee_bps=5,
        fee_insurance_share_bps=10_000,
        fee_reserve_share_bps=0,
        liquidation_penalty_bps=190,
        liquidator_share_bps=10_000,
        penalty_insurance_share_bps=0,
        min_reward_quote=5_000 * WAD,
        price_band_bps=2_000,
        insurance_cap_quote=1_000_000 * WAD,
        reward_bps=100,
        buckets_per_call=2,
    )


RULES: dict[str, Callable[[], DeployConfig]] = {"real": real, "free": free, "edge": edge}
DECIMALS = {"real": 6, "free": 18, "edge": 18}
"""Of the collateral under each of them."""


def _three(reward_bps: int = 2, buckets_per_call: int = 8, **market: Any) -> DeployConfig:
    base = config.load(config.PARAMETERS / "local.toml")
    wide = {
        "position_cap_base": 10**9 * WAD,
        "interest_cap_base": 10**9 * WAD,
        "min_notional_quote": 10 * WAD,
    }
    markets = tuple(
        replace(base.markets[0], symbol=symbol, group=group, **{**wide, **market})
        for symbol, group in (("ONE", 1), ("TWO", 1), ("APART", 2))
    )
    return replace(
        base,
        markets=markets,
        groups=tuple(GroupConfig(group, 20_000 * WAD) for group in (1, 2)),
        adl=replace(base.adl, reward_bps=reward_bps, buckets_per_call=buckets_per_call),
    )
