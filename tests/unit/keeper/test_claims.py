"""Who is at an account, in SQLite and in Postgres."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pgserver
import pytest
from sqlalchemy import delete

from ballast.databases import StoreError
from ballast.keeper.claims import LEASE_SECONDS, Claims, claims
from ballast.keeper.rpc import Head
from ballast.keeper.store import metadata, open_store

ONE, TWO = "0x" + "1" * 40, "0x" + "2" * 40
A, B, C = (bytes([n]) * 32 for n in range(3))
CHAIN = 31337


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    if request.param == "sqlite":
        yield f"sqlite:///{folder}/shared.db"
        return
    server = pgserver.get_server(folder)
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@pytest.fixture
def keepers(database: str) -> Iterator[list[Claims]]:
    stores = [open_store(database) for _ in range(2)]
    with stores[0].engine.begin() as connection:
        connection.execute(delete(claims))
    yield [Claims(store.engine, CHAIN, who) for store, who in zip(stores, (ONE, TWO), strict=True)]
    for store in stores:
        store.close()


def at(block: int, seconds: int = 0) -> Head:
    return Head(block, "0x", 0, 0, 1_000_000 + seconds)


def test_one_has_what_the_other_wants(keepers: list[Claims]) -> None:
    one, two = keepers
    assert one.take([A, B], at(5))
    assert two.others(at(5)) == {A, B}
    assert one.others(at(5)) == set()
    assert not two.take([A], at(6))
    assert two.take([C], at(6))


def test_all_or_none(keepers: list[Claims]) -> None:
    one, two = keepers
    assert one.take([B], at(5))
    assert not two.take([A, B, C], at(5))
    assert one.others(at(5)) == set()
    assert one.take([A, C], at(5))


def test_an_account_may_be_named_twice(keepers: list[Claims]) -> None:
    one, two = keepers
    assert one.take([A, A, B], at(5))
    assert two.others(at(5)) == {A, B}


def test_what_is_ones_own_is_had_again(keepers: list[Claims]) -> None:
    one, _ = keepers
    assert one.take([A], at(5))
    assert one.take([A, B], at(6))


def test_what_is_done_is_free_for_who_has_seen_it(keepers: list[Claims]) -> None:
    one, two = keepers
    assert one.take([A], at(5))
    one.done([A], 7)
    assert two.others(at(6)) == {A}
    assert not two.take([A], at(6))
    assert two.others(at(7)) == set()
    assert two.take([A], at(7))
    assert one.others(at(7)) == {A}


def test_what_a_reorganisation_makes_pending_again_is_held(keepers: list[Claims]) -> None:
    one, two = keepers
    assert one.take([A], at(5))
    one.done([A], 7)
    one.renew([A], at(7))
    assert not two.take([A], at(8))


def test_a_dead_keeper_holds_nothing_for_ever(keepers: list[Claims]) -> None:
    one, two = keepers
    assert one.take([A], at(5))
    assert not two.take([A], at(90, LEASE_SECONDS - 1))
    assert two.others(at(91, LEASE_SECONDS)) == set()
    assert two.take([A], at(91, LEASE_SECONDS))


def test_a_claim_that_is_renewed_is_held(keepers: list[Claims]) -> None:
    one, two = keepers
    assert one.take([A, B], at(5))
    one.renew([A], at(9, LEASE_SECONDS - 1))
    assert two.others(at(9, LEASE_SECONDS)) == {A}
    assert two.take([B], at(9, LEASE_SECONDS))


def test_nobody_touches_what_another_has_taken_over(keepers: list[Claims]) -> None:
    one, two = keepers
    assert one.take([A], at(5))
    assert two.take([A], at(90, LEASE_SECONDS))
    one.renew([A], at(91, LEASE_SECONDS + 1))
    one.done([A], 80)
    one.release([A])
    assert one.others(at(91, LEASE_SECONDS + 1)) == {A}
    assert one.others(at(200, 2 * LEASE_SECONDS)) == set()


def test_what_is_released_is_free(keepers: list[Claims]) -> None:
    one, two = keepers
    assert one.take([A], at(5))
    one.release([A])
    assert two.take([A], at(5))


def test_chains_have_nothing_to_do_with_each_other(keepers: list[Claims], database: str) -> None:
    one, _ = keepers
    assert one.take([A], at(5))
    store = open_store(database)
    elsewhere = Claims(store.engine, CHAIN + 1, TWO)
    assert elsewhere.others(at(5)) == set()
    assert elsewhere.take([A], at(5))
    store.close()


def test_each_account_goes_to_one_of_many_at_once(keepers: list[Claims], database: str) -> None:
    """Four keepers want the same accounts in batches that overlap, in other orders."""
    accounts = [n.to_bytes(32, "big") for n in range(120)]
    got: list[bytes] = []
    failed: list[BaseException] = []
    gate = threading.Barrier(4)

    def want(number: int) -> None:
        store = open_store(database)
        own = Claims(store.engine, CHAIN, f"0x{number:040x}")
        rnd = random.Random(number)
        free = rnd.sample(accounts, len(accounts))
        try:
            gate.wait(timeout=30)
            for size in (7, 3, 1):
                for start in range(0, len(free), size):
                    batch = free[start : start + size]
                    if own.take(batch, at(5)):
                        got.extend(batch)
                free = [a for a in free if a not in set(got)]
                rnd.shuffle(free)
        except BaseException as error:
            failed.append(error)
        finally:
            store.close()

    threads = [threading.Thread(target=want, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert failed == []
    assert Counter(got) == dict.fromkeys(accounts, 1)


def test_many_may_make_the_tables_at_once(database: str) -> None:
    failed: list[BaseException] = []

    def begin() -> None:
        try:
            gate.wait(timeout=30)
            open_store(database).close()
        except BaseException as error:
            failed.append(error)

    for _ in range(10):
        store = open_store(database)
        metadata.drop_all(store.engine)
        store.close()
        gate = threading.Barrier(4)
        threads = [threading.Thread(target=begin) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
    assert failed == []


def test_other_databases_are_refused() -> None:
    engine: Any = SimpleNamespace(dialect=SimpleNamespace(name="mysql"))
    with pytest.raises(StoreError, match="mysql is not supported"):
        Claims(engine, CHAIN, ONE)
