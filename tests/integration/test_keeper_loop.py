"""Keepers on a real node, step by step: rivals, reorganisations, bad nodes, sudden ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_typing import HexStr

from ballast.keeper import claims, costs
from ballast.keeper.costs import SendSettings
from ballast.keeper.keeper import Pace
from ballast.keeper.rpc import Rpc
from ballast.keeper.turns import LAST, PATIENCE
from ballast.signing import account_id
from tests.support import flaky_rpc
from tests.support.hand import KEY, RIVAL, Hand
from tests.support.live import PRICES, Live, live
from tests.support.nodes import anvil
from tests.support.patience import until

ROOT = Path(__file__).resolve().parents[2]
WAD = 10**18

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def deployed(anvil_path: str) -> Iterator[Live]:
    """Longs at 30, 20 and 15 times their margin against shorts of some, and two keepers."""
    with anvil(anvil_path) as url, live(url) as market:
        for key in (KEY, RIVAL):
            market.node.ask("anvil_setBalance", key.address, hex(10 * WAD))
            market.ballast.deposit(account_id(key.address), 5_000 * 10**6, sender=market.sender)
        for place, quote in ((0, 30_000), (1, 20_000), (2, 15_000)):
            market.trade(1, place, 3 + place, quote)
        yield market


@pytest.fixture
def market(deployed: Live) -> Iterator[Live]:
    """The same for every test."""
    mark = deployed.mark()
    yield deployed
    deployed.node.ask("anvil_dropAllTransactions")
    deployed.node.ask("evm_setAutomine", True)
    deployed.back(mark)
    deployed.prices = dict(PRICES)


def take(market: Live, folder: Path, *, url: str = "", **options: Any) -> Hand:
    return Hand(url or market.url, market.record, folder, **options)


def crash(market: Live) -> None:
    """Trader 0 goes bankrupt, trader 1 falls below maintenance."""
    market.report({1: 96_000 * WAD})
    assert not is_resolved(market)


def is_resolved(market: Live) -> bool:
    view = market.ballast.clearinghouse.view
    accounts = [market.account(place) for place in range(6)]
    return all(view.equity(a) >= view.margin(a)[1] for a in accounts)


def test_step_by_step(market: Live, tmp_path: Path) -> None:
    hand = take(market, tmp_path)
    made = hand.keeper.step()
    assert made is not None
    assert (made.bankrupt, made.liquidatable, made.actions) == (0, 0, [])
    assert hand.keeper.step() is None  # no new block
    crash(market)
    made = hand.keeper.step()
    assert made is not None
    assert [str(action.kind) for action in made.actions] == ["deleverage", "liquidate"]
    assert is_resolved(market)
    made = hand.keeper.step()
    assert made is not None
    assert made.actions == []
    assert [row.outcome for row in hand.rows()] == ["done", "done"]
    assert hand.count("transactions_total", kind="liquidate", what="done") == 1
    assert hand.count("bankrupt_accounts") == 0
    well, told = hand.keeper.health()
    assert well
    assert told["head"] == market.chain.block_number


def test_a_keeper_of_one_group_leaves_the_others_alone(market: Live, tmp_path: Path) -> None:
    crash(market)
    made = take(market, tmp_path, group=2, key=RIVAL).keeper.step()
    assert made is not None
    assert made.actions == []
    made = take(market, tmp_path, group=1).keeper.step()
    assert made is not None
    assert [str(action.kind) for action in made.actions] == ["deleverage", "liquidate"]
    assert is_resolved(market)


def two_are_low(market: Live) -> None:
    """Traders 0 and 1 fall below maintenance, and nobody goes bankrupt."""
    market.trade(1, 1, 4, 9_000)
    market.report({1: 97_200 * WAD})
    view = market.ballast.clearinghouse.view
    for account in (market.account(0), market.account(1)):
        assert 0 <= view.equity(account) < view.margin(account)[1]


def test_two_legs_are_taken_over_at_once_after_they_were_first_taken_over_each(
    market: Live, tmp_path: Path
) -> None:
    hand = take(market, tmp_path)
    mark = market.mark()
    two_are_low(market)
    made = hand.keeper.step()
    assert made is not None
    kinds = [str(action.kind) for action in made.actions if action.kind != "refresh"]
    assert kinds == ["liquidate", "liquidate", "allow"]
    assert is_resolved(market)
    market.back(mark)

    market.chain.register(KEY)
    batch = market.record.contracts["LiquidationBatch"]
    house = market.ballast.clearinghouse
    house.send.set_operator(batch, 2**256 - 1, sender=KEY.address)
    two_are_low(market)
    (tmp_path / "again").mkdir()
    hand = take(market, tmp_path / "again")
    hand.keeper.step()
    assert is_resolved(market)
    hand.keeper.step()
    (row,) = [row for row in hand.rows() if row.kind == "liquidate"]
    assert (row.outcome, row.target, len(row.accounts)) == ("done", batch, 2)


def test_two_keepers_race(market: Live, tmp_path: Path) -> None:
    hands = [take(market, tmp_path, key=key) for key in (KEY, RIVAL)]
    crash(market)
    market.node.ask("evm_setAutomine", False)
    # Both see the same block. Simulated with the pool, the second finds all done: nothing is sent.
    for hand in hands:
        assert hand.keeper.step() is not None
    assert len(hands[0].rows()) == 2
    assert hands[1].rows() == []
    assert hands[1].count("not_sent_total", kind="deleverage", why="outraced") == 1
    market.mine(1)
    assert is_resolved(market)


def test_outraced_in_the_block(market: Live, tmp_path: Path) -> None:
    hand = take(market, tmp_path)
    crash(market)
    market.node.ask("evm_setAutomine", False)
    assert hand.keeper.step() is not None
    # Somebody pays more, and comes first.
    house = market.ballast.clearinghouse
    data = house.data.deleverage(market.account(0))
    tip = hex(50 * 10**9)
    request = {"from": market.sender, "to": house.address, "data": "0x" + data.hex()}
    request |= {"gas": hex(2_000_000), "maxFeePerGas": tip, "maxPriorityFeePerGas": tip}
    market.node.ask("eth_sendTransaction", request)
    market.mine(1)
    assert hand.keeper.step() is not None
    assert hand.outcomes("deleverage") == ["outraced"]
    assert hand.outcomes("liquidate") == ["done"]
    assert hand.count("transactions_total", kind="deleverage", what="outraced") == 1
    assert is_resolved(market)


def test_what_is_pending_is_not_planned_again(market: Live, tmp_path: Path) -> None:
    hand = take(market, tmp_path)
    crash(market)
    market.node.ask("evm_setAutomine", False)
    hand.keeper.step()
    sent = [row.hashes[0] for row in hand.rows()]
    for transaction in sent:
        market.node.ask("anvil_dropTransaction", transaction)
    market.mine(1)
    made = hand.keeper.step()
    assert made is not None
    assert made.actions == []
    market.mine(1)
    hand.keeper.step()
    assert [row.hashes[0] for row in hand.rows()] == sent
    assert is_resolved(market)


def test_reorganisation_takes_back_what_was_done(market: Live, tmp_path: Path) -> None:
    hand = take(market, tmp_path)
    crash(market)
    mark = market.mark()
    hand.keeper.step()
    market.mine(1)
    hand.keeper.step()
    assert [row.outcome for row in hand.rows()] == ["done", "done"]
    market.back(mark)
    market.node.ask("evm_setAutomine", False)
    market.mine(5)
    assert not is_resolved(market)
    hand.keeper.step()
    assert [row.state for row in hand.rows()] == ["sent", "sent"]
    assert hand.count("reorganisations_total") == 1
    market.mine(1)
    hand.keeper.step()
    assert [row.outcome for row in hand.rows()] == ["done", "done"]
    assert is_resolved(market)


def test_nothing_is_sent_beyond_the_budget(market: Live, tmp_path: Path) -> None:
    send = SendSettings(max_spend_day=10**9, max_spend_hour=10**9)
    hand = take(market, tmp_path, send=send)
    crash(market)
    assert hand.keeper.step() is not None
    assert hand.rows() == []
    assert hand.count("not_sent_total", kind="deleverage", why="budget") == 1
    assert hand.count("budget_wei", window="day") == 10**9
    assert not is_resolved(market)


def test_a_node_that_fails_as_nodes_do(market: Live, tmp_path: Path) -> None:
    faults = [flaky_rpc.cut, flaky_rpc.silent, flaky_rpc.overloaded, flaky_rpc.broken]
    with flaky_rpc.flaky_rpc(market.url) as proxy:
        hand = take(market, tmp_path, url=proxy.url)
        crash(market)
        proxy.fault = flaky_rpc.sometimes(0.25, faults, seed=1)
        stop = threading.Event()
        thread = threading.Thread(target=hand.keeper.run, args=(stop,))
        thread.start()
        try:
            until(lambda: is_resolved(market))
        finally:
            stop.set()
            thread.join(timeout=30)
    hand.keeper.step()
    nonces = [row.nonce for row in hand.rows()]
    assert nonces == list(range(len(nonces)))
    assert market.chain.nonce(KEY.address) == len(nonces)


def test_a_dead_node_does_not_end_it(market: Live, tmp_path: Path) -> None:
    with flaky_rpc.flaky_rpc(market.url) as proxy:
        hand = take(market, tmp_path, url=proxy.url, pace=Pace(0.05, max_lag_seconds=2))
        hand.keeper.step()
        assert hand.keeper.health()[0]
        proxy.fault = flaky_rpc.silent
        crash(market)
        stop = threading.Event()
        thread = threading.Thread(target=hand.keeper.run, args=(stop,))
        thread.start()
        try:
            until(lambda: not hand.keeper.health()[0])
            until(lambda: hand.count("errors_total", error="NodeError") > 0)
            proxy.fault = lambda exchange: None
            until(lambda: is_resolved(market))
            until(lambda: hand.keeper.health()[0])
        finally:
            stop.set()
            thread.join(timeout=30)
        assert not thread.is_alive()


def test_a_batch_that_is_too_heavy_goes_in_halves(
    market: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = take(market, tmp_path)
    market.report({1: 90_000 * WAD})
    monkeypatch.setattr(costs, "MAX_GAS", 330_000)
    made = hand.keeper.step()
    assert made is not None
    assert made.bankrupt == 3
    assert [len(row.accounts) for row in hand.rows()] == [1, 1, 1]
    assert is_resolved(market)


def no_pending(exchange: flaky_rpc.Exchange) -> None:
    """A node that says nothing of its pool."""
    asked = ("eth_call", "eth_estimateGas", "eth_simulateV1")
    calls = [call for call in exchange.calls if call["method"] in asked]
    if any(call["params"][-1] == "pending" for call in calls):
        exchange.refuse(-32000, "pending block is not available")


def test_a_node_without_a_pending_block(market: Live, tmp_path: Path) -> None:
    with flaky_rpc.flaky_rpc(market.url) as proxy:
        proxy.fault = no_pending
        hand = take(market, tmp_path, url=proxy.url)
        crash(market)
        hand.keeper.step()
    assert is_resolved(market)


def test_a_node_that_cannot_try_many_at_once(market: Live, tmp_path: Path) -> None:
    def no_simulation(exchange: flaky_rpc.Exchange) -> None:
        if any(call["method"] == "eth_simulateV1" for call in exchange.calls):
            exchange.refuse(-32601, "the method eth_simulateV1 does not exist")

    with flaky_rpc.flaky_rpc(market.url) as proxy:
        proxy.fault = no_simulation
        hand = take(market, tmp_path, url=proxy.url)
        crash(market)
        hand.keeper.step()
        assert is_resolved(market)
        market.report({1: 95_000 * WAD})
        hand.keeper.step()
        assert proxy.asked["eth_simulateV1"] == 1


def test_a_bait_in_the_pool_holds_an_account_back_for_some_blocks_only(
    market: Live, tmp_path: Path
) -> None:
    hand = take(market, tmp_path, pace=Pace(turn_seconds=0))
    bankrupt = market.account(0)
    crash(market)
    market.node.ask("evm_setAutomine", False)
    rpc, house = Rpc(market.url), market.ballast.clearinghouse
    blocks = 0
    while not hand.outcomes("deleverage"):
        blocks += 1
        nonce, fee = rpc.nonce(RIVAL.address), 5 * 10**9
        call = house.data.deleverage_many([bankrupt])
        rpc.send_raw(signed(market, nonce, fee, house.address, bytes(call), 2_000_000))
        hand.keeper.step()
        # What the pool held is taken back before it is mined.
        rpc.send_raw(signed(market, nonce, 2 * fee, RIVAL.address, b"", 21_000))
        market.mine(1)
        assert blocks <= PATIENCE + LAST + 1
    hand.keeper.step()
    assert hand.outcomes("deleverage") == ["done"]
    assert blocks > PATIENCE
    assert is_resolved(market)


def signed(market: Live, nonce: int, fee: int, target: str, data: bytes, gas: int) -> str:
    """A transaction of the rival's."""
    made = RIVAL.sign_transaction(
        {
            "chainId": market.record.chain_id,
            "nonce": nonce,
            "to": HexStr(target),
            "data": HexStr("0x" + data.hex()),
            "value": 0,
            "gas": gas,
            "gasPrice": fee,
        }
    )
    return "0x" + bytes(made.raw_transaction).hex()


