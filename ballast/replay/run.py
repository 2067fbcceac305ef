"""The replay: population, prices, keeper and checks, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import Any

from eth_account.signers.local import LocalAccount

from ballast import population
from ballast.chain import Receipt
from ballast.client import Ballast
from ballast.config import DeployConfig
from ballast.mirror import WAD, Book
from ballast.model import grid
from ballast.population import PopulationConfig
from ballast.replay import checks
from ballast.replay.keeper import Keeper
from ballast.replay.markets import first_prices
from ballast.replay.twin import Twin
from ballast.scenario import Scenario
from ballast.signing import Order, account_id, key_from_label

MINUTE = 60
DRIFTS_BPS = (0, 60, 120, 60, -60, -120, -60, 30)
"""How far from the scenario's first price the rounds of trading are: entries in several ticks."""


@dataclass(frozen=True)
class ReplayConfig:
    """Money beside the traders', in whole quote."""

    insurance_quote: int = 12_000
    reserve_quote: int = 1_000
    keeper_quote: int = 40_000
    publishers: int = 3
    spare_margin: float = 0.02


@dataclass
class Forced:
    """One member's part of a forced close."""

    step: int
    trader: str
    coin: str
    size: float
    price: float
    oracle_price: float
    band: int
    lost_quote: int
    share_of_profit: float


@dataclass
class Result:
    """What happened; quote in wei. `series` has one row a step for the plot."""

    steps: int = 0
    liquidations: int = 0
    liquidated_quote: int = 0
    insurance_paid_quote: int = 0
    deficit_quote: int = 0
    adl_quote: int = 0
    profit_taken_quote: int = 0
    claims_waiting_quote: int = 0
    shortfall_quote: int = 0
    deleverage_calls: int = 0
    deleverage_resumed: int = 0
    max_deleverage_gas: int = 0
    max_dust_quote: int = 0
    checks: int = 0
    unresolved: int = 0
    traders: int = 0
    trades: int = 0
    violations: list[str] = field(default_factory=list)
    forced: list[Forced] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    prices: dict[str, list[float]] = field(default_factory=dict)
    insurance: list[float] = field(default_factory=list)
    interest: dict[str, list[float]] = field(default_factory=dict)
    events: list[tuple[int, str, str, float]] = field(default_factory=list)

    @property
    def largest_share(self) -> float:
        """The largest share of a winner's profit that one forced close took."""
        return max((f.share_of_profit for f in self.forced), default=0.0)


