"""Exact views, in wei: fractions where the protocol's integers would be rounded."""

from dataclasses import dataclass
from fractions import Fraction

from ballast.model.exact import BPS, AccountId, ModelError, require, size_to_wei, to_wei
from ballast.model.grid import tick_of, tier_of
from ballast.model.market import PENDING, STALE
from ballast.model.queue import build_queue
from ballast.model.state import State


@dataclass(frozen=True, slots=True)
class Position:
    """A leg as a page shows it, wei. V_m is `unrealised + closed + funding`."""

    size: Fraction
    entry: int
    unrealised: Fraction
    closed: Fraction
    """Result of forced closes not yet booked."""
    funding: Fraction
    """Funding not yet booked, negative when owed."""
    tier: int
    tick: int

    @property
    def result(self) -> Fraction:
        """V_m."""
        return self.unrealised + self.closed + self.funding


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """One bucket of the queue; `size` in wei of base."""

    score: int
    tier: int
    tick: int
    size: Fraction
    members: tuple[AccountId, ...]


def position(state: State, account_id: AccountId, market_id: int) -> Position | None:
    """The account's leg with funding up to now; None without one."""
    quote = state.quote(market_id)
    leg = state.leg(account_id, market_id)
    if leg is None:
        return None
    return Position(
        size=size_to_wei(leg.size),
        entry=leg.entry,
        unrealised=to_wei(leg.open_result(quote.price)),
        closed=to_wei(leg.closed),
        funding=to_wei(leg.funding - leg.size * quote.index_delta),
        tier=leg.tier,
        tick=leg.tick,
    )


def current_rank(state: State, account_id: AccountId, market_id: int) -> tuple[int, int] | None:
    """(tier, tick) a refresh would give the leg now."""
    leg = state.leg(account_id, market_id)
    if leg is None or leg.size == 0:
        return None
    equity = state.equity(account_id) - state.seen(account_id).fresh_now(state.block)
    return tier_of(state.notional(account_id), equity), tick_of(leg.entry)


def free_cash(state: State, account_id: AccountId) -> int:
    """What could be withdrawn now, quote units: own cash without this block's deposits, as far as
    B stays at or above IM; nothing under a debt or with a leg whose price is stale or waits."""
    account = state.seen(account_id)
    if account.debt or state.legs_status(account_id) & (STALE | PENDING):
        return 0
    initial, _ = state.margin(account_id)
    own = account.cash - account.fresh_now(state.block)
    return max(0, min(own, state.backing(account_id) - initial))


def queue(state: State, market_id: int, is_long: bool) -> list[QueueEntry]:
    """Buckets of one side in the order of the waterfall."""
    buckets = build_queue(state.market(market_id), is_long, state.quote(market_id).price)
    return [QueueEntry(b.score, b.tier, b.tick, size_to_wei(b.size), b.members) for b in buckets]


def adl_rank(state: State, account_id: AccountId, market_id: int) -> tuple[int, Fraction, int]:
    """(score, size ahead in wei, band 1..5; 5 is first in line)."""
    market = state.market(market_id)
    leg = state.leg(account_id, market_id)
    if leg is None or leg.size == 0:
        raise ModelError("lens: no position")
    ahead = 0
    for bucket in build_queue(market, leg.size > 0, state.quote(market_id).price):
        if account_id in bucket.members:
            return bucket.score, size_to_wei(ahead), _band(ahead, market.interest(leg.size > 0))
        ahead += bucket.size
    raise AssertionError("a leg is always in a bucket")


def _band(ahead: int, interest: int) -> int:
    return 5 - min(4, 5 * ahead // interest)


def liquidation_price(state: State, account_id: AccountId, market_id: int) -> Fraction:
    """The price of this market alone at which E = MM, wei, not below zero."""
    leg = state.leg(account_id, market_id)
    require(leg is not None and leg.size != 0, "lens: no position")
    assert leg is not None
    _, maintenance = state.margin(account_id)
    spare = state.equity(account_id) - maintenance
    maintenance_bps = state.markets[market_id].params.maintenance_margin_bps
    slope = leg.size * BPS - abs(leg.size) * maintenance_bps
    return max(Fraction(0), state.quote(market_id).price - Fraction(spare * BPS, slope))
