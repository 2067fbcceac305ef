"""What there is to tell: from states and events to alerts. No chain, no network.

Two kinds. A *condition* (a price is stale, a claim waits) holds in a state: it is told when it
begins, and when it has been over for `QUIET_SECONDS`; one that comes and goes is not told each
time, and what was told last is never the opposite of what holds. A *happening* (a band changed, a
forced close) is told once; a band is told at most once in that time. Amounts are WAD; an alert's
text and details hold them as decimal strings, in whole quote or base.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from typing import Any

from ballast.abi import Event
from ballast.config import BPS, WAD
from ballast.mirror import Account, Bucket, Leg, bucket_key
from ballast.model.market import GRACE, PENDING, STALE
from ballast.signing import owner_of

DUST = 10**12
"""Claims and sizes of less than a millionth are not told."""
QUIET_SECONDS = 60
INFO, WARNING, CRITICAL = "info", "warning", "critical"

_OF_STATUS = (
    (STALE, "oracle_stale", WARNING, "the price is stale (last {last}): no opening, no ADL"),
    (PENDING, "oracle_breaker", WARNING, "the breaker waits: a step from {last} is not confirmed"),
    (GRACE, "oracle_grace", INFO, "liquidation and ADL wait a grace period after an outage"),
)
"""Bits of a price's status, and what is told of each; `last` is the last price."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something to tell. `key` tells conditions apart; `details` are decimal strings by name."""

    kind: str
    severity: str
    text: str
    key: str
    block: int = 0
    timestamp: int = 0
    account: str | None = None
    market: str | None = None
    transaction: str | None = None
    is_over: bool = False
    details: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The plain form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that was told, and since when (Unix seconds) it has not held any more."""

    alert: Alert
    over_since: int | None = None


@dataclass(frozen=True, slots=True)
class Band:
    """A leg's band as it was told, and when (Unix seconds)."""

    band: int
    told_at: int


@dataclass(frozen=True, slots=True)
class Limits:
    """When a liquidation price is near (bps of the price), and an insurance fund low (quote)."""

    near_bps: int = 500
    insurance_quote: int = 0


@dataclass(frozen=True, slots=True)
class LegView:
    """What the chain says of an account's leg: size (base, shorts negative), the price at which it
    can be liquidated (0: none), place in the deleveraging queue."""

    market: int
    size: int
    liquidation_price: int
    size_ahead: int
    band: int


