"""What is told, and when: conditions by hand, happenings from real transactions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ballast.alerts.rules import (
    QUIET_SECONDS,
    AccountView,
    Alert,
    Band,
    LegView,
    Limits,
    Rules,
    Snapshot,
    Step,
    decimal,
    name_of,
)
from ballast.mirror import bucket_key
from tests.integration.test_indexer import Followed
from tests.support.world import INSURANCE, KEEPER, WAD, ZERO_FEES, account_id, address

WHO = account_id("0x" + "ab" * 20)
LEG = LegView(1, 2 * WAD, 96 * WAD, 7 * WAD, 3)
RULES = Rules({1: "BTC", 2: "ETH"}, Limits(500, 1_000 * WAD))
CALM = Snapshot(
    block=10,
    timestamp=1_000,
    accounts=(AccountView(WHO, 1, 50 * WAD, 10 * WAD, 0, ()),),
    prices={1: (100 * WAD, 0), 2: (7 * WAD, 0)},
    shortfalls={1: 0},
    insurance=1_000 * WAD,
)


def with_account(**changes: Any) -> Snapshot:
    return replace(CALM, accounts=(replace(CALM.accounts[0], **changes),))


def kinds(now: Snapshot) -> list[str]:
    return sorted(alert.kind for alert in RULES.conditions(now).values())


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (CALM, []),
        (replace(CALM, prices={1: (100 * WAD, 1), 2: (7 * WAD, 0)}), ["oracle_stale"]),
        (
            replace(CALM, prices={1: (100 * WAD, 3), 2: (7 * WAD, 4)}),
            ["oracle_breaker", "oracle_grace", "oracle_stale"],
        ),
        (replace(CALM, insurance=1_000 * WAD - 1), ["insurance_low"]),
        (replace(CALM, shortfalls={1: 1, 2: 5 * WAD}), ["shortfall", "shortfall"]),
        (with_account(claim=10**12), []),
        (with_account(claim=10**12 + 1), ["claim_waits"]),
        (with_account(legs=(LEG,)), ["liquidation_near"]),
        (with_account(legs=(replace(LEG, liquidation_price=95 * WAD),)), ["liquidation_near"]),
        (with_account(legs=(replace(LEG, liquidation_price=95 * WAD - 1),)), []),
        (with_account(legs=(replace(LEG, liquidation_price=0),)), []),
        (with_account(legs=(replace(LEG, liquidation_price=105 * WAD),)), ["liquidation_near"]),
        (
            with_account(equity=9 * WAD, legs=(replace(LEG, liquidation_price=100 * WAD),)),
            ["liquidatable", "liquidation_near"],
        ),
        (
            with_account(equity=-1, legs=(replace(LEG, liquidation_price=100 * WAD),)),
            ["bankrupt", "liquidatable", "liquidation_near"],
        ),
    ],
)
def test_conditions(now: Snapshot, expected: list[str]) -> None:
    assert kinds(now) == expected


def test_what_a_condition_says() -> None:
    (alert,) = RULES.conditions(with_account(legs=(LEG,))).values()
    assert alert.account == "0x" + "ab" * 20 + "00" * 12
    assert (alert.market, alert.block, alert.severity) == ("BTC", 10, "warning")
    assert "BTC is at 100, 4.00 % from your liquidation price 96 (2 BTC)" in alert.text


def test_conditions_are_told_when_they_begin_and_when_they_are_over() -> None:
    stale = replace(CALM, prices={1: (100 * WAD, 1), 2: (7 * WAD, 0)})
    begun, told = RULES.changes({}, stale)
    assert [alert.kind for alert in begun] == ["oracle_stale"]
    again, told = RULES.changes(told, replace(stale, timestamp=1_010))
    assert again == []
    # Fresh for less than a minute, then stale again: nothing new.
    off, told = RULES.changes(told, replace(CALM, timestamp=1_020))
    assert off == []
    off, told = RULES.changes(told, replace(stale, timestamp=1_020 + QUIET_SECONDS))
    assert off == []
    off, told = RULES.changes(told, replace(CALM, timestamp=2_000))
    assert off == []
    off, told = RULES.changes(told, replace(CALM, timestamp=1_999 + QUIET_SECONDS))
    assert off == []
    off, told = RULES.changes(told, replace(CALM, timestamp=2_000 + QUIET_SECONDS, block=99))
    assert [(a.kind, a.is_over, a.severity, a.block) for a in off] == [
        ("oracle_stale", True, "info", 99)
    ]
    assert off[0].text.startswith("over: BTC: the price is stale")
    assert told == {}


def test_a_shortfall_that_grows_is_told_again() -> None:
    first, told = RULES.changes({}, replace(CALM, shortfalls={1: 5 * WAD}))
    assert "group 1 has a shortfall of 5 quote" in first[0].text
    less, told = RULES.changes(told, replace(CALM, shortfalls={1: 4 * WAD}))
    assert less == []
    more, told = RULES.changes(told, replace(CALM, shortfalls={1: 6 * WAD}))
    assert "shortfall of 6" in more[0].text


def test_bands() -> None:
    now = with_account(legs=(LEG,))
    alerts, told = RULES.bands({}, now)
    assert alerts == []  # a new leg is no news
    up = replace(with_account(legs=(replace(LEG, band=5, size_ahead=0),)), timestamp=1_001)
    alerts, told = RULES.bands(told, up)
    assert "BTC moved up in the deleveraging queue, band 3 to 5 of 5" in alerts[0].text
    assert alerts[0].severity == "warning"
    # Back within a minute: told when the minute is over, if it still differs.
    alerts, told = RULES.bands(told, replace(now, timestamp=1_002))
    assert alerts == []
    alerts, _ = RULES.bands(told, replace(now, timestamp=1_001 + QUIET_SECONDS))
    assert "moved down in the deleveraging queue, band 5 to 3" in alerts[0].text
    alerts, told = RULES.bands(told, CALM)
    assert (alerts, told) == ([], {})


def test_decimals() -> None:
    shown = {0: "0", 1: "0", -1: "0", WAD: "1", -WAD // 2: "-0.5", 12345678 * 10**11: "1.234567"}
    assert {value: decimal(value) for value in shown} == shown
    assert name_of(account_id("0x" + "ab" * 20, 7)).endswith(" #7")
    assert Band(3, 0) != Band(3, 1)


class Scene(Followed):
    """A followed world, whose transactions become steps for some watched accounts."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.watched: list[bytes] = []

    def state(self) -> dict[bytes, Any]:
        funding = self.indexer.funding(self.world.chain.timestamp)
        known = self.indexer.accounts
        return {a: self.indexer.account(a, funding) for a in self.watched if a in known}

    def step(self, send: Any, *args: Any) -> Step:
        """Send something, seen as a step."""
        before = self.state()
        buckets = {
            key: self.indexer.buckets[key]
            for account in before.values()
            for key in [bucket_key(m, leg.bucket_id) for m, leg in account.legs.items()]
        }
        receipt = send(*args, sender=KEEPER)
        events = tuple(self.world.clearing.events(receipt))
        chain = self.world.chain
        after = self.state()
        return Step(chain.block_number, chain.timestamp, "0xcafe", before, buckets, after, events)


