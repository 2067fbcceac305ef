"""Chainlink feeds by the rules of design section 7, apart from `ChainlinkOracle`."""

from __future__ import annotations

from dataclasses import dataclass, field

from ballast.model.market import GRACE, STALE

PRICE_LIMIT = 2**96
MAX_MARKET = 4_095
MAX_HEARTBEAT = 172_800
MAX_DECIMALS = 36
COUNTER = 2**64
"""A round id is the aggregator's phase times this and the number of its round, from 1."""


@dataclass(frozen=True, slots=True)
class Round:
    """A round of a feed. A sequencer-uptime feed answers 0 while the sequencer is up."""

    answer: int = 0
    started_at: int = 0
    updated_at: int = 0
    answered_in: int = 0


@dataclass
class Feed:
    """An aggregator: its rounds by id, and what of it answers."""

    address: str
    decimals: int
    latest_id: int = 0
    rounds: dict[int, Round] = field(default_factory=dict)
    is_latest_broken: bool = False
    is_history_broken: bool = False

    @property
    def latest(self) -> Round:
        """The round that counts."""
        return self.rounds.get(self.latest_id, Round())

    def time_of(self, round_id: int, now: int) -> int:
        """When a round came, 0 where that cannot be told."""
        if self.is_history_broken:
            return 0
        updated_at = self.rounds.get(round_id, Round()).updated_at
        return updated_at if updated_at <= now else 0


@dataclass
class Listed:
    """A market's feed as the oracle was told: the feed's decimals were read at that time."""

    feed: Feed
    heartbeat: int
    decimals: int
    grace_until: int = 0
    """The end of the last grace on record."""

    def came_late(self, round_id: int, now: int) -> bool:
        """Whether the round ended a silence longer than a heartbeat, as far as can be told. The
        first round of a phase has no predecessor."""
        if round_id % COUNTER <= 1:
            return False
        before, at = self.feed.time_of(round_id - 1, now), self.feed.time_of(round_id, now)
        return bool(before) and at > before + self.heartbeat

    def price(self, now: int) -> int | str:
        """The latest answer in WAD, rounded down, or why there is none."""
        if self.feed.is_latest_broken:
            return "aggregator: broken"
        latest = self.feed.latest
        if not latest.updated_at:
            return "chainlink: no price"
        if latest.updated_at > now:
            return "chainlink: from the future"
        price = latest.answer * 10**18 // 10**self.decimals
        return price if 0 < price < PRICE_LIMIT else "chainlink: price out of range"


@dataclass
class Feeds:
    """The oracle as a whole."""

    grace_seconds: int
    sequencer: Feed | None = None
    markets: dict[int, Listed] = field(default_factory=dict)

    # Calls

    def note_outage(self, market: int, round_id: int, now: int) -> str:
        """Put a late round's grace on record; "" or the reason against it."""
        listed = self.markets.get(market)
        if listed is None:
            return "chainlink: unknown market"
        if not listed.came_late(round_id, now):
            return "chainlink: no outage"
        until = listed.feed.time_of(round_id, now) + self.grace_seconds
        if until <= now or until <= listed.grace_until:
            return "chainlink: grace over"
        listed.grace_until = until
        return ""

    def set_feed(self, market: int, feed: Feed, heartbeat: int) -> set[str]:
        """Reasons against it; with none it is done."""
        reasons = set()
        if not 1 <= market <= MAX_MARKET:
            reasons.add("chainlink: bad market")
        if not 1 <= heartbeat <= MAX_HEARTBEAT:
            reasons.add("chainlink: bad heartbeat")
        if feed.decimals > MAX_DECIMALS:
            reasons.add("chainlink: decimals above 36")
        old = self.markets.get(market)
        asked = Listed(feed, heartbeat, feed.decimals, old.grace_until if old else 0)
        if old is not None and old.feed is feed and old == asked:
            reasons.add("chainlink: no change")
        if not reasons:
            self.markets[market] = asked
        return reasons

    # Views

    def observe(self, market: int, now: int) -> tuple[int, int, int] | str:
        """The latest price however old, its time and status, or why there is none."""
        listed = self.markets.get(market)
        if listed is None:
            return "chainlink: unknown market"
        price = listed.price(now)
        if isinstance(price, str):
            return price
        if self.sequencer is not None and self.sequencer.is_latest_broken:
            return "aggregator: broken"
        up_since = self._up_since(now)
        latest = listed.feed.latest
        doubts = (
            self._is_incomplete(listed.feed),
            now > latest.updated_at + listed.heartbeat,
            up_since is None,
            self._is_from_before(latest, up_since, now),
        )
        in_grace = (
            up_since is not None and up_since + self.grace_seconds > now,
            self.grace_until(market, now) > now,
        )
        return price, latest.updated_at, STALE * any(doubts) | GRACE * any(in_grace)

    def price(self, market: int, now: int) -> tuple[int, int] | set[str]:
        """The price where it may be traded at, or the reasons why not."""
        listed = self.markets.get(market)
        if listed is None:
            return {"chainlink: unknown market"}
        price = listed.price(now)
        if isinstance(price, str):
            return {price}
        latest, reasons = listed.feed.latest, set()
        if self._is_incomplete(listed.feed):
            reasons.add("chainlink: incomplete round")
        if now > latest.updated_at + listed.heartbeat:
            reasons.add("chainlink: stale")
        if self.sequencer is not None and self.sequencer.is_latest_broken:
            return reasons | {"aggregator: broken"}
        up_since = self._up_since(now)
        if up_since is None:
            reasons.add("chainlink: sequencer down")
        if self._is_from_before(latest, up_since, now):
            reasons.add("chainlink: from before the restart")
        return reasons or (price, latest.updated_at)

    def grace_until(self, market: int, now: int) -> int:
        """The end of the feed's grace: on record, or to be seen in its latest round."""
        listed = self.markets[market]
        until = 0
        if listed.came_late(listed.feed.latest_id, now):
            until = listed.feed.latest.updated_at + self.grace_seconds
        return max(until, listed.grace_until)

    def _up_since(self, now: int) -> int | None:
        """Since when the sequencer is up (0 without a feed of it), None if it is not."""
        if self.sequencer is None:
            return 0
        latest = self.sequencer.latest
        if latest.answer or not latest.started_at:
            return None
        return min(latest.started_at, now)

    def _is_from_before(self, latest: Round, up_since: int | None, now: int) -> bool:
        """A price from before the restart, in the grace after it."""
        if up_since is None or up_since + self.grace_seconds <= now:
            return False
        return latest.updated_at < up_since

    @staticmethod
    def _is_incomplete(feed: Feed) -> bool:
        return feed.latest.answered_in < feed.latest_id
