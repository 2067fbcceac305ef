"""The full comparison of contracts and model (S10), and S2 at many prices.

What is compared is what `Holdings` has read from storage; `views` compares that with what the
contracts' own views say.
"""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ballast.fuzz.dust import WAD
from ballast.mirror import Market
from ballast.model.exact import BPS, QUOTE_ONE, SIZE_ONE

if TYPE_CHECKING:
    from ballast.fuzz.accounts import Leg
    from ballast.fuzz.pair import Pair

EXTREMES = (1, 10**9, WAD, 2**96 - 1)
"""Prices at which S2 is looked at, beside those of the markets, their half and their double."""


class Comparison:
    """Compares a pair's two sides, and remembers the largest differences seen."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.largest: dict[str, tuple[float, int]] = {}
        """By kind: the difference nearest to its bound, and that bound."""
        self.least_dust = 0

    def run(self) -> None:
        """Every balance, claim, size, entry, result and bucket; S2 at several price vectors."""
        self.accounts()
        self.balances()
        self.buckets()
        self.zero_sum()

    def accounts(self) -> None:
        """Cash, u, E, IM and MM, and the legs of every account."""
        pair, state = self.pair, self.pair.model.state
        money, equity = pair.dust.money(), pair.dust.equity()
        margin = pair.dust.size_value() + 32
        for account, held in pair.holdings.accounts.items():
            its = state.seen(account)
            # Whether a crumb of somebody's claim waits decides if a new one is paid at once or
            # allotted and collected at the next touch: cash and what is allotted go together.
            group = state.groups.get(its.group)
            allotted = group.allotted.get(account, 0) if group else 0
            waits = state.unsettled(account) - allotted
            self._near("cash", account, held.cash + held.allotted, its.cash + allotted, money)
            self._near("u", account, held.unsettled - held.allotted, waits, money)
            self._near("E", account, held.equity, state.equity(account), equity)
            if held.group != its.group:
                raise self.pair.finding(f"group of {account.hex()[:8]}: {held.group}, {its.group}")
            ours = self._margin(held.legs)
            for mine, exact in zip(ours, state.margin(account), strict=True):
                self._near("margin", account, mine, exact, margin)
            for market in held.legs.keys() | its.legs.keys():
                self._leg(account, market, held.legs.get(market), its.legs.get(market))

    def _margin(self, legs: dict[int, Leg]) -> tuple[int, int]:
        """IM and MM as account_margin.vy rounds them."""
        initial = maintenance = 0
        for market, leg in legs.items():
            params = self.pair.model.state.markets[market].params
            notional = -(-leg.size * self.pair.holdings.quotes[market].price // WAD)
            initial -= -notional * params.initial_margin_bps // BPS
            maintenance -= -notional * params.maintenance_margin_bps // BPS
        return initial, maintenance

    def _leg(self, account: bytes, market: int, leg: Leg | None, its: Any) -> None:
        sizes, equity = self.pair.dust.sizes[market], self.pair.dust.equity()
        signed = 0 if leg is None else leg.size if leg.is_long else -leg.size
        exact = its.size if its else 0
        if abs(signed * SIZE_ONE - exact) > (sizes + 1) * SIZE_ONE:
            raise self._differs("size", (account, market), signed, Fraction(exact, SIZE_ONE), sizes)
        quote = self.pair.model.state.quote(market)
        result = its.result(quote.price, quote.index_delta) if its else 0
        self._near("V", (account, market), leg.result if leg else 0, result, equity)
        if leg is None or its is None or leg.size <= sizes:
            return
        # An entry is an average by sizes: it has their dust by the distance of the prices averaged.
        bound = 2 + 2 * equity * WAD // leg.size
        if abs(leg.entry - its.entry) > bound:
            raise self._differs("entry", (account, market), leg.entry, Fraction(its.entry), bound)
        if leg.tier != its.tier or leg.tick != its.tick:
            raise self.pair.finding(f"bucket of {account.hex()[:8]}/{market}")

    def balances(self) -> None:
        """Pools, claims, shortfalls, insurance, fees, reserve, interest, funding."""
        pair, state, held = self.pair, self.pair.model.state, self.pair.holdings
        money, equity = pair.dust.money(), pair.dust.equity()
        for number, group in state.groups.items():
            allotted = held.allotted(number)
            free = group.pool - sum(group.allotted.values())
            self._near("free pool", number, held.pools[number] - allotted, free, money)
            self._near("claims", number, held.waiting(number), group.waiting_total(), money)
            if held.is_waiting_noted(number) != (held.waiting(number) != 0):
                raise pair.finding(f"group {number} has noted wrongly whether claims wait")
            self._near("shortfall", number, held.shortfall(number), group.shortfall, equity)
        self._near("insurance", "", held.insurance, state.insurance, equity)
        self._near("fees", "", held.fees, state.fees, equity)
        self._near("reserve", "", held.reserve, state.reserve, equity)
        for number, market in state.markets.items():
            # One side alone may have fixed the price for a leg of a few wei: so up to now.
            known = Market.decode(*held.storage.market(number))
            cap = market.params.funding_cap_bps
            ours = known.funding_at(state.now, cap), known.sampled_at
            its = market.index + state.quote(number).index_delta, market.sampled_at
            if ours != its:
                raise pair.finding(f"funding of market {number}: {ours}, exactly {its}")
            if known.premium != market.ema:
                raise pair.finding(f"premium of market {number}")
            longs = market.interest(True)
            sizes = pair.dust.sizes[number]
            if abs(known.open_interest * SIZE_ONE - longs) > sizes * SIZE_ONE:
                exactly = Fraction(longs, SIZE_ONE)
                raise self._differs("interest", number, known.open_interest, exactly, sizes)

    def buckets(self) -> None:
        """The same buckets, each of the same size; those of dust alone are passed over."""
        pair = self.pair
        ours: dict[tuple[int, int], int] = {}
        for held in pair.holdings.accounts.values():
            for market, leg in held.legs.items():
                key = market, leg.key & 0x1FFFF
                ours[key] = ours.get(key, 0) + leg.size
        its: dict[tuple[int, int], int] = defaultdict(int)
        for number, listed in pair.model.state.markets.items():
            for exact in listed.legs.values():
                place = (exact.size > 0) << 16 | exact.tier << 13 | exact.tick
                its[number, place] += abs(exact.size)
        for key in ours.keys() | its.keys():
            bound = (pair.dust.sizes[key[0]] + 1) * SIZE_ONE
            if abs(ours.get(key, 0) * SIZE_ONE - its.get(key, 0)) > bound:
                raise self._differs(
                    "bucket", key, ours.get(key, 0), Fraction(its.get(key, 0), SIZE_ONE), bound
                )

    def zero_sum(self) -> None:
        """S2 of the contracts alone, at the prices now, halved, doubled, and at the ends of the
        range: 0 (less unpaid funding) <= pool + shortfall - sum(u) - sum(V) <= bound."""
        pair, held = self.pair, self.pair.holdings
        legs: dict[int, int] = defaultdict(int)
        for account in held.accounts.values():
            legs[account.group] += len(account.legs)
        for group in pair.groups:
            mine = {
                m: held.quotes[m].price
                for m, market in pair.model.state.markets.items()
                if market.params.group == group
            }
            vectors = [{m: max(1, price * k // 2) for m, price in mine.items()} for k in (1, 2, 4)]
            vectors += [dict.fromkeys(mine, price) for price in EXTREMES]
            least = -pair.dust.unpaid_funding(mine) if pair.retires else 0
            for vector in vectors:
                dust = held.dust(group, vector)
                bound = pair.dust.system(vector, legs[group])
                self._note("S2", abs(dust), bound)
                self.least_dust = min(self.least_dust, dust)
                if not least <= dust <= bound:
                    raise pair.finding(f"S2: group {group}, dust {dust} of {bound} at {vector}")

    def views(self) -> None:
        """The contracts' views say what storage holds; insurance still has for a market what the
        model says; the queue is in the model's order."""
        view, vault = self.pair.clearing.view, self.pair.vault.view
        held = self.pair.holdings
        for account, its in held.accounts.items():
            shown: dict[str, tuple[Any, Any]] = {
                "balance_of": (vault.balance_of(account), its.cash),
                "unsettled": (view.unsettled(account), its.unsettled),
                "equity": (view.equity(account), its.equity),
                "backing": (view.backing(account), its.backing),
                "margin": (tuple(view.margin(account)), self._margin(its.legs)),
                "group_of": (view.group_of(account), its.group),
                "markets_of": (list(view.markets_of(account)), list(its.legs)),
            }
            for market, leg in its.legs.items():
                signed = leg.size if leg.is_long else -leg.size
                shown[f"position in {market}"] = (
                    tuple(view.position(account, market)),
                    (signed, leg.entry, leg.result),
                )
            for name, (ours, expected) in shown.items():
                if ours != expected:
                    raise self.pair.finding(f"view {name} of {account.hex()[:8]}: {ours}")
        for group in self.pair.groups:
            if view.claims(group) != held.waiting(group) or (
                view.shortfall(group) != held.shortfall(group)
            ):
                raise self.pair.finding(f"claims or shortfall of group {group}")
        for market in self.pair.markets:
            if view.price(market)[0] != held.quotes[market].price:
                raise self.pair.finding(f"view price of {market}: {view.price(market)}")
            state = self.pair.model.state
            left = min(state.insurance, state.markets[market].allowance.left(state.now))
            shown_left = view.insurance_left(market)
            self._near("insurance left", market, shown_left, left, self.pair.dust.equity())
            for is_long in (False, True):
                self.queue(market, is_long)

    def queue(self, market: int, is_long: bool) -> None:
        """The same buckets in the same order; contract buckets of dust alone are passed over."""
        view, exact = self.pair.clearing.view, self.pair.model
        page: list[Any] = []
        while True:
            part = view.queue(market, is_long, len(page), 256)
            page += part
            if len(part) < 256:
                break
        if sum(entry.size_base for entry in page) != view.open_interest(market)[0]:
            raise self.pair.finding(f"buckets of market {market} do not sum to the open interest")
        bound = self.pair.dust.sizes[market]
        ours = [(e.score, e.tier, e.tick) for e in page if e.size_base > bound]
        its = [(e.score, e.tier, e.tick) for e in exact.queue(market, is_long) if e.size > bound]
        if ours != its:
            raise self.pair.finding(f"queue of market {market}, long {is_long}")

    # Figures

    def check(self, name: str, ours: int, exact: Fraction, bound: int) -> None:
        """`ours` is within `bound` of the exact figure (both in wei)."""
        off = abs(ours - exact)
        self._note(name.split()[0], off, bound)
        if off > bound:
            raise self._differs(name, "", ours, exact, bound)

    def _near(self, kind: str, where: Any, ours: int, its: int, bound: int) -> None:
        """The same with quote units for the exact figure."""
        off = abs(ours * QUOTE_ONE - its)
        if off > bound * QUOTE_ONE:
            raise self._differs(kind, where, ours, Fraction(its, QUOTE_ONE), bound)
        self._note(kind, off / QUOTE_ONE, bound)

    def _differs(self, kind: str, where: Any, ours: int, exact: Fraction, bound: int) -> Exception:
        parts = where if isinstance(where, tuple) else (where,)
        named = "/".join(part.hex()[:8] if isinstance(part, bytes) else str(part) for part in parts)
        return self.pair.finding(
            f"{kind} {named}: contract {ours}, model {float(exact)},"
            f" off by {float(abs(ours - exact))}, bound {bound}"
        )

    def _note(self, kind: str, off: Fraction | float, bound: int) -> None:
        if off > self.largest.get(kind, (-1.0, 0))[0]:
            self.largest[kind] = (float(off), bound)
