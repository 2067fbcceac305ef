"""The insurance fund's shares by the rules of ERC-4626 with virtual shares, without the contract.

Amounts are token units; what the shares stand on, the insurance balance, is given with each call.
"""

from __future__ import annotations

from collections import Counter

VIRTUAL_SHARES = 10**9
WIPED_OUT_FACTOR = 10**9


class Fund:
    """Who holds which shares, and what has been requested."""

    def __init__(self, cooldown_seconds: int, window_seconds: int) -> None:
        self.cooldown_seconds, self.window_seconds = cooldown_seconds, window_seconds
        self.shares: Counter[str] = Counter()
        self.escrow: Counter[str] = Counter()
        self.ready_at: dict[str, int] = {}
        self.allowances: Counter[tuple[str, str]] = Counter()

    @property
    def supply(self) -> int:
        """All shares, escrowed ones included."""
        return sum(self.shares.values()) + sum(self.escrow.values())

    def shares_for(self, assets: int, insured: int, up: bool = False) -> int:
        """What a stake of `assets` brings (down), or a payment of `assets` costs (up)."""
        return _divide(assets * (self.supply + VIRTUAL_SHARES), insured + 1, up)

    def assets_for(self, shares: int, insured: int, up: bool = False) -> int:
        """What `shares` pay (down), or cost (up)."""
        return _divide(shares * (insured + 1), self.supply + VIRTUAL_SHARES, up)

    def refuses_stake(self, assets: int, shares: int, insured: int) -> str:
        """Why staking is refused, "" if it is not."""
        if (insured + 1) * VIRTUAL_SHARES * WIPED_OUT_FACTOR < self.supply + VIRTUAL_SHARES:
            return "fund: wiped out"
        if assets == 0:
            return "fund: zero assets"
        return "" if shares else "fund: zero shares"

    def refuses_request(self, owner: str, shares: int) -> str:
        """Why a request is refused."""
        if shares == 0:
            return "fund: zero shares"
        enough = self.shares[owner] + self.escrow[owner] >= shares
        return "" if enough else "fund: insufficient shares"

    def request(self, owner: str, shares: int, now: int) -> None:
        """A request stands for `shares` in all."""
        self.shares[owner] -= shares - self.escrow[owner]
        self.escrow[owner] = shares
        self.ready_at[owner] = now + self.cooldown_seconds

    def cancel(self, owner: str) -> None:
        """All out of escrow."""
        self.shares[owner] += self.escrow.pop(owner)
        self.ready_at.pop(owner)

    def refuses_leave(
        self, owner: str, caller: str, shares: int, assets: int, now: int, drawn: bool
    ) -> str:
        """Why a redemption is refused; `drawn`: insurance was drawn in this block."""
        if not self.escrow[owner]:
            return "fund: no request"
        if shares > self.escrow[owner]:
            return "fund: more than requested"
        if now < self.ready_at[owner]:
            return "fund: cooling down"
        if now >= self.ready_at[owner] + self.window_seconds:
            return "fund: request lapsed"
        if drawn:
            return "fund: draw in this block"
        if assets == 0:
            return "fund: zero assets"
        if caller != owner and self.allowances[owner, caller] < shares:
            return "erc20: insufficient allowance"
        return ""

    def leave(self, owner: str, caller: str, shares: int) -> None:
        """Shares are burnt out of escrow."""
        if caller != owner:
            self.allowances[owner, caller] -= shares
        self.escrow[owner] -= shares
        if not self.escrow[owner]:
            self.ready_at.pop(owner)


def _divide(numerator: int, denominator: int, up: bool) -> int:
    return -(-numerator // denominator) if up else numerator // denominator
