"""Which reason of the contracts answers which refusal of the model."""

from __future__ import annotations

CONTRACT_REASONS: dict[str, frozenset[str]] = {
    model: frozenset(contract)
    for model, *contract in (
        ("account: other group", "account: other group"),
        ("account: too many markets", "account: too many markets"),
        ("deleverage: account is not bankrupt", "waterfall: account solvent"),
        ("deleverage: nothing to close", "waterfall: nothing to close"),
        ("fill: above interest cap", "clearing: interest cap"),
        ("fill: above position cap", "clearing: position cap"),
        ("fill: account in debt", "margin: debt"),
        ("fill: below minimum notional", "clearing: below minimum"),
        ("fill: entry out of range", "grid: price out of range"),
        ("fill: no size", "clearing: zero size"),
        ("fill: outside price band", "clearing: price outside band"),
        ("fill: price out of range", "grid: price out of range", "clearing: price outside band"),
        ("fill: self trade", "clearing: self fill"),
        ("fund: draw in this block", "fund: draw in this block"),
        ("liquidation: account is healthy", "liquidation: account healthy"),
        ("liquidation: insurance does not cover the deficit", "liquidation: insurance short"),
        ("liquidation: no position", "liquidation: no position"),
        ("liquidation: no size", "liquidation: zero size"),
        ("liquidation: own account", "liquidation: self"),
        ("liquidation: rest below minimum", "liquidation: rest below minimum"),
        ("margin: below initial", "margin: below initial"),
        ("margin: debt", "margin: debt"),
        ("margin: health would fall", "margin: health would fall"),
        ("margin: liquidator below initial", "margin: liquidator below initial"),
        ("market: not listed", "market: unknown"),
        ("market: paused", "market: paused"),
        ("oracle: no price", "market: no price"),
        ("oracle: stale or in grace", "market: stale price", "market: grace period"),
        ("oracle: stale or pending", "market: stale price", "market: price pending"),
        ("vault: insufficient balance", "vault: insufficient balance", "vault: insufficient cash"),
        ("vault: insufficient cash", "vault: insufficient cash"),
        ("vault: no amount", "vault: zero amount"),
        ("vault: not a donation", "vault: key takes no gifts"),
    )
}


def agree(model_reason: str, contract_reason: str) -> bool:
    """Whether both refused for the same reason."""
    return contract_reason in CONTRACT_REASONS.get(model_reason, ())