@pytest.fixture
def pair(market: Live, tmp_path: Path) -> Iterator[tuple[Hand, Hand]]:
    """Two keepers with a database in common, who do not see what is in the pool; a crash."""
    shared = f"sqlite:///{tmp_path}/shared.db"
    with flaky_rpc.flaky_rpc(market.url) as proxy:
        proxy.fault = no_pending
        first, second = (
            take(market, tmp_path, url=proxy.url, key=key, shared=shared) for key in (KEY, RIVAL)
        )
        crash(market)
        market.node.ask("evm_setAutomine", False)
        yield first, second


def test_keepers_with_a_database_in_common_do_nothing_twice(
    market: Live, pair: tuple[Hand, Hand]
) -> None:
    first, second = pair
    first.keeper.step()
    made = second.keeper.step()
    assert made is not None
    assert (made.bankrupt, made.liquidatable) == (1, 1)
    assert made.actions == []
    market.mine(1)
    second.keeper.step()
    assert is_resolved(market)
    first.keeper.step()
    assert [row.outcome for row in first.rows()] == ["done", "done"]
    assert second.rows() == []


def test_of_two_plans_for_the_same_one_is_carried_out(
    market: Live, pair: tuple[Hand, Hand]
) -> None:
    first, second = pair
    # The second had made its plan before the first has claimed anything.
    second.sender.claimed = lambda head: frozenset()  # type: ignore[method-assign]
    first.keeper.step()
    made = second.keeper.step()
    assert made is not None
    assert len(made.actions) == 2
    assert second.rows() == []
    assert second.count("not_sent_total", kind="deleverage", why="claimed") == 1
    assert second.count("not_sent_total", kind="liquidate", why="claimed") == 1