def scene() -> tuple[Scene, bytes, bytes, bytes]:
    """The design's worked example: A long 10 from 100 with 150, B short 4 from 120, C short 6 from
    100, the market at 80."""
    f = Scene(params=replace(ZERO_FEES, initial_margin_bps=1_000), prices=(120 * WAD,))
    world = f.world
    a, b, c = (
        world.trader(name, cash * WAD) for name, cash in (("a", 150), ("b", 100), ("c", 200))
    )
    d = world.trader("d", 5_000 * WAD)
    world.donate(INSURANCE, 20 * WAD)
    world.fill(d, b, 4 * WAD, 120 * WAD)
    world.price(100 * WAD)
    world.fill(a, c, 6 * WAD, 100 * WAD)
    world.fill(a, d, 4 * WAD, 100 * WAD)
    world.price(80 * WAD)
    f.watched = [a, b, c]
    return f, a, b, c


def told_by(alerts: list[Alert], kind: str) -> dict[str | None, Alert]:
    return {alert.account: alert for alert in alerts if alert.kind == kind}


def test_worked_example_is_told_to_everybody() -> None:
    f, a, b, c = scene()
    step = f.step(f.world.clearing.send.deleverage, a)
    alerts = Rules({1: "BTC"}).happenings(step)
    lost = told_by(alerts, "deleveraged")
    assert set(lost) == {"0x" + b.hex(), "0x" + c.hex()}
    first, second = lost["0x" + b.hex()], lost["0x" + c.hex()]
    assert first.transaction == "0xcafe"
    assert first.details == {
        "closed": "4",
        "size_before": "4",
        "size_after": "0",
        "price": "83",
        "oracle_price": "80",
        "realised": "148",
        "given_up": "12",
        "bankrupt": "0x" + a.hex(),
    }
    assert (second.details["realised"], second.details["given_up"]) == ("102", "18")
    assert "deficit of 30 quote after insurance paid 20" in first.text
    assert "4 of your 4 BTC short was deleveraged at 83 (oracle 80)" in first.text
    (own,) = told_by(alerts, "bankrupt_closed").values()
    assert own.details == {"closed": "10", "oracle_price": "80", "insurance": "20", "deficit": "30"}
    # What the chain says of it afterwards.
    assert [f.world.clearing.view.position(x, 1)[0] for x in (a, b, c)] == [0, 0, 0]


