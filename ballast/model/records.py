"""What a call of the waterfall did: the evidence for S3, S4 and S6."""

from dataclasses import dataclass, field

from ballast.model.exact import AccountId


@dataclass(frozen=True, slots=True)
class Taken:
    """A bucket touched: sizes in size units, prices in wei."""

    market: int
    is_long: bool
    tier: int
    tick: int
    score: int
    size: int
    price: int
    left: int
    """What stays in the bucket."""


@dataclass(frozen=True, slots=True)
class LegClosed:
    """One leg of the bankrupt account. Quote units, sizes in size units."""

    market: int
    oracle_price: int
    leg_size: int
    size: int
    deficit: int
    """D_m (0 for a profitable leg)."""
    insurance: int
    """I_m."""
    insurance_caps: tuple[int, int, int]
    """Fund balance, market allowance, maintenance margin of the leg: I_m's other limits."""
    drawn: int
    distance: int
    """The common distance from the oracle price, wei; each bucket's is at most its own cap."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What a forced close took from one counterparty, quote units."""

    account: AccountId
    market: int
    lost: int
    unpaid_profit: int
    """Waiting claims and open gain in that market just before."""


@dataclass(slots=True)
class Waterfall:
    """Everything one call did, in order."""

    account: AccountId
    equity_before: int
    legs: list[LegClosed] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    last_step_drawn: int = 0
    shortfall: int = 0
    insurable: int = 0
    """Wei; what the legs closed leave of their maintenance margins after the draws for them."""
    reward_due: int = 0
    """Wei; at most what the legs closed have paid in fees."""
    reward: int = 0
    notional_closed: int = 0
