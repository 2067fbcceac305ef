"""The database: what is acknowledged is there, whoever reads it next."""

from __future__ import annotations

from pathlib import Path

import pytest

from ballast.databases import StoreError
from ballast.relay.facts import Fact
from ballast.relay.kept import Kept, Status
from ballast.relay.store import RelayStore, open_relay_store
from ballast.relay.writer import ChainWrite
from ballast.signing import Order, SignedOrder

ACCOUNT = b"a" * 32


def store(folder: Path) -> RelayStore:
    return open_relay_store(f"sqlite:///{folder}/relay.db")


def order(number: int, size: int = 100) -> Kept:
    signed = SignedOrder(Order(ACCOUNT, 1, True, size, 2**95, salt=2**256 - 1), b"s" * 65)
    return Kept(number.to_bytes(32, "big"), signed, "0x", number, 5, 5)


def order_fact(number: int, block: int, filled: int) -> Fact:
    details = {"size": "1", "filled": str(filled)}
    name = number.to_bytes(32, "big")
    return Fact(block, number, 0, "0x", "order", 1, ACCOUNT, name, details)


def test_what_is_acknowledged_is_there_without_an_end(tmp_path: Path) -> None:
    first = store(tmp_path)
    writes = [first.writer.insert(order(number)) for number in range(1, 3_001)]
    for write in writes:
        assert write.result(20).status == Status.OPEN
    # Another connection, the first one still open: as after a kill.
    again = store(tmp_path)
    assert [kept.sequence for kept in again.open_orders()] == list(range(1, 3_001))
    assert again.open_orders()[0].signed == order(1).signed
    assert again.last_sequence() == 3_000
    for opened in (first, again):
        opened.close()


def test_the_same_order_twice_is_one(tmp_path: Path) -> None:
    kept = store(tmp_path)
    one = kept.writer.insert(order(1)).result(5)
    one.close(Status.CANCELLED, "why")
    kept.writer.update([one]).result(5)
    two = kept.writer.insert(order(1)).result(5)
    assert two is not one
    assert (two.status, two.reason) == (Status.CANCELLED, "why")
    kept.close()


def test_what_the_chain_filled_before_counts(tmp_path: Path) -> None:
    kept = store(tmp_path)
    facts = [order_fact(1, 10, 40), order_fact(2, 10, 100)]
    kept.writer.write_chain(ChainWrite(facts, [(10, "0xa")], None, [])).result(5)
    assert kept.writer.insert(order(1)).result(5).filled == 40
    assert kept.writer.insert(order(2)).result(5).status == Status.FILLED
    kept.close()


def test_a_rewind_forgets_later_blocks(tmp_path: Path) -> None:
    kept = store(tmp_path)
    before = [order_fact(1, 10, 40), order_fact(1, 11, 70)]
    kept.writer.write_chain(ChainWrite(before, [(10, "0xa"), (11, "0xb")], None, [])).result(5)
    assert kept.filled_at([order(1).hash], 10) == {order(1).hash: 40}
    kept.writer.write_chain(ChainWrite([], [(10, "0xa")], 10, [])).result(5)
    assert kept.last_heads() == [(10, "0xa")]
    assert [fact.block for fact in kept.all_facts(["order"])] == [10]
    kept.close()


def test_nothing_is_written_after_a_write_that_failed(tmp_path: Path) -> None:
    kept = store(tmp_path)
    kept.writer.insert(order(1)).result(5)
    clash = order(2)
    clash.sequence = 1
    with pytest.raises(StoreError):
        kept.writer.insert(clash).result(5)
    assert kept.writer.broken is not None
    with pytest.raises(StoreError):
        kept.writer.write_chain(ChainWrite([], [(10, "0xa")], None, [])).result(5)
    assert kept.last_heads() == []
    kept.close()
