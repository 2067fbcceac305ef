"""What is sent: calls that anyone may make, encoded. A keeper's are made here, a relay's in
`ballast.relay.matcher`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from eth_utils import keccak

from ballast import contracts
from ballast.abi import Function

DELEVERAGE_MANY = 32
"""Accounts one `deleverage_many` takes at most."""
LIQUIDATE_MANY = 8
"""Legs in one `liquidate_many`: the contract takes 32, but a third of a block is enough."""
FOR_EVER = 2**256 - 1

_LIQUIDATOR = slice(4 + 32, 4 + 64)
"""Where `liquidate_many`'s call data names the liquidator."""


class Kind(StrEnum):
    """The calls, in the order in which they are done."""

    DELEVERAGE = "deleverage"
    LIQUIDATE = "liquidate"
    SETTLE = "settle"
    REFRESH = "refresh"
    ALLOW = "allow"
    MATCH = "match"


KEEPER_KINDS = tuple(kind for kind in Kind if kind is not Kind.MATCH)
"""What a keeper does; matching is a relay's."""

GAS = {
    Kind.DELEVERAGE: 350_000,
    Kind.LIQUIDATE: 600_000,
    Kind.SETTLE: 200_000,
    Kind.REFRESH: 200_000,
    Kind.ALLOW: 60_000,
}
"""What one account's call needs, roughly: what is sent has been estimated by the node."""

OUTRACED = frozenset(
    {
        "waterfall: account solvent",
        "liquidation: account healthy",
        "liquidation: no position",
        "batch: nothing taken",
    }
)
"""Reasons that mean that somebody else has done it, or that the price has."""


@dataclass(frozen=True)
class Action:
    """One transaction to be.

    `key` is the same for the same thing to be done: while one is under way no other is sent.
    `gas` is a guess; `reward_quote` is what the call is expected to bring its caller, WAD;
    `margin_quote` what of the liquidator's margin it will bind, WAD; `market` and `size` (base,
    WAD) are set where a leg is meant, `parts` where several are, `tier` where a rank is. `wait` are
    the turns that others have before it (ballast/keeper/turns.py).
    """

    kind: Kind
    target: str
    data: bytes
    accounts: tuple[bytes, ...]
    key: str
    gas: int
    reward_quote: int = 0
    margin_quote: int = 0
    market: int = 0
    size: int = 0
    tier: int = 0
    parts: tuple[Action, ...] = ()
    wait: float = 0.0


def deleverage(target: str, accounts: Sequence[bytes], reward_quote: int) -> Action:
    """Close bankrupt accounts against the queue, up to `DELEVERAGE_MANY`, worst first."""
    data = _function("deleverage_many", 1).encode((list(accounts),))
    gas = GAS[Kind.DELEVERAGE] * len(accounts)
    return _action(Kind.DELEVERAGE, target, data, tuple(accounts), gas, reward_quote)


def liquidate(
    target: str,
    account: bytes,
    market: int,
    size: int,
    liquidator: bytes,
    reward_quote: int,
    margin_quote: int,
) -> Action:
    """Take over up to `size` (base, WAD) of a leg."""
    data = _function("liquidate", 4).encode((account, market, size, liquidator))
    kind = Kind.LIQUIDATE
    key = _key(kind, (account,), market)
    gas = GAS[kind]
    return Action(
        kind, target, data, (account,), key, gas, reward_quote, margin_quote, market, size
    )


def liquidate_many(batch: str, parts: Sequence[Action], liquidator: bytes) -> Action:
    """Several `liquidate` in one transaction, by the batch contract at `batch`; one alone stays as
    it is."""
    if len(parts) == 1:
        return parts[0]
    kind = Kind.LIQUIDATE
    legs = [(part.accounts[0], part.market, part.size) for part in parts]
    accounts = tuple(part.accounts[0] for part in parts)
    return Action(
        kind,
        batch,
        _take_over_many().encode((legs, liquidator)),
        accounts,
        _key(kind, accounts, 0),
        sum(part.gas for part in parts),
        sum(part.reward_quote for part in parts),
        sum(part.margin_quote for part in parts),
        parts=tuple(parts),
    )


def allow(target: str, operator: str) -> Action:
    """Let a contract operate the sender's accounts, for good."""
    data = _function("set_operator", 2).encode((operator, FOR_EVER))
    return _action(Kind.ALLOW, target, data, ())


def settle(target: str, account: bytes) -> Action:
    """Let an account's losses pay the claims that wait."""
    return _action(Kind.SETTLE, target, _function("settle", 1).encode((account,)), (account,))


def refresh(target: str, account: bytes, tier: int) -> Action:
    """Rank an account's legs by its leverage now, which is of this tier."""
    data = _function("refresh", 1).encode((account,))
    return replace(_action(Kind.REFRESH, target, data, (account,)), tier=tier)


def halves(action: Action) -> list[Action]:
    """The two halves of a batch, nothing where it cannot be divided."""
    if action.parts:
        middle = len(action.parts) // 2
        liquidator = action.data[_LIQUIDATOR]
        halved = action.parts[:middle], action.parts[middle:]
        return [liquidate_many(action.target, part, liquidator) for part in halved]
    middle = len(action.accounts) // 2
    if action.kind is not Kind.DELEVERAGE or not middle:
        return []
    parts = action.accounts[:middle], action.accounts[middle:]
    share = action.reward_quote // len(action.accounts)
    return [deleverage(action.target, part, share * len(part)) for part in parts]


def taken_alone(action: Action, returned: bytes) -> Action:
    """A batch of take-overs without those that were refused, as far as what it returned tells."""
    if not action.parts:
        return action
    sizes = _take_over_many().decode(returned)
    return liquidate_many(
        action.target,
        [part for part, size in zip(action.parts, sizes, strict=True) if size],
        action.data[_LIQUIDATOR],
    )


def forced_closes() -> frozenset[str]:
    """Selectors (`0x` and four bytes) of what closes others' positions: keepers alone call that."""
    called = [_function(name, 1) for name in ("deleverage", "deleverage_many")]
    called += [_function("liquidate", 4), _take_over_many()]
    return frozenset("0x" + function.selector.hex() for function in called)


def does_nothing(kind: Kind, returned: bytes) -> bool:
    """Whether a call that passes has nothing left to do, as far as what it returns tells."""
    return kind is Kind.DELEVERAGE and int.from_bytes(returned, "big") == 0


def _action(
    kind: Kind,
    target: str,
    data: bytes,
    accounts: tuple[bytes, ...],
    gas: int | None = None,
    reward_quote: int = 0,
) -> Action:
    key = _key(kind, accounts, 0)
    return Action(kind, target, data, accounts, key, gas or GAS[kind], reward_quote)


def _key(kind: Kind, accounts: Sequence[bytes], market: int) -> str:
    what = market.to_bytes(32, "big") + b"".join(sorted(accounts))
    return f"{kind}:{keccak(what)[:16].hex()}"


def _take_over_many() -> Function:
    return contracts.interface(contracts.LIQUIDATION_BATCH).function("liquidate_many", 2)


def _function(name: str, arguments: int) -> Function:
    return contracts.interface(contracts.CLEARINGHOUSE).function(name, arguments)
