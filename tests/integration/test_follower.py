"""The keeper's mirror follows a real node: through restarts, kills, other branches, bad answers.

In the end it always is what the chain's own views say, and what a mirror that saw nothing but the
final chain holds.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from ballast import contracts
from ballast.databases import StoreError
from ballast.errors import ConfigError, NodeError
from ballast.indexed import IndexerError
from ballast.keeper import follower as module
from ballast.keeper import source
from ballast.keeper.follower import AuditError, Follower, FollowError
from ballast.keeper.store import Store, logs, open_store
from ballast.node import Node
from tests.support import flaky_rpc as flaky
from tests.support.live import PUBLISHERS, SECOND_GROUP, Live, live
from tests.support.nodes import anvil

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def deployed(anvil_path: str) -> Iterator[Live]:
    with anvil(anvil_path) as url, live(url) as found:
        found.bustle(40, seed=1)
        yield found


@pytest.fixture
def market(deployed: Live) -> Iterator[Live]:
    """The deployment in use, as it was before every test."""
    mark = deployed.mark()
    prices = dict(deployed.prices)
    yield deployed
    deployed.back(mark)
    deployed.prices = prices


@pytest.fixture
def own(anvil_url: str) -> Iterator[Live]:
    """A node of the test's own: one that reorganised itself goes back to no mark."""
    with live(anvil_url) as found:
        found.bustle(20, seed=1)
        yield found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = open_store(f"sqlite:///{tmp_path}/keeper.db")
    yield found
    found.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting between attempts."""
    monkeypatch.setattr(source, "FIRST_WAIT_SECONDS", 0.001)
    monkeypatch.setattr(source, "LONGEST_WAIT_SECONDS", 0.01)


@pytest.fixture
def shallow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few blocks are taken back from memory, and checkpoints are frequent."""
    monkeypatch.setattr(module, "DEPTH", 8)
    monkeypatch.setattr(module, "CHECKPOINT_LOGS", 30)


def known(follower: Follower) -> dict[str, Any]:
    """All that a mirror holds, in an order of its own."""
    return {name: sorted(map(repr, rows)) for name, rows in follower.indexer.state().items()}


def same(follower: Follower, market: Live) -> None:
    """The mirror is the chain's, and that of somebody who comes only now."""
    follower.audit()
    assert follower.head.number == market.chain.block_number
    late = Follower(Node(market.url), open_store("sqlite://"), market.record, follower.group)
    late.catch_up()
    assert known(follower) == known(late)
    prices = follower.prices
    ours, theirs = follower.columns.screen(prices), late.columns.screen(prices)
    for place, name in enumerate(late.columns.names):
        number = follower.columns.number[name]
        assert follower.columns.exact(number, prices) == late.columns.exact(place, prices)
        assert ours.bankrupt[number] == theirs.bankrupt[place]
        assert ours.liquidatable[number] == theirs.liquidatable[place]
    assert follower.columns.ranks(prices).buckets == late.columns.ranks(prices).buckets


def test_mirror_equals_chain(market: Live, store: Store) -> None:
    follower = Follower(market.node, store, market.record)
    told = follower.catch_up()
    same(follower, market)
    numbers = [block.number for block in told]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == market.chain.block_number
    names = {e.name for b in told for t in b.transactions for e in t.events}
    assert {"PriceReported", "PositionChanged", "Deposited", "Fill"} <= names
    assert follower.catch_up() == []
    market.trade(1, 0, 1)
    (block,) = follower.catch_up()
    (transaction,) = block.transactions
    receipt = market.node.ask("eth_getTransactionReceipt", transaction.hash)
    assert receipt["blockHash"] == block.hash
    assert (receipt["transactionIndex"], block.is_rewind) == (hex(transaction.index), False)
    same(follower, market)


def test_up_to_a_block(market: Live, store: Store) -> None:
    follower = Follower(market.node, store, market.record)
    middle = (market.record.block + market.chain.block_number) // 2
    told = follower.catch_up(middle)
    assert follower.head.number == told[-1].number == middle
    follower.audit()
    assert follower.catch_up(middle - 3) == []
    assert follower.catch_up()[0].number == middle + 1
    same(follower, market)


