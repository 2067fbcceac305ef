"""Signed orders: matched in parts and whole; and matches that are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ballast.fuzz.dice import Dice
from ballast.fuzz.dust import WAD
from ballast.fuzz.plays.bad_orders import spoil
from ballast.fuzz.plays.bad_reports import STRANGER
from ballast.fuzz.plays.permitting import MOST_RESTING, Permitting
from ballast.fuzz.plays.trading import BPS, Action
from ballast.fuzz.rules.orders import Part, Signed
from ballast.fuzz.signer import match_data
from ballast.model.exact import SIZE_ONE
from ballast.model.state import SIZE_DUST
from ballast.signing import Order


@dataclass
class Match:
    """One call of `match_orders`."""

    taker: Signed
    makers: list[Signed]
    sizes: list[int]


class Ordering(Permitting):
    """Trades come as orders signed by owners' keys, delegates and contract wallets."""

    def scenes(self) -> dict[str, list[Action]]:
        """As `Permitting`, and orders."""
        return {
            **super().scenes(),
            "orders": [
                *[self.fill_orders] * 6,
                *[self.take_resting] * 5,
                *[self.close_by_order] * 5,
                *[self.match_badly] * 5,
                *[self.delegate] * 2,
                self.cancel,
                self.cancel_below,
                self.withdraw,
                self.quiet_block,
            ],
        }

    # Matches

    def fill_orders(self, dice: Dice) -> None:
        """One taker against one to five makers, all orders new."""
        match = self._fresh_match(dice)
        if match is None:
            return self.fill(dice)
        return self.match(match)

    def take_resting(self, dice: Dice) -> None:
        """A taker, new or resting itself, against orders that rest, as far as they are good for."""
        good = [its for its in self.resting if self._is_good(its)]
        if not good:
            return self.fill_orders(dice)
        first = dice.pick(good)
        market, is_buy = first.order.market, not first.order.is_buy
        makers = [its for its in good if self._alike(its.order, first.order)][: 1 + dice.below(4)]
        home = self.homes[first.order.account]
        taker = dice.pick([who for who in self.people if self.homes[who] == home])
        resting = [its for its in good if its.order.market == market and self._takes(its, first)]
        if resting and dice.chance(60):
            makers, taker = [first], resting[0].order.account
        makers = [its for its in makers if its.order.account != taker] or [first]
        if self.doubtful(taker, market) and dice.chance(90):
            return self.close_by_order(dice)
        sizes = []
        for its in makers:
            carried = min(self._carried(taker, market), self._carried(its.order.account, market))
            left, part = self.orders.left(its), int(carried * dice.between(0.1, 0.6)) // len(makers)
            whole = part >= left or dice.chance(10)
            sizes.append(left if whole else max(self._least(market), part))
        if resting and resting[0].order.account == taker:
            sizes = [min(sizes[0], self.orders.left(resting[0]))]
            return self.match(Match(resting[0], makers, sizes))
        limits = [its.order.limit_price for its in makers]
        asked = Order(
            account=taker,
            market=market,
            is_buy=is_buy,
            size=sum(sizes) * (2 if dice.chance(40) else 1),
            limit_price=max(limits) if is_buy else min(limits),
            salt=self._salt(taker),
        )
        return self.match(Match(self.sign(asked, dice), makers, sizes))

    def close_by_order(self, dice: Dice) -> None:
        """Somebody closes by reduce-only orders that ask for more than there is, all in all: as a
        taker, or as a maker with one to three of them."""
        who = dice.pick(self.people)
        legs = self.twin.holdings.accounts[who].legs
        if not legs:
            return self.fill_orders(dice)
        market = dice.pick(list(legs))
        leg = legs[market]
        others = [
            other
            for other in self.people
            if other != who
            and self.homes[other] == self.homes[who]
            and (dice.left % 2 or market in self.twin.holdings.accounts[other].legs)
        ]
        if not others or not leg.size:
            return self.refresh(dice)
        sizes = [
            max(1, int(leg.size * dice.pick((1.0, 1.0, 0.6, 0.3, 2.5))))
            for _ in range(dice.pick((1, 1, 2, 3)))
        ]
        price, is_buy, takes = self.fill_price(dice, market), not leg.is_long, dice.chance(50)

        def order(account: bytes, is_buy: bool, size: int, reduce_only: bool) -> Signed:
            asked = Order(account, market, is_buy, size, price, reduce_only)
            return self.sign(replace(asked, salt=self._salt(account)), dice)

        if takes:
            taker = order(who, is_buy, sum(sizes), True)
            makers = [order(dice.pick(others), leg.is_long, n, dice.chance(15)) for n in sizes]
        else:
            taker = order(dice.pick(others), leg.is_long, sum(sizes), dice.chance(15))
            makers = [order(who, is_buy, n, True) for n in sizes]
        return self.match(Match(taker, makers, sizes))

    def match(self, its: Match) -> None:
        """The settlement does what the rules say; what it lets through is up to the clearinghouse,
        as if the venue had called."""
        twin, orders = self.twin, self.orders
        taker, makers = its.taker, its.makers
        data = match_data(taker, makers, its.sizes)
        reasons, parts = orders.match(
            taker, makers, its.sizes, twin.chain.timestamp, self._reducible
        )

        def send() -> Any:
            return twin.chain.send(self.wiring.settlement.address, data, sender=STRANGER.address)

        if reasons:
            return twin.must_refuse("orders.match_orders", send, *reasons)
        order = taker.order
        if self._leaves_crumbs(order, parts):
            return None
        if twin.fill_orders(
            order.market, order.account, order.is_buy, parts, "orders.match_orders", send
        ):
            orders.matched(taker, makers, parts)
            for signed in (taker, *makers):
                self._check_filled(signed)
            self._rest((taker, *makers))
        return None

    def _leaves_crumbs(self, taker: Order, parts: Sequence[Part]) -> bool:
        """Whether a leg would be left with a few wei: below the minimum in the contract, closed in
        the model."""
        held: dict[bytes, int] = {}
        for maker, size, _ in parts:
            for account, is_buy in ((taker.account, taker.is_buy), (maker, not taker.is_buy)):
                if account not in held:
                    leg = self.twin.holdings.accounts[account].legs.get(taker.market)
                    held[account] = 0 if leg is None else leg.size if leg.is_long else -leg.size
                held[account] += size if is_buy else -size
                if 0 < abs(held[account]) * SIZE_ONE <= SIZE_DUST:
                    return True
        return False

    def _rest(self, orders: Sequence[Signed]) -> None:
        left = [its for its in (*self.resting, *orders) if self.orders.left(its)]
        self.resting = list({its.digest: its for its in left}.values())[-MOST_RESTING:]

    def _check_filled(self, signed: Signed) -> None:
        view = self.wiring.settlement.view
        if view.order_hash(signed.order.as_tuple()) != signed.digest:
            raise self.twin.finding(f"order_hash of {signed.order} is not its digest")
        shown = view.filled(signed.digest)
        if shown != self.orders.filled[signed.digest]:
            raise self.twin.finding(
                f"filled: {shown}, by the rules {self.orders.filled[signed.digest]}"
            )

    def _fresh_match(self, dice: Dice) -> Match | None:
        """As `Trading.fill_orders`, as orders; None where it cannot be."""
        market = self.market(dice)
        taker, maker = self.two(dice, market)
        accounts = [maker]
        for _ in range(dice.below(5)):
            other = self.two(dice, market)[1]
            if other != taker:
                accounts.append(other)
        if any(self.doubtful(who, market) for who in (taker, *accounts)) and dice.chance(90):
            return None
        carried = min(
            self._carried(taker, market) // len(accounts),
            *(self._carried(who, market) for who in accounts),
        )
        size = int(carried * dice.between(0.05, 0.6)) // len(accounts)
        if size < self._least(market):
            return None
        price, is_buy = self.fill_price(dice, market), dice.chance(50)
        sizes = [size + i for i in range(len(accounts))]
        makers = [
            self._maker(who, market, not is_buy, part, price, dice)
            for who, part in zip(accounts, sizes, strict=True)
        ]
        asked = Order(
            account=taker,
            market=market,
            is_buy=is_buy,
            size=sum(sizes) * (1 + dice.below(2)),
            limit_price=price if dice.chance(50) else price * (101 if is_buy else 99) // 100,
            salt=self._salt(taker),
            expiry=self._expiry(dice),
        )
        return Match(self.sign(asked, dice), makers, sizes)

    def _maker(
        self, who: bytes, market: int, is_buy: bool, size: int, price: int, dice: Dice
    ) -> Signed:
        order = Order(
            account=who,
            market=market,
            is_buy=is_buy,
            size=size * dice.pick((1, 1, 2, 3)),
            limit_price=price,
            post_only=dice.chance(30),
            expiry=self._expiry(dice),
            salt=self._salt(who),
        )
        return self.sign(order, dice)

    def match_badly(self, dice: Dice) -> None:
        """Something is wrong with it, and the settlement says what."""
        market = self.market(dice)
        taker, maker = self.two(dice, market)
        accounts, is_buy = [maker], dice.chance(50)
        if dice.chance(40) and (other := self.two(dice, market)[0]) != taker:
            accounts.append(other)
        price, size = self.twin.model.state.quote(market).price, self._least(market)
        makers = [self._maker(who, market, not is_buy, size, price, dice) for who in accounts]
        asked = Order(
            account=taker,
            market=market,
            is_buy=is_buy,
            size=3 * size * len(makers),
            limit_price=price,
            salt=self._salt(taker),
        )
        match = Match(self.sign(asked, dice), makers, [size] * len(makers))
        spoil(self, match, dice)
        self.match(match)

    # What orders are good for

    def _reducible(self, order: Order) -> int:
        leg = self.twin.holdings.accounts[order.account].legs.get(order.market)
        return leg.size if leg is not None and leg.is_long != order.is_buy else 0

    def _is_good(self, signed: Signed) -> bool:
        """Whether a resting order can be filled now as far as it says itself."""
        order, now = signed.order, self.twin.chain.timestamp
        price = self.twin.model.state.quote(order.market).price
        band = self.params(order.market).price_band_bps
        return (
            self.orders.left(signed) > 0
            and not self.orders.refusals(signed, now)
            and abs(order.limit_price - price) * BPS <= price * band
            and not self.doubtful(order.account, order.market)
        )

    def _takes(self, its: Signed, maker: Signed) -> bool:
        """Whether a resting order could take from another one."""
        one, other = its.order, maker.order
        bid, ask = (one, other) if one.is_buy else (other, one)
        return (
            one.is_buy != other.is_buy
            and one.account != other.account
            and not one.post_only
            and bid.limit_price >= ask.limit_price
        )

    @staticmethod
    def _alike(one: Order, other: Order) -> bool:
        return (one.market, one.is_buy) == (other.market, other.is_buy)

    def _carried(self, who: bytes, market: int) -> int:
        """Base that the account's free backing carries."""
        price = self.twin.model.state.quote(market).price
        margin_bps: int = self.params(market).initial_margin_bps + 100
        return self.free(who) * BPS // margin_bps * WAD // price

    def _least(self, market: int) -> int:
        price = self.twin.model.state.quote(market).price
        least: int = self.params(market).min_notional_quote * WAD // price
        return least + 1
