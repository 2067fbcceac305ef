"""The contracts and the exact model, driven by the same calls and compared after them (S10).

The model is eager and exact, the contracts lazy and in whole wei, so they differ by dust: what the
roundings of the calls so far can have moved. `Dust` adds these up by docs/INVARIANTS.md, section
"Dust"; nothing else is tolerated. A tier, or a refusal, may differ only where the comparison that
decides it is itself within dust: that is evaluated, counted in `Twin.boundary`, and the model then
follows the contract.
"""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import Any

from ballast import model
from ballast.abi import checksum
from ballast.errors import Reverted
from ballast.model.exact import QUOTE_ONE
from ballast.model.grid import TIER_LEVERAGE
from tests.support.world import DONOR, KEEPER, MAX, VENUE, WAD, World, account_id

EXTREMES = (1, 10**9, WAD, 2**96 - 1)
"""Prices at which S2 is looked at, beside those of the markets, their half and their double."""
KEYS = {"insurance": (1).to_bytes(32, "big"), "reserve": (3).to_bytes(32, "big")}


@dataclass
class Dust:
    """How far the contracts may be from exact arithmetic (docs/INVARIANTS.md, "Dust")."""

    roundings: int = 0
    """Wei of quote that roundings have moved between accounts, at most."""
    sizes: Counter[int] = field(default_factory=Counter)
    """By market: wei of base that roundings have moved between legs, at most."""
    highest: Counter[int] = field(default_factory=Counter)
    """By market: highest price so far."""
    funding: Counter[int] = field(default_factory=Counter)
    """By market: how far the funding index has travelled, up and down."""
    allotments: Fraction = Fraction(0)
    """Sum over all allotments of amount / waiting."""

    def book(self, markets: Iterable[int]) -> None:
        """An account is touched and booked: per leg two credits and two cost bases, and an epoch's
        conversion; a claim left and joined, collected, allotted."""
        self.roundings += 6
        for market in markets:
            self.roundings += 6
            self.sizes[market] += 1

    def place(self, market: int, size: int) -> None:
        """A leg of `size` gets a new entry (rounded to a wei of price) and a new bucket: its view
        and its shares are rounded, and so are proceeds, fee and shares of the fee."""
        self.roundings += -(-size // WAD) + 8
        self.sizes[market] += 3

    def take(self, market: int, size: int, buckets: int) -> None:
        """`buckets` are closed at a distance rounded to a wei of price: twice (the contract's sum
        of caps is floored, too), and each one's proceeds and credit per share are rounded."""
        self.roundings += 2 * -(-size // WAD) + 6 * buckets + 6
        self.sizes[market] += buckets

    def penalty(self, market: int, size: int, price: int, legs: int) -> None:
        """A penalty rate is rounded to 1e-18 of the notional, its price to a wei, and MM enters it
        with the dust of all legs."""
        self.roundings += 2 * (size * price // WAD // WAD + 1) + -(-size // WAD) + legs
        self.roundings += self.size_value()

    def share_of_losses(self, ratio: Fraction) -> None:
        """A deficit is split by open losses: their dust counts by deficit over losses."""
        self.roundings += int(2 * ratio * self.equity()) + 1

    def size_value(self) -> int:
        """What the dust of sizes is worth at the highest prices so far."""
        return sum(
            -(-size * (self.highest[market] + self.funding[market]) // WAD)
            for market, size in self.sizes.items()
        )

    def equity(self) -> int:
        """Bound on the sum of what accounts and the system's balances are off, wei of quote."""
        return self.roundings + self.size_value() + 1

    def money(self) -> int:
        """The same for cash and u apart: an allotment of a share of what waits moves twice that
        share of the claims' dust from the one to the other."""
        return int(self.equity() * (1 + 2 * self.allotments)) + 1

    def system(self, prices: dict[int, int], legs: int) -> int:
        """Bound on S2's dust of a group at a price: besides, each view rounds three times."""
        worth = sum(
            -(-(self.sizes[m] + legs) * (price + self.funding[m]) // WAD)
            for m, price in prices.items()
        )
        return self.roundings + 3 * legs + worth

    def unpaid_funding(self, markets: Iterable[int]) -> int:
        """How far S2's dust may be below zero: funding on the wei that an epoch's conversion has
        rounded off a long's shares, or onto a short's."""
        return sum(-(-self.sizes[m] * self.funding[m] // WAD) for m in markets)


class Mismatch(AssertionError):
    """Contracts and model differ by more than dust."""


class Twin:
    """`World` and model side by side. Calls return whether they were accepted."""

    def __init__(self, every: int = 50, retires: bool = False, **options: Any) -> None:
        """`retires`: epochs of buckets will end with members in them."""
        self.retires = retires
        self.world = World(**options)
        world = self.world
        chain = world.chain
        self.every = every
        self.calls = self.refused = self.boundary = self.dust_slices = 0
        self.least = MAX
        self.largest: dict[str, tuple[Fraction, int]] = {}
        self.accepted: Counter[str] = Counter()
        self.dust = Dust()
        self.index: Counter[int] = Counter()
        self.buckets = options.get("buckets", 8)
        self.reward_bps = options.get("reward_bps", 0)
        self.model = model.Clearing(
            self.buckets, self.reward_bps, now=chain.timestamp, block=chain.block_number
        )
        names = [item.name for item in fields(model.MarketParams)]
        groups = options.get("groups") or (world.params.group,) * len(world.markets)
        for market, group in zip(world.markets, groups, strict=True):
            values = {name: getattr(world.params, name) for name in names} | {"group": group}
            self.model.list_market(model.MarketParams(**values))
            price, timestamp = world.oracle.view.price(market)
            self.model.set_price(market, price, timestamp)
            self.dust.highest[market] = price
        self.groups = sorted(set(groups))
        for group in self.groups:
            cap = options.get("insurance_cap_quote", 0)
            self.model.set_group(group, cap, 86_400)
        self.accounts: list[bytes] = []
        world.mint(DONOR, 2**90)

    # ------------------------------------------------------------------ time and prices

    def new_block(self, prices: dict[int, int], seconds: int = 12) -> None:
        """The next block, with these prices; the other markets' are renewed."""
        world = self.world
        world.chain.mine(seconds)
        self.model.now, self.model.block = world.chain.timestamp, world.chain.block_number
        for market in world.markets:
            price = prices.get(market) or world.oracle.view.price(market)[0]
            self.set_oracle(market, price)

    def set_oracle(self, market: int, price: int, status: int = 0) -> None:
        """What the oracle says from now on."""
        now = self.world.chain.timestamp
        if status:
            self.world.oracle.send.set_observation(market, price, now, status, sender=DONOR)
        else:
            self.world.oracle.send.set_price(market, price, sender=DONOR)
        self.model.set_price(market, price, now, status)
        self.dust.highest[market] = max(self.dust.highest[market], price)

    def set_adl(self, buckets: int) -> None:
        """Buckets a call takes."""
        owner = self.world.clearing.view.owner()
        self.world.clearing.send.set_adl(buckets, self.reward_bps, sender=owner)
        self.buckets = buckets
        self.model.set_adl(buckets, self.reward_bps)

    # ------------------------------------------------------------------ calls

    def deposit(self, account: bytes, amount: int) -> bool:
        """Cash for an account."""
        if account not in self.accounts:
            self.accounts.append(account)
        return self._both(
            "deposit",
            lambda: self.world.vault.send.deposit(account, amount, sender=DONOR),
            lambda: self.model.deposit(account, amount),
            [account],
        )

    def donate(self, key: str, amount: int) -> bool:
        """A gift to "insurance" or "reserve"."""
        return self._both(
            "donate",
            lambda: self.world.vault.send.donate(KEYS[key], amount, sender=DONOR),
            lambda: self.model.donate(key, amount),
            [],
        )

    def withdraw(self, account: bytes, amount: int) -> bool:
        """Cash back to the owner."""
        self._book([account])
        return self._both(
            "withdraw",
            lambda: self.world.vault.send.withdraw(
                account, amount, owner_of(account), sender=owner_of(account)
            ),
            lambda: self.model.withdraw(account, amount),
            [account],
        )

    def fill(self, market: int, buyer: bytes, seller: bytes, size: int, price: int) -> bool:
        """A fill through the venue."""
        for account in (buyer, seller):
            self.dust.place(market, self.size(account, market) + size)
        self._book([buyer, seller])
        return self._both(
            "fill",
            lambda: self.world.fill(buyer, seller, size, price, market),
            lambda: self.model.fill(market, buyer, seller, size, price),
            [buyer, seller],
        )

    def fill_orders(
        self, market: int, taker: bytes, is_buyer: bool, parts: list[tuple[bytes, int, int]]
    ) -> bool:
        """One taker, makers as (account, size, price)."""
        for maker, size, _ in parts:
            self.dust.place(market, self.size(maker, market) + size)
            self.dust.place(market, self.size(taker, market) + size)
        makers, sizes, prices = ([part[i] for part in parts] for i in range(3))
        self._book([taker, *makers])
        return self._both(
            "fill_orders",
            lambda: self.world.clearing.send.fill_orders(
                market, taker, is_buyer, makers, sizes, prices, sender=VENUE
            ),
            lambda: self.model.fill_orders(market, taker, is_buyer, makers, sizes, prices),
            [taker, *makers],
        )

    def settle(self, account: bytes) -> bool:
        """By anyone."""
        self._book([account])
        for market in self.world.clearing.view.markets_of(account):
            self.dust.place(market, self.size(account, market))
        return self._both(
            "settle",
            lambda: self.world.clearing.send.settle(account, sender=KEEPER),
            lambda: self.model.settle(account),
            [account],
        )

    def refresh(self, account: bytes) -> bool:
        """By anyone."""
        self._book([account])
        for market in self.world.clearing.view.markets_of(account):
            self.dust.place(market, 0)
        return self._both(
            "refresh",
            lambda: self.world.clearing.send.refresh(account, sender=KEEPER),
            lambda: self.model.refresh(account),
            [account],
        )

    def liquidate(self, account: bytes, market: int, liquidator: bytes) -> bool:
        """As much as is allowed: the offers are compared, then the same size is taken."""
        size, price = self.world.clearing.view.max_liquidation(account, market)
        exact, exact_price = self.model.max_liquidation(account, market)
        legs = self._book([account, liquidator])
        self.dust.penalty(market, size, price, legs)
        for holder in (account, liquidator):
            self.dust.place(market, self.size(holder, market) + size)
        whole = size == self.size(account, market)
        if size and exact and not whole:
            # x = (t MM - E) / (P (t mm - p')): the dust of E and MM over the denominator.
            params = self.world.params
            relief = Fraction(
                params.liquidation_target_bps * params.maintenance_margin_bps, 10**8
            ) - Fraction(abs(exact_price - self.model.price(market)[0]), exact_price)
            slack = Fraction(4 * self.dust.equity() * WAD, exact_price) / relief + 4
            self._check(f"max liquidation {market}", size, exact, int(slack) + 1)
            size = min(size, int(exact))
        asked = MAX if whole or not size else size
        return self._both(
            "liquidate",
            lambda: self.world.clearing.send.liquidate(
                account, market, asked, liquidator, sender=owner_of(liquidator)
            ),
            lambda: self.model.liquidate(account, market, asked, liquidator),
            [account, liquidator],
        )

    def deleverage(self, account: bytes) -> bool:
        """One call. Slices of buckets that hold dust alone count for the contract's limit only."""
        world, caller = self.world, account_id(KEEPER)
        self._book([account])
        losses, deficit = self._losses(account)
        if losses and deficit > losses:
            self.dust.share_of_losses(deficit / losses)
        saved = pickle.dumps(self.model.state)
        for market in world.clearing.view.markets_of(account):
            self.dust.take(market, self.size(account, market), self.buckets)
        try:
            receipt = world.clearing.send.deleverage(account, sender=KEEPER)
        except Reverted as refusal:
            return self._refused(refusal, lambda: self.model.deleverage(account, caller), [account])
        closes = [e for e in world.clearing.events(receipt) if e.name == "ForcedClose"]
        dusty = sum(close.size <= self.dust.sizes[close.market] for close in closes)
        self.dust_slices += dusty
        self.model.state.adl_buckets_per_call = self.buckets - dusty
        try:
            self.model.deleverage(account, caller)
        except model.ModelError as refusal:
            self.model.state = pickle.loads(saved)
            if dusty != len(closes) or dusty == 0:
                raise Mismatch(f"deleverage: model refuses ({refusal})") from refusal
        self.model.state.adl_buckets_per_call = self.buckets
        self._follow_prices(receipt)
        self.calls += 1
        self.accepted["deleverage"] += 1
        self._finish_dust_legs(account)
        self._after([account])
        return True

    def _finish_dust_legs(self, account: bytes) -> None:
        """Where the model has closed everything and the contract holds on to a few wei, one more
        call closes these."""
        world = self.world
        if self.model.markets_of(account):
            return
        while world.clearing.view.equity(account) < 0 and all(
            self.size(account, market) <= self.dust.sizes[market]
            for market in world.clearing.view.markets_of(account)
        ):
            try:
                world.deleverage(account)
            except Reverted:
                return

    def _losses(self, account: bytes) -> tuple[Fraction, Fraction]:
        results = [
            position.result
            for market in self.model.markets_of(account)
            if (position := self.model.position(account, market)) is not None
        ]
        losses = [-result for result in results if result < 0]
        if len(losses) < 2:
            return Fraction(0), Fraction(0)
        return sum(losses, Fraction(0)), max(Fraction(0), -self.model.equity(account))

    # ------------------------------------------------------------------ the two sides of a call

    def _both(
        self, name: str, send: Callable[[], Any], exact: Callable[[], Any], touched: list[bytes]
    ) -> bool:
        for account in touched:
            if account not in self.accounts:
                self.accounts.append(account)
        chain = self.world.chain
        before = chain.snapshot()
        try:
            receipt = send()
        except Reverted as refusal:
            chain.release(before)
            return self._refused(refusal, exact, touched)
        try:
            exact()
        except model.ModelError as refusal:
            self._expect_boundary(str(refusal), touched)
            chain.revert(before)
            return False
        chain.release(before)
        self._follow_prices(receipt)
        self.calls += 1
        self.accepted[name] += 1
        self._after(touched)
        return True

    def _follow_prices(self, receipt: Any) -> None:
        """A market is left, and its price fixed, when a leg's last wei is touched: that may be dust
        in the model."""
        for event in self.world.clearing.events(receipt):
            if event.name == "PriceFixed":
                self.model.state.fix(event.market)

    def _refused(self, refusal: Reverted, exact: Callable[[], Any], touched: list[bytes]) -> bool:
        saved = pickle.dumps(self.model.state)
        try:
            exact()
        except model.ModelError:
            self.refused += 1
            return False
        self._expect_boundary(refusal.reason, touched)
        self.model.state = pickle.loads(saved)
        return False

    def _expect_boundary(self, reason: str, touched: list[bytes]) -> None:
        """One side refused, the other did not: the condition, evaluated on the state of the side
        that accepted, must be within dust of its boundary."""
        bound = self.dust.money()
        margins = []
        for account in touched:
            initial, maintenance = self.model.margin(account)
            if "initial" in reason:
                margins.append(abs(self.model.backing(account) - initial))
            elif "healthy" in reason:
                margins.append(abs(self.model.equity(account) - maintenance))
            elif "debt" in reason:
                margins.append(self.model.debt(account))
            elif "solvent" in reason or "bankrupt" in reason:
                margins.append(abs(self.model.equity(account)))
        if not margins or min(margins) > 2 * bound:
            raise Mismatch(f"one side refuses: {reason!r}, margins {[float(m) for m in margins]}")
        self.boundary += 1

    def _book(self, accounts: Iterable[bytes]) -> int:
        legs = 0
        for account in set(accounts):
            held = self.world.clearing.view.markets_of(account)
            legs += len(held)
            self.dust.book(held)
        return legs

    # ------------------------------------------------------------------ comparison

    def _after(self, touched: list[bytes]) -> None:
        self._count_allotments()
        self.compare_accounts(touched)
        self.compare_balances()
        if self.calls % self.every == 0:
            self.compare()

    def _count_allotments(self) -> None:
        for group in self.model.state.groups.values():
            self.dust.allotments += group.allotted_parts
            group.allotted_parts = Fraction(0)

    def compare(self) -> None:
        """Everything: all accounts, queues, balances, S1, S2 at several price vectors."""
        self.compare_accounts(self.accounts)
        self.compare_balances()
        for market in self.world.markets:
            for is_long in (False, True):
                self.compare_queue(market, is_long)
        self.check_zero_sum()

    def compare_accounts(self, accounts: Iterable[bytes]) -> None:
        """Cash, u, E, B, IM and MM, legs and their buckets."""
        view, exact, bound = self.world.clearing.view, self.model, self.dust.money()
        equity = self.dust.equity()
        for account in accounts:
            who = account.hex()[:8]
            self._check(f"cash {who}", self.world.cash(account), exact.cash(account), bound)
            self._check(f"u {who}", view.unsettled(account), exact.unsettled(account), bound)
            self._check(f"E {who}", view.equity(account), exact.equity(account), equity)
            self._check(f"B {who}", view.backing(account), exact.backing(account), bound)
            for ours, its in zip(view.margin(account), exact.margin(account), strict=True):
                self._check(f"margin {who}", ours, its, self.dust.size_value() + 32)
            if view.group_of(account) != exact.group_of(account):
                raise Mismatch(f"group of {who}")
            markets = {*view.markets_of(account), *exact.markets_of(account)}
            for market in markets:
                self._compare_leg(account, market)

    def _compare_leg(self, account: bytes, market: int) -> None:
        size, entry, result = self.world.clearing.view.position(account, market)
        exact = self.model.position(account, market)
        where = f"{account.hex()[:8]}/{market}"
        sizes, bound = self.dust.sizes[market], self.dust.equity()
        self._check(f"size {where}", size, exact.size if exact else Fraction(0), sizes + 1)
        self._check(f"V {where}", result, exact.result if exact else Fraction(0), bound)
        if exact is None or abs(size) <= sizes:
            return
        # An entry is an average by sizes: it has their dust by the distance of the prices averaged.
        self._check(
            f"entry {where}", entry, Fraction(exact.entry), 2 + 2 * bound * WAD // abs(size)
        )
        leg = self.model.state.accounts[account].legs[market]
        bucket = self.world.clearing.view.bucket_of(account, market)
        tier, tick = (bucket >> 13) & 7, bucket & 8191
        if (tier, tick) != (exact.tier, exact.tick):
            self._align(account, market, leg, tier, tick)

    def _align(self, account: bytes, market: int, leg: Any, tier: int, tick: int) -> None:
        """Tier or tick differ: by dust on an edge, or by mistake."""
        where = f"{account.hex()[:8]}/{market}"
        if tick != leg.tick:
            raise Mismatch(f"tick of {where}: {tick}, exactly {leg.tick} (entry {leg.entry})")
        if self._drew_a_crumb(account, market, tier):
            leg.tier = tier
            self.boundary += 1
            return
        fresh = Fraction(self.model.state.accounts[account].fresh_now(self.model.block), QUOTE_ONE)
        equity = self.model.equity(account) - fresh
        leverage = TIER_LEVERAGE[min(tier, leg.tier)]
        gap = abs(self.model.notional(account) - leverage * equity)
        if abs(tier - leg.tier) != 1 or gap > (leverage + 1) * self.dust.equity() + 32:
            raise Mismatch(f"tier of {where}: {tier}, exactly {leg.tier}, gap {float(gap)}")
        leg.tier = tier
        self.boundary += 1

    def _drew_a_crumb(self, account: bytes, market: int, tier: int) -> bool:
        """A leg without an open loss whose rounded view shows one of a few wei: while claims wait,
        settling draws on it, which ranks it anew."""
        exact, rank = self.model.position(account, market), self.model.current_rank(account, market)
        assert exact is not None
        waiting = self.model.claims(self.model.group_of(account))
        return (
            waiting > 0
            and rank == (tier, exact.tick)
            and (abs(exact.unrealised) <= 3 + 2 * abs(exact.size) / WAD)
        )

    def compare_balances(self) -> None:
        """Pools, claims, shortfalls, insurance, fees, reserve, interest, funding."""
        vault, view, exact = self.world.vault.view, self.world.clearing.view, self.model
        bound, equity = self.dust.money(), self.dust.equity()
        for group in self.groups:
            self._check(f"pool {group}", vault.pool_of(group), exact.pool_of(group), bound)
            self._check(f"claims {group}", view.claims(group), exact.claims(group), bound)
            self._check(f"shortfall {group}", view.shortfall(group), exact.shortfall(group), equity)
        self._check("insurance", vault.insurance(), exact.insurance(), equity)
        self._check("fees", vault.fees(), exact.fees(), equity)
        self._check("reserve", vault.keeper_reserve(), exact.keeper_reserve(), equity)
        for market in self.world.markets:
            long, short = view.open_interest(market)
            for ours, its in zip((long, short), exact.open_interest(market), strict=True):
                self._check(f"interest {market}", ours, its, self.dust.sizes[market])
            index = exact.funding(market)[0]
            self.dust.funding[market] += abs(index - self.index[market])
            self.index[market] = index
            if view.funding(market) != exact.funding(market):
                raise Mismatch(
                    f"funding {market}: {view.funding(market)}, exactly {exact.funding(market)}"
                )
        if vault.total() > self.world.token.view.balanceOf(self.world.vault.address):
            raise Mismatch("S1")

    def compare_queue(self, market: int, is_long: bool) -> None:
        """The same buckets in the same order; contract buckets of dust alone are passed over."""
        page, start = [], 0
        while True:
            part = self.world.clearing.view.queue(market, is_long, start, 256)
            page += part
            start += 256
            if len(part) < 256:
                break
        total = sum(entry.size_base for entry in page)
        if total != self.world.clearing.view.open_interest(market)[0]:
            raise Mismatch(f"buckets of market {market} do not sum to the open interest")
        bound = self.dust.sizes[market]
        ours = [entry for entry in page if entry.size_base > bound]
        its = [entry for entry in self.model.queue(market, is_long) if entry.size > bound]
        if [(e.score, e.tier, e.tick) for e in ours] != [(e.score, e.tier, e.tick) for e in its]:
            raise Mismatch(f"queue of market {market}, long {is_long}")
        for mine, exact in zip(ours, its, strict=True):
            self._check(f"bucket {market}", mine.size_base, exact.size, bound)

    def check_zero_sum(self) -> None:
        """S2 of the contracts alone: 0 <= pool + shortfall - sum(u) - sum(V) <= bound, at the
        prices now, halved, doubled, and at the ends of the range."""
        view = self.world.clearing.view
        held: dict[int, list[tuple[int, int, int]]] = {}
        unsettled = dict.fromkeys(self.groups, 0)
        legs = dict.fromkeys(self.groups, 0)
        prices = {market: view.price(market)[0] for market in self.world.markets}
        for account in self.accounts:
            group = view.group_of(account)
            if group == 0:
                continue
            unsettled[group] += view.unsettled(account)
            for market in view.markets_of(account):
                size, entry, result = view.position(account, market)
                booked = result - unrealised(size, entry, prices[market])
                held.setdefault(market, []).append((size, entry, booked))
                legs[group] += 1
        for group in self.groups:
            owned = self.world.vault.view.pool_of(group) + view.shortfall(group)
            mine = [m for m in self.world.markets if self._group(m) == group]
            vectors = [{m: max(1, prices[m] * k // 2) for m in mine} for k in (1, 2, 4)]
            vectors += [dict.fromkeys(mine, price) for price in EXTREMES]
            for vector in vectors:
                results = sum(
                    booked + unrealised(size, entry, vector[m])
                    for m in mine
                    for size, entry, booked in held.get(m, [])
                )
                dust = owned - unsettled[group] - results
                bound = self.dust.system(vector, legs[group])
                self._note("S2", Fraction(dust), bound)
                self.least = min(self.least, dust)
                least = -self.dust.unpaid_funding(mine) if self.retires else 0
                if not least <= dust <= bound:
                    raise Mismatch(f"S2: group {group}, dust {dust} of {bound} at {vector}")

    def _group(self, market: int) -> int:
        return self.model.state.markets[market].params.group

    def size(self, account: bytes, market: int) -> int:
        """Size of a leg in the contracts, without its sign."""
        return abs(self.world.clearing.view.position(account, market)[0])

    def _check(self, name: str, ours: int, exact: Fraction, bound: int) -> None:
        off = abs(ours - exact)
        self._note(name.split()[0], off, bound)
        if off > bound:
            raise Mismatch(
                f"{name}: contract {ours}, model {float(exact)}, off by {float(off)}, bound {bound}"
            )

    def _note(self, kind: str, off: Fraction, bound: int) -> None:
        if off > self.largest.get(kind, (Fraction(-1), 0))[0]:
            self.largest[kind] = (off, bound)

    def report(self) -> str:
        """Largest dust of each kind against its bound, and calls run."""
        rows = [f"{k} {float(d):.4g} of {b}" for k, (d, b) in sorted(self.largest.items())]
        counts = (
            f"{self.calls} calls, {self.refused} refused by both, {self.boundary} on a boundary,"
            f" {self.dust_slices} slices of dust, least S2 dust {self.least}"
        )
        return "; ".join([f"{counts} {dict(self.accepted)}", *rows])


def owner_of(account: bytes) -> str:
    """The owner's address."""
    return checksum(account[:20])


def unrealised(size: int, entry: int, price: int) -> int:
    """As positions.vy rounds it."""
    if size >= 0:
        return size * price // WAD + (-size * entry // WAD)
    return -size * entry // WAD + (size * price // WAD)
