"""The relay's database in Postgres: the same words as in SQLite, by address alone."""

from __future__ import annotations

import pytest

from ballast.relay.kept import Status
from ballast.relay.store import open_relay_store
from ballast.relay.writer import ChainWrite
from tests.integration.test_keeper_postgres import postgres  # noqa: F401, a fixture
from tests.unit.relay.test_store import order, order_fact

pytestmark = pytest.mark.node


def test_postgres(postgres: str) -> None:  # noqa: F811, the fixture
    kept = open_relay_store(postgres)
    facts = [order_fact(2, 10, 40), order_fact(2, 11, 70)]
    kept.writer.write_chain(ChainWrite(facts, [(10, "0xa"), (11, "0xb")], None, [])).result(20)
    for write in [kept.writer.insert(order(number)) for number in range(1, 501)]:
        assert write.result(20).status == Status.OPEN
    kept.writer.close()
    again = open_relay_store(postgres)
    assert [found.sequence for found in again.open_orders()] == list(range(1, 501))
    assert again.order(order(1).hash).signed == order(1).signed
    assert again.order(order(2).hash).filled == 70
    page = again.facts_of_account(["order"], order(1).order.account, 10, (11, 0))
    assert [fact.block for fact in page] == [10]
    again.writer.write_chain(ChainWrite([], [(10, "0xa")], 10, [])).result(20)
    assert again.filled_at([order(2).hash], 99) == {order(2).hash: 40}
    again.close()
    kept.engine.dispose()
