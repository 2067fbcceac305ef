"""What insurance may pay for one leg of a bankrupt account (SPEC section 7)."""

from dataclasses import dataclass

from ballast.model.exact import BPS, QUOTE_ONE, AccountId, div_up
from ballast.model.state import State


@dataclass(frozen=True, slots=True)
class LegCover:
    """Whole wei of quote."""

    deficit: int
    """D_m: the leg's share of the account's deficit."""
    available: int
    """I_m: what insurance pays of it for the whole leg."""
    caps: tuple[int, int, int]
    """Fund balance, market allowance, maintenance margin of the leg."""

    def draw_up(self, part: int, whole: int) -> int:
        """Draw for `part` of `whole` of the leg, rounded up."""
        return div_up(self.available * part, whole)


def leg_cover(state: State, account_id: AccountId, market_id: int) -> LegCover:
    """D_m and I_m of a leg, from the state as it is. The deficit is rounded up to a wei, so that
    no crumb of it is left when the last leg is closed; D_m = D * loss / losses, rounded down. What
    a leg has realised is no part of its loss."""
    account = state.accounts[account_id]
    market = state.markets[market_id]
    losses = {m: max(0, -leg.open_result(state.quote(m).price)) for m, leg in account.legs.items()}
    loss = losses[market_id]
    whole_deficit = div_up(max(0, -state.equity(account_id)), QUOTE_ONE)
    deficit = whole_deficit * loss // sum(losses.values()) if loss else 0
    notional = abs(account.legs[market_id].size) * state.quote(market_id).price
    caps = (
        state.insurance // QUOTE_ONE,
        market.allowance.left(state.now) // QUOTE_ONE,
        div_up(notional * market.params.maintenance_margin_bps, BPS * QUOTE_ONE),
    )
    return LegCover(deficit, min(*caps, deficit), caps)


def draw_for_leg(state: State, market_id: int, amount: int) -> int:
    """Insurance pays whole wei into the pool for a leg, against the market's allowance. Returns
    quote units: the account's result is better by that much."""
    market = state.markets[market_id]
    drawn = amount * QUOTE_ONE
    market.allowance.draw(drawn, state.now)
    state.draw_insurance(market.params.group, drawn)
    return drawn
