"""Traders: cash in and out, fills, small price moves, and what anyone may do to settle them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ballast.fuzz.dice import Dice
from ballast.fuzz.dust import WAD
from ballast.fuzz.pair import Observation
from ballast.fuzz.twin import Twin
from ballast.model.exact import QUOTE_ONE
from ballast.model.market import PENDING, STALE

Action = Callable[[Dice], None]
BPS = 10_000


class Trading:
    """A cast of accounts, each at home in one clearing group, and what they do."""

    def __init__(self, twin: Twin, people: Sequence[bytes]) -> None:
        self.twin = twin
        self.people = list(people)
        self.homes = {
            who: twin.model.group_of(who)
            or (twin.groups[i % len(twin.groups)] if i % 3 == 2 else twin.groups[0])
            for i, who in enumerate(people)
        }
        self.first_prices = {m: twin.model.price(m)[0] for m in twin.markets}
        self.reserved = 0
        """A market that only `drain` trades in."""
        self.status: dict[int, int] = {}
        """Markets whose oracle has something wrong with it, and what."""

    def scenes(self) -> dict[str, list[Action]]:
        """By name: actions one of which is picked at a time."""
        return {
            "arrive": [self.deposit],
            "crowd": [self.crowd],
            "trade": [
                *[self.fill] * 9,
                *[self.reduce] * 4,
                *[self.fill_orders] * 3,
                self.deposit,
                self.withdraw,
                self.settle,
                self.refresh,
                self.quiet_block,
            ],
            "idle": [self.settle, self.refresh, self.withdraw, self.deposit, self.quiet_block],
        }

    def play(self, scene: str, data: bytes) -> None:
        """As many actions of a scene as the bytes last for."""
        dice, actions = Dice(data), self.scenes()[scene]
        while dice.left:
            dice.pick(actions)(dice)

    # Cash

    def deposit(self, dice: Dice) -> None:
        """Anything from dust to a fortune."""
        amount = self.units(dice.amount(10 * WAD, 5_000 * WAD))
        self.twin.deposit(dice.pick(self.people), amount)

    def withdraw(self, dice: Dice) -> None:
        """Mostly what is free, sometimes all cash, which the margin may forbid."""
        who = dice.pick(self.people)
        held = self.twin.holdings.accounts[who]
        limit = held.cash if dice.chance(15) else self.twin.clearing.view.free_cash(who)
        amount = self.units(int(limit * dice.between(0.01, 1)))
        if amount:
            self.twin.withdraw(who, amount)

    # Trades

    def fill(self, dice: Dice) -> None:
        """In any market."""
        self.fill_in(dice, self.market(dice))

    def fill_in(self, dice: Dice, market: int) -> None:
        """Two accounts of one group at a price in the band; what their free backing carries."""
        buyer, seller = self.two(dice, market)
        if self.doubtful(buyer, market) | self.doubtful(seller, market) and dice.chance(90):
            return self.reduce(dice)
        price = self.fill_price(dice, market)
        free = min(self.free(buyer), self.free(seller))
        if dice.chance(3):
            free = 10**6 * WAD  # more than they have
        carried = free * BPS // (self.params(market).initial_margin_bps + 100)
        size = int(carried * dice.between(0.02, 0.9)) * WAD // price
        least = self.params(market).min_notional_quote * WAD // price + 1
        if size < least:
            poorer = buyer if self.free(buyer) < self.free(seller) else seller
            self.twin.deposit(poorer, self.units(dice.amount(200 * WAD, 5_000 * WAD)))
            return None
        self.twin.fill(market, buyer, seller, size, price)
        return None

    def crowd(self, dice: Dice) -> None:
        """Everybody opens a position of little more than the least, with little cash."""
        market = self.market(dice)
        price, params = self.twin.model.state.quote(market).price, self.params(market)
        home = [who for who in self.people if self.homes[who] == params.group]
        for buyer, seller in zip(home[::2], home[1::2], strict=False):
            least = params.min_notional_quote * (100 + dice.below(20)) // 100
            for who in (buyer, seller):
                self.twin.deposit(who, self.units(dice.amount(least // 8, least)))
            self.twin.fill(market, buyer, seller, least * WAD // price + 1, price)

    def reduce(self, dice: Dice) -> None:
        """Somebody closes a position, or a part of it, against somebody of his group."""
        who = dice.pick(self.people)
        legs = self.twin.holdings.accounts[who].legs
        if not legs:
            return self.settle(dice)
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
        other = dice.pick(others)
        size = leg.size if dice.chance(50) else max(1, int(leg.size * dice.between(0.05, 1)))
        sides = (other, who) if leg.is_long else (who, other)
        self.twin.fill(market, *sides, size, self.fill_price(dice, market))
        return None

    def fill_orders(self, dice: Dice) -> None:
        """One taker against one to four makers."""
        market = self.market(dice)
        taker, maker = self.two(dice, market)
        price = self.fill_price(dice, market)
        makers = [maker]
        for _ in range(dice.below(4)):
            other = self.two(dice, market)[1]
            if other != taker:
                makers.append(other)
        if any(self.doubtful(who, market) for who in (taker, *makers)) and dice.chance(90):
            return self.reduce(dice)
        free = min(self.free(taker) // len(makers), *(self.free(who) for who in makers))
        carried = free * BPS // (self.params(market).initial_margin_bps + 100)
        size = int(carried * dice.between(0.05, 0.6)) * WAD // price // len(makers)
        least = self.params(market).min_notional_quote * WAD // price + 1
        if size < least:
            return self.fill(dice)
        parts = [(who, size + i, price) for i, who in enumerate(makers)]
        self.twin.fill_orders(market, taker, dice.chance(50), parts)
        return None

    # Anyone

    def settle(self, dice: Dice) -> None:
        """By a stranger."""
        self.twin.settle(dice.pick(self.people))

    def refresh(self, dice: Dice) -> None:
        """By a stranger."""
        self.twin.refresh(dice.pick(self.people))

    def quiet_block(self, dice: Dice) -> None:
        """Half a percent at most."""
        moves = {m: dice.between(0.995, 1.005) for m in self.twin.markets}
        self.next_block(moves, dice.pick((1, 12, 60, 3_600)))

    # Prices

    def next_block(self, moves: dict[int, float], seconds: int = 12) -> None:
        """The next block; prices times these factors, and drawn back to where they began."""
        prices = {}
        for market in self.twin.markets:
            price, first = self.level(market), self.first_prices[market]
            drift = 1 + 0.03 * (first / price - 1)
            factor = moves.get(market, 1.0) * max(0.5, min(2.0, drift))
            prices[market] = max(first // 500, min(first * 500, int(price * factor)))
        self.twin.new_block(seconds, lambda: self.reports(prices))

    def level(self, market: int) -> int:
        """What a market's price moves from."""
        return self.twin.model.state.quote(market).price

    def reports(self, prices: dict[int, int]) -> list[Observation]:
        """In the new block: oracles are told prices; what they say then."""
        return [self.report(market, price) for market, price in prices.items()]

    def report(self, market: int, price: int) -> Observation:
        """The oracle says so from now on (with whatever is wrong with it); what it says then."""
        status = self.status.get(market, 0)
        self.twin.arena.oracles.set_price(market, price, status)
        return market, price, self.twin.chain.timestamp, status

    # Choices

    def market(self, dice: Dice) -> int:
        """Any market but the reserved one."""
        return dice.pick([m for m in self.twin.markets if m != self.reserved])

    def two(self, dice: Dice, market: int) -> tuple[bytes, bytes]:
        """Two different accounts at home in the market's group (hardly ever: anywhere)."""
        group = self.params(market).group
        home = [who for who in self.people if self.homes[who] == group or dice.left % 64 == 63]
        first = dice.below(len(home))
        return home[first], home[(first + 1 + dice.below(len(home) - 1)) % len(home)]

    def fill_price(self, dice: Dice, market: int) -> int:
        """At the oracle price, or anywhere in the band (hardly ever: beyond it)."""
        price = self.twin.model.state.quote(market).price
        if dice.chance(50):
            return price
        band = self.params(market).price_band_bps / BPS
        if dice.chance(2):
            band *= 2
        return int(price * (1 + band * dice.between(-0.99, 0.99)))

    def doubtful(self, who: bytes, market: int) -> bool:
        """Whether the market is paused, or a price of it or of the account's is stale or waits."""
        state = self.twin.model.state
        status = state.legs_status(who) | state.quote(market).status
        paused = state.all_paused or state.markets[market].paused
        return paused or bool(status & (STALE | PENDING))

    def free(self, who: bytes) -> int:
        """Backing above the initial requirement, WAD."""
        state = self.twin.model.state
        return max(0, (state.backing(who) - state.margin(who)[0]) // QUOTE_ONE)

    def params(self, market: int):  # type: ignore[no-untyped-def]
        """The market's parameters."""
        return self.twin.model.state.markets[market].params

    def units(self, amount: int) -> int:
        """Rounded down to whole token units."""
        return amount // self.twin.scale * self.twin.scale
