"""A crash with keepers on it, and what must be true afterwards, read from the chain alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ballast import contracts, scenario
from ballast.abi import Event, checksum
from ballast.bench.crash_run import minute_prices
from ballast.bench.hall import KEEPER_RESERVE
from ballast.bench.keeper_process import KeeperProcess
from ballast.bench.node_market import ETHER, KEEPERS, Stage
from ballast.chain import Log
from ballast.contract import Contract
from ballast.keeper.actions import GAS, Kind
from ballast.keeper.costs import SendSettings
from ballast.keeper.follower import Follower
from ballast.keeper.sent import Sent
from ballast.keeper.settings import Options
from ballast.keeper.store import open_store
from ballast.keeper.takeover import gas_quote
from ballast.keeper.view import BlockView
from ballast.mirror import BPS, WAD, Book, Reader
from ballast.node import Node

START_SECONDS = 180
RESERVE = KEEPER_RESERVE.to_bytes(32, "big")
WORST = (18, 38)
"""The minutes of the recording in which the market falls furthest and comes back."""
NATIVE_QUOTE = 100
OPTIONS = Options(
    native_price=str(NATIVE_QUOTE), max_spend="2", max_fee="50", poll=0.05, max_refresh=2
)
WEI_AN_EVENT = 64
"""What the roundings behind one event of the clearinghouse come to, with the sizes of its market
(docs/INVARIANTS.md, "Dust")."""


@dataclass(frozen=True)
class Mined:
    """A keeper's transaction in the chain. `cost` is wei; `events` are vault's and
    clearinghouse's."""

    row: Sent
    block: int
    succeeded: bool
    cost: int
    events: tuple[Event, ...]

    @property
    def did_something(self) -> bool:
        """Whether it left more than the prices that any first use in a block fixes."""
        wanted = {
            "deleverage": {"Deleveraged", "ShortfallChanged", "InsuranceDrawn"},
            "liquidate": {"Liquidated"},
        }.get(self.row.kind)
        names = {event.name for event in self.events}
        return bool(names & wanted) if wanted else bool(names - {"PriceFixed"})

    def is_after(self, news: set[int]) -> bool:
        """Whether one of these blocks came after it was planned, up to its own."""
        return bool(news & set(range(self.row.planned_at + 1, self.block + 1)))


