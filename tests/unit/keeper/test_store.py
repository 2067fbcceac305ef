"""The keeper's database: what is kept, what is forgotten, and who may write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ballast.chain import Log
from ballast.databases import StoreError
from ballast.keeper import store as module
from ballast.keeper.blocks import Block, Entry, Header, Transaction
from ballast.keeper.store import Store, open_store

ADDRESS = "0x" + "11" * 20


def header(number: int, branch: int = 0) -> Header:
    return Header(number, f"0x{branch:032x}{number:032x}", f"0x{branch:032x}{number - 1:032x}", 9)


def block(number: int, logs: int = 0, branch: int = 0) -> Block:
    """With so many logs, two a transaction."""
    entries = [Entry(i, Log(ADDRESS, [bytes([i] * 32)] * (i % 5), bytes(i))) for i in range(logs)]
    transactions = tuple(
        Transaction(f"0x{place:064x}", place, tuple(entries[2 * place : 2 * place + 2]), ())
        for place in range((logs + 1) // 2)
    )
    return Block(header(number, branch), transactions)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = open_store(f"sqlite:///{tmp_path}/keeper.db")
    yield found
    found.close()


def test_blocks_and_logs_are_read_as_written(store: Store) -> None:
    store.append(None, [block(5)])
    store.append(header(5), [block(6, 7), block(7), block(8, 2)])
    assert store.head() == header(8)
    assert store.headers(2) == [header(8), header(7)]
    assert (store.header_at(6), store.header_at(4)) == (header(6), None)
    kept = list(store.transactions(5, 8))
    assert [(k.block, len(k.logs), k.timestamp) for k in kept] == [
        (6, 2, 9),
        (6, 2, 9),
        (6, 2, 9),
        (6, 1, 9),
        (8, 2, 9),
    ]
    written = [e.log for t in block(6, 7).transactions for e in t.entries]
    assert [log for k in kept[:4] for log in k.logs] == written
    assert (store.logs_after(5), store.logs_after(6)) == (9, 2)
    assert [k.block for k in store.transactions(6, 7)] == []


def test_append_is_all_or_nothing(store: Store) -> None:
    store.append(None, [block(5)])
    with pytest.raises(StoreError, match="the database fails"):
        store.append(header(5), [block(6, 3), block(7, 3), block(6, 3)])
    assert (store.head(), store.logs_after(0)) == (header(5), 0)


@pytest.mark.parametrize("after", [None, header(4), header(5, branch=1), header(6)])
def test_append_after_another_head(store: Store, after: Header | None) -> None:
    store.append(None, [block(5)])
    with pytest.raises(StoreError, match="another keeper writes to this database"):
        store.append(after, [block(9)])
    assert store.head() == header(5)


def test_empty_blocks_are_forgotten_and_others_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_EMPTY_BLOCKS", 10)
    store.append(None, [block(0)])
    for number in range(1, 40):
        store.append(header(number - 1), [block(number, 1 if number % 7 == 0 else 0)])
    numbers = [h.number for h in reversed(store.headers(100))]
    assert numbers == [7, 14, 21, 28, *range(30, 40)]
    assert store.logs_after(0) == 5


def test_drop_after(store: Store) -> None:
    store.append(None, [block(number, 2) for number in range(1, 6)])
    for number in (2, 4):
        store.save(number, "code", {"cash": [(2**200, -1)]})
    store.drop_after(3)
    assert (store.head(), store.logs_after(0)) == (header(3), 6)
    assert store.checkpoint(9, "code") == (2, {"cash": [[2**200, -1]]})
    store.append(header(3), [block(4, 1, branch=1)])
    assert store.head() == header(4, branch=1)


def test_checkpoints_are_of_their_code_and_few(store: Store) -> None:
    store.append(None, [block(number) for number in range(1, 9)])
    for number in range(1, 9):
        store.save(number, "old" if number == 7 else "code", {"number": number})
    assert store.checkpoint(8, "code") == (8, {"number": 8})
    assert store.checkpoint(7, "code") == (6, {"number": 6})
    assert store.checkpoint(7, "old") == (7, {"number": 7})
    assert store.checkpoint(4, "code") is None
    assert (store.last_checkpoint("code"), store.last_checkpoint("other")) == (8, None)


def test_claim(store: Store) -> None:
    store.claim("one")
    store.claim("one")
    with pytest.raises(StoreError, match="this database is of one, not of other"):
        store.claim("other")