class Replay:
    """One scenario on one fresh deployment."""

    def __init__(
        self,
        client: Ballast,
        deployed: DeployConfig,
        scenario: Scenario,
        people: PopulationConfig,
        config: ReplayConfig,
        faucet: Callable[[str], None],
    ) -> None:
        self.scenario, self.people, self.config = scenario, people, config
        self.client = client
        self.traders = population.draw(scenario.coins, people)
        self._keys = [key_from_label(trader.label) for trader in self.traders]
        self._publishers = [key_from_label(f"publisher {i}") for i in range(5)]
        self._relay = key_from_label("relay")
        self._donor = key_from_label("staker")
        keeper = key_from_label("keeper")
        for key in (*self._keys, self._relay, self._donor, keeper):
            faucet(key.address)
        accounts = [account_id(key.address) for key in self._keys]
        self._names = {a: t.label for a, t in zip(accounts, self.traders, strict=True)}
        self._names[account_id(keeper.address)] = "keeper"
        self.twin = Twin(client, deployed, [*accounts, account_id(keeper.address)])
        self.keeper = Keeper(self.twin, keeper, self._watch)
        self._accounts = accounts
        self._coins = {number: coin for coin, number in client.markets.items()}
        self.result = Result(traders=len(self.traders))
        self._bands: list[tuple[int, dict[tuple[bytes, int], int]]] = []
        self._book: Book | None = None
        self._offset = 0

    # Setting up

    def prepare(self, progress: Callable[[str], None]) -> None:
        """Money in, first prices, and the trades that give every trader its positions."""
        steps = self.scenario.steps()
        first = first_prices(self.scenario)
        self._fund(self._donor, self.config.insurance_quote + self.config.reserve_quote)
        self.twin.stake(self.config.insurance_quote * WAD, sender=self._donor.address)
        self.twin.donate_to_reserve(self.config.reserve_quote * WAD, sender=self._donor.address)
        keeper = key_from_label("keeper")
        self._fund(keeper, self.config.keeper_quote)
        self.twin.deposit(
            self.keeper.account, self.config.keeper_quote * WAD, sender=keeper.address
        )
        trades = population.plan_trades(self.traders, first, self.people)
        held = self._holdings(trades)
        for trader, key, account in zip(self.traders, self._keys, self._accounts, strict=True):
            notional = held.get(trader.index, 0)
            whole = int(notional / WAD * (1 / trader.leverage + self.config.spare_margin)) + 1
            self._fund(key, whole)
            self.twin.deposit(account, whole * WAD, sender=key.address)
            progress(f"{trader.label} deposits {whole:,}")
        salts = cycle(range(1, 1 << 62))
        for number, drift_bps in enumerate(DRIFTS_BPS):
            at = {coin: price * (10_000 + drift_bps) // 10_000 for coin, price in first.items()}
            self.twin.wait_until(self.client.chain.timestamp + MINUTE)
            self._report(at)
            for trade in trades[number :: len(DRIFTS_BPS)]:
                self._trade(replace(trade, price=at[trade.coin]), salts)
                progress(f"{trade.coin} {trade.size_base / WAD:.4f} @ {at[trade.coin] / WAD:,.2f}")
        self.twin.wait_until(self.client.chain.timestamp + MINUTE)
        self._report(first)
        self._offset = self.client.chain.timestamp + MINUTE - steps[0].timestamp

    def _trade(self, trade: population.Trade, salts: Iterator[int]) -> None:
        market = self.client.markets[trade.coin]
        buy, sell = (
            Order(
                self._accounts[who], market, is_buy, trade.size_base, trade.price, salt=next(salts)
            )
            for who, is_buy in ((trade.buyer, True), (trade.seller, False))
        )
        buyer, seller = self._keys[trade.buyer], self._keys[trade.seller]
        self.twin.trade(buy, buyer, sell, seller, sender=self._relay.address)
        self.result.trades += 1

    @staticmethod
    def _holdings(trades: Sequence[population.Trade]) -> dict[int, int]:
        """Notional (wei) each trader will trade."""
        held: dict[int, int] = {}
        for trade in trades:
            quote = trade.size_base * trade.price // WAD
            for who in (trade.buyer, trade.seller):
                held[who] = held.get(who, 0) + quote
        return held

    def _fund(self, key: LocalAccount, whole: int) -> None:
        amount = whole * WAD // self.twin.scale
        self.client.token.send.mint(key.address, amount, sender=key.address)

    def _report(self, prices: dict[str, int]) -> None:
        self.twin.report(
            {self.client.markets[coin]: price for coin, price in prices.items()},
            self._publishers[: self.config.publishers],
            sender=self._relay.address,
        )

    # Replaying

    def run(self, progress: Callable[[str], None]) -> Result:
        """Replay every step; stops at the first violation."""
        result = self.result
        for step in self.scenario.steps():
            self.twin.wait_until(step.timestamp + self._offset)
            self._report(step.prices)
            self._book = self.twin.read()
            self._remember_bands(step.timestamp, self._book)
            self._book = self.keeper.act(self._book)
            self._record(step.timestamp, self._book)
            found, dust = checks.violations(self.twin, self._book)
            result.violations += found
            result.checks += 1
            result.max_dust_quote = max(result.max_dust_quote, dust)
            result.steps += 1
            progress(f"{result.liquidations} liquidated, {result.deleverage_calls} deleveraged")
            if result.violations:
                break
        self._finish()
        return result

    def _finish(self) -> None:
        if not self.result.violations and self._book is not None:
            self.keeper.collect(self._book)
            self._book = self.twin.read()
            self.result.violations += checks.violations(self.twin, self._book)[0]
        book = self._book
        if book is None:
            return
        self.result.unresolved = sum(book.equity(a) < 0 for a in book.accounts)
        self.result.claims_waiting_quote = sum(g.claims.size for g in book.groups.values())
        self.result.shortfall_quote = sum(g.shortfall for g in book.groups.values())

    def _record(self, timestamp: int, book: Book) -> None:
        result = self.result
        result.times.append(timestamp)
        result.insurance.append(book.insurance / WAD)
        for market, coin in self._coins.items():
            result.prices.setdefault(coin, []).append(book.price(market) / WAD)
            interest = book.markets[market].open_interest * book.price(market) / WAD / WAD
            result.interest.setdefault(coin, []).append(interest)

    # Bands

    def _remember_bands(self, timestamp: int, book: Book) -> None:
        self._bands.append((timestamp, bands(book)))
        while len(self._bands) > 1 and self._bands[1][0] <= timestamp - MINUTE:
            self._bands.pop(0)

    def _band_shown(self, account: bytes, market: int) -> int:
        """The band a minute before (or at the beginning, if that is later)."""
        return self._bands[0][1].get((account, market), 0)

    # Watching the keeper

    def _watch(self, call: str, account: bytes, send: Callable[[], Receipt]) -> None:
        before = self._book
        receipt = send()
        self._book = after = self.twin.read()
        assert before is not None
        moment = self.result.times[-1] if self.result.times else 0
        for event in self.twin.events(receipt):
            self._count(event, moment)
        if call == "deleverage":
            self._judge_deleverage(account, receipt, before, after)

    def _count(self, event: Any, moment: int) -> None:
        result = self.result
        if event.name == "InsuranceDrawn":
            result.insurance_paid_quote += event.amount_quote
        elif event.name == "Liquidated":
            quote = event.size * event.price // WAD
            result.liquidations += 1
            result.liquidated_quote += quote
            result.events.append((moment, "liquidation", self._coins[event.market], quote / WAD))
        elif event.name == "Deleveraged":
            quote = event.size * event.oracle_price // WAD
            result.adl_quote += quote
            result.deficit_quote += event.deficit_quote
            result.events.append((moment, "ADL", self._coins[event.market], quote / WAD))

    def _judge_deleverage(
        self, account: bytes, receipt: Receipt, before: Book, after: Book
    ) -> None:
        result = self.result
        result.deleverage_calls += 1
        result.deleverage_resumed += after.equity(account) < 0
        result.max_deleverage_gas = max(result.max_deleverage_gas, receipt.gas_used)
        slack = checks.tolerance(self.twin, after)
        if before.equity(account) >= slack:
            result.violations.append(f"S6: {self._names[account]} deleveraged with equity")
        closes = [e for e in self.twin.events(receipt) if e.name == "ForcedClose"]
        markets = {event.market for event in closes}
        result.violations += checks.profit_only(before, after, account, markets, slack)
        for event in closes:
            self._blame(event, before, event.market)

    def _blame(self, event: Any, before: Book, market: int) -> None:
        """What a forced close took from each member of its bucket."""
        result = self.result
        taken = event.size * abs(event.price - event.oracle_price) // WAD
        result.profit_taken_quote += taken
        place = event.bucket_id & (2**17 - 1)
        members = {
            account: state.legs[market]
            for account, state in before.accounts.items()
            if market in state.legs and state.legs[market].bucket_id & (2**17 - 1) == place
        }
        total = sum(leg.size for leg in members.values())
        for account, leg in members.items():
            if not leg.size:
                continue
            lost = taken * leg.size // total
            profit = leg.result(before.price(market))
            result.forced.append(
                Forced(
                    step=result.steps,
                    trader=self._names[account],
                    coin=self._coins[market],
                    size=event.size * leg.size / total / WAD,
                    price=event.price / WAD,
                    oracle_price=event.oracle_price / WAD,
                    band=self._band_shown(account, market),
                    lost_quote=lost,
                    share_of_profit=lost / profit if profit > 0 else 0.0,
                )
            )


def bands(book: Book) -> dict[tuple[bytes, int], int]:
    """Every leg's band, as `adl_rank` gives it (a test compares them)."""
    found: dict[tuple[bytes, int], int] = {}
    for market, state in book.markets.items():
        if not state.open_interest:
            continue
        price = book.price(market)
        for is_long in (True, False):
            buckets: dict[tuple[int, int], int] = {}
            legs = {}
            for account, holder in book.accounts.items():
                leg = holder.legs.get(market)
                if leg is None or leg.is_long != is_long or not leg.size:
                    continue
                legs[account] = leg
                place = (leg.tier, leg.tick)
                buckets[place] = buckets.get(place, 0) + leg.size
            ahead: dict[tuple[int, int], int] = {}
            seen = 0
            for place in sorted(buckets, key=lambda at: _order(is_long, at, price)):
                ahead[place] = seen
                seen += buckets[place]
            for account, leg in legs.items():
                size_ahead = ahead[leg.tier, leg.tick]
                found[account, market] = 5 - min(4, 5 * size_ahead // state.open_interest)
    return found


def _order(is_long: bool, place: tuple[int, int], price: int) -> tuple[int, int, int]:
    tier, tick = place
    return -grid.score(is_long, tier, tick, price), -tier, tick if is_long else -tick
