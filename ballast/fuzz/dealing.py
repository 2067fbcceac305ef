"""Tokens for whoever needs some, on a chain of our own."""

from __future__ import annotations

from ballast.contract import Contract
from ballast.errors import BallastError, Reverted
from ballast.evm import Revm


def deal(token: Contract, holder: str, units: int) -> None:
    """Write a holder's balance where the token keeps it: in the one of the slots that `balanceOf`
    reads which it then answers with. Works for any ERC-20 that keeps balances as they are.

    Raises `BallastError` where there is no such slot, `SnapshotError` as `Revm.put` does.
    """
    chain = token.chain
    assert isinstance(chain, Revm)
    for address, slots in chain.watch(lambda: token.view.balanceOf(holder)).items():
        for slot in slots:
            before = chain.storage(address, slot)
            chain.put(address, slots={slot: units})
            try:
                if token.view.balanceOf(holder) == units:
                    return
            except Reverted:
                pass  # it was something else that is kept there
            chain.put(address, slots={slot: before})
    raise BallastError(f"no slot found that holds balances of the token at {token.address}")
