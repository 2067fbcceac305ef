"""What the stream's channels tell: prices, books, trades, and an account's own (docs/RELAY.md)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from ballast.relay import facts
from ballast.relay.accounts import Accounts
from ballast.relay.book import Books
from ballast.relay.check import check_listed
from ballast.relay.facts import Fact
from ballast.relay.feed import Step
from ballast.relay.history import fill_of, trade_of
from ballast.relay.kept import Kept
from ballast.relay.refusal import Refusal
from ballast.relay.stream import Hub, Listener, account_channel, message
from ballast.relay.terms import Terms

SNAPSHOT_LEVELS = 200
_MARKET = re.compile("[1-9][0-9]{0,3}")


class Channels:
    """Writes what is told, and to whom; `Hub` brings it there."""

    def __init__(self, hub: Hub, accounts: Accounts, books: Books) -> None:
        self._hub, self._accounts, self._books = hub, accounts, books
        self._told_seq: dict[int, int] = {}

    async def listen(self, listener: Listener, channel: str) -> None:
        """Subscribe, and send what there is. Raises `Refusal`."""
        kind, _, rest = channel.partition(":")
        if kind == "prices" and not rest:
            self._hub.subscribe(listener, channel)
            listener.send(message(channel, "prices", **self._accounts.terms.told_prices()))
        elif kind in ("book", "trades") and _MARKET.fullmatch(rest):
            market = int(rest)
            check_listed(market, self._accounts.terms)
            if kind == "book":
                self._tell_book(market)
                snapshot = self._books.of(market).told(SNAPSHOT_LEVELS)
                listener.send(message(channel, "snapshot", **snapshot))
            self._hub.subscribe(listener, channel)
        elif kind == "account" and (name := _account_name(rest)) is not None:
            await self._accounts.ask(name)
            self._hub.subscribe(listener, channel)
            listener.send(message(channel, "account", account=self._accounts.told(name)))
        else:
            raise Refusal(
                "bad_field",
                f"channel {channel[:80]!r}",
                "book:MARKET, trades:MARKET, prices, or account:0x and 64 digits",
            )

    # Books

    def tell_books(self) -> None:
        """What has changed of every book since it was told last."""
        for market in self._books.markets:
            self._tell_book(market)

    def _tell_book(self, market: int) -> None:
        book = self._books.of(market)
        if not book.dirty:
            return
        bids, asks = book.take_changes()
        self._hub.publish(
            f"book:{market}",
            "update",
            market=market,
            prev=self._told_seq.get(market, 0),
            seq=book.seq,
            bids=bids,
            asks=asks,
        )
        self._told_seq[market] = book.seq

    # Accounts

    def tell_order(self, kept: Kept) -> None:
        """An order that has changed, and its account, whose reserved margin it changes."""
        channel = account_channel(kept.order.account)
        if self._hub.hears(channel):
            self._hub.publish(channel, "order", order=kept.told())
            self._tell_account(kept.order.account)

    def _tell_account(self, name: bytes) -> None:
        channel = account_channel(name)
        if self._hub.hears(channel) and name in self._accounts:
            self._hub.publish(channel, "account", account=self._accounts.told(name))

    # The chain

    def tell_undone(self, markets: Iterable[int], after_block: int) -> None:
        """Trades of later blocks are void."""
        for market in markets:
            self._hub.publish(f"trades:{market}", "undone", after_block=after_block)

    def tell_step(self, step: Step, before: Terms | None) -> None:
        """What a step has brought: prices that differ from those `before`, trades, forced closes,
        accounts."""
        concerned = set(step.accounts)
        told = self._accounts.terms.told_prices()
        if before is None or told["prices"] != before.told_prices()["prices"]:
            self._hub.publish("prices", "prices", **told)
            concerned.update(self._hub.accounts)
        trades: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for fact in step.facts:
            if fact.kind == facts.FILL:
                trades[fact.market].append(trade_of(fact))
        for market, made in trades.items():
            self._hub.publish(f"trades:{market}", "trades", trades=made)
        for fact in step.facts:
            if fact.kind == facts.FILL:
                self._tell_fill(fact)
            elif fact.kind in (facts.LIQUIDATED, facts.BANKRUPT) and fact.account is not None:
                self._tell_forced(fact, fact.account)
        for name in concerned:
            self._tell_account(name)

    def _tell_fill(self, fact: Fact) -> None:
        for name in (fact.account, fact.other):
            if name is not None and self._hub.hears(account_channel(name)):
                self._hub.publish(account_channel(name), "fill", fill=fill_of(fact, name))

    def _tell_forced(self, fact: Fact, name: bytes) -> None:
        self._hub.publish(
            account_channel(name),
            "forced_close",
            forced_close={"id": fact.id, "kind": fact.kind, "market": fact.market, **fact.details},
        )


def _account_name(text: str) -> bytes | None:
    """An account's bytes from its channel's name."""
    if len(text) != 66 or not text.startswith("0x") or text != text.lower():
        return None
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        return None
