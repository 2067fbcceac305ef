"""Markets: parameters, the price fixed for a block, funding, the insurance allowance."""

from dataclasses import dataclass, field

from ballast.model.account import Leg
from ballast.model.exact import BPS, QUOTE_ONE, WAD, AccountId, clamp, div_trunc

STALE = 1
PENDING = 2
GRACE = 4

FUNDING_PERIOD_SECONDS = 8 * 3600

FULL_SAMPLE_SHARE = 64
"""A fill of this part (1/64) of the open interest weighs all the time since the last one."""


@dataclass(frozen=True, slots=True)
class MarketParams:
    """As `list_market` takes them: bps of 1e4, sizes and amounts in WAD."""

    group: int
    initial_margin_bps: int
    maintenance_margin_bps: int
    position_cap_base: int
    interest_cap_base: int
    min_notional_quote: int
    price_band_bps: int
    maker_fee_bps: int
    taker_fee_bps: int
    fee_insurance_share_bps: int
    fee_reserve_share_bps: int
    liquidation_penalty_bps: int
    liquidator_share_bps: int
    penalty_insurance_share_bps: int
    liquidation_target_bps: int
    min_reward_quote: int
    insurance_cap_quote: int
    insurance_refill_seconds: int
    premium_cap_bps: int
    funding_cap_bps: int
    premium_window_seconds: int


@dataclass(slots=True)
class Allowance:
    """A leaky bucket: draws fill it, it empties by cap / refill_seconds a second."""

    cap_quote: int
    refill_seconds: int
    used: int = 0
    """Quote units, as of `updated`."""
    updated: int = 0

    def left(self, now: int) -> int:
        """Quote units that may be drawn now."""
        return max(0, self.cap_quote * QUOTE_ONE - self._used(now))

    def draw(self, amount: int, now: int) -> None:
        """Record a draw, quote units."""
        self.used = self._used(now) + amount
        self.updated = now

    def change(self, cap_quote: int, refill_seconds: int, now: int) -> None:
        """New limits; what was used is carried over."""
        self.draw(0, now)
        self.cap_quote, self.refill_seconds = cap_quote, refill_seconds

    def _used(self, now: int) -> int:
        if self.used == 0:
            return 0
        leaked = self.cap_quote * QUOTE_ONE * (now - self.updated) // self.refill_seconds
        return max(0, self.used - leaked)


@dataclass(slots=True)
class Residue:
    """What rounding to the protocol's integers leaves over, so that S2 stays exact: rests of
    sizes below SIZE_DUST when a leg is closed by its size in whole wei, and the cost that rounding
    an entry price takes from its owner. Its result at a price is `size * price + carry`."""

    size: int = 0
    carry: int = 0
    absorbed: int = 0
    """Sum of the rests' sizes: by so much sizes may be off."""

    def absorb(self, size: int, entry: int) -> None:
        """Take over a rest of a leg at its entry price."""
        self.size += size
        self.absorbed += abs(size)
        self.carry -= size * entry

    def result(self, price: int) -> int:
        """Quote units."""
        return self.size * price + self.carry


@dataclass(slots=True)
class Observation:
    """What the oracle says: `price(market)` and the status bits of `observe`."""

    price: int = 0
    timestamp: int = 0
    status: int = STALE


@dataclass(frozen=True, slots=True)
class Quote:
    """The price a call would use now, and the funding its first use would add to the index."""

    price: int
    timestamp: int
    status: int
    index_delta: int


@dataclass(slots=True)
class Market:
    """State of one market."""

    params: MarketParams
    allowance: Allowance
    accrued_at: int
    sampled_at: int
    oracle: Observation = field(default_factory=Observation)
    fixed: Observation = field(default_factory=Observation)
    fixed_block: int = -1
    index: int = 0
    """Funding index F, wei of quote per base."""
    ema: int = 0
    """Premium, WAD."""
    paused: bool = False
    residue: Residue = field(default_factory=Residue)
    legs: dict[AccountId, Leg] = field(default_factory=dict)

    def quote(self, now: int, block: int) -> Quote:
        """The fixed price, or what would be fixed: an oracle without a price leaves the last."""
        seen = self.fixed
        if self.fixed_block == block:
            return Quote(seen.price, seen.timestamp, seen.status, 0)
        if self.oracle.price > 0:
            seen = self.oracle
            status = seen.status
        else:
            status = seen.status | STALE
        return Quote(seen.price, seen.timestamp, status, self._pending_index(now))

    def fix(self, now: int, block: int) -> Quote:
        """First use in a block: accrue funding at the old price, then fix the new one."""
        quote = self.quote(now, block)
        if self.fixed_block != block:
            self._accrue(quote.index_delta)
            self.accrued_at = now
            self.fixed = Observation(quote.price, quote.timestamp, quote.status)
            self.fixed_block = block
        return Quote(quote.price, quote.timestamp, quote.status, 0)

    def rate(self) -> int:
        """Funding rate per 8 hours, WAD."""
        return clamp(self.ema, self.params.funding_cap_bps * WAD // BPS)

    def sample(self, size: int, fill_price: int, now: int) -> None:
        """Move the premium average towards a fill of `size` (size units), which uses up time in
        proportion to its part of the open interest: all of it from 1/64 on. Nothing is sampled
        while funding is off."""
        if self.params.funding_cap_bps == 0:
            return
        elapsed = now - self.sampled_at
        interest = self.interest(True)
        if size * FULL_SAMPLE_SHARE < interest:
            elapsed = elapsed * size * FULL_SAMPLE_SHARE // interest
        price = self.fixed.price
        premium = fill_price * WAD // price - WAD
        premium = clamp(premium, self.params.premium_cap_bps * WAD // BPS)
        window = self.params.premium_window_seconds
        if elapsed > 0:
            self.ema += div_trunc((premium - self.ema) * elapsed, window + elapsed)
            self.sampled_at += elapsed

    def change(self, params: MarketParams, now: int) -> None:
        """New parameters; the allowance leaks at its old rate up to now, and where funding is
        switched on its average begins, at zero."""
        if self.params.funding_cap_bps == 0:
            self.ema, self.sampled_at = 0, now
        self.allowance.change(params.insurance_cap_quote, params.insurance_refill_seconds, now)
        self.params = params

    def interest(self, is_long: bool) -> int:
        """Open interest of one side, size units."""
        return sum(abs(leg.size) for leg in self.legs.values() if (leg.size > 0) == is_long)

    def _pending_index(self, now: int) -> int:
        elapsed = now - self.accrued_at
        raw = self.fixed.price * self.rate() * elapsed
        return div_trunc(raw, WAD * FUNDING_PERIOD_SECONDS)

    def _accrue(self, index_delta: int) -> None:
        if index_delta == 0:
            return
        self.index += index_delta
        for leg in self.legs.values():
            leg.funding -= leg.size * index_delta
        self.residue.carry -= self.residue.size * index_delta
