"""The contracts and the exact model, driven by the same calls and compared after them (S10).

After every call: custody (S1), zero-sum at the prices now (S2), nobody else's equity has fallen
(S5, S3), and the touched legs stand in the same buckets. Every `every` calls, and in `compare`:
every balance, claim, size, entry, result, bucket and queue, within the dust that docs/INVARIANTS.md
derives (`Dust`). A refusal must come from both, with the same reason.

A tier, or a refusal, may differ only where the comparison that decides it is itself within dust:
that is evaluated, counted in `boundary`, and the model then follows the contracts.
"""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from ballast import model
from ballast.abi import checksum
from ballast.errors import Reverted
from ballast.fuzz import checks
from ballast.fuzz.adopt import adopt
from ballast.fuzz.arena import Arena, Finding
from ballast.fuzz.branches import Branches
from ballast.fuzz.comparison import Comparison
from ballast.fuzz.dust import WAD, Dust
from ballast.fuzz.holdings import Holdings, Leg, Quote
from ballast.fuzz.reasons import agree
from ballast.fuzz.storage import Storage
from ballast.mirror import Market
from ballast.model.exact import QUOTE_ONE, SIZE_ONE
from ballast.model.grid import TIER_LEVERAGE
from ballast.model.insurance import leg_cover
from ballast.model.state import SIZE_DUST

MAX = 2**256 - 1
KEYS = {"insurance": (1).to_bytes(32, "big"), "reserve": (3).to_bytes(32, "big")}
CREDITS = 4
"""A posting, a debt paid, a fee, an insurance draw: how often an account touched by a call can make
it credit one and the same bucket."""
Apply = Callable[[model.Clearing], Any]
Observation = tuple[int, int, int, int]
"""Market, price (0: none at all), timestamp, status bits."""


