"""What an order must be to be taken: signature, expiry, price band, size, margin.

Nothing here protects the protocol; the chain checks everything again. It keeps the book free of
orders that could not be filled.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ballast.mirror import WAD
from ballast.relay.kept import Kept
from ballast.relay.refusal import Refusal
from ballast.relay.terms import Standing, Terms, in_band
from ballast.signing import Order

LEAST_SECONDS = 5
MAX_AMOUNT = 2**96 - 1


def check_time(order: Order, now: int) -> None:
    """Raises `Refusal` where an order has expired or is about to."""
    if order.expiry < now:
        raise Refusal("expired", f"expired at {order.expiry}, it is {now}", "sign a later expiry")
    if order.expiry < now + LEAST_SECONDS:
        text = f"expires in {order.expiry - now} s, before it could be matched on chain"
        raise Refusal("expires_too_soon", text, f"leave it at least {LEAST_SECONDS} s")


def check_listed(market: int, terms: Terms) -> None:
    """Raises `Refusal` where there is no such market."""
    if market not in terms.markets:
        raise Refusal("unknown_market", f"no market {market}", "see /api/config")


def check_market(order: Order, terms: Terms) -> None:
    """Raises `Refusal` where the market does not take the order from anybody."""
    listed = terms.markets.get(order.market)
    if listed is None:
        known = ", ".join(f"{m} ({x.symbol})" for m, x in terms.markets.items())
        raise Refusal("unknown_market", f"no market {order.market}", f"there are {known}")
    if not terms.price(order.market):
        raise Refusal(
            "no_price", "the market has no price yet", "wait for the oracle's first report"
        )
    if listed.paused and not order.reduce_only:
        raise Refusal("market_paused", "the market is paused", "reduce-only orders are taken")
    if not in_band(terms, order.market, order.limit_price):
        text = (
            f"the limit is more than {listed.params.price_band_bps / 100:g} % "
            f"off the oracle price {terms.price(order.market) / WAD:f}"
        )
        raise Refusal("price_outside_band", text, "the chain would not fill at this price")


def check_account(
    order: Order, standing: Standing, others: Collection[Kept], most_open: int
) -> None:
    """Raises `Refusal` where the account could not carry the order, beside its `others`."""
    if len(others) >= most_open:
        text = f"the account has {most_open} open orders"
        raise Refusal("too_many_orders", text, "cancel some", retry_after=1)
    params = standing.terms.markets[order.market].params
    held = standing.position(order.market)
    if standing.account.group not in (0, params.group) and standing.is_in_use:
        raise Refusal(
            "other_group",
            f"the account trades in group {standing.account.group}, not in {params.group}",
            "use another subaccount",
        )
    if order.reduce_only and not standing.reducible(order):
        raise Refusal(
            "nothing_to_reduce", "no position against this order", "sign it without reduce_only"
        )
    new = held + (order.size if order.is_buy else -order.size)
    price = standing.terms.price(order.market)
    if new and not order.reduce_only and abs(new) * price // WAD < params.min_notional_quote:
        least = f"at least {params.min_notional_quote / WAD:g} quote must be left"
        raise Refusal("below_minimum", f"it would leave less than the minimum: {least}", least)
    if order.reduce_only:
        return
    if order.size > MAX_AMOUNT or abs(new) > params.position_cap_base:
        cap = f"the market's position cap is {params.position_cap_base / WAD:g} base"
        raise Refusal("above_cap", cap, "sign a smaller size")
    if _only_reduces(order, held, others):
        return
    _check_margin(order, standing, others)


def _only_reduces(order: Order, held: int, others: Iterable[Kept]) -> bool:
    """Whether the order can do nothing but reduce, its siblings filled or not."""
    beside = sum(
        kept.left
        for kept in others
        if kept.order.market == order.market and kept.order.is_buy == order.is_buy
    )
    against = -held if order.is_buy else held
    return order.size + beside <= against


def _check_margin(order: Order, standing: Standing, others: Iterable[Kept]) -> None:
    if standing.account.debt:
        raise Refusal(
            "insufficient_margin",
            "the account has a debt, and may only reduce",
            "settle it, or deposit",
        )
    with_it = standing.reserved([*others, Kept.unsigned(order)])
    free = standing.backing - standing.initial - with_it
    if free < 0:
        raise Refusal(
            "insufficient_margin",
            f"{-free / WAD:f} quote of margin are missing, open orders counted in",
            "deposit, cancel orders, or sign a smaller size",
        )
