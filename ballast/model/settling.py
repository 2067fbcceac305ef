"""`settle` and `refresh`: what anyone may call for any account."""

from ballast.model.exact import QUOTE_ONE, SIZE_ONE, WAD, AccountId
from ballast.model.grid import MAX_ENTRY, MIN_ENTRY
from ballast.model.market import STALE
from ballast.model.state import State

CRUMB = 3
"""Wei of quote: with a wei of price times the size, what a draw may leave and does not draw on."""


def settle(state: State, account_id: AccountId) -> None:
    """Book, pay debt, collect; while claims wait, draw on the account's open losses in ascending
    market order. Equity does not change. Prices are fixed only where something changes by them."""
    state.touch_all(account_id)
    for market_id in sorted(state.accounts[account_id].legs):
        _draw_open_loss(state, account_id, market_id)


def refresh(state: State, account_id: AccountId) -> None:
    """Book, and re-rank every leg at the current prices."""
    state.touch_all(account_id)
    legs = state.accounts[account_id].legs
    tier = state.tier(account_id)
    if any(leg.tier != tier for leg in legs.values()):
        state.fix_legs(account_id)
    for market_id in legs:
        state.rank(account_id, market_id)


def _draw_open_loss(state: State, account_id: AccountId, market_id: int) -> None:
    """Pay x = min(open loss, cash and own claim, waiting claims) of a losing leg to the pool: the
    entry moves towards the oracle price by a whole number of wei, and what that is worth is booked
    as a loss (so an own claim that waits goes first)."""
    account = state.accounts[account_id]
    group = state.groups[account.group]
    leg = account.legs[market_id]
    if state.quote(market_id).status & STALE:
        return
    loss = -leg.open_result(state.quote(market_id).price)
    size = abs(leg.size)
    means = account.cash + group.waiting.get(account_id, 0)
    limit = min(loss, means, group.waiting_total())
    if limit <= (size // (SIZE_ONE * WAD) + CRUMB) * QUOTE_ONE:
        return
    step = limit // size
    entry = leg.entry - step if leg.size > 0 else leg.entry + step
    entry = max(MIN_ENTRY, min(MAX_ENTRY - 1, entry))
    paid = size * abs(entry - leg.entry)
    if step <= 0:
        return
    state.fix_legs(account_id)
    leg.entry = entry
    state.book(account_id, -paid)
    state.rank(account_id, market_id)
