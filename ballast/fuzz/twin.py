"""The protocol's calls, each made on the contracts and on the exact model.

What a call may round is added to the dust before it; `Pair.both` then sends it to the two sides and
compares them. Calls return whether they were accepted, and raise `Finding`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from ballast.client import MAX_UINT256
from ballast.fuzz import checks, deleveraging, refusals
from ballast.fuzz.dust import WAD
from ballast.fuzz.pair import Pair
from ballast.signing import owner_of

KEYS = {"insurance": (1).to_bytes(32, "big"), "reserve": (3).to_bytes(32, "big")}
"""Where gifts go: ledger keys."""


class Twin(Pair):
    """A pair and the calls that both sides know."""

    # Money

    def deposit(self, account: bytes, amount: int) -> bool:
        """Cash for an account; WAD, whole token units."""
        units = amount // self.scale
        return self.both(
            "vault.deposit",
            lambda: self.vault.send.deposit(account, units, sender=self.payer),
            lambda exact: exact.deposit(account, units * self.scale),
            [account],
        )

    def donate(self, key: str, amount: int) -> bool:
        """A gift to "insurance" or "reserve"; WAD, whole token units."""
        units = amount // self.scale
        return self.both(
            "vault.donate",
            lambda: self.vault.send.donate(KEYS[key], units, sender=self.payer),
            lambda exact: exact.donate(key, units * self.scale),
            [],
        )

    def withdraw(self, account: bytes, amount: int) -> bool:
        """Cash back to the owner; WAD, whole token units."""
        units, owner = amount // self.scale, owner_of(account)
        self.book([account])
        return self.both(
            "vault.withdraw",
            lambda: self.vault.send.withdraw(account, units, owner, sender=owner),
            lambda exact: exact.withdraw(account, units * self.scale),
            [account],
            falls={account},
            edge=lambda: abs(refusals.own_cash(self, account) - units * self.scale),
        )

    # Trades

    def fill(self, market: int, buyer: bytes, seller: bytes, size: int, price: int) -> bool:
        """A fill through the venue."""
        for account in (buyer, seller):
            self.dust.place(market, self.size(account, market) + size)
        self.book([buyer, seller])
        return self.both(
            "clearinghouse.fill",
            lambda: self.clearing.send.fill(
                market, buyer, seller, size, price, sender=self.arena.venue
            ),
            lambda exact: exact.fill(market, buyer, seller, size, price),
            [buyer, seller],
            falls={buyer, seller},
            edge=lambda: refusals.rest(self, market, (buyer, seller), size),
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
        self.book([taker, *makers])
        return self.both(
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

    # Keepers' calls

    def settle(self, account: bytes) -> bool:
        """By anyone."""
        self.book([account])
        for market in self.markets_of(account):
            self.dust.place(market, self.size(account, market))
        with self.crumbs.settling(account):
            return self.both(
                "clearinghouse.settle",
                lambda: self.clearing.send.settle(account, sender=self.keeper),
                lambda exact: exact.settle(account),
                [account],
            )

    def refresh(self, account: bytes) -> bool:
        """By anyone."""
        self.book([account])
        for market in self.markets_of(account):
            self.dust.place(market, 0)
        before = {m: leg.tier for m, leg in self.holdings.accounts[account].legs.items()}
        done = self.both(
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
        legs = self.book([account, liquidator])
        self.dust.penalty(market, size, price, legs)
        for holder in (account, liquidator):
            self.dust.place(market, self.size(holder, market) + size)
        whole = size == self.size(account, market)
        if size and not whole:
            size = self._common_offer(account, market, size)
        asked = MAX_UINT256 if whole or not size else size
        if part < 1 and size:
            asked = int(size * part)
        before = checks.Health.of(self, account)
        bankrupt = bool(size) and self.model.state.equity(account) < 0
        done = self.both(
            "clearinghouse.liquidate",
            lambda: self.clearing.send.liquidate(
                account, market, asked, liquidator, sender=operator or owner_of(liquidator)
            ),
            lambda exact: exact.liquidate(account, market, asked, liquidator),
            [account, liquidator],
            falls={account, liquidator},
            edge=lambda: refusals.uncovered(self, account, market),
            follows=bankrupt and self.crumbs.turned(account),
        )
        if done:
            checks.assert_s7(self, account, before)
            self.branches.liquidated(self, account, bankrupt)
        return done

    def _common_offer(self, account: bytes, market: int, size: int) -> int:
        """What both sides let be taken of a leg, wei of base: the contracts `size`, the model, if
        anything, the same within dust."""
        exact, price = self.model.max_liquidation(account, market)
        if not exact:
            return size
        # x = (t MM - E) / (P (t mm - p')): the dust of E and MM over the denominator.
        params = self.model.state.markets[market].params
        relief = Fraction(
            params.liquidation_target_bps * params.maintenance_margin_bps, 10**8
        ) - Fraction(abs(price - self.model.price(market)[0]), price)
        slack = Fraction(4 * self.dust.equity() * WAD, price) / relief + 4
        self.comparison.check(f"max liquidation {market}", size, exact, int(slack) + 1)
        return min(size, int(exact))

    def deleverage(self, account: bytes) -> bool:
        """One call, of so many buckets; by anyone."""
        return deleveraging.deleverage(self, account)