def test_a_keeper_that_has_died_is_waited_for_and_replaced(
    market: Live, pair: tuple[Hand, Hand]
) -> None:
    first, second = pair
    first.keeper.step()
    for row in first.rows():
        market.node.ask("anvil_dropTransaction", row.hashes[0])
    # The first is heard of no more.
    market.chain.mine(claims.LEASE_SECONDS - 20)
    made = second.keeper.step()
    assert made is not None
    assert made.actions == []
    market.chain.mine(20)
    second.keeper.step()
    market.mine(1)
    second.keeper.step()
    assert second.outcomes("deleverage") == ["done"]
    assert second.outcomes("liquidate") == ["done"]
    assert is_resolved(market)


def test_a_claim_is_kept_for_as_long_as_its_transaction_waits(
    market: Live, pair: tuple[Hand, Hand]
) -> None:
    first, second = pair
    first.keeper.step()
    sent = [row.hashes[0] for row in first.rows()]
    for _ in range(3):
        for known in sent:
            market.node.ask("anvil_dropTransaction", known)
        market.chain.mine(claims.LEASE_SECONDS - 20)
        first.keeper.step()
        made = second.keeper.step()
        assert made is not None
        assert made.actions == []
        sent = [row.hashes[-1] for row in first.rows()]


CHILD = """
import sys, threading
from pathlib import Path
from ballast import record
from ballast.keeper.keeper import Pace
from tests.support.hand import Hand

hand = Hand(sys.argv[1], record.load(Path(sys.argv[2])), Path(sys.argv[3]), pace=Pace(0.01))
print("ready", flush=True)
hand.keeper.run(threading.Event())
"""


