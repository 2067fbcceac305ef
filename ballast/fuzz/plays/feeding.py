"""Chainlink feeds and the sequencer: rounds good and bad, silence, outages and what follows."""

from __future__ import annotations

from typing import Any

from ballast.fuzz.desk import DECIMALS
from ballast.fuzz.dice import Dice
from ballast.fuzz.dust import WAD
from ballast.fuzz.plays.bad_reports import STRANGER
from ballast.fuzz.plays.publishing import Publishing
from ballast.fuzz.plays.trading import Action
from ballast.fuzz.rules.feeds import COUNTER, Feed, Round


class Feeding(Publishing):
    """What the Chainlink oracle makes of its feeds is known before."""

    def scenes(self) -> dict[str, list[Action]]:
        """As `Publishing`, and feeds in trouble."""
        return {
            **super().scenes(),
            "feeds": [
                *[self.round_now] * 3,
                *[self.bad_round] * 3,
                *[self.note_outage] * 4,
                self.sequencer,
                self.sequencer,
                self.break_feed,
                self.change_feed,
                self.fall_silent,
                self.fill_unpriced,
                self.quiet_block,
                self.resolve_next,
                self.fill,
            ],
        }

    # Blocks

    def speak(self, dice: Dice) -> None:
        """Publishers as before; feeds answer where the price has moved or the last round is old."""
        super().speak(dice)
        for market, listed in self.desk.feeds.markets.items():
            if market in self.silent or dice.chance(7):
                continue
            latest, now = listed.feed.latest, self.twin.chain.timestamp
            known = listed.price(now)
            moved = isinstance(known, str) or abs(self.levels[market] - known) * 200 > known
            if moved or now > latest.updated_at + listed.heartbeat // 2:
                self.desk.answer(market, self.levels[market])

    def outage(self, dice: Dice) -> None:
        """Publishers or a feed fall silent, a feed breaks, the sequencer stops; or all is well
        again."""
        kind = dice.below(5)
        if kind < 2 or not self.fed_markets():
            super().outage(dice)
        elif kind == 2:
            self.fall_silent(dice)
        elif kind == 3:
            self.bad_round(dice)
        else:
            self.sequencer(dice)

    def drain(self, dice: Dice) -> None:
        """As `Keeping`, unless the reserved market's feed says nothing."""
        if self.reserved and not self.twin.model.state.quote(self.reserved).price:
            return self.gap(dice)
        return super().drain(dice)

    # Rounds

    def round_now(self, dice: Dice) -> None:
        """Another round in this block; its predecessor may show an outage no more."""
        if not self.fed_markets():
            return self.report_again(dice)
        market = dice.pick(self.fed_markets())
        factor = dice.pick((1.0, 0.99, 1.02, 0.8, 1.3))
        self.levels[market] = self.bounded(market, int(self.levels[market] * factor))
        self.desk.answer(market, self.levels[market])
        return self._told()

    def bad_round(self, dice: Dice) -> None:
        """A round that is no price, of another time, or not complete; or the first of a phase."""
        if not self.fed_markets():
            return self.report_badly(dice)
        market = dice.pick(self.fed_markets())
        feed, now = self.desk.feeds.markets[market].feed, self.twin.chain.timestamp
        good = self.levels[market] * 10**feed.decimals // 10**18
        round_id = max(feed.latest_id, COUNTER) + 1
        kinds = (
            Round(good, now, now, round_id - 1),
            Round(0, now, now, round_id),
            Round(-good, now, now, round_id),
            Round(-(-(2**96) * 10**feed.decimals // 10**18), now, now, round_id),
            Round(2**255 - 1, now, now, round_id),
            Round(good, now, now + 60, round_id),
            Round(good, now, 2**256 - 1, round_id),
            Round(good, 0, 0, round_id),
            Round(good, now - 10**6, now - 10**6, round_id),
        )
        if dice.chance(25):
            # Rounds of a phase count from 1; an aggregator may have said something as 0, too.
            round_id = (round_id // COUNTER + 1) * COUNTER + dice.below(2)
            its = Round(good, now, now, round_id)
        else:
            its = dice.pick(kinds)
        self.desk.set_round(feed, round_id, its)
        return self._told()

    def fall_silent(self, dice: Dice) -> None:
        """A feed says nothing for longer than its heartbeat, then (mostly) something."""
        if not self.fed_markets():
            return self.outage(dice)
        market = dice.pick(self.fed_markets())
        moves = {m: dice.between(0.97, 1.03) for m in self.twin.markets}
        self.silent.add(market)
        self.next_block(moves, self.desk.feeds.markets[market].heartbeat + dice.below(100))
        if dice.chance(75):
            self.silent.discard(market)
            self.next_block({}, dice.pick((1, 12, 60)))
        return None

    def break_feed(self, dice: Dice) -> None:
        """A feed, its history or the sequencer's feed reverts, or answers again."""
        feeds = [self.desk.feeds.markets[market].feed for market in self.fed_markets()]
        if self.desk.feeds.sequencer is not None:
            feeds.append(self.desk.feeds.sequencer)
        if not feeds:
            return self.outage(dice)
        broken = [feed for feed in feeds if feed.is_latest_broken or feed.is_history_broken]
        if broken and dice.chance(80):
            self.desk.set_broken(broken[0], False, False)
        else:
            self.desk.set_broken(dice.pick(feeds), dice.chance(50), dice.chance(60))
        return self._told()

    def sequencer(self, dice: Dice) -> None:
        """It stops, or starts again some time ago, or now; hardly ever it says it never started."""
        feed, now = self.desk.feeds.sequencer, self.twin.chain.timestamp
        if feed is None:
            return self.outage(dice)
        if feed.latest.answer == 0 and feed.latest.started_at:
            self.desk.sequence(up=False, since=now)
        elif dice.chance(10):
            self.desk.sequence(up=True, since=0)
        else:
            since = now + 5 - dice.pick((5, 5, 10, 300, self.desk.feeds.grace_seconds, 0))
            self.desk.sequence(up=True, since=since)
        return self._told()

    def _told(self) -> None:
        """Something was set at a feed, in this block."""
        self.twin.observed(self.looks())
        self.twin.checked(())

    def fill_unpriced(self, dice: Dice) -> None:
        """A fill in a market that nobody has used and whose feed has no price, if there is one."""
        quote = self.twin.model.state.quote
        unpriced = [market for market in self.fed_markets() if not quote(market).price]
        if not unpriced:
            return self.bad_round(dice)
        market = dice.pick(unpriced)
        self.twin.fill(market, *self.two(dice, market), WAD, self.levels[market])
        return None

    # The oracle's own calls

    def note_outage(self, dice: Dice) -> None:
        """Of any round of late, or of none."""
        desk, twin, now = self.desk, self.twin, self.twin.chain.timestamp
        if not self.fed_markets():
            return self.report_again(dice)
        market = dice.pick(self.fed_markets()) if dice.chance(95) else 4_000
        listed = desk.feeds.markets.get(market)
        round_id = listed.feed.latest_id - dice.below(4) if listed else 1
        late = [n for n in listed.feed.rounds if listed.came_late(n, now)] if listed else []
        if late and dice.chance(70):
            round_id = late[-1]
        refusal = desk.feeds.note_outage(market, max(0, round_id), now)

        def send() -> Any:
            return desk.chainlink.send.note_outage(
                market, max(0, round_id), sender=STRANGER.address
            )

        if refusal:
            return twin.must_refuse("chainlink.note_outage", send, refusal)
        twin.must("chainlink.note_outage", send)
        if listed is not None and isinstance(listed.price(now), int):
            shown = desk.chainlink.view.grace_until(market)
            if shown != desk.feeds.grace_until(market, now):
                raise twin.finding(f"grace_until({market}): {shown}")
        return self._told()

    def change_feed(self, dice: Dice) -> None:
        """Another heartbeat, or a new aggregator with other decimals; seldom something refused."""
        desk = self.desk
        if not self.fed_markets():
            return self.judge_market(dice)
        market = dice.pick(self.fed_markets())
        feed, heartbeat = desk.feeds.markets[market].feed, desk.feeds.markets[market].heartbeat
        if dice.chance(40):
            feed = self._new_feed(dice)
            heartbeat = dice.pick((heartbeat, 3_600))
        elif dice.chance(60):
            heartbeat = dice.pick((600, 3_600, 7_200, 172_800))
        else:
            market, heartbeat = dice.pick(
                ((0, 3_600), (4_096, 3_600), (market, 0), (market, 172_801), (market, heartbeat))
            )
        asked = market, feed.address, heartbeat
        reasons = desk.feeds.set_feed(market, feed, heartbeat)
        self.by_owner(desk.chainlink, "chainlink.set_feed", asked, reasons)
        return None

    def _new_feed(self, dice: Dice) -> Feed:
        """With a first round of the same moment, or none yet."""
        desk, now = self.desk, self.twin.chain.timestamp
        decimals = dice.pick((DECIMALS, 18, DECIMALS, 18, 20, 36, 0, 37))
        feed = desk.new_feed(decimals)
        if dice.chance(80):
            answer = min(2**255 - 1, 10**decimals * dice.pick((1, 100)))
            desk.set_round(feed, COUNTER + 1, Round(answer, now, now, COUNTER + 1))
        return feed

    def fed_markets(self) -> list[int]:
        """Listed markets with a Chainlink feed, without the reserved one."""
        fed = self.desk.feeds.markets
        return [m for m in self.twin.markets if m in fed and m != self.reserved]