@dataclass(frozen=True, slots=True)
class AccountView:
    """What the chain says of an account: equity, maintenance, claim (quote) and legs."""

    account: bytes
    group: int
    equity: int
    maintenance: int
    claim: int
    legs: tuple[LegView, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is watched, after a block: accounts; price and status bits by market; shortfall by
    group; the insurance fund's balance."""

    block: int
    timestamp: int
    accounts: tuple[AccountView, ...]
    prices: Mapping[int, tuple[int, int]]
    shortfalls: Mapping[int, int]
    insurance: int


@dataclass(frozen=True, slots=True)
class Step:
    """A transaction: the watched accounts and the buckets of their legs before it, the accounts
    after it, its events."""

    block: int
    timestamp: int
    transaction: str
    before: Mapping[bytes, Account]
    buckets: Mapping[int, Bucket]
    after: Mapping[bytes, Account]
    events: tuple[Event, ...]


class Rules:
    """The rules, with the markets' names (symbols by id)."""

    def __init__(self, symbols: Mapping[int, str], limits: Limits = Limits()) -> None:
        self._symbols, self._limits = dict(symbols), limits

    def _market(self, market: int) -> str:
        return self._symbols.get(market, f"market {market}")

    # Conditions

    def conditions(self, now: Snapshot) -> dict[str, Alert]:
        """What holds now, by key."""
        found = [*self._of_markets(now), *self._of_money(now)]
        for account in now.accounts:
            found += self._of_account(now, account)
        return {alert.key: alert for alert in found}

    def _of_markets(self, now: Snapshot) -> Iterable[Alert]:
        for market, (price, status) in sorted(now.prices.items()):
            name, last = self._market(market), decimal(price)
            for bit, kind, severity, what in _OF_STATUS:
                if status & bit:
                    text = f"{name}: {what.format(last=last)}"
                    yield _alert(now, kind, severity, text, market=name, details={"price": last})

    def _of_money(self, now: Snapshot) -> Iterable[Alert]:
        if now.insurance < self._limits.insurance_quote:
            text = (
                f"the insurance fund holds {decimal(now.insurance)} quote, "
                f"less than {decimal(self._limits.insurance_quote)}"
            )
            details = {"insurance": decimal(now.insurance)}
            yield _alert(now, "insurance_low", WARNING, text, details=details)
        for group, shortfall in sorted(now.shortfalls.items()):
            if shortfall:
                text = f"group {group} has a shortfall of {decimal(shortfall)} quote: claims wait"
                details = {"group": str(group), "shortfall": decimal(shortfall)}
                yield _alert(
                    now, "shortfall", CRITICAL, text, details=details, key=f"shortfall/{group}"
                )

    def _of_account(self, now: Snapshot, account: AccountView) -> Iterable[Alert]:
        who = name_of(account.account)
        if account.claim > DUST:
            text = f"{who}: a claim of {decimal(account.claim)} quote waits (settle collects)"
            details = {"claim": decimal(account.claim), "group": str(account.group)}
            yield _alert(now, "claim_waits", INFO, text, account=account.account, details=details)
        if not account.legs:
            return
        details = {"equity": decimal(account.equity), "maintenance": decimal(account.maintenance)}
        for state, holds in (
            ("liquidatable", account.equity < account.maintenance),
            ("bankrupt", account.equity < 0),
        ):
            if holds:
                text = (
                    f"{who} is {state}: equity {decimal(account.equity)}, "
                    f"maintenance {decimal(account.maintenance)} quote"
                )
                yield _alert(now, state, CRITICAL, text, account=account.account, details=details)
        for leg in account.legs:
            price, _ = now.prices[leg.market]
            distance = abs(price - leg.liquidation_price)
            if leg.liquidation_price and distance * BPS <= price * self._limits.near_bps:
                name = self._market(leg.market)
                text = (
                    f"{who}: {name} is at {decimal(price)}, "
                    f"{distance * BPS / price / 100:.2f} % from your liquidation price "
                    f"{decimal(leg.liquidation_price)} ({decimal(leg.size)} {name})"
                )
                details = {
                    "price": decimal(price),
                    "liquidation_price": decimal(leg.liquidation_price),
                    "size": decimal(leg.size),
                }
                yield _alert(
                    now,
                    "liquidation_near",
                    WARNING,
                    text,
                    account=account.account,
                    market=name,
                    details=details,
                )

    def changes(
        self, told: Mapping[str, Condition], now: Snapshot
    ) -> tuple[list[Alert], dict[str, Condition]]:
        """What to tell (conditions that began, a shortfall that grew, conditions that are over),
        and what is told then."""
        alerts: list[Alert] = []
        kept: dict[str, Condition] = {}
        for key, alert in self.conditions(now).items():
            if key not in told or _grew(told[key].alert, alert):
                alerts.append(alert)
            kept[key] = Condition(alert)
        for key, condition in told.items():
            if key in kept:
                continue
            since = now.timestamp if condition.over_since is None else condition.over_since
            if now.timestamp - since < QUIET_SECONDS:
                kept[key] = Condition(condition.alert, since)
            else:
                alerts.append(_over(condition.alert, now))
        return alerts, kept

    # Happenings

    def bands(self, told: Mapping[str, Band], now: Snapshot) -> tuple[list[Alert], dict[str, Band]]:
        """Legs whose band in the deleveraging queue is not what was told, and the bands told then.

        A new leg's is not told.
        """
        alerts: list[Alert] = []
        kept: dict[str, Band] = {}
        for account in now.accounts:
            for leg in account.legs:
                key = f"{account.account.hex()}/{leg.market}"
                before = told.get(key, Band(leg.band, now.timestamp - QUIET_SECONDS))
                is_quiet = now.timestamp - before.told_at >= QUIET_SECONDS
                kept[key] = before
                if leg.band != before.band and is_quiet:
                    alerts.append(self._moved(now, account, leg, before.band))
                    kept[key] = Band(leg.band, now.timestamp)
        return alerts, kept

    def _moved(self, now: Snapshot, account: AccountView, leg: LegView, before: int) -> Alert:
        name = self._market(leg.market)
        moved = "up" if leg.band > before else "down"
        text = (
            f"{name_of(account.account)}: {name} moved {moved} in the deleveraging queue, "
            f"band {before} to {leg.band} of 5 (5 is first in line); "
            f"{decimal(leg.size_ahead)} {name} ahead of you"
        )
        return _alert(
            now,
            "adl_band",
            WARNING if leg.band == 5 else INFO,
            text,
            account=account.account,
            market=name,
            details={
                "before": str(before),
                "band": str(leg.band),
                "size_ahead": decimal(leg.size_ahead),
            },
        )

    def happenings(self, step: Step) -> list[Alert]:
        """Forced closes and liquidations of watched accounts in one transaction."""
        alerts: list[Alert] = []
        for account, before in step.before.items():
            for market, leg in before.legs.items():
                alerts += self._deleveraged(step, account, market, leg)
        for event in step.events:
            if event.name == "Deleveraged" and event.account in step.before:
                alerts.append(self._resolved(step, event))
            if event.name == "Liquidated" and event.account in step.before:
                alerts.append(self._liquidated(step, event))
        return alerts

    def _deleveraged(self, step: Step, account: bytes, market: int, leg: Leg) -> Iterable[Alert]:
        """A counterparty's part in its bucket's forced closes."""
        closes = forced_closes(step, account, market, leg)
        closed = sum(size for size, _ in closes)
        if closed <= DUST:
            return
        name, side = self._market(market), "long" if leg.is_long else "short"
        price = sum(size * event.price for size, event in closes) // closed
        given_up = sum(size * abs(e.oracle_price - e.price) for size, e in closes) // WAD
        oracle_price = closes[0][1].oracle_price
        gain = closed * (price - leg.entry_price) // WAD * (1 if leg.is_long else -1)
        left = leg.size - closed
        reasons = [self._reason(step, event) for _, event in closes]
        text = (
            f"{name_of(account)}: {decimal(closed)} of your {decimal(leg.size)} {name} {side} "
            f"was deleveraged at {decimal(price)} (oracle {decimal(oracle_price)}): "
            f"it realised {decimal(gain)} quote, and cost you {decimal(given_up)} quote of profit; "
            f"{decimal(left)} {name} is left. Why: {'; '.join(dict.fromkeys(reasons))}"
        )
        yield _alert(
            step,
            "deleveraged",
            CRITICAL,
            text,
            account=account,
            market=name,
            details={
                "closed": decimal(closed),
                "size_before": decimal(leg.size),
                "size_after": decimal(left),
                "price": decimal(price),
                "oracle_price": decimal(oracle_price),
                "realised": decimal(gain),
                "given_up": decimal(given_up),
                "bankrupt": ", ".join(dict.fromkeys(hex_of(e.account) for _, e in closes)),
            },
        )

    def _reason(self, step: Step, close: Event) -> str:
        """Whose bankruptcy it was, and what insurance did about it."""
        whole = next(
            event
            for event in step.events[step.events.index(close) :]
            if event.name == "Deleveraged"
            and (event.account, event.market) == (close.account, close.market)
        )
        insurance = (
            f"insurance paid {decimal(whole.insurance_quote)}"
            if whole.insurance_quote
            else "insurance had nothing for it"
        )
        return (
            f"account {hex_of(close.account)} is bankrupt; closing {decimal(whole.size)} "
            f"{self._market(close.market)} of it left a deficit of "
            f"{decimal(whole.deficit_quote)} quote after {insurance}"
        )

    def _resolved(self, step: Step, event: Event) -> Alert:
        """A bankrupt account's own side of it."""
        name = self._market(event.market)
        text = (
            f"{name_of(event.account)} was bankrupt: {decimal(event.size)} {name} of it was "
            f"closed against the queue (oracle {decimal(event.oracle_price)}); insurance paid "
            f"{decimal(event.insurance_quote)}, others gave up {decimal(event.deficit_quote)} quote"
        )
        return _alert(
            step,
            "bankrupt_closed",
            CRITICAL,
            text,
            account=event.account,
            market=name,
            details={
                "closed": decimal(event.size),
                "oracle_price": decimal(event.oracle_price),
                "insurance": decimal(event.insurance_quote),
                "deficit": decimal(event.deficit_quote),
            },
        )

    def _liquidated(self, step: Step, event: Event) -> Alert:
        name = self._market(event.market)
        text = (
            f"{name_of(event.account)} was liquidated: {decimal(event.size)} {name} at "
            f"{decimal(event.price)}, penalty {decimal(event.penalty_quote)} quote, "
            f"taken over by {hex_of(event.liquidator)}"
        )
        return _alert(
            step,
            "liquidated",
            CRITICAL,
            text,
            account=event.account,
            market=name,
            details={
                "closed": decimal(event.size),
                "price": decimal(event.price),
                "penalty": decimal(event.penalty_quote),
            },
        )


def forced_closes(step: Step, account: bytes, market: int, leg: Leg) -> list[tuple[int, Event]]:
    """A leg's part in each forced close of its bucket (base), and that close.

    The parts of a bucket's members are in proportion; together they are what the mirror shows,
    where the account did nothing else in the transaction.
    """
    key = bucket_key(market, leg.bucket_id)
    found = []
    bucket_left, own_left = step.buckets[key].size if key in step.buckets else 0, leg.size
    for event in step.events:
        if event.name != "ForcedClose" or bucket_key(event.market, event.bucket_id) != key:
            continue
        if event.market != market or bucket_left == 0:
            continue
        part = own_left * event.size // bucket_left
        found.append((part, event))
        bucket_left -= event.size
        own_left -= part
    touched = any(
        e.name == "PositionChanged" and (e.account, e.market) == (account, market)
        for e in step.events
    )
    if found and not touched:
        after = step.after[account].legs.get(market)
        rest = own_left - (after.size if after is not None else 0)
        found[-1] = found[-1][0] + rest, found[-1][1]
    return found


def _grew(before: Alert, after: Alert) -> bool:
    """Whether a shortfall is larger than was told."""
    if after.kind != "shortfall":
        return False
    return Decimal(after.details["shortfall"]) > Decimal(before.details["shortfall"])


def _over(alert: Alert, now: Snapshot) -> Alert:
    return replace(
        alert,
        severity=INFO,
        text=f"over: {alert.text}",
        block=now.block,
        timestamp=now.timestamp,
        is_over=True,
    )


def decimal(value: int) -> str:
    """A WAD amount in whole units: six decimals at most, rounded towards zero."""
    whole, part = divmod(abs(value), WAD)
    digits = f"{part:018d}"[:6].rstrip("0")
    sign = "-" if value < 0 and (whole or digits) else ""
    return f"{sign}{whole}{'.' + digits if digits else ''}"


def hex_of(account: bytes) -> str:
    """An account as people and explorers write it."""
    return "0x" + account.hex()


def name_of(account: bytes) -> str:
    """An account for a sentence: its owner, and its number where that is not 0."""
    owner, sub = owner_of(account), int.from_bytes(account[20:], "big")
    return f"{owner[:8]}…{owner[-4:]}" + (f" #{sub}" if sub else "")


def _alert(
    at: Snapshot | Step,
    kind: str,
    severity: str,
    text: str,
    *,
    account: bytes | None = None,
    market: str | None = None,
    details: dict[str, str] | None = None,
    key: str | None = None,
) -> Alert:
    who = None if account is None else hex_of(account)
    transaction = at.transaction if isinstance(at, Step) else None
    parts = [kind, who, market, transaction]
    return Alert(
        kind=kind,
        severity=severity,
        text=text,
        key=key or "/".join(part for part in parts if part),
        block=at.block,
        timestamp=at.timestamp,
        account=who,
        market=market,
        transaction=transaction,
        details=details or {},
    )
