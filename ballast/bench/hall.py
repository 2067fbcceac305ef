"""A whole market on an in-process chain: a deployment, its traders, and how they came to be there.

Before the crash lies a history, drawn from the seed: prices wander backwards from the recording's
first one, and every trader enters all legs at one of its moments, so entries spread over many ticks
as in a real book. At the recording's first price every trader is given the leverage drawn for it,
unless its gains have made it lower.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from eth_utils import keccak

from ballast import config, population
from ballast.abi import checksum
from ballast.client import Ballast
from ballast.columns import Columns, summed
from ballast.config import DeployConfig
from ballast.deploy import deploy, deploy_token
from ballast.evm import Revm, RevmReceipt
from ballast.indexer import Indexer
from ballast.mirror import WAD
from ballast.population import PopulationConfig, Trade, Trader
from ballast.record import Record
from ballast.replay.markets import first_prices, for_scenario
from ballast.scenario import Scenario
from ballast.signing import account_id, key_from_label

KEEPER_RESERVE = 3
MOMENT_SECONDS = 60
FORTUNE = 2**90
PENDING = 2

Say = Callable[[str, float], None]
"""Told what is being done, and how much of it is done (0 to 1)."""


def silent(what: str, done: float) -> None:
    """Says nothing."""


@dataclass(frozen=True)
class HallConfig:
    """A market. Shares are of the open interest at the first price (quote).

    `moments` of history, each a step of `common_sigma` (all coins together) and `own_sigma`
    (each coin for itself) in logarithm; a trader enters at an age drawn from an exponential
    distribution of `mean_age` moments.
    """

    people: PopulationConfig
    moments: int = 32
    common_sigma: float = 0.012
    own_sigma: float = 0.008
    mean_age: float = 10.0
    liquidators: int = 10
    liquidators_share: float = 0.01
    insurance_share: float = 0.002
    reserve_quote: int = 100_000


def people(traders: int, seed: int) -> PopulationConfig:
    """Sizes and leverage spread as on a large venue: half of all accounts under 3,000 quote, a
    hundredth of them with most of the open interest; longs higher geared than shorts."""
    return PopulationConfig(
        traders=traders,
        seed=seed,
        long_share=0.55,
        hedged_share=0.1,
        median_notional_quote=3_000.0,
        notional_sigma=2.0,
        max_notional_quote=5_000_000.0,
        leverages=(1.2, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 33.0),
        long_weights=(2, 3, 4, 5, 5, 5, 4, 2),
        short_weights=(5, 5, 5, 4, 3, 3, 2, 1),
    )


class Followed(Revm):
    """A chain whose every transaction an indexer is shown."""

    def __init__(self) -> None:
        super().__init__()
        self._early: list[tuple[RevmReceipt, int, int]] = []
        self._indexer: Indexer | None = None

    def follow(self, indexer: Indexer) -> None:
        """Show an indexer everything from the first transaction on."""
        for receipt, number, timestamp in self._early:
            indexer.apply(receipt.logs, number, timestamp)
        self._early.clear()
        self._indexer = indexer

    def send(self, to: str, data: bytes, *, sender: str, **options: Any) -> RevmReceipt:
        """As of `Revm`."""
        receipt = super().send(to, data, sender=sender, **options)
        if self._indexer is None:
            self._early.append((receipt, self.block_number, self.timestamp))
        else:
            self._indexer.apply(receipt.logs, self.block_number, self.timestamp)
        return receipt


@dataclass
class Hall:
    """The deployment and everybody on it. Prices are WAD by market id."""

    chain: Followed
    client: Ballast
    record: Record
    deployed: DeployConfig
    indexer: Indexer
    columns: Columns
    owner: str
    payer: str
    keeper: str
    publishers: list[Any]
    accounts: list[bytes]
    scale: int
    liquidators: list[bytes] = field(default_factory=list)
    prices: dict[int, int] = field(default_factory=dict)
    trades: int = 0

    def report(self, prices: Mapping[int, int], exact_gas: bool = False) -> list[int]:
        """Bring prices on chain, again a block later where a step waits; the gas of each
        transaction (zeros without `exact_gas`)."""
        gas = []
        waiting = dict(prices)
        for _ in range(2):
            reports = self.client.sign_prices(waiting, self.publishers)
            receipt = self.client.oracle.send.report_prices(
                [r.as_tuple() for r in reports], sender=self.keeper, exact_gas=exact_gas
            )
            gas.append(receipt.gas_used if exact_gas else 0)
            seen = {m: self.client.oracle.view.observe(m) for m in prices}
            waiting = {m: prices[m] for m in waiting if seen[m][2] & PENDING}
            self.prices.update({m: seen[m][0] for m in prices})
            if not waiting:
                break
            self.chain.mine()
        return gas

    def wait_until(self, timestamp: int) -> None:
        """Let the chain's time reach `timestamp` (it may be past it)."""
        if timestamp > self.chain.timestamp:
            self.chain.mine(timestamp - self.chain.timestamp)

    def pay(self, account: bytes, quote: int) -> None:
        """Deposit WAD quote, rounded up to a token unit, into an account."""
        self.client.vault.send.deposit(account, -(-quote // self.scale), sender=self.payer)


def build(
    scenario: Scenario, asked: HallConfig, say: Say = silent, chain: Followed | None = None
) -> Hall:
    """Deploy (by default on a chain of its own), fill the book, and bring everybody to the
    recording's first price."""
    hall = _deployed(scenario, asked, chain or Followed())
    markets = hall.client.markets
    first = {markets[coin]: price for coin, price in first_prices(scenario).items()}
    traders = population.draw(scenario.coins, asked.people)
    hall.accounts = [_account(trader.label) for trader in traders]
    random = np.random.default_rng(asked.people.seed + 1)
    path = _history(first, asked, random)
    ages = np.minimum(random.exponential(asked.mean_age, len(traders)), asked.moments - 1)
    for moment in range(asked.moments):
        age = asked.moments - 1 - moment
        entering = [t for t, a in zip(traders, ages, strict=True) if int(a) == age]
        hall.chain.mine(MOMENT_SECONDS)
        hall.report(path[moment])
        _enter(hall, entering, asked.people)
        say("history", (moment + 1) / asked.moments)
    hall.chain.mine(MOMENT_SECONDS)
    hall.report(first)
    hall.columns.update(hall.chain.timestamp)
    _gear(hall, traders)
    _money(hall, asked)
    hall.columns.update(hall.chain.timestamp)
    say("deposits", 1.0)
    return hall


def _account(label: str) -> bytes:
    return account_id(_address(label))


def _address(label: str) -> str:
    """Nobody signs here but publishers, so an address need not have a key."""
    return checksum(keccak(text=label)[12:])


def _deployed(scenario: Scenario, asked: HallConfig, chain: Followed) -> Hall:
    owner, payer, keeper = (_address(name) for name in ("owner", "payer", "keeper"))
    token = deploy_token(chain, owner)
    base = config.load(config.PARAMETERS / "local.toml")
    deployed = for_scenario(base, scenario)
    record = deploy(chain, deployed, sender=owner, collateral=token)
    client = Ballast.from_deployment(chain, record)
    indexer = Indexer(client.vault.address, client.clearinghouse.address)
    client.clearinghouse.send.set_venue(owner, True, sender=owner)
    chain.follow(indexer)
    client.token.send.mint(payer, FORTUNE, sender=payer)
    client.token.send.approve(client.vault.address, 2**256 - 1, sender=payer)
    publishers = [key_from_label(f"publisher {i}") for i in range(deployed.signed_oracle.threshold)]
    columns = Columns(indexer)
    people = (owner, payer, keeper, publishers)
    scale = int(client.vault.view.scale())
    return Hall(
        chain, client, record, deployed, indexer, columns, *people, accounts=[], scale=scale
    )


def _history(
    first: Mapping[int, int], asked: HallConfig, random: np.random.Generator
) -> list[dict[int, int]]:
    """Prices by moment, oldest first; the last moment's lie near the first of the recording."""
    common = random.normal(0, asked.common_sigma, asked.moments).cumsum()
    path: list[dict[int, int]] = [{} for _ in range(asked.moments)]
    for market, price in first.items():
        own = random.normal(0, asked.own_sigma, asked.moments).cumsum()
        for age in range(asked.moments):
            away = float(np.exp(common[age] + own[age]))
            path[asked.moments - 1 - age][market] = int(price / WAD * away * 1e6) * 10**12
    return path


def _enter(hall: Hall, entering: list[Trader], asked: PopulationConfig) -> None:
    """The moment's traders deposit what their legs need and trade with each other."""
    coins = {coin: hall.prices[market] for coin, market in hall.client.markets.items()}
    trades = population.plan_trades(entering, coins, asked)
    held: dict[int, int] = {}
    for trade in trades:
        quote = trade.size_base * trade.price // WAD
        held[trade.buyer] = held.get(trade.buyer, 0) + quote
        held[trade.seller] = held.get(trade.seller, 0) + quote
    least = max(m.initial_margin_bps for m in hall.deployed.markets) / 10_000 * 1.05
    for trader in entering:
        if trader.index in held:
            share = max(1 / trader.leverage, least) + 0.002
            hall.pay(hall.accounts[trader.index], int(held[trader.index] * share))
    # What was deposited in the block of a fill would not count for its tier.
    hall.chain.mine()
    for trade in trades:
        _fill(hall, trade)


def _fill(hall: Hall, trade: Trade) -> None:
    hall.client.clearinghouse.send.fill(
        hall.client.markets[trade.coin],
        hall.accounts[trade.buyer],
        hall.accounts[trade.seller],
        trade.size_base,
        trade.price,
        sender=hall.owner,
    )
    hall.trades += 1


def _gear(hall: Hall, traders: list[Trader]) -> None:
    """Top everybody up to the leverage drawn for it, at the present prices."""
    columns = hall.columns
    screen = columns.screen(hall.prices)
    used = columns.legs
    worth = np.abs(columns.size[:used]) * columns.by_market(hall.prices)[columns.market[:used]]
    notional = summed(columns.owner[:used], worth, len(columns.names))
    for trader in traders:
        number = columns.number.get(hall.accounts[trader.index])
        if number is None:
            continue
        missing = notional[number] / trader.leverage - screen.equity[number]
        if missing > 0.01:
            hall.pay(hall.accounts[trader.index], int(missing * 1e6) * 10**12)


def _money(hall: Hall, asked: HallConfig) -> None:
    """Liquidators' means, the insurance fund and the reserve, in proportion to the book."""
    interest = sum(
        hall.indexer.interest(market) * price // WAD for market, price in hall.prices.items()
    )
    client, payer = hall.client, hall.payer
    for number in range(asked.liquidators):
        account = _account(f"liquidator {number}")
        hall.liquidators.append(account)
        hall.pay(account, int(interest * asked.liquidators_share / asked.liquidators))
    client.stake(int(interest * asked.insurance_share) // hall.scale, sender=payer)
    client.donate(KEEPER_RESERVE, asked.reserve_quote * WAD // hall.scale, sender=payer)