def test_quotes_are_what_the_next_block_fixes(market: Live, store: Store) -> None:
    follower = Follower(market.node, store, market.record)
    house = market.ballast.clearinghouse
    market.trade(1, 0, 1)
    market.ballast.deposit(market.account(0), 10**12, sender=market.sender)
    follower.catch_up()
    # A price is fixed, then a report comes within the same block: the block keeps its price.
    market.node.ask("evm_setAutomine", False)
    try:
        before = market.prices[1]
        market.node.ask("evm_increaseTime", 12)
        now = market.chain.timestamp
        refresh = house.data.refresh(market.account(0))
        reports = market.ballast.sign_prices(
            {1: before * 101 // 100}, PUBLISHERS[:3], timestamp=now + 5
        )
        report = market.ballast.oracle.data.report_prices([r.as_tuple() for r in reports])
        for to, data in ((house.address, refresh), (market.ballast.oracle.address, report)):
            request = {
                "from": market.sender,
                "to": to,
                "data": "0x" + data.hex(),
                "gas": hex(10**7),
            }
            market.node.ask("eth_sendTransaction", request)
        deadline = time.monotonic() + 10
        while int(market.node.ask("txpool_status")["pending"], 16) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        market.mine(1)
    finally:
        market.node.ask("evm_setAutomine", True)
    (block,) = [block for block in follower.catch_up() if block.transactions]
    names = [event.name for t in block.transactions for event in t.events]
    assert names.index("PriceFixed") < names.index("PriceReported")
    assert follower.quotes()[1] == (before * 101 // 100, 0)
    # An oracle that has nothing newer for too long.
    market.mine(1)
    follower.catch_up()
    market.chain.mine(4_000)
    follower.catch_up()
    assert {quote.status for quote in follower.quotes().values()} == {1}
    for m, quote in follower.quotes().items():
        assert quote == (house.view.price(m)[0], house.view.price_status(m))
    # An oracle that fails: the last price, as stale.
    market.node.ask("anvil_setCode", market.record.contracts[contracts.SIGNED_ORACLE], "0x00")
    market.mine(1)
    follower.catch_up()
    for m, quote in follower.quotes().items():
        assert quote == (house.view.price(m)[0], house.view.price_status(m))
        assert (follower.prices[m], quote.status & 1) == (quote.price, 1)


def test_restart(market: Live, tmp_path: Path, shallow: None) -> None:
    url = f"sqlite:///{tmp_path}/keeper.db"
    first = Follower(market.node, open_store(url), market.record)
    first.catch_up()
    kept = open_store(url).checkpoint(first.head.number, module.code_digest())
    assert kept is not None
    with flaky.flaky_rpc(market.url) as proxy:
        again = Follower(Node(proxy.url), open_store(url), market.record)
        assert again.head == first.head
        assert known(again) == known(first)
        assert again.catch_up() == []
        assert "eth_getLogs" not in proxy.asked
    market.bustle(10, seed=2)
    again.catch_up()
    same(again, market)


def test_state_of_other_code_is_not_read(
    market: Live, store: Store, shallow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Follower(market.node, store, market.record)
    first.catch_up()
    monkeypatch.setattr(module, "code_digest", lambda: "of tomorrow")
    monkeypatch.setattr(Store, "checkpoint", _only_of_tomorrow(Store.checkpoint))
    again = Follower(market.node, store, market.record)
    assert known(again) == known(first)
    same(again, market)


def _only_of_tomorrow(checkpoint: Any) -> Any:
    def asked(self: Store, last: int, digest: str) -> Any:
        found = checkpoint(self, last, digest)
        assert found is None
        return found

    return asked


@pytest.mark.parametrize("longer", [0, 2])
def test_reorganisation(market: Live, store: Store, longer: int) -> None:
    """Five blocks are replaced by others with other transactions, new accounts among them."""
    follower = Follower(market.node, store, market.record)
    follower.catch_up()
    fork = follower.head
    mark = market.mark()
    for amount in range(5):
        newcomer = (amount + 1 << 96).to_bytes(32, "big")
        market.ballast.deposit(newcomer, 10**6, sender=market.sender)
    left = follower.catch_up()
    assert len(left) == 5
    assert (1 << 96).to_bytes(32, "big") in follower.indexer.accounts
    market.back(mark)
    market.trade(1, 2, 3, 500)
    market.trade(SECOND_GROUP, 4, 5, 700)
    market.ballast.deposit((9 << 96).to_bytes(32, "big"), 10**6, sender=market.sender)
    market.ballast.settle(market.account(2), sender=market.sender)
    market.mine(1 + longer)
    rewind, *taken = follower.catch_up()
    assert (rewind.is_rewind, rewind.header) == (True, fork)
    assert [b.number for b in taken] == list(range(fork.number + 1, fork.number + 6 + longer))
    assert not {b.hash for b in left} & {b.hash for b in taken}
    assert (1 << 96).to_bytes(32, "big") not in follower.indexer.accounts
    same(follower, market)


def test_reorganisation_by_the_node(own: Live, store: Store, shallow: None) -> None:
    """Also right after a restart: what is taken back then comes from the store."""
    Follower(own.node, store, own.record).catch_up()
    follower = Follower(own.node, store, own.record)
    before = follower.head
    assert follower.catch_up() == []
    own.node.ask("anvil_reorg", 5, [])
    rewind, *taken = follower.catch_up()
    assert (rewind.is_rewind, rewind.number) == (True, before.number - 5)
    assert len(taken) == 5
    same(follower, own)


def test_branch_that_is_shorter_at_first(market: Live, store: Store) -> None:
    """A node behind the mirror tells nothing new; one on another branch does, at any length."""
    follower = Follower(market.node, store, market.record)
    follower.catch_up()
    mark = market.mark()
    market.bustle(8, seed=5)
    follower.catch_up()
    before, head = known(follower), follower.head
    market.back(mark)
    assert follower.catch_up() == []
    assert (follower.head, known(follower)) == (head, before)
    market.trade(2, 0, 1, 300)
    rewind, taken = follower.catch_up()
    assert (rewind.is_rewind, taken.number) == (True, market.chain.block_number)
    assert taken.number < head.number
    same(follower, market)


def test_reorganisation_across_checkpoints(market: Live, store: Store, shallow: None) -> None:
    """Deeper than what is taken back from memory, and past the newest checkpoint."""
    follower = Follower(market.node, store, market.record)
    follower.catch_up()
    mark = market.mark()
    market.bustle(40, seed=6)
    follower.catch_up()
    saved = store.last_checkpoint(module.code_digest())
    columns = follower.columns
    market.back(mark)
    fork = market.chain.block_number
    assert saved is not None
    assert saved > fork
    market.bustle(15, seed=7)
    rewind, *_ = follower.catch_up()
    assert (rewind.number, rewind.is_rewind) == (fork, True)
    assert follower.columns is not columns
    assert (store.last_checkpoint(module.code_digest()) or 0) != saved
    same(follower, market)
    again = Follower(market.node, store, market.record)
    assert known(again) == known(follower)


def test_chain_moves_while_it_is_read(market: Live, store: Store) -> None:
    """The node changes its branch between the question for headers and that for logs."""
    follower = Follower(market.node, store, market.record)
    follower.catch_up()
    mark = market.mark()
    market.bustle(5, seed=9)
    with flaky.flaky_rpc(market.url) as proxy:
        moved = []

        def move(exchange: flaky.Exchange) -> None:
            if "eth_getLogs" in exchange.methods and not moved:
                moved.append(True)
                market.back(mark)
                market.bustle(7, seed=10)

        proxy.fault = move
        racing = Follower(Node(proxy.url), open_store("sqlite://"), market.record)
        racing.catch_up()
    assert moved
    same(racing, market)


@pytest.mark.parametrize("seed", range(3))
def test_flaky_node(market: Live, store: Store, quick: None, seed: int) -> None:
    """Half of all answers are late, cut, missing, or errors."""
    faults = [flaky.cut, flaky.silent, flaky.overloaded, flaky.broken, flaky.late(0.7)]
    with flaky.flaky_rpc(market.url) as proxy:
        follower = Follower(Node(proxy.url, 1), store, market.record)
        proxy.fault = flaky.sometimes(0.5, faults, seed)
        failures = _until(follower, market)
        market.bustle(5, seed=20 + seed)
        failures += _until(follower, market)
        proxy.fault = flaky.silent
        before = known(follower), follower.head
        market.trade(1, 0, 1, 200)
        with pytest.raises(NodeError, match="no answer"):
            follower.catch_up()
        assert (known(follower), follower.head) == before
        proxy.fault = lambda exchange: None
        (block,) = follower.catch_up()
        assert block.transactions
    same(follower, market)


def _until(follower: Follower, market: Live) -> int:
    """Calls until the mirror is at the head; how many failed."""
    for failures in range(50):
        try:
            follower.catch_up()
        except NodeError:
            continue
        if follower.head.number == market.chain.block_number:
            return failures
    raise AssertionError("never there")


def test_blocks_are_told_after_a_failure(
    market: Live, store: Store, quick: None, shallow: None
) -> None:
    """What was taken in before a call failed is returned by the next one."""
    with flaky.flaky_rpc(market.url) as proxy:
        follower = Follower(Node(proxy.url), store, market.record)

        def fail_at_the_head(exchange: flaky.Exchange) -> None:
            if any("blockHash" in c["params"][0] for c in exchange.calls if c["params"]):
                exchange.refuse(-32000, "unknown block")

        proxy.fault = fail_at_the_head
        with pytest.raises(NodeError, match="unknown block"):
            follower.catch_up()
        assert follower.head.number > market.record.block
        proxy.fault = lambda exchange: None
        told = follower.catch_up()
    named = [t.hash for b in told for t in b.transactions]
    whole = Follower(market.node, open_store("sqlite://"), market.record).catch_up()
    assert named == [t.hash for b in whole for t in b.transactions]
    same(follower, market)


@pytest.mark.parametrize("fault", [flaky.spans_of(3), flaky.no_batches], ids=["spans", "batches"])
def test_node_with_limits(
    market: Live, store: Store, quick: None, shallow: None, fault: flaky.Fault
) -> None:
    with flaky.flaky_rpc(market.url) as proxy:
        proxy.fault = fault
        follower = Follower(Node(proxy.url), store, market.record)
        follower.catch_up()
    same(follower, market)


def test_node_that_leaves_logs_out(market: Live, store: Store) -> None:
    """A block's logs without some of them contradict what is known: nothing is taken in."""
    node = Node(market.url)
    follower = Follower(node, store, market.record)
    follower.catch_up()
    market.trade(1, 0, 1, 300)
    before = known(follower), follower.head
    with flaky.flaky_rpc(market.url) as proxy:

        def leave_out(exchange: flaky.Exchange) -> None:
            exchange.forward()
            if "eth_getLogs" in exchange.methods:
                for answer in (
                    exchange.answer if isinstance(exchange.answer, list) else [exchange.answer]
                ):
                    answer["result"] = answer["result"][:-1]

        node._url = proxy.url
        proxy.fault = leave_out
        with pytest.raises(IndexerError, match="two positions"):
            follower.catch_up()
        assert (known(follower), follower.head) == before
        proxy.fault = lambda exchange: None
        follower.catch_up()
    same(follower, market)


def test_logs_stored_that_are_not_whole(market: Live, store: Store) -> None:
    """What is read from the database contradicts itself: it is read again from the chain."""
    Follower(market.node, store, market.record).catch_up()
    with store.engine.begin() as connection:
        vault = market.record.contracts[contracts.VAULT]
        middle = (market.record.block + market.chain.block_number) // 2
        lost = delete(logs).where(logs.c.address == vault, logs.c.block < middle)
        assert connection.execute(lost).rowcount > 10
    again = Follower(market.node, store, market.record)
    assert again.head.number == market.record.block
    again.catch_up()
    same(again, market)


def test_long_history_is_told_from_its_end(
    market: Live, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_TOLD", 10)
    follower = Follower(market.node, store, market.record)
    first, *told = follower.catch_up()
    head = market.chain.block_number
    assert [block.number for block in told] == list(range(head - 9, head + 1))
    assert (first.number, first.is_rewind, first.transactions) == (head - 10, True, ())
    same(follower, market)


CHILD = """
import sys
from pathlib import Path
from ballast import record
from ballast.keeper import follower as module
from ballast.keeper.store import open_store
from ballast.node import Node

module.CHECKPOINT_LOGS, module.DEPTH = 30, 8
url, database, path = sys.argv[1:]
follower = module.Follower(Node(url), open_store(database), record.load(Path(path)))
print("ready", flush=True)
while True:
    last = follower._source.latest().number
    if follower.head.number == last:
        follower.rewind(follower.record.block)
    follower.catch_up(min(last, follower.head.number + 3))
"""


def test_killed_at_any_time(market: Live, tmp_path: Path) -> None:
    """`kill -9` while blocks, checkpoints and rewinds are written, eight times over."""
    path, database = tmp_path / "record.json", tmp_path / "keeper.db"
    market.record.save(path)
    heads = set()
    for attempt in range(8):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, market.url, f"sqlite:///{database}", str(path)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(0.03 + 0.055 * attempt)
        child.send_signal(signal.SIGKILL)
        assert child.wait(timeout=10) == -signal.SIGKILL
        child.stdout.close()
        with sqlite3.connect(database) as raw:
            assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        store = open_store(f"sqlite:///{database}")
        follower = Follower(market.node, store, market.record)
        follower.audit()
        heads.add(follower.head.number)
        store.close()
    assert len(heads) > 3
    follower = Follower(market.node, open_store(f"sqlite:///{database}"), market.record)
    follower.catch_up()
    same(follower, market)


def test_shards_add_up_to_the_whole(market: Live, tmp_path: Path) -> None:
    """Two shards hold each account of a group once, and every bucket, market and group; both know
    the whole ledger."""
    whole = Follower(market.node, open_store("sqlite://"), market.record)
    shards = [
        Follower(market.node, open_store(f"sqlite:///{tmp_path}/{group}.db"), market.record, group)
        for group in (1, 2)
    ]

    def check() -> None:
        now = whole.head.timestamp
        book = whole.indexer.book(now)
        parts = [shard.indexer.book(now) for shard in shards]
        accounts: dict[bytes, Any] = {}
        for shard, part in zip(shards, parts, strict=True):
            shard.audit()
            assert not accounts.keys() & part.accounts.keys()
            assert {a.group for a in part.accounts.values()} == {shard.group}
            assert (part.total, part.insurance, part.fees) == (
                book.total,
                book.insurance,
                book.fees,
            )
            accounts |= part.accounts
        assert accounts == {a: own for a, own in book.accounts.items() if own.group}
        for name in ("markets", "groups"):
            joined = {k: v for part in parts for k, v in getattr(part, name).items()}
            assert joined == getattr(book, name)
        buckets = [shard.indexer.buckets for shard in shards]
        assert {**buckets[0], **buckets[1]} == whole.indexer.buckets
        prices = whole.prices
        assert {**shards[0].prices, **shards[1].prices} == prices
        bankrupt = [_named(f, f.columns.screen(f.prices).bankrupt) for f in shards]
        assert bankrupt[0] | bankrupt[1] == _named(whole, whole.columns.screen(prices).bankrupt)
        places = [shard.columns.ranks(prices).buckets for shard in shards]
        assert {**places[0], **places[1]} == whole.columns.ranks(prices).buckets

    for follower in (whole, *shards):
        follower.catch_up()
    check()
    # One that has left its group while empty, and chosen the other one.
    mover = market.account(0, SECOND_GROUP)
    mark = market.mark()
    market.bustle(20, seed=30)
    for follower in (whole, *shards):
        follower.catch_up()
    check()
    market.back(mark)
    market.bustle(3, seed=31)
    for follower in (whole, *shards):
        follower.catch_up()
    check()
    assert mover in shards[1].indexer.accounts
    again = Follower(market.node, open_store(f"sqlite:///{tmp_path}/2.db"), market.record, group=2)
    assert known(again) == known(shards[1])


def _named(follower: Follower, flags: Any) -> set[bytes]:
    return {follower.columns.names[number] for number in flags.nonzero()[0]}


def test_audit_sees_one_wei(market: Live, store: Store) -> None:
    follower = Follower(market.node, store, market.record)
    follower.catch_up()
    follower.audit(sample=3)
    account = market.account(0)
    follower.indexer._cash[int.from_bytes(account, "big")] += 1
    with pytest.raises(AuditError, match=f"account {account.hex()} is .* on chain"):
        follower.audit()
    with pytest.raises(AuditError, match="total is"):
        follower.audit(sample=0)
    follower.rewind(market.record.block)
    assert follower.catch_up()[0].is_rewind
    same(follower, market)


def test_what_cannot_be_followed(market: Live, store: Store, tmp_path: Path) -> None:
    kept = market.record
    with pytest.raises(ConfigError, match="deployed on chain 5, the node is on 31337"):
        Follower(market.node, store, replace(kept, chain_id=5))
    with pytest.raises(FollowError, match="the node has no block 99999"):
        Follower(market.node, store, replace(kept, block=99_999))
    one = Follower(market.node, store, kept)
    with pytest.raises(StoreError, match=r"this database is of .* all groups, .* use another one"):
        Follower(market.node, store, kept, group=1)
    other = Follower(market.node, store, kept)
    other.catch_up()
    before = known(one)
    with pytest.raises(StoreError, match="another keeper writes to this database"):
        one.catch_up()
    assert known(one) == before
    with pytest.raises(StoreError, match="no database can be opened"):
        open_store("nonsense://nowhere")
    with pytest.raises(StoreError, match="the database fails"):
        open_store(f"sqlite:///{tmp_path}/no/such/folder/keeper.db")