def test_parts_of_a_bucket_that_two_share() -> None:
    """Half of a bucket is closed: each of its two members is told its own half."""
    f = Scene(params=replace(ZERO_FEES, initial_margin_bps=1_000), prices=(100 * WAD,))
    world = f.world
    a = world.trader("a", 50 * WAD)
    c, d, e = (world.trader(name, 1_000 * WAD) for name in "cde")
    world.fill(a, c, 3 * WAD, 100 * WAD)
    world.fill(a, e, 2 * WAD, 100 * WAD)
    world.fill(d, e, 5 * WAD, 100 * WAD)
    world.price(80 * WAD)
    f.watched = [c, e]
    step = f.step(world.clearing.send.deleverage, a)
    alerts = Rules({1: "BTC"}).happenings(step)
    lost = told_by(alerts, "deleveraged")
    parts = {account: alert.details for account, alert in lost.items()}
    for account, closed, given_up in ((c, "1.5", "15"), (e, "3.5", "35")):
        told = parts["0x" + account.hex()]
        assert (told["closed"], told["given_up"], told["price"]) == (closed, given_up, "90")
        left = -int(world.clearing.view.position(account, 1)[0])
        assert told["size_after"] == decimal(left)
    # The same where the account is touched in that transaction: from its share alone.
    position = next(e for e in world.clearing.events(world.clearing.send.settle(c, sender=KEEPER)))
    touched = replace(step, events=(*step.events, position))
    assert position.name == "PositionChanged"
    again = told_by(Rules({1: "BTC"}).happenings(touched), "deleveraged")
    assert again["0x" + c.hex()].details == parts["0x" + c.hex()]


def test_liquidation_is_told() -> None:
    f, _, b, _ = scene()
    world = f.world
    world.price(141 * WAD)
    keeper = world.trader("keeper", 10_000 * WAD)
    world.clearing.send.set_operator(KEEPER, 2**40, sender=address("keeper"))
    f.watched = [b]
    assert world.clearing.view.equity(b) > 0
    step = f.step(world.clearing.send.liquidate, b, 1, 2**256 - 1, keeper)
    (alert,) = Rules({1: "BTC"}).happenings(step)
    assert (alert.kind, alert.severity) == ("liquidated", "critical")
    assert alert.details["price"] == "141"
    taken = step.before[b].legs[1].size + int(world.clearing.view.position(b, 1)[0])
    assert alert.details["closed"] == decimal(taken) == "2.486997"
    assert "was liquidated: 2.486997 BTC at 141" in alert.text


def test_other_peoples_business_is_not_told() -> None:
    f, a, _, _ = scene()
    f.watched = [account_id(address("d"))]
    step = f.step(f.world.clearing.send.deleverage, a)
    assert Rules({}).happenings(step) == []
