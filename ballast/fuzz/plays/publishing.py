"""Publishers of signed prices: honest, lying, silent, late; and what is brought for a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ballast.errors import Reverted
from ballast.fuzz.desk import PUBLISHERS, Desk, Parcel
from ballast.fuzz.dice import Dice
from ballast.fuzz.pair import Observation
from ballast.fuzz.plays.bad_reports import STRANGER, spoil
from ballast.fuzz.plays.governing import NOT_OWNER, Governing
from ballast.fuzz.plays.trading import Action
from ballast.fuzz.rules.signed_prices import BPS
from ballast.fuzz.twin import Twin
from ballast.fuzz.wiring import Wiring
from ballast.model.exact import QUOTE_ONE
from ballast.model.market import STALE

DEVIATION = 0.002
"""Publishers speak when the price has moved so far, or the last report gets old."""


class Publishing(Governing):
    """Prices move beside the chain; what the signed oracle makes of reports is known before."""

    def __init__(self, twin: Twin, *cast: Any) -> None:
        super().__init__(twin, *cast)
        assert isinstance(twin.arena, Wiring)
        self.wiring: Wiring = twin.arena
        self.desk: Desk = self.wiring.oracles
        self.levels = dict(self.first_prices)
        """What the world's price of a market is, whatever the oracles say."""
        self.silent: set[int] = set()
        """Markets whose publishers say nothing."""
        self.dice = Dice(b"")
        self._last: list[Parcel] = []
        self._said: dict[int, tuple[int, int, int]] = {}
        self.looks()

    def scenes(self) -> dict[str, list[Action]]:
        """As `Governing`, and reports good and bad."""
        return {
            **super().scenes(),
            "publish": [
                *[self.report_again] * 4,
                *[self.report_badly] * 5,
                self.report_at_bound,
                self.report_step_twice,
                self.report_step_twice,
                self.report_late,
                self.judge_market,
                self.hire,
                self.hand_over_oracle,
                self.gap,
                self.fill,
                self.reduce,
            ],
        }

    def play(self, scene: str, data: bytes) -> None:
        """As `Trading.play`; what publishers do in a block is chosen by the same bytes."""
        self.dice, actions = Dice(data), self.scenes()[scene]
        while self.dice.left:
            self.dice.pick(actions)(self.dice)

    # Blocks

    def level(self, market: int) -> int:
        """The world's price."""
        return self.levels[market]

    def reports(self, prices: dict[int, int]) -> list[Observation]:
        """The world's prices are these now; publishers and feeds say what they think of it."""
        self.levels.update(prices)
        self.speak(self.dice)
        return self.looks()

    def report(self, market: int, price: int) -> Observation:
        """A report of this very price, if it is one and new; what the oracle says then."""
        if price and self.desk.observe(market)[::2] != (price, 0):
            self.levels[market] = price
            self.desk.set_price(market, price)
        said = self._said[market] = self._look(market)
        return market, *said

    def speak(self, dice: Dice) -> None:
        """Publishers report what has moved, gets old, or waits; seldom they do not."""
        due = [
            market
            for market in self.signed_markets()
            if market not in self.silent and self._is_due(market) and not dice.chance(7)
        ]
        if due:
            self.submit([self.honest(market, dice) for market in due])

    def _is_due(self, market: int) -> bool:
        its, now = self.desk.signed.markets[market], self.twin.chain.timestamp
        if its.newest >= now:
            return False
        moved = abs(self.levels[market] - its.price) > DEVIATION * its.price
        return moved or its.waiting is not None or now > its.timestamp + its.max_age_seconds // 2

    def gap(self, dice: Dice) -> None:
        """As `Keeping`; what waits after it is mostly confirmed a little later."""
        super().gap(dice)
        if any(its.waiting for its in self.desk.signed.markets.values()) and dice.chance(60):
            moves = {m: dice.between(0.99, 1.01) for m in self.twin.markets}
            self.next_block(moves, dice.pick((1, 12, 12, 60)))

    def outage(self, dice: Dice) -> None:
        """A market's publishers fall silent, or speak again."""
        market = dice.pick(self.signed_markets())
        self.silent ^= {market}
        its = self.desk.signed.markets[market]
        moves = {m: dice.between(0.97, 1.03) for m in self.twin.markets}
        self.next_block(moves, its.max_age_seconds + 1 if dice.chance(50) else 60)

    def list_market(self, dice: Dice) -> None:
        """As `Governing`; the new market's oracle is looked at like the others."""
        super().list_market(dice)
        for market in self.twin.markets:
            self.levels.setdefault(market, self.first_prices[market])
        self.twin.observed(self.looks())

    # Reports

    def report_again(self, dice: Dice) -> None:
        """In this block as well, mostly after a fill: one or two reports of some markets, at any
        distance."""
        parcels = []
        for market in self.signed_markets():
            if dice.chance(50):
                if self.twin.model.state.quote(market).price and dice.chance(70):
                    self.fill_in(dice, market)
                factor = dice.pick((1.0, 1.0, 0.999, 1.01, 0.95, 1.05, 0.88, 1.13, 0.5, 2.2))
                self.levels[market] = self.bounded(market, int(self.levels[market] * factor))
                parcels.append(self.honest(market, dice))
                if dice.chance(30):
                    parcels.append(self.honest(market, dice))
        self._submit_now(parcels)

    def report_badly(self, dice: Dice) -> None:
        """Something is wrong with one report of a batch, and so with all of it."""
        if self._last and dice.chance(10):
            return self._submit_now(self._last)
        markets = self.signed_markets()
        bad = spoil(self, self.honest(dice.pick(markets), dice), dice)
        others = [m for m in markets if m != bad.report.market]
        before = [self.honest(dice.pick(others), dice)] if dice.chance(25) else []
        return self._submit_now([*before, bad])

    def report_at_bound(self, dice: Dice) -> None:
        """All say the last price that is still within the bound, or the first one beyond it."""
        desk, market = self.desk, dice.pick(self.signed_markets())
        its, now = desk.signed.markets[market], self.twin.chain.timestamp
        step = its.price * its.step_bps // BPS + dice.chance(50)
        self.levels[market] = its.price + step if dice.chance(50) else its.price - step
        signers = desk.publishers()[: desk.signed.threshold]
        words = [(signer, self.levels[market], now) for signer in signers]
        self._submit_now([desk.parcel(market, words)])

    def report_step_twice(self, dice: Dice) -> None:
        """A step beyond the bound, and in the same block one more report of it."""
        desk, market = self.desk, dice.pick(self.signed_markets())
        its, now = desk.signed.markets[market], self.twin.chain.timestamp
        factor = 1 + dice.pick((-1, 1)) * (its.step_bps / BPS + 0.05)
        self.levels[market] = self.bounded(market, int(its.price * factor))
        signers = desk.publishers()[: desk.signed.threshold]
        for at in (now - 1, now):
            words = [(signer, self.levels[market], at) for signer in signers]
            self._submit_now([desk.parcel(market, words)])

    def report_late(self, dice: Dice) -> None:
        """After a long silence, by a second too old or just good."""
        desk, market = self.desk, dice.pick(self.signed_markets())
        its = desk.signed.markets[market]
        self.silent.add(market)
        self.next_block({}, 2 * its.max_age_seconds)
        self.silent.discard(market)
        at = self.twin.chain.timestamp - its.max_age_seconds - dice.chance(50)
        signers = desk.publishers()[: desk.signed.threshold]
        words = [(signer, self.levels[market], at) for signer in signers]
        self._submit_now([desk.parcel(market, words)])

    def honest(self, market: int, dice: Dice) -> Parcel:
        """A report of the world's price by enough publishers, who differ a little; seldom as many
        of them lie as the median bears. Their clocks are up to two seconds apart."""
        desk = self.desk
        hired, level = desk.publishers(), self.levels[market]
        count = desk.signed.threshold
        if dice.chance(20):
            count += dice.below(len(hired) - count + 1)
        first = dice.below(len(hired))
        signers = sorted(
            (hired[(first + i) % len(hired)] for i in range(count)), key=PUBLISHERS.index
        )
        liars = (count - 1) // 2 if dice.chance(10) else 0
        now, seen = self.twin.chain.timestamp, desk.signed.markets[market].newest
        at = max(now - dice.below(4), min(now, seen + 1))
        words = []
        for number, signer in enumerate(signers):
            price = level + level * (dice.below(7) - 3) // 4_000
            if number < liars:
                price = level * dice.pick((1, 50, 97, 103, 200, 10_000)) // 100
            words.append((signer, max(1, price), min(now, at + dice.below(3))))
        return desk.parcel(market, words)

    def submit(self, parcels: Sequence[Parcel]) -> bool:
        """A batch that the rules judge first; then the contract shows what they say it shows."""
        desk, twin = self.desk, self.twin
        reasons = desk.submit(parcels)

        def send() -> Any:
            return desk.send(parcels)

        if reasons:
            twin.must_refuse("oracle.report_prices", send, *reasons)
            return False
        twin.must("oracle.report_prices", send)
        self._last = list(parcels)
        return True

    def _submit_now(self, parcels: Sequence[Parcel]) -> None:
        """Within a block: what was used in it before keeps its price."""
        twin = self.twin
        if self.submit(parcels):
            twin.observed(self.looks())
            twin.checked(())
            for market in twin.markets:
                shown, price = twin.clearing.view.price(market)[0], twin.model.price(market)[0]
                if shown != price:
                    raise twin.finding(f"price of market {market}: {shown}, by the rules {price}")

    # The oracle's owner

    def judge_market(self, dice: Dice) -> None:
        """Other bounds for a market's reports; seldom bounds that are none."""
        desk, market = self.desk, dice.pick(self.signed_markets())
        asked = dice.pick(
            (
                (market, dice.pick((60, 300, 3_600)), dice.pick((100, 1_000, 5_000))),
                (market, 300, 1_000),
                (dice.pick((0, 4_096)), 300, 1_000),
                (market, dice.pick((0, 86_401)), 1_000),
                (market, 300, dice.pick((0, 5_001))),
            )
        )
        self.by_owner(desk.oracle, "oracle.set_market", asked, desk.signed.set_market(*asked))

    def hire(self, dice: Dice) -> None:
        """Other publishers; seldom in disorder, or with a bad threshold."""
        desk, count = self.desk, 3 + dice.below(3)
        first = dice.below(len(PUBLISHERS))
        chosen = {PUBLISHERS[(first + i) % len(PUBLISHERS)].address for i in range(count)}
        hired = [its.address for its in PUBLISHERS if its.address in chosen]
        threshold = count // 2 + 1
        if dice.chance(20):
            threshold = dice.pick((count, count // 2, 0, count + 1))
        if dice.chance(15):
            hired = dice.pick((hired[::-1], [*hired, hired[-1]], ["0x" + "00" * 20, *hired]))
        asked = (hired, threshold)
        self.by_owner(
            desk.oracle, "oracle.set_publishers", asked, desk.signed.set_publishers(*asked)
        )

    def hand_over_oracle(self, dice: Dice) -> None:
        """Ownership of an oracle in two steps; nobody else can take it."""
        desk, twin = self.desk, self.twin
        oracle = dice.pick((desk.oracle, desk.chainlink))
        name = "oracle" if oracle is desk.oracle else "chainlink"
        old, heir = desk.owners[oracle.address], dice.pick(self.stakers)
        send = oracle.send
        self.by_owner(oracle, f"{name}.transfer_ownership", (heir,), set())
        twin.must_refuse(
            f"{name}.accept_ownership",
            lambda: send.accept_ownership(sender=STRANGER.address),
            "ownable_2step: caller is not the new owner",
        )
        if dice.chance(20):
            # Taken back before it is accepted.
            self.by_owner(oracle, f"{name}.transfer_ownership", (old,), set())
            heir = old
        twin.must(f"{name}.accept_ownership", lambda: send.accept_ownership(sender=heir))
        desk.owners[oracle.address] = heir
        twin.checked(())

    def by_owner(self, oracle: Any, name: str, args: tuple[Any, ...], reasons: set[str]) -> None:
        """A call of an oracle's owner, which anybody else is refused."""
        twin, call = self.twin, getattr(oracle.send, name.split(".")[1])
        owner = self.desk.owners[oracle.address]
        twin.must_refuse(name, lambda: call(*args, sender=STRANGER.address), NOT_OWNER)
        if reasons:
            twin.must_refuse(name, lambda: call(*args, sender=owner), *reasons)
            return
        twin.must(name, lambda: call(*args, sender=owner))
        self._check_parameters()
        twin.observed(self.looks())
        twin.checked(())

    # What the oracles show

    def _check_parameters(self) -> None:
        """Publishers, bounds and feeds are what the owners have set."""
        desk = self.desk
        signed, fed = desk.oracle.view, desk.chainlink.view
        shown: list[Any] = [
            (list(signed.publishers()), signed.threshold()),
            *[tuple(signed.market_parameters(market)) for market in desk.signed.markets],
            *[tuple(fed.feed_of(market)) for market in desk.feeds.markets],
        ]
        expected: list[Any] = [
            (desk.signed.publishers, desk.signed.threshold),
            *[(its.max_age_seconds, its.step_bps) for its in desk.signed.markets.values()],
            *[(its.feed.address, its.heartbeat) for its in desk.feeds.markets.values()],
        ]
        if shown != expected:
            raise self.twin.finding(f"oracles' parameters: {shown}, by the rules {expected}")

    def looks(self) -> list[Observation]:
        """What oracles say now, of those markets of which they say something new; it is what the
        rules say."""
        news = []
        for market in self.twin.markets:
            said = self._look(market)
            if said != self._said.get(market):
                self._said[market] = said
                news.append((market, *said))
        return news

    def _look(self, market: int) -> tuple[int, int, int]:
        """`observe` of a market, and where it says something new `price` and `pending`, are what
        they have to be."""
        desk, now = self.desk, self.twin.chain.timestamp
        its = desk.signed.markets
        oracle = desk.oracle if market in its else desk.chainlink
        expected = desk.observe(market)
        try:
            shown: Any = tuple(oracle.view.observe(market))
        except Reverted as refusal:
            shown = refusal.reason
        if shown != expected:
            raise self.twin.finding(f"observe({market}): {shown}, by the rules {expected}")
        if expected == self._said.get(market):
            return expected
        if market in its:
            if tuple(oracle.view.pending(market)) != desk.signed.pending(market):
                raise self.twin.finding(f"pending({market}): {oracle.view.pending(market)}")
            self._expect_price(market, oracle, desk.signed.price(market, now))
        else:
            self._expect_price(market, oracle, desk.feeds.price(market, now))
        return (0, 0, STALE) if isinstance(expected, str) else expected

    def _expect_price(self, market: int, oracle: Any, expected: Any) -> None:
        try:
            shown: Any = tuple(oracle.view.price(market))
        except Reverted as refusal:
            shown = refusal.reason
        reasons = {expected} if isinstance(expected, str) else expected
        agree = shown in reasons if isinstance(shown, str) else shown == expected
        if not agree:
            raise self.twin.finding(f"price({market}): {shown}, by the rules {expected}")

    def market(self, dice: Dice) -> int:
        """As `Trading`, of those that have had a price."""
        quote, markets = self.twin.model.state.quote, self.twin.markets
        return dice.pick([m for m in markets if m != self.reserved and quote(m).price])

    def weak(self) -> list[bytes]:
        """As `Keeping`, without those that hold something from the very price it is at: whether
        that is a loss, which insurance has to cover, is up to a wei of rounding."""
        state, dust = self.twin.model.state, self.twin.dust.equity() * QUOTE_ONE
        return [
            who
            for who in super().weak()
            if all(abs(state.result(who, market)) > dust for market in state.seen(who).legs)
        ]

    def signed_markets(self) -> list[int]:
        """Markets of the signed oracle, of those that are listed."""
        return [market for market in self.twin.markets if market in self.desk.signed.markets]

    def bounded(self, market: int, price: int) -> int:
        """Within what `next_block` allows."""
        first = self.first_prices[market]
        return max(first // 500, min(first * 500, price))
