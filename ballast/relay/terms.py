"""What the relay knows of the chain at one block, and what an account could carry there.

The arithmetic is that of contracts/modules/account_margin.vy and trading.vy on the mirror's
integers. It decides what is taken into the book and whose fault a failed match is; the chain judges
again, and its word is final.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ballast.config import MarketParams
from ballast.keeper.blocks import Header
from ballast.keeper.follower import Quote
from ballast.mirror import BPS, WAD, Account, Leg
from ballast.relay.kept import Kept, hexed
from ballast.signing import Order, owner_of

STALE, WAITS, GRACE = 1, 2, 4
NOBODY = Account(0, 0, 0, 0, {})
BAND = "clearing: price outside band"


@dataclass(frozen=True)
class Listed:
    """A market: its parameters, and what moves. Funding rate WAD per 8 hours, index quote per
    base, interest base."""

    market: int
    symbol: str
    params: MarketParams
    paused: bool
    funding_rate: int = 0
    funding_index: int = 0
    open_interest: int = 0

    def told(self) -> dict[str, Any]:
        """As in `/api/config`."""
        found: dict[str, Any] = {
            "market": self.market,
            "symbol": self.symbol,
            "paused": self.paused,
        }
        for item in fields(self.params):
            value = getattr(self.params, item.name)
            is_amount = item.name.endswith(("_quote", "_base"))
            found[item.name] = str(value) if is_amount else value
        return found


@dataclass(frozen=True)
class Terms:
    """The chain at `head`."""

    head: Header
    markets: Mapping[int, Listed]
    quotes: Mapping[int, Quote]

    @property
    def now(self) -> int:
        """The time (Unix seconds): this machine's, or the chain's where that is later."""
        return max(int(time.time()), self.head.timestamp)

    def price(self, market: int) -> int:
        """Quote per base, WAD; 0: none yet."""
        quote = self.quotes.get(market)
        return quote.price if quote else 0

    def told_prices(self) -> dict[str, Any]:
        """As `/api/prices` answers."""
        found = []
        for market, listed in sorted(self.markets.items()):
            quote = self.quotes.get(market, Quote(0, STALE))
            found.append(
                {
                    "market": market,
                    "symbol": listed.symbol,
                    "price": str(quote.price),
                    "stale": bool(quote.status & STALE),
                    "pending": bool(quote.status & WAITS),
                    "grace": bool(quote.status & GRACE),
                    "funding_rate": str(listed.funding_rate),
                    "funding_index": str(listed.funding_index),
                    "open_interest": str(listed.open_interest),
                }
            )
        return {"block": self.head.number, "timestamp": self.head.timestamp, "prices": found}


@dataclass(frozen=True)
class Standing:
    """An account at the terms of a block. Amounts are quote, WAD."""

    account: Account
    terms: Terms
    equity: int = field(init=False)
    backing: int = field(init=False)
    initial: int = field(init=False)
    maintenance: int = field(init=False)

    def __post_init__(self) -> None:
        a, terms = self.account, self.terms
        results = [leg.result(terms.price(market)) for market, leg in a.legs.items()]
        params = {market: terms.markets[market].params for market in a.legs}
        put = object.__setattr__
        put(self, "equity", a.cash + a.unsettled + sum(results))
        put(self, "backing", a.cash + min(0, a.unsettled) + sum(min(0, v) for v in results))
        worth = {market: notional(leg.size, terms.price(market)) for market, leg in a.legs.items()}
        initial = (part(worth[m], params[m].initial_margin_bps) for m in worth)
        maintenance = (part(worth[m], params[m].maintenance_margin_bps) for m in worth)
        put(self, "initial", sum(initial))
        put(self, "maintenance", sum(maintenance))

    def position(self, market: int) -> int:
        """Base, shorts negative, WAD."""
        leg = self.account.legs.get(market)
        return leg.signed_size if leg else 0

    def reducible(self, order: Order) -> int:
        """How much base a reduce-only order may fill."""
        size = self.position(order.market)
        return max(0, -size if order.is_buy else size)

    def reserved(self, orders: Iterable[Kept]) -> int:
        """What open orders may need beyond what positions do: per market the margin of the larger
        position they could lead to, what they would lose at once at their limits, and fees."""
        found = 0
        sides: dict[int, list[int]] = {}
        for kept in orders:
            order, left = kept.order, kept.left
            price = self.terms.price(order.market)
            worse = order.limit_price - price if order.is_buy else price - order.limit_price
            found += max(0, worse) * left // WAD
            fee = self.terms.markets[order.market].params.taker_fee_bps
            found += part(notional(left, order.limit_price), fee)
            if not order.reduce_only:
                sides.setdefault(order.market, [0, 0])[order.is_buy] += left
        for market, (sold, bought) in sides.items():
            held = self.position(market)
            most = max(abs(held + bought), abs(held - sold), abs(held))
            ratio = self.terms.markets[market].params.initial_margin_bps
            price = self.terms.price(market)
            found += part(notional(most, price), ratio) - part(notional(abs(held), price), ratio)
        return found

    def after(self, order: Order, size: int, price: int, fee_bps: int) -> str | None:
        """Why the chain would refuse this account a fill of `size` (base) at `price`; None where it
        would not."""
        terms, listed = self.terms, self.terms.markets[order.market]
        params, oracle = listed.params, terms.price(order.market)
        held = self.position(order.market)
        signed = size if order.is_buy else -size
        new = held + signed
        if self.account.group not in (0, params.group) and self.is_in_use:
            return "account: other group"
        if new and abs(new) * oracle // WAD < params.min_notional_quote:
            return "clearing: below minimum"
        adds = held == 0 or (held > 0) == order.is_buy or size > abs(held)
        if not adds:
            return None
        if self.account.debt:
            return "margin: debt"
        if abs(new) > params.position_cap_base:
            return "clearing: position cap"
        lost = max(0, signed * (price - oracle) // WAD)
        fee = notional(size, price) * fee_bps // BPS
        ratio = params.initial_margin_bps
        before = part(notional(abs(held), oracle), ratio)
        needed = self.initial - before + part(notional(abs(new), oracle), ratio)
        return None if self.backing - lost - fee >= needed else "margin: below initial"

    @property
    def is_in_use(self) -> bool:
        """Whether the account is bound to its group."""
        return bool(self.account.legs or self.account.claim or self.account.debt)

    def told(self, name: bytes, orders: Iterable[Kept], salt_floor: int) -> dict[str, Any]:
        """As `/api/accounts/{account}` answers."""
        reserved = self.reserved(orders)
        return {
            "account": hexed(name),
            "owner": owner_of(name),
            "group": self.account.group,
            "cash": str(self.account.cash),
            "claim": str(self.account.claim),
            "debt": str(self.account.debt),
            "equity": str(self.equity),
            "backing": str(self.backing),
            "initial_margin": str(self.initial),
            "maintenance_margin": str(self.maintenance),
            "reserved_margin": str(reserved),
            "free_margin": str(self.backing - self.initial - reserved),
            "salt_floor": str(salt_floor),
            "block": self.terms.head.number,
            "positions": [self._leg(leg) for leg in self.account.legs.values()],
        }

    def _leg(self, leg: Leg) -> dict[str, Any]:
        price = self.terms.price(leg.market)
        return {
            "market": leg.market,
            "size": str(leg.signed_size),
            "entry_price": str(leg.entry_price),
            "result": str(leg.result(price)),
            "price": str(price),
        }


def notional(size: int, price: int) -> int:
    """Quote for base at a price, rounded up."""
    return -(-size * price // WAD)


def part(amount: int, bps: int) -> int:
    """Basis points of an amount, rounded up."""
    return -(-amount * bps // BPS)


def in_band(terms: Terms, market: int, price: int) -> bool:
    """Whether the chain would fill at a price now."""
    oracle = terms.price(market)
    return abs(price - oracle) * BPS <= oracle * terms.markets[market].params.price_band_bps
