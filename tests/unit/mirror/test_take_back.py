"""What an indexer took in can be taken back, written down and read again, and divided by groups.

The logs are of a small market that goes through a crash. Every kind of event is taken back in
tests/integration/test_indexer.py as well, one transaction at a time.
"""

from __future__ import annotations

import random
from typing import Any

import cbor2
import pytest

from ballast import scenario
from ballast.bench.crash_run import CrashRun
from ballast.bench.hall import Hall, HallConfig, build, people
from ballast.bench.keeper_speed import Recorded, measure
from ballast.columns import Columns
from ballast.indexed import Changes
from ballast.indexer import Indexer

CHECKED = 12


@pytest.fixture(scope="module")
def told() -> tuple[Hall, list[Any]]:
    """The market, and what each of its transactions left, with its time."""
    chain, recorded = Recorded(), scenario.read()
    hall = build(recorded, HallConfig(people(120, 4)), chain=chain)
    CrashRun(hall, recorded, minutes=30).run()
    return hall, chain.transactions


def fresh(hall: Hall, group: int | None = None) -> Indexer:
    return Indexer(hall.client.vault.address, hall.client.clearinghouse.address, group)


def known(indexer: Indexer) -> dict[str, list[str]]:
    """All that is known, in an order of its own."""
    return {name: sorted(map(repr, rows)) for name, rows in indexer.state().items()}


def compare(columns: Columns, plain: Indexer, now: int) -> None:
    """Columns that were renewed all along, with columns of another indexer made now: decisions are
    the same."""
    columns.update(now)
    made = Columns(plain)
    made.update(now)
    prices = {market: plain.price(market)[0] for market in plain.funding_caps_bps}
    ours, theirs = columns.screen(prices), made.screen(prices)
    assert columns.ranks(prices).buckets == made.ranks(prices).buckets
    for number, name in enumerate(columns.names):
        if name in made.number:
            place = made.number[name]
            assert ours.bankrupt[number] == theirs.bankrupt[place]
            assert ours.liquidatable[number] == theirs.liquidatable[place]
            assert abs(ours.equity[number] - theirs.equity[place]) <= 2 * ours.error[number]
        else:
            assert (ours.equity[number], ours.maintenance[number]) == (0, 0)


@pytest.mark.parametrize("seed", range(2))
def test_undo(told: tuple[Hall, list[Any]], seed: int) -> None:
    """Two steps forward, one back, all the way through: nothing of it is left in the end."""
    hall, transactions = told
    rnd = random.Random(seed)
    indexer = fresh(hall)
    columns = Columns(indexer)
    noted: list[Changes] = []
    at = turns = 0
    marks = {round(len(transactions) * part / CHECKED) for part in range(1, CHECKED)}
    names = set()
    while at < len(transactions):
        for _ in range(rnd.randrange(1, 60)):
            if at == len(transactions):
                break
            noted.append(indexer.watch())
            logs, now = transactions[at]
            names |= {event.name for event in hall.client.clearinghouse.interface.decode_logs(logs)}
            indexer.apply(logs, at, now)
            at += 1
        if rnd.random() < 0.3:
            columns.update(transactions[at - 1][1])
        for _ in range(rnd.randrange(0, 30) if at < len(transactions) else 0):
            if at:
                at -= 1
                indexer.undo(noted.pop())
        turns += 1
        if at and (passed := {mark for mark in marks if mark <= at}):
            marks -= passed
            plain = fresh(hall)
            for place, (logs, now) in enumerate(transactions[:at]):
                plain.apply(logs, place, now)
            assert known(indexer) == known(plain)
            compare(columns, plain, transactions[at - 1][1])
    assert turns > 10
    assert {"ForcedClose", "Liquidated", "InsuranceDrawn"} <= names
    while noted:
        indexer.undo(noted.pop())
    assert known(indexer) == known(fresh(hall))


def test_state_goes_through_bytes(told: tuple[Hall, list[Any]]) -> None:
    hall, transactions = told
    half = len(transactions) // 2
    indexer = fresh(hall)
    for place, (logs, now) in enumerate(transactions[:half]):
        indexer.apply(logs, place, now)
    again = fresh(hall)
    again.restore(cbor2.loads(cbor2.dumps(indexer.state())))
    assert again.state() == indexer.state()
    for place, (logs, now) in enumerate(transactions[half:], half):
        indexer.apply(logs, place, now)
        again.apply(logs, place, now)
    assert again.state() == indexer.state()
    assert again.book(transactions[-1][1]) == indexer.book(transactions[-1][1])


def test_shards(told: tuple[Hall, list[Any]]) -> None:
    """Everybody is in group 1: its shard is the whole, another has the ledger alone."""
    hall, transactions = told
    whole, one, other = fresh(hall), fresh(hall, 1), fresh(hall, 2)
    for indexer in (whole, one, other):
        for place, (logs, now) in enumerate(transactions):
            indexer.apply(logs, place, now)
    now = transactions[-1][1]
    ours, book = one.book(now), whole.book(now)
    assert ours.accounts == {name: own for name, own in book.accounts.items() if own.group}
    assert (one.buckets, one.retired) == (whole.buckets, whole.retired)
    assert (ours.markets, ours.groups, ours.total) == (book.markets, book.groups, book.total)
    empty = other.book(now)
    assert (empty.accounts, empty.markets, empty.groups) == ({}, {}, {})
    assert (empty.total, empty.insurance) == (book.total, book.insurance)


def test_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ballast.bench.keeper_speed.PER_BLOCK", 1)
    found = measure(accounts=150, seed=2)
    assert found["accounts"] > 50
    assert found["logs"] > 500
    assert found["restart"] > 0