class Act:
    """A stage, and the keepers on it."""

    def __init__(self, stage: Stage, keepers: Sequence[KeeperProcess]) -> None:
        self.stage, self.keepers = stage, list(keepers)
        node = Node(stage.url)
        self.watch = Follower(node, open_store("sqlite://"), stage.built.record)
        self.house = contracts.interface(contracts.CLEARINGHOUSE)
        self.vault = contracts.interface(contracts.VAULT)
        self.news: set[int] = set()
        """Blocks that changed what there is to do, beside those with a report."""

    # Going on

    def begin(self) -> None:
        """Start the keepers, and wait until each has seen a block."""
        for keeper in self.keepers:
            keeper.start()
        self.until(lambda: all(keeper.said("block") for keeper in self.keepers), START_SECONDS)

    def until(self, is_so: Callable[[], bool], seconds: float = 60) -> None:
        """Wait; blocks stand still meanwhile."""
        deadline = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < deadline, f"not within {seconds} s\n{self.last_words()}"
            time.sleep(0.05)

    def last_words(self) -> str:
        """The ends of the keepers' logs."""
        return "\n".join(keeper.log.read_text()[-1_500:] for keeper in self.keepers)

    def crash(
        self,
        minutes: tuple[int, int] = WORST,
        blocks: int = 3,
        beat: float = 0.3,
        before: Callable[[int], None] = lambda minute: None,
        after: Callable[[int], None] = lambda minute: None,
    ) -> None:
        """The recording's minutes, `blocks` to each, a block every `beat` seconds of ours; what is
        to be done `before` a minute's prices are reported, and `after` the block with them."""
        markets = self.stage.built.record.markets
        for number, (_, prices) in enumerate(minute_prices(scenario.read())[slice(*minutes)]):
            before(number)
            told = {markets[coin]: int(price * 1e6) * 10**12 for coin, price in prices.items()}
            self.stage.report(told)
            self.stage.mine()
            after(number)
            for _ in range(blocks - 1):
                time.sleep(beat)
                self.stage.report_again()
                self.stage.mine()
            time.sleep(beat)

    def calm(self, blocks: int = 120, beat: float = 0.3) -> int:
        """Blocks at the last prices until nothing is left to be done; how many it took."""
        for number in range(blocks):
            if not any(self.low()):
                return number
            if number % 10 == 0:
                self.stage.report(self.stage.prices)
            self.stage.report_again()
            self.stage.mine()
            time.sleep(beat)
        raise AssertionError(f"{self.low()} left after {blocks} blocks\n{self.last_words()}")

    def low(self) -> tuple[int, int]:
        """How many accounts are bankrupt, and how many below maintenance whose taking over pays."""
        self.watch.catch_up()
        columns, prices, now = self.watch.columns, self.watch.prices, self.watch.head.timestamp
        screen = columns.screen(prices, now)
        paying = 0
        for number in map(int, screen.liquidatable.nonzero()[0]):
            equity, maintenance = columns.exact(number, prices, now)
            paying += self.pays(equity, maintenance)
        return int(screen.bankrupt.sum()), paying

    def pays(self, equity: int, maintenance: int) -> bool:
        """Whether taking an account over can bring more than its gas, as far as its equity and
        maintenance requirement (WAD) tell. A penalty is no more than what equity is left, and a
        keeper need not work at a loss (docs/KEEPERS.md)."""
        markets = self.stage.built.record.config.markets
        share = max(market.liquidator_share_bps for market in markets)
        fee = max(market.maker_fee_bps for market in markets)
        notional = maintenance * BPS // min(market.maintenance_margin_bps for market in markets)
        most = equity * share // BPS + notional * fee // BPS
        price = self.stage.base_fee + SendSettings().max_tip
        return most > gas_quote(GAS[Kind.LIQUIDATE], price, NATIVE_QUOTE * WAD)

    def end(self) -> None:
        """Let the keepers see through what they sent, and stop them."""
        for _ in range(3):
            self.stage.mine()
            self.until_seen()
        for keeper in self.keepers:
            assert keeper.stop() == 0, keeper.log.read_text()[-1_500:]

    def until_seen(self) -> None:
        """Wait until every keeper has seen the last block."""
        head = self.stage.node.block()[0]
        self.until(lambda: all(self._seen(keeper) >= head for keeper in self.keepers))

    def _seen(self, keeper: KeeperProcess) -> int:
        return int(max((line["number"] for line in keeper.said("block")), default=0))

    # What must be true

    def audit(self, idle_share: float) -> dict[str, Any]:
        """All of it; figures to show. `idle_share`: of the keepers' transactions, at most so many
        may have come to nothing because the price or somebody else came first."""
        book = self.book()
        self.nobody_is_left(book)
        self.money_is_there(book)
        figures: dict[str, Any] = {"accounts": len(book.accounts)}
        count = 0
        idle: list[Mined] = []
        reported = self._reported() | self.news
        for keeper in self.keepers:
            self.mirror_is_the_chain(keeper)
            mined = self.mined(keeper)
            self.nothing_was_done_twice(mined)
            own = [one for one in mined if not one.did_something]
            figures[keeper.key.address[:8]] = {
                "mined": len(mined),
                "idle": len(own),
                "spent_wei": self.spending_is_bounded(keeper, mined),
                "idle_wei": sum(one.cost for one in own),
                "beaten": sum(not one.is_after(reported) for one in own),
                "earned_quote": round(sum(self.earned(one) for one in mined) / WAD, 2),
            }
            idle += own
            count += len(mined)
        assert len(idle) <= idle_share * count + 1, self.told(idle)
        return figures

    def book(self) -> Book:
        """All accounts as the chain has them now, at the prices of the next block."""
        self.watch.catch_up()
        head = self.watch.head
        accounts = self.watch.indexer.accounts
        indexer = self.watch.indexer
        house = Contract(BlockView(self.stage.source, head), self.watch.clearinghouse, self.house)
        reader = Reader(house, accounts, indexer.funding_caps_bps, indexer.groups)
        book = reader.read(head.timestamp)
        book.prices = self.watch.prices
        return book

    def nobody_is_left(self, book: Book) -> None:
        """No account is bankrupt, none below maintenance whose taking over pays."""
        ratios = self.watch.indexer.maintenance_bps
        for account in book.accounts:
            equity, needed = book.equity(account), book.requirement(account, ratios)
            assert equity >= 0, account.hex()
            assert equity >= needed or not self.pays(equity, needed), account.hex()

    def money_is_there(self, book: Book) -> None:
        """S1 and S2."""
        client = self.stage.client()
        cash = sum(account.cash for account in book.accounts.values())
        pools = sum(group.pool for group in book.groups.values())
        held = client.token.view.balanceOf(client.vault.address) * client.vault.view.scale()
        assert cash + pools + book.insurance + book.fees + book.keeper_reserve == book.total <= held
        events = self._count_events()
        legs = sum(len(account.legs) for account in book.accounts.values())
        for group in book.groups:
            for times in (1, 10):
                prices = {market: book.price(market) * times for market in book.markets}
                largest = max(market.open_interest for market in book.markets.values()) // WAD
                bound = events * (WEI_AN_EVENT + 2 * largest) + 3 * legs
                bound += sum((events + legs) * price // WAD for price in prices.values())
                assert -bound // 10**6 <= book.dust(group, prices) <= bound, "S2"

    def _count_events(self) -> int:
        wanted = {"address": self.watch.clearinghouse, "fromBlock": "0x0", "toBlock": "latest"}
        return len(self.stage.node.ask("eth_getLogs", wanted))

    def mirror_is_the_chain(self, keeper: KeeperProcess) -> None:
        """The keeper's own database, opened again: every account is as on chain."""
        store = open_store(keeper.database)
        mirror = Follower(Node(self.stage.url), store, self.stage.built.record)
        mirror.catch_up()
        mirror.audit()
        assert mirror.indexer.state() == self.watch.indexer.state()
        store.close()

    def mined(self, keeper: KeeperProcess) -> list[Mined]:
        """A keeper's transactions, all of which it has written down."""
        store = open_store(keeper.database)
        with Session(store.engine, expire_on_commit=False) as session:
            rows = {name: row for row in session.scalars(select(Sent)) for name in row.hashes}
        store.close()
        found = [
            self._mined(rows[str(receipt["transactionHash"])], receipt)
            for receipt in self.stage.receipts(keeper.key.address)
        ]
        used = self.stage.node.ask("eth_getTransactionCount", keeper.key.address, "latest")
        first = int(used, 16) - len(found)
        assert sorted(one.row.nonce for one in found) == list(range(first, int(used, 16)))
        return found

    def _mined(self, row: Sent, receipt: dict[str, Any]) -> Mined:
        logs = [_log(log) for log in receipt["logs"]]
        own = (self.watch.clearinghouse, self.watch.vault)
        events = [
            event
            for log in logs
            for address, interface in zip(own, (self.house, self.vault), strict=True)
            for event in interface.decode_logs([log], address)
        ]
        cost = int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)
        return Mined(
            row, int(receipt["blockNumber"], 16), receipt["status"] == "0x1", cost, tuple(events)
        )

    def nothing_was_lost_to_rivals(self, most: int) -> list[Mined]:
        """Of the keepers that take turns none was beaten more than `most` times to what it sent,
        with no price to blame (for prices there is `audit`). Together they paid no more for that
        than they earned, or than so many transactions. Those to which one was beaten."""
        reported = self._reported() | self.news
        found: list[Mined] = []
        earned = 0
        for keeper in self.keepers:
            if keeper.options.turn == 0:
                continue
            mined = self.mined(keeper)
            beaten = [one for one in mined if not (one.did_something or one.is_after(reported))]
            assert len(beaten) <= most, self.told(beaten)
            earned += sum(self.earned(one) for one in mined)
            found += beaten
        lost = [one.cost * NATIVE_QUOTE for one in found]
        assert sum(lost) <= max(earned, most * max(lost, default=0)), self.told(found)
        return found

    def earned(self, one: Mined) -> int:
        """What a transaction brought its keeper, quote WAD: its part of penalties, and what the
        keeper reserve paid."""
        penalties = sum(
            event.penalty_quote * self._liquidator_share(event.market) // BPS
            for event in one.events
            if event.name == "Liquidated"
        )
        return penalties + sum(
            event.amount_quote
            for event in one.events
            if event.name == "Moved" and event.source == RESERVE
        )

    def nothing_was_done_twice(self, mined: Sequence[Mined]) -> None:
        """What came to nothing, or take-overs that brought less than their gas, were planned before
        a price or somebody else's transaction that came first."""
        others = self._reported() | self._of_rivals() | self.news
        for one in mined:
            if one.row.is_cancel:
                continue
            pays = one.row.kind != "liquidate" or self.earned(one) >= one.cost * NATIVE_QUOTE
            assert one.is_after(others) or (one.did_something and pays), self.told([one])

    def forced(self, after: int, last: int) -> list[Event]:
        """Take-overs and deleveragings in the blocks after one up to another."""
        wanted = {"address": self.watch.clearinghouse}
        wanted |= {"fromBlock": hex(after + 1), "toBlock": hex(last)}
        logs = [_log(log) for log in self.stage.node.ask("eth_getLogs", wanted)]
        events = self.house.decode_logs(logs, self.watch.clearinghouse)
        return [event for event in events if event.name in ("Liquidated", "Deleveraged")]

    def _liquidator_share(self, market: int) -> int:
        params = self.stage.client().clearinghouse.view.market_params(market)
        return int(params.liquidator_share_bps)

    def _reported(self) -> set[int]:
        """Blocks with a price report."""
        oracle = self.stage.built.record.contracts[contracts.SIGNED_ORACLE]
        first = hex(self.stage.start + 1)
        wanted = {"address": oracle, "fromBlock": first, "toBlock": "latest"}
        return {int(log["blockNumber"], 16) for log in self.stage.node.ask("eth_getLogs", wanted)}

    def _of_rivals(self) -> set[int]:
        """Blocks with transactions of keepers, where there are several."""
        return {
            int(str(receipt["blockNumber"]), 16)
            for keeper in (self.keepers if len(self.keepers) > 1 else ())
            for receipt in self.stage.receipts(keeper.key.address)
        }

    def spending_is_bounded(self, keeper: KeeperProcess, mined: Sequence[Mined]) -> int:
        """What it paid is what its transactions cost, and no more than it may. Wei."""
        balance = int(self.stage.node.ask("eth_getBalance", keeper.key.address, "latest"), 16)
        spent = sum(one.cost for one in mined)
        assert balance == 10 * ETHER - spent
        assert spent <= float(keeper.options.max_spend) * ETHER
        return spent

    @staticmethod
    def told(mined: Sequence[Mined]) -> str:
        """Transactions in words."""
        return "\n".join(
            f"{one.row.kind} {one.row.accounts} nonce {one.row.nonce}, planned at "
            f"{one.row.planned_at}, mined in {one.block}: {one.row.outcome} {one.row.reason}"
            for one in mined
        )


def _log(raw: dict[str, Any]) -> Log:
    topics = [bytes.fromhex(topic[2:]) for topic in raw["topics"]]
    return Log(checksum(raw["address"]), topics, bytes.fromhex(raw["data"][2:]))


def hire(
    stage: Stage, count: int = 1, url: str | None = None, options: Options = OPTIONS, rude: int = 0
) -> list[KeeperProcess]:
    """Keepers that have not begun, each with a signer, an account and a database of its own; the
    first `rude` wait for nobody's turn."""
    chosen = [replace(options, turn=0.0)] * rude + [options] * (count - rude)
    return [
        KeeperProcess(url or stage.url, stage.record_path, stage.folder, key, own)
        for key, own in zip(KEEPERS, chosen, strict=False)
    ]