def test_killed_and_started_again(market: Live, tmp_path: Path) -> None:
    market.record.save(tmp_path / "deployment.json")
    market.node.ask("evm_setAutomine", False)
    market.node.ask("evm_setIntervalMining", 1)
    command = [sys.executable, "-c", CHILD, market.url]
    command += [str(tmp_path / "deployment.json"), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def start() -> subprocess.Popen[str]:
        child = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert "ready" in child.stdout.readline()
        return child

    try:
        child = start()
        hand = take(market, tmp_path)
        market.node.ask("evm_setIntervalMining", 0)
        market.node.ask("evm_setAutomine", True)
        market.report({1: 96_000 * WAD})
        market.node.ask("evm_setAutomine", False)
        until(lambda: bool(hand.rows()))
        child.send_signal(signal.SIGKILL)
        child.wait(timeout=10)
        market.node.ask("evm_setIntervalMining", 1)
        child = start()
        until(lambda: is_resolved(market))
        until(lambda: all(row.state == "mined" for row in hand.rows()))
        child.send_signal(signal.SIGKILL)
        child.wait(timeout=10)
    finally:
        market.node.ask("evm_setIntervalMining", 0)
    nonces = [row.nonce for row in hand.rows()]
    assert nonces == list(range(len(nonces)))
    assert market.chain.nonce(KEY.address) == len(nonces)
    assert hand.outcomes("deleverage").count("done") == 1
    assert hand.outcomes("liquidate").count("done") == 1