class Twin:
    """An arena and the model of it side by side. Calls return whether they were accepted."""

    def __init__(
        self, arena: Arena, exact: model.Clearing, payer: str, keeper: str, every: int = 20
    ) -> None:
        """`exact` is the model of the arena as it is. `payer` has tokens and has approved the
        vault; `keeper` makes the calls that anyone may make."""
        self.arena, self.model, self.payer, self.keeper, self.every = (
            arena,
            exact,
            payer,
            keeper,
            every,
        )
        self.chain, self.vault, self.clearing = arena.chain, arena.vault, arena.clearing
        self.scale = int(arena.vault.view.scale())
        self.groups = sorted(exact.state.groups)
        self.dust = Dust()
        self.branches = Branches()
        self.calls = self.refused = self.boundary = self.dust_slices = 0
        self.actions: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.retires = True
        self._settling: dict[int, tuple[int, int]] = {}
        """While settling: entry and tier of the account's legs in the contract before it."""
        storage = Storage(arena.chain, arena.vault, arena.clearing, arena.token)
        self.holdings = Holdings(storage, arena.accounts, self.groups)
        self.dust.shares = self.holdings.most_shares
        self.comparison = Comparison(self)
        self._index = {m: market.index for m, market in exact.state.markets.items()}
        self._journal: list[Apply] = []
        self.prices_moved()
        self.holdings.reload()
        self._equities = self._equities_now()
        self._checkpoint = b""
        self._mark()

    @property
    def accounts(self) -> list[bytes]:
        """Everybody seen so far."""
        return list(self.holdings.accounts)

    @property
    def markets(self) -> list[int]:
        """Every market."""
        return list(self.model.state.markets)

    # Time, prices, parameters

    def new_block(self, seconds: int, report: Callable[[], Iterable[Observation]]) -> None:
        """The next block. `report` does in it whatever the oracles' side does, and returns what
        each market's oracle says then."""
        self.chain.mine(seconds)
        now, block = self.chain.timestamp, self.chain.block_number

        def move(exact: model.Clearing) -> None:
            exact.now, exact.block = now, block

        self.apply(move)
        self.observed(report())

    def observed(self, said: Iterable[Observation]) -> None:
        """What oracles say from now on."""
        for market, price, timestamp, status in said:
            self.apply(_set_price(market, price, timestamp, status))
            self.dust.highest[market] = max(self.dust.highest[market], price)
        self.prices_moved()

    def prices_moved(self) -> None:
        """Results are taken at other prices from here on, which is nobody's fault."""
        quotes = {}
        for number, market in self.model.state.markets.items():
            quote = self.model.state.quote(number)
            index = market.index + quote.index_delta
            self.dust.funding[number] += abs(index - self._index.get(number, 0))
            self._index[number] = index
            quotes[number] = Quote(quote.price, index)
        self.holdings.measure(quotes)
        self._equities = self._equities_now()

    def governed(self, name: str, send: Callable[[], Any], change: Apply) -> Any:
        """A call of the owner or the guardian that must succeed, and what it changes."""
        receipt = self.must(name, send)
        self.apply(change)
        self.prices_moved()
        self.checked(())
        return receipt

    def apply(self, change: Apply) -> Any:
        """Change the model, so that it can be done again from the last full comparison."""
        result = change(self.model)
        self._journal.append(change)
        return result

    # Calls both know

    def deposit(self, account: bytes, amount: int) -> bool:
        """Cash for an account; WAD, whole token units."""
        units = amount // self.scale
        return self._both(
            "vault.deposit",
            lambda: self.vault.send.deposit(account, units, sender=self.payer),
            lambda exact: exact.deposit(account, units * self.scale),
            [account],
        )

    def donate(self, key: str, amount: int) -> bool:
        """A gift to "insurance" or "reserve"."""
        units = amount // self.scale
        return self._both(
            "vault.donate",
            lambda: self.vault.send.donate(KEYS[key], units, sender=self.payer),
            lambda exact: exact.donate(key, units * self.scale),
            [],
        )

    def withdraw(self, account: bytes, amount: int) -> bool:
        """Cash back to the owner."""
        units, owner = amount // self.scale, owner_of(account)
        self._book([account])
        return self._both(
            "vault.withdraw",
            lambda: self.vault.send.withdraw(account, units, owner, sender=owner),
            lambda exact: exact.withdraw(account, units * self.scale),
            [account],
            falls={account},
            edge=lambda: abs(self._own_cash(account) - units * self.scale),
        )

    def fill(self, market: int, buyer: bytes, seller: bytes, size: int, price: int) -> bool:
        """A fill through the venue."""
        for account in (buyer, seller):
            self.dust.place(market, self.size(account, market) + size)
        self._book([buyer, seller])
        return self._both(
            "clearinghouse.fill",
            lambda: self.clearing.send.fill(
                market, buyer, seller, size, price, sender=self.arena.venue
            ),
            lambda exact: exact.fill(market, buyer, seller, size, price),
            [buyer, seller],
            falls={buyer, seller},
            edge=lambda: self._rest(market, (buyer, seller), size),
        )

    def fill_orders(
        self,
        market: int,
        taker: bytes,
        is_buyer: bool,
        parts: list[tuple[bytes, int, int]],
        name: str = "clearinghouse.fill_orders",
        send: Callable[[], Any] | None = None,
    ) -> bool:
        """One taker, makers as (account, size, price); `send`: how, if not through the venue."""
        held: Counter[bytes] = Counter()
        for maker, size, _ in parts:
            for side in (maker, taker):
                held[side] += size
                self.dust.place(market, self.size(side, market) + held[side])
        makers = [maker for maker, _, _ in parts]
        sizes, prices = [size for _, size, _ in parts], [price for _, _, price in parts]
        self._book([taker, *makers])
        return self._both(
            name,
            send
            or (
                lambda: self.clearing.send.fill_orders(
                    market, taker, is_buyer, makers, sizes, prices, sender=self.arena.venue
                )
            ),
            lambda exact: exact.fill_orders(market, taker, is_buyer, makers, sizes, prices),
            [taker, *makers],
            falls={taker, *makers},
        )

    def settle(self, account: bytes) -> bool:
        """By anyone."""
        self._book([account])
        legs = self.holdings.accounts[account].legs
        self._settling = {market: (leg.entry, leg.tier) for market, leg in legs.items()}
        for market in self.markets_of(account):
            self.dust.place(market, self.size(account, market))
        done = self._both(
            "clearinghouse.settle",
            lambda: self.clearing.send.settle(account, sender=self.keeper),
            lambda exact: exact.settle(account),
            [account],
        )
        self._settling = {}
        return done

    def refresh(self, account: bytes) -> bool:
        """By anyone."""
        self._book([account])
        for market in self.markets_of(account):
            self.dust.place(market, 0)
        before = {m: leg.tier for m, leg in self.holdings.accounts[account].legs.items()}
        done = self._both(
            "clearinghouse.refresh",
            lambda: self.clearing.send.refresh(account, sender=self.keeper),
            lambda exact: exact.refresh(account),
            [account],
        )
        legs = self.holdings.accounts[account].legs
        if any(legs[m].tier != tier for m, tier in before.items() if m in legs):
            self.branches.fired("tier changed by refresh")
        return done

    def liquidate(
        self,
        account: bytes,
        market: int,
        liquidator: bytes,
        part: float = 1.0,
        operator: str | None = None,
    ) -> bool:
        """As much as is allowed, or a part of it: the offers are compared, then the same size is
        taken. `operator` calls, if not the liquidator's owner."""
        size, price = self.clearing.view.max_liquidation(account, market)
        exact, exact_price = self.model.max_liquidation(account, market)
        legs = self._book([account, liquidator])
        self.dust.penalty(market, size, price, legs)
        for holder in (account, liquidator):
            self.dust.place(market, self.size(holder, market) + size)
        whole = size == self.size(account, market)
        if size and exact and not whole:
            # x = (t MM - E) / (P (t mm - p')): the dust of E and MM over the denominator.
            params = self.model.state.markets[market].params
            relief = Fraction(
                params.liquidation_target_bps * params.maintenance_margin_bps, 10**8
            ) - Fraction(abs(exact_price - self.model.price(market)[0]), exact_price)
            slack = Fraction(4 * self.dust.equity() * WAD, exact_price) / relief + 4
            self.comparison.check(f"max liquidation {market}", size, exact, int(slack) + 1)
            size = min(size, int(exact))
        asked = MAX if whole or not size else size
        if part < 1 and size:
            asked = int(size * part)
        before = checks.Health.of(self, account)
        bankrupt = self.model.state.equity(account) < 0 if size else False
        done = self._both(
            "clearinghouse.liquidate",
            lambda: self.clearing.send.liquidate(
                account, market, asked, liquidator, sender=operator or owner_of(liquidator)
            ),
            lambda model_: model_.liquidate(account, market, asked, liquidator),
            [account, liquidator],
            falls={account, liquidator},
            edge=lambda: self._uncovered(account, market),
            follow=bool(bankrupt) and self._turned_by_dust(account),
        )
        if done:
            checks.assert_s7(self, account, before)
            self.branches.liquidated(self, account, bankrupt)
        return done

    def deleverage(self, account: bytes) -> bool:
        """One call. Slices of buckets that hold dust alone count for the contract's limit only."""
        caller = account_of(self.keeper)
        self._book([account])
        losses, deficit = self._losses(account)
        if losses and deficit > losses:
            self.dust.share_of_losses(deficit / losses)
        markets = self.markets_of(account)
        buckets = self.model.state.adl_buckets_per_call
        for market in markets:
            self.dust.take(market, self.size(account, market), buckets)
        limits = checks.unpaid_profits(self, account)
        equity = self._equity(account)
        on_edge = abs(self.model.equity(account)) <= self.dust.equity()
        turned = on_edge or self._turned_by_dust(account)
        try:
            receipt = self.clearing.send.deleverage(account, sender=self.keeper)
        except Reverted as refusal:
            return self._refused(
                "clearinghouse.deleverage",
                refusal,
                lambda exact: exact.deleverage(account, caller),
                [account],
            )
        if equity >= self.dust.equity():
            raise self.finding(f"S6: deleveraged at E = {equity}")
        if turned:
            self._follow("clearinghouse.deleverage", [account, caller], {account}, limits)
            return True
        events = self.clearing.events(receipt)
        closes = [event for event in events if event.name == "ForcedClose"]
        dusty = sum(close.size <= self.dust.sizes[close.market] for close in closes)
        self.dust_slices += dusty

        def exactly(exact: model.Clearing) -> None:
            # Buckets of dust alone, which one side has and the other has not, do not count.
            before = pickle.dumps(exact.state, pickle.HIGHEST_PROTOCOL)
            its_dusty = 0
            while True:
                exact.state.adl_buckets_per_call = buckets - dusty + its_dusty
                try:
                    exact.deleverage(account, caller)
                except model.ModelError as refusal:
                    if dusty != len(closes) or dusty == 0:
                        raise self.finding(f"deleverage: model refuses ({refusal})") from refusal
                finally:
                    exact.state.adl_buckets_per_call = buckets
                record = exact.state.last_waterfall
                taken = record.taken if record else []
                found = sum(t.size <= self.dust.sizes[t.market] * SIZE_ONE for t in taken)
                if found <= its_dusty:
                    return
                its_dusty = found
                exact.state = pickle.loads(before)

        self.model.state.last_waterfall = None
        self.apply(exactly)
        self._follow_prices(events)
        checks.assert_waterfall(self, closes)
        self.branches.deleveraged(self, account)
        self._counted("clearinghouse.deleverage")
        self._finish_dust_legs(account)
        self.checked([account, caller], {account}, limits)
        return True

    def _follow(
        self,
        name: str,
        touched: list[bytes],
        falls: Iterable[bytes],
        limits: dict[bytes, int] | None = None,
    ) -> None:
        """Take over what the contracts have made of a call that dust decides."""
        self._counted(name)
        self.boundary += 1
        self.holdings.touch(touched)
        self.resync()
        self.checked(touched, falls, limits)

    def _turned_by_dust(self, account: bytes) -> bool:
        """Whether a leg is a losing one on one side alone, by a wei, before or after it is booked:
        it is then closed in another order, and has another share of the deficit."""
        exact = self.model.state
        for market, leg in self.holdings.accounts[account].legs.items():
            its = exact.seen(account).legs.get(market)
            if its is None:
                continue
            price = self.holdings.quotes[market].price
            ours = leg.result < 0, leg.unrealised(price) < 0
            if ours != (exact.result(account, market) < 0, its.open_result(price) < 0):
                return True
        return False

    def resync(self) -> None:
        """Begin again with the model of what the contracts hold."""
        its = self.arena
        accounts = list(self.holdings.accounts)
        adopted = adopt(its.chain, its.vault, its.clearing, its.token, accounts)
        self.model.state = adopted.clearing.state
        adopted.pass_on(self.dust)
        self.prices_moved()
        self.holdings.reload()
        self._mark()

    def _finish_dust_legs(self, account: bytes) -> None:
        """Where the model has closed everything and the contract holds on to a few wei, one more
        call closes these."""
        if self.model.markets_of(account):
            return
        while True:
            self.holdings.touch([account])
            legs = self.holdings.accounts[account].legs
            small = all(leg.size <= self.dust.sizes[m] for m, leg in legs.items())
            if not legs or self._equity(account) >= 0 or not small:
                return
            try:
                self.clearing.send.deleverage(account, sender=self.keeper)
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

    # Calls the model does not know

    def must(self, name: str, send: Callable[[], Any]) -> Any:
        """A call that must succeed; counted. `checked` is the caller's to call after it."""
        try:
            receipt = send()
        except Reverted as refusal:
            raise self.finding(f"{name} reverts: {refusal.reason!r}") from refusal
        self._counted(name)
        return receipt

    def must_refuse(self, name: str, send: Callable[[], Any], *reasons: str) -> None:
        """A call that must be refused, for one of these reasons."""
        try:
            send()
        except Reverted as refusal:
            if refusal.reason not in reasons:
                raise self.finding(
                    f"{name} reverts: {refusal.reason!r} instead of {reasons}"
                ) from refusal
            self._counted_refusal(name, refusal.reason)
            return
        raise self.finding(f"{name} is accepted: {reasons} expected")

    def checked(
        self,
        touched: Iterable[bytes],
        falls: Iterable[bytes] = (),
        limits: dict[bytes, int] | None = None,
    ) -> None:
        """What must hold after every call. `falls`: who may lose equity by it; `limits`: others,
        and by how much at most."""
        everyone = list(touched)
        self._count_dust()
        self.holdings.touch(everyone)
        for account in everyone:
            self._compare_ranks(account)
        equities = self._equities_now()
        checks.assert_every_call(
            self, self._equities, equities, set(falls), limits or {}, CREDITS * (1 + len(everyone))
        )
        self._equities = equities
        self.branches.state(self)
        if len(self._journal) >= self.every:
            self.compare()

    def finding(self, message: str) -> Finding:
        """What to raise."""
        return Finding(message, self.chain.tape)

    # The two sides of a call

    def _both(
        self,
        name: str,
        send: Callable[[], Any],
        exact: Apply,
        touched: list[bytes],
        falls: Iterable[bytes] = (),
        edge: Callable[[], Fraction] | None = None,
        follow: bool = False,
    ) -> bool:
        """`follow`: what it does turns on dust, so the model is not asked."""
        before = self.chain.snapshot()
        try:
            receipt = send()
        except Reverted as refusal:
            self.chain.release(before)
            return self._refused(name, refusal, exact, touched, edge)
        if follow:
            self.chain.release(before)
            self._follow(name, touched, falls)
            return True
        try:
            self.apply(unguarded(exact))
        except model.ModelError as refusal:
            self._restore()
            self._expect_boundary(name, str(refusal), touched, edge)
            self.chain.revert(before)
            self.holdings.reload()
            return False
        self.chain.release(before)
        dusty = self._has_dust_legs(touched)
        self._follow_prices(self.clearing.events(receipt) if dusty else [])
        self._counted(name)
        if (dusty or self._settled_crumbs(touched)) and self._fixed_apart():
            self.boundary += 1
            equities = self._equities
            self.resync()
            self._equities = equities
        self.checked(touched, falls)
        return True

    def _has_dust_legs(self, touched: list[bytes]) -> bool:
        """Whether a touched account may have left a market by its last wei."""
        for account in touched:
            held = self.holdings.accounts.get(account)
            if held and any(leg.size <= self.dust.sizes[m] for m, leg in held.legs.items()):
                return True
        return False

    def _follow_prices(self, events: Iterable[Any]) -> None:
        """A market is left, and its price fixed, when a leg's last wei is touched: that may be dust
        in the model."""
        for event in events:
            if event.name == "PriceFixed":
                self.apply(_fix(event.market))

    def _fixed_apart(self) -> bool:
        """Whether one side alone has fixed a price: it has left a market by its last wei, or drawn
        on a crumb that the other does not see."""
        read, block = self.holdings.storage.market, self.model.block
        return any(
            (market.fixed_block == block) != (Market.decode(*read(number)).block_number == block)
            for number, market in self.model.state.markets.items()
        )

    def _settled_crumbs(self, touched: list[bytes]) -> bool:
        """Whether settling has moved entries, if at all, by crumbs alone."""
        if not self._settling:
            return False
        self.holdings.touch(touched)
        legs = [
            (self.holdings.accounts[who].legs, self.model.state.seen(who).legs) for who in touched
        ]
        return all(
            market not in self._settling or self._is_crumb(market, leg, its[market])
            for ours, its in legs
            for market, leg in ours.items()
            if market in its and leg.size
        )

    def _refused(
        self,
        name: str,
        refusal: Reverted,
        exact: Apply,
        touched: list[bytes],
        edge: Callable[[], Fraction] | None = None,
    ) -> bool:
        saved = pickle.dumps(self.model.state, pickle.HIGHEST_PROTOCOL)
        try:
            unguarded(exact)(self.model)
        except model.ModelError as its:
            self.model.state = pickle.loads(saved)
            if not agree(str(its), refusal.reason):
                # One of them is passed on the other side, if it is at its boundary.
                if not any(
                    self._margins(text, touched, edge)[1] for text in (refusal.reason, str(its))
                ):
                    raise self.finding(
                        f"{name} reverts: {refusal.reason!r}, the model expects {str(its)!r}"
                    ) from refusal
                self.boundary += 1
            self._counted_refusal(name, refusal.reason)
            return False
        self.model.state = pickle.loads(saved)
        self._expect_boundary(name, refusal.reason, touched, edge)
        return False

    def _expect_boundary(
        self,
        name: str,
        reason: str,
        touched: list[bytes],
        edge: Callable[[], Fraction] | None = None,
    ) -> None:
        """One side refused, the other did not: the condition must be within dust of its boundary.
        `edge` gives its margin where it is not one of an account's measures."""
        margins, is_near = self._margins(reason, touched, edge)
        if not is_near:
            near = [float(m) for m in margins]
            raise self.finding(f"{name}: one side alone refuses: {reason!r}, margins {near}")
        self.boundary += 1

    def _margins(
        self, reason: str, touched: list[bytes], edge: Callable[[], Fraction] | None
    ) -> tuple[list[Fraction], bool]:
        """How far the condition behind a refusal is from its boundary, and if that is dust."""
        margins = []
        if edge is not None and any(
            word in reason for word in ("insufficient", "minimum", "insurance")
        ):
            margins.append(edge())
        for account in touched:
            initial, maintenance = self.model.margin(account)
            if "initial" in reason:
                margins.append(abs(self.model.backing(account) - initial))
            elif "healthy" in reason:
                margins.append(abs(self.model.equity(account) - maintenance))
            elif "debt" in reason:
                margins.append(self.model.debt(account))
            elif any(word in reason for word in ("solvent", "bankrupt", "health would fall")):
                margins.append(abs(self.model.equity(account)))
        return margins, bool(margins) and min(margins) <= 2 * self.dust.money()

    def _restore(self) -> None:
        """The model as it was before the call that is being undone."""
        self.model.state = pickle.loads(self._checkpoint)
        for change in self._journal:
            change(self.model)

    def _mark(self) -> None:
        self._checkpoint = pickle.dumps(self.model.state, pickle.HIGHEST_PROTOCOL)
        self._journal.clear()

    def _book(self, accounts: Iterable[bytes]) -> int:
        legs = 0
        for account in set(accounts):
            held = self.markets_of(account)
            legs += len(held)
            self.dust.book(held, self.model.group_of(account))
        return legs

    def _counted(self, name: str) -> None:
        self.calls += 1
        self.actions[name] += 1

    def _counted_refusal(self, name: str, reason: str) -> None:
        self.refused += 1
        self.refusals[f"{name}: {reason}"] += 1

    def _count_dust(self) -> None:
        """What the model has noted for the bounds since the last call."""
        for group in self.model.state.groups.values():
            self.dust.allotments += group.allotted_parts
            group.allotted_parts = 0
        for number, market in self.model.state.markets.items():
            self.dust.sizes[number] += market.residue.absorbed // SIZE_ONE
            market.residue.absorbed = 0

    # Comparison

    def compare(self) -> None:
        """Everything, from storage read anew; the model can be restored from here on."""
        self.holdings.reload()
        self.comparison.run()
        self._mark()
        self._equities = self._equities_now()

    def _compare_ranks(self, account: bytes) -> None:
        """The touched legs stand in the same tier and tick."""
        exact = self.model.state.accounts.get(account)
        for market, leg in self.holdings.accounts[account].legs.items():
            its = exact.legs.get(market) if exact else None
            if its is None or leg.size <= self.dust.sizes[market]:
                continue
            if leg.tier != its.tier or leg.tick != its.tick:
                self._align(account, market, leg, its)

    def _align(self, account: bytes, market: int, ours: Leg, its: Any) -> None:
        """Tier or tick differ: by dust on an edge, or by mistake."""
        where, tier = f"{account.hex()[:8]}/{market}", ours.tier
        if ours.tick != its.tick:
            raise self.finding(
                f"tick of {where}: {ours.tick}, exactly {its.tick} (entry {its.entry})"
            )
        if not self._drew_a_crumb(account, market, ours, its):
            exact = self.model.state.accounts[account]
            fresh = Fraction(exact.fresh_now(self.model.block), QUOTE_ONE)
            equity = self.model.equity(account) - fresh
            leverage = TIER_LEVERAGE[min(tier, its.tier)]
            gap = abs(self.model.notional(account) - leverage * equity)
            if abs(tier - its.tier) != 1 or gap > (leverage + 1) * self.dust.equity() + 32:
                raise self.finding(f"tier of {where}: {tier}, exactly {its.tier}, gap {float(gap)}")
        self.boundary += 1

        def follow(exact: model.Clearing) -> None:
            exact.state.accounts[account].legs[market].tier = tier

        self.apply(follow)

    def _drew_a_crumb(self, account: bytes, market: int, ours: Leg, its: Any) -> bool:
        """While claims wait settling draws on open losses, which ranks these legs anew. One side
        alone may see a last crumb of a claim, or a loss of a few wei, and draw on it."""
        if market not in self._settling:
            return False
        tier = self._settling[market][1]
        rank = self.model.current_rank(account, market)
        near = (ours.tier, ours.tick) in ((tier, its.tick), rank)
        return near and self._is_crumb(market, ours, its)

    def _is_crumb(self, market: int, ours: Leg, its: Any) -> bool:
        """Whether settling has moved the leg's entry by no more than a crumb is worth."""
        entry = self._settling[market][0]
        crumb = 2 + 2 * self.dust.equity() * WAD // ours.size
        return bool(max(abs(ours.entry - entry), abs(its.entry - entry)) <= crumb)

    # What both show

    def size(self, account: bytes, market: int) -> int:
        """Size of a leg in the contracts, without its sign."""
        held = self.holdings.accounts.get(account)
        leg = held.legs.get(market) if held else None
        return leg.size if leg else 0

    def markets_of(self, account: bytes) -> list[int]:
        """Markets with a leg in the contracts."""
        held = self.holdings.accounts.get(account)
        return list(held.legs) if held else []

    def _rest(self, market: int, sides: Iterable[bytes], size: int) -> Fraction:
        """What a fill leaves of the leg that it comes nearest to closing: up to SIZE_DUST the model
        closes it."""
        held = [self.model.state.leg(account, market) for account in sides]
        rests = [abs(abs(leg.size) - size * SIZE_ONE) for leg in held if leg]
        return Fraction(max(0, min(rests, default=MAX) - SIZE_DUST), SIZE_ONE)

    def _uncovered(self, account: bytes, market: int) -> Fraction:
        """How far a leg is from being covered by insurance on one side alone: at a deficit near
        zero, near its caps, or where a leg by its last wei is, or is not, a losing one."""
        if market not in self.model.markets_of(account):
            return Fraction(MAX)
        state = pickle.loads(pickle.dumps(self.model.state, pickle.HIGHEST_PROTOCOL))
        state.touch_all(account)
        cover = leg_cover(state, account, market)
        result = Fraction(state.result(account, market), QUOTE_ONE)
        uncovered = Fraction(min(cover.caps) - cover.deficit)
        return min(map(abs, (self.model.equity(account), uncovered, result)))

    def _own_cash(self, account: bytes) -> Fraction:
        """Cash that did not come in during this block, in the model."""
        fresh = self.model.state.seen(account).fresh_now(self.model.block)
        return self.model.cash(account) - Fraction(fresh, QUOTE_ONE)

    def _equity(self, account: bytes) -> int:
        held = self.holdings.accounts.get(account)
        return held.equity if held else 0

    def _equities_now(self) -> dict[bytes, int]:
        return {account: held.equity for account, held in self.holdings.accounts.items()}


def _set_price(market: int, price: int, timestamp: int, status: int) -> Apply:
    return lambda exact: exact.set_price(market, price, timestamp, status)


def _fix(market: int) -> Apply:
    return lambda exact: exact.state.fix(market)


def unguarded(change: Apply) -> Apply:
    """The same without the model's own checkpoint: the twin keeps one for many calls."""
    return lambda exact: change(_Unguarded(exact))  # type: ignore[arg-type]


class _Unguarded:
    """The model's calls without `atomic`; everything else as it is."""

    def __init__(self, exact: model.Clearing) -> None:
        self._exact = exact

    def __getattr__(self, name: str) -> Any:
        call = getattr(type(self._exact), name).__wrapped__
        exact = self._exact
        return lambda *args: call(exact, *args)


def owner_of(account: bytes) -> str:
    """The owner's address."""
    return checksum(account[:20])


def account_of(owner: str) -> bytes:
    """The owner's account 0."""
    return bytes.fromhex(owner[2:]) + bytes(12)
