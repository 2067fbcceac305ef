"""Whoever brings prices: publishers' keys and feeds, with the rules of both oracles beside them."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy, deepcopy
from dataclasses import dataclass
from typing import Any

from ballast import build
from ballast.chain import ZERO_ADDRESS
from ballast.client import Ballast
from ballast.contract import Contract
from ballast.errors import Reverted
from ballast.fuzz.rules.feeds import COUNTER, Feed, Feeds, Round
from ballast.fuzz.rules.signed_prices import Market, Quoted, Report, SignedPrices, Waiting
from ballast.fuzz.signer import Signer, report_data
from ballast.fuzz.tape import TapedRevm
from ballast.signing import Domain, SignedReport, report_digest

MAX_AGE_SECONDS = 300
STEP_BPS = 1_000
HEARTBEAT_SECONDS = 7_200
DECIMALS = 8
FIRST_PUBLISHERS = 5
PUBLISHERS = sorted(
    (Signer(f"fuzz publisher {number}") for number in range(7)), key=lambda s: int(s.address, 16)
)
"""Ours; the oracle knows some of them at a time."""
Observed = tuple[int, int, int] | str
"""Price, time and status as `observe` has them, or the reason why there is none."""


@dataclass(frozen=True)
class Parcel:
    """A report as it is sent, and what the rules need to know of it."""

    report: Report
    sent: SignedReport


class Desk:
    """Prices at will, through the oracles' own doors. `signed` and `feeds` are in step with the
    chain as long as all that is brought goes through here."""

    def __init__(self, client: Ballast, chain: TapedRevm) -> None:
        """Takes over: our publishers by the oracle's owner's hand, our code in the feeds' place."""
        self.chain, self.oracle, self.chainlink = chain, client.oracle, client.chainlink
        self.domain: Domain = client.report_domain
        self._house = client.clearinghouse
        self._aggregators: dict[str, Contract] = {}
        self.owners = {its.address: str(its.view.owner()) for its in (self.oracle, self.chainlink)}
        hired = [publisher.address for publisher in PUBLISHERS[:FIRST_PUBLISHERS]]
        self.signed = SignedPrices(hired, len(hired) // 2 + 1)
        self._by_owner(self.oracle, "set_publishers", hired, self.signed.threshold)
        sequencer = str(self.chainlink.view.sequencer_feed())
        self.feeds = Feeds(
            int(self.chainlink.view.grace_seconds()),
            None if sequencer == ZERO_ADDRESS else self._adopt_feed(sequencer),
        )
        number = 1
        while self.is_listed(number):
            if self.is_signed(number):
                self._adopt_market(number)
            else:
                feed, heartbeat = self.chainlink.view.feed_of(number)
                self.feeds.set_feed(number, self._adopt_feed(str(feed)), int(heartbeat))
            number += 1

    def copy(self) -> Desk:
        """With rules of its own, for a run that will be rolled back."""
        other = copy(self)
        other.signed, other.feeds, other.owners = deepcopy((self.signed, self.feeds, self.owners))
        return other

    # Which oracle

    def is_listed(self, market: int) -> bool:
        """Whether the clearinghouse knows a market."""
        return bool(self._house.view.market_params(market).group)

    def is_signed(self, market: int) -> bool:
        """Whether a market has signed prices; a Chainlink feed if not."""
        if market in self.signed.markets or market in self.feeds.markets:
            return market in self.signed.markets
        return bool(self._house.view.market_params(market).oracle == self.oracle.address)

    def observe(self, market: int) -> Observed:
        """What the rules say of a market's oracle now."""
        books = self.signed if self.is_signed(market) else self.feeds
        return books.observe(market, self.chain.timestamp)

    # Prices

    def set_price(self, market: int, price: int, status: int = 0) -> tuple[int, int, int]:
        """A price of this moment, for a new market as well; price, time and status as they are
        then. (The rules hold: no status comes by itself, and the breaker may make it wait.)"""
        if self.is_signed(market):
            if market not in self.signed.markets:
                self.signed.set_market(market, MAX_AGE_SECONDS, STEP_BPS)
                self._by_owner(self.oracle, "set_market", market, MAX_AGE_SECONDS, STEP_BPS)
            now = self.chain.timestamp
            signers = self.publishers()[: self.signed.threshold]
            self.bring([self.parcel(market, [(signer, price, now) for signer in signers])])
        else:
            if market not in self.feeds.markets:
                feed = self.new_feed(DECIMALS)
                self.feeds.set_feed(market, feed, HEARTBEAT_SECONDS)
                self._by_owner(self.chainlink, "set_feed", market, feed.address, HEARTBEAT_SECONDS)
            self.answer(market, price)
        said = self.observe(market)
        return (0, 0, 0) if isinstance(said, str) else said

    # Signed prices

    def publishers(self) -> list[Signer]:
        """Those whose signatures count, ascending."""
        return [its for its in PUBLISHERS if its.address in self.signed.publishers]

    def parcel(
        self, market: int, words: Sequence[tuple[Signer, int, int]], domain: Domain | None = None
    ) -> Parcel:
        """A report of a market: price and time by signer, in the order given. `domain`: of which
        oracle, if not ours."""
        signatures = [
            signer.sign(report_digest(domain or self.domain, market, price, timestamp))
            for signer, price, timestamp in words
        ]
        quotes = tuple(
            Quoted("" if domain else signer.address, price, timestamp)
            for signer, price, timestamp in words
        )
        prices, times = [price for _, price, _ in words], [time for _, _, time in words]
        return Parcel(
            Report(market, quotes, (len(prices), len(times))),
            SignedReport(market, prices, times, signatures),
        )

    def bring(self, parcels: Sequence[Parcel]) -> set[str]:
        """Send a batch that the rules accept; else the reasons against it, and nothing is sent."""
        reasons = self.submit(parcels)
        if not reasons:
            self.send(parcels)
        return reasons

    def submit(self, parcels: Sequence[Parcel]) -> set[str]:
        """What the rules say of a batch; they take it if there is nothing against it."""
        reports = [parcel.report for parcel in parcels]
        return self.signed.submit(reports, self.chain.timestamp, self.chain.block_number)

    def send(self, parcels: Sequence[Parcel]) -> Any:
        """Send a batch as it is."""
        data = report_data([parcel.sent for parcel in parcels])
        return self.chain.send(self.oracle.address, data, sender=PUBLISHERS[0].address)

    # Feeds

    def answer(self, market: int, price: int) -> None:
        """A round of this moment (WAD; what the feed's decimals do not hold is rounded down, what
        they hold beyond is filled up with nines)."""
        feed, now = self.feeds.markets[market].feed, self.chain.timestamp
        amount = price * 10**feed.decimals // 10**18 + 10 ** max(0, feed.decimals - 18) - 1
        round_id = max(feed.latest_id, COUNTER) + 1
        self.set_round(feed, round_id, Round(amount, now, now, round_id))

    def sequence(self, up: bool, since: int) -> None:
        """The sequencer is up or down since a time."""
        feed = self.feeds.sequencer
        if feed is not None:
            round_id = feed.latest_id + 1
            self.set_round(feed, round_id, Round(0 if up else 1, since, since, round_id))

    def set_round(self, feed: Feed, round_id: int, its: Round) -> None:
        """A round, from now on the latest."""
        feed.rounds[round_id], feed.latest_id = its, round_id
        self._aggregator(feed).send.set_round(
            round_id,
            its.answer,
            its.started_at,
            its.updated_at,
            its.answered_in,
            sender=ZERO_ADDRESS,
        )

    def set_broken(self, feed: Feed, is_latest_broken: bool, is_history_broken: bool) -> None:
        """Whether the latest round, and earlier ones, cannot be read."""
        feed.is_latest_broken, feed.is_history_broken = is_latest_broken, is_history_broken
        self._aggregator(feed).send.set_broken(
            is_latest_broken, is_history_broken, sender=ZERO_ADDRESS
        )

    def new_feed(self, decimals: int) -> Feed:
        """An aggregator without rounds."""
        code = build.artifact("MockAggregator").deploy_code(decimals)
        address, _ = self.chain.deploy(code, sender=PUBLISHERS[0].address)
        return Feed(address, decimals)

    def _aggregator(self, feed: Feed) -> Contract:
        known = self._aggregators.get(feed.address)
        if known is None:
            abi = build.artifact("MockAggregator").abi
            known = self._aggregators[feed.address] = Contract(self.chain, feed.address, abi)
        return known

    # Taking over

    def _by_owner(self, oracle: Contract, name: str, *args: Any) -> None:
        getattr(oracle.send, name)(*args, sender=self.owners[oracle.address])

    def _adopt_market(self, market: int) -> None:
        """A market of the signed oracle as it stands. What waits does so since an earlier block."""
        view = self.oracle.view
        its = self.signed.markets[market] = Market(*view.market_parameters(market))
        try:
            its.price, its.timestamp, _ = view.observe(market)
        except Reverted:
            return
        price, timestamp = view.pending(market)
        if price:
            its.waiting = Waiting(price, timestamp, 0)

    def _adopt_feed(self, address: str) -> Feed:
        """Our code at a feed's address, with the feed's latest round."""
        made = build.artifact("MockAggregator")
        shown = Contract(self.chain, address, made.abi)
        decimals = int(shown.view.decimals())
        round_id, *latest = shown.view.latestRoundData()
        if self.chain.code(address) != made.runtime:
            self.chain.put(address, code=made.runtime)
            shown.send.set_decimals(decimals, sender=ZERO_ADDRESS)
        feed = Feed(address, decimals)
        self.set_round(feed, round_id, Round(*latest))
        return feed
