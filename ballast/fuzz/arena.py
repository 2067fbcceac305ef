"""The contracts a run acts on, and how it can act."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ballast.contract import Contract
from ballast.fuzz.tape import Step, TapedRevm


class Finding(AssertionError):
    """Something that must not be. `trace` is what was sent since the chain was made or forked."""

    def __init__(self, message: str, trace: Sequence[Step] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.trace = list(trace)


class Oracles(Protocol):
    """Prices at will."""

    def set_price(self, market: int, price: int, status: int = 0) -> object:
        """A new report, in this block (WAD); status bits as of `observe`, where they can be set."""


@dataclass
class Arena:
    """A deployment on a chain of our own."""

    chain: TapedRevm
    token: Contract
    vault: Contract
    clearing: Contract
    fund: Contract
    batch: Contract
    owner: str
    guardian: str
    venue: str
    """An address that is registered and has no code: fills go straight to the clearinghouse."""
    oracles: Oracles
    accounts: list[bytes] = field(default_factory=list)
    """Everybody who has an account."""
