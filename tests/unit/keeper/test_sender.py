"""Every way in which a transaction can go astray, on a node."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ballast.errors import NodeError, NodeRefused, Reverted
from ballast.keeper.actions import Kind
from ballast.keeper.costs import GAS_SPARE, NotSent
from ballast.keeper.history import DAY, HOUR
from ballast.keeper.rpc import Rpc
from ballast.keeper.trial import Outraced
from tests.support import flaky_rpc
from tests.support.job import ETHER, SETTINGS, Site
from tests.support.patience import until

ROOT = Path(__file__).resolve().parents[3]
GWEI = 10**9

pytestmark = pytest.mark.node


@pytest.fixture
def site(anvil_url: str) -> Site:
    return Site(anvil_url)


def test_an_action_is_done_and_becomes_final(site: Site) -> None:
    row = site.do(site.action(1))
    assert (row.nonce, row.state) == (0, "sent")
    site.mine()
    assert site.outcomes() == [(0, "mined", "done")]
    assert site.done(1)
    spent = site.sender.history.spent(HOUR)
    assert spent == 10 * ETHER - site.rpc.balance(site.key.address)
    site.mine(12)
    assert site.outcomes() == [(0, "final", "done")]
    assert site.what() == ["sent", "done"]


def test_several_at_once_have_nonces_in_a_row(site: Site) -> None:
    for number in range(5):
        site.do(site.action(number))
    site.mine()
    assert site.outcomes() == [(number, "mined", "done") for number in range(5)]


def test_no_more_than_allowed_are_in_flight(site: Site) -> None:
    site.sender = site.start(replace(SETTINGS, max_in_flight=2))
    for number in range(2):
        site.do(site.action(number))
    with pytest.raises(NotSent, match="2 transactions are under way") as refusal:
        site.do(site.action(2))
    assert refusal.value.why == "in flight"
    site.mine()
    site.do(site.action(2))


def test_the_same_is_not_sent_twice(site: Site) -> None:
    action = site.action(1)
    gas = site.trial.needed(action)
    site.sender.send(action, gas, site.head())
    with pytest.raises(NotSent, match="under way"):
        site.sender.send(action, gas, site.head())
    mined_at = site.head().number + 1
    assert [row.key for row in site.sender.history.busy(mined_at)] == [action.key]
    site.mine()
    assert [row.key for row in site.sender.history.busy(mined_at - 1)] == [action.key]
    assert site.sender.history.busy(mined_at) == []


def test_a_stuck_transaction_is_sent_with_higher_fees(site: Site) -> None:
    row = site.do(site.action(1))
    site.pass_by(2)
    assert site.what() == ["sent"]
    site.pass_by(1)
    assert site.what() == ["bumped"]
    (bumped,) = site.sender.history.rows()
    assert len(bumped.hashes) == 2
    assert bumped.max_fee >= row.max_fee * 5 // 4
    assert bumped.tip >= row.tip * 5 // 4
    site.mine()
    assert site.outcomes() == [(0, "mined", "done")]
    assert site.sender.history.rows()[0].bumps == 1


def test_a_fee_that_a_block_has_outgrown_is_raised_at_once(site: Site) -> None:
    site.do(site.action(1))
    site.rpc.ask("anvil_setNextBlockBaseFeePerGas", hex(20 * GWEI))
    site.mine()  # too dear a block, and the node forgets the transaction
    assert site.what() == ["sent", "bumped"]
    site.mine()
    assert site.outcomes() == [(0, "mined", "done")]


def test_fees_end_at_the_bound(site: Site) -> None:
    site.sender = site.start(replace(SETTINGS, max_fee=4 * GWEI))
    site.do(site.action(1))
    for _ in range(4):
        site.pass_by(3)
    (row,) = site.sender.history.rows()
    assert row.bumps == 1
    assert 3 * GWEI < row.max_fee <= 4 * GWEI < row.max_fee * 113 // 100
    site.rpc.ask("anvil_setNextBlockBaseFeePerGas", hex(20 * GWEI))
    site.pass_by(1)
    with pytest.raises(NotSent, match="see --max-fee") as refusal:
        site.do(site.action(2))
    assert refusal.value.why == "fee"


def test_somebody_elses_tip_is_not_ours(site: Site) -> None:
    site.rivals("work", 9, fee=90 * GWEI)
    site.rpc.ask("anvil_mine", "0x1")
    until(lambda: site.rpc.tip() > 80 * GWEI)  # the node takes fees in by and by
    row = site.do(site.action(1))
    assert row.tip == SETTINGS.max_tip
    assert row.max_fee <= 2 * site.head().base_fee + SETTINGS.max_tip
    # A tip that does not fit below the highest fee is less, as long as there is any.
    least = site.head().base_fee + GWEI
    site.sender = site.start(replace(SETTINGS, max_fee=least))
    assert site.do(site.action(2)).tip == GWEI


def test_a_stuck_transaction_that_has_become_useless_makes_room(site: Site) -> None:
    site.do(site.action(1))
    site.do(site.action(2))
    site.rivals("work", 1)
    site.rpc.ask("anvil_dropTransaction", site.sender.history.rows()[0].hashes[0])
    site.rpc.ask("anvil_mine", "0x1")
    assert site.done(1)
    site.check()
    assert site.what() == ["sent", "sent", "cancelled", "resent"]
    site.mine()
    assert site.outcomes() == [(0, "mined", "cancelled"), (1, "mined", "done")]
    first = site.sender.history.rows()[0]
    assert (first.gas_used, first.reason) == (21_000, "waterfall: account solvent")


@pytest.mark.parametrize("bound", ["fee", "budget"])
def test_a_hole_is_filled_at_the_bounds(site: Site, bound: str) -> None:
    """Useless by now, and in no pool: what comes after it waits, whatever the bounds say."""
    fees = site.sender.fees(site.head())
    first = site.do(site.action(1))
    if bound == "fee":
        site.sender = site.start(replace(SETTINGS, max_fee=fees.most))
    else:
        cost = (first.gas + 1) * fees.most
        site.sender = site.start(replace(SETTINGS, max_spend_day=cost, max_spend_hour=cost))
    site.rivals("work", 1)
    site.rpc.ask("anvil_dropTransaction", first.hashes[0])
    site.rpc.ask("anvil_mine", "0x1")
    site.check()
    site.mine()
    assert site.outcomes() == [(0, "mined", "cancelled")]


def test_transactions_dropped_from_the_pool_are_sent_again(site: Site) -> None:
    first = site.do(site.action(1))
    site.do(site.action(2))
    site.rpc.ask("anvil_dropTransaction", first.hashes[0])
    site.mine()
    assert not site.done(2)  # it waits for the first one's nonce
    assert site.what()[:3] == ["sent", "sent", "resent"]
    site.mine()
    assert site.outcomes() == [(0, "mined", "done"), (1, "mined", "done")]
    assert site.sender.history.rows()[0].hashes == first.hashes


def test_what_somebody_else_has_done_is_not_sent(site: Site) -> None:
    site.rivals("work", 1)
    site.rpc.ask("anvil_mine", "0x1")
    with pytest.raises(Outraced, match="waterfall: account solvent"):
        site.trial.needed(site.action(1))
    with pytest.raises(Reverted, match="margin: liquidator below initial"):
        site.trial.needed(site.action(1, "refuse"))
    assert site.sender.history.rows() == []


def test_outraced_within_the_block(site: Site) -> None:
    site.do(site.action(1))
    site.rivals("work", 1)  # pays more: it comes first
    site.mine()
    assert site.outcomes() == [(0, "mined", "outraced")]
    assert site.sender.history.rows()[0].reason == "waterfall: account solvent"


def test_what_comes_to_nothing_again_and_again_is_left(site: Site) -> None:
    for _ in range(3):
        site.do(site.action(1, "idle"))
        site.mine()
    assert [outcome for _, _, outcome in site.outcomes()] == ["outraced"] * 3
    with pytest.raises(NotSent, match="came to nothing 3 times") as refusal:
        site.do(site.action(1, "idle"))
    assert refusal.value.why == "in vain"
    site.clock += HOUR + 1
    site.do(site.action(1, "idle"))


def test_out_of_gas_is_tried_with_more(site: Site) -> None:
    action = site.action(1)
    gas = site.trial.needed(action)
    site.sender.send(action, gas, site.head())
    site.rivals("set_load", 20)  # comes first, and makes the work heavier
    site.mine()
    assert site.outcomes() == [(0, "mined", "out of gas")]
    more = site.trial.needed(action)
    assert more > 2 * gas
    given = site.sender.send(action, more, site.head()).gas
    assert given == (more + more // 2) * 130 // 100 + GAS_SPARE
    site.mine()
    assert site.outcomes()[1] == (1, "mined", "done")


def test_a_nonce_used_by_another_of_the_signers_transactions(site: Site) -> None:
    site.do(site.action(1))
    site.rpc.ask("anvil_dropTransaction", site.sender.history.rows()[0].hashes[0])
    # The same key in other hands.
    site.rpc.ask("anvil_impersonateAccount", site.key.address)
    transfer = {"from": site.key.address, "to": site.rival, "nonce": "0x0"}
    site.rpc.ask("eth_sendTransaction", transfer)
    for _ in range(4):
        site.mine()
    assert site.outcomes() == [(0, "lost", "lost")]
    row = site.do(site.action(1))
    assert row.nonce == 1
    site.mine()
    assert site.done(1)


def test_a_block_that_is_no_longer_there(site: Site) -> None:
    mark = site.rpc.ask("evm_snapshot")
    site.do(site.action(1))
    site.mine()
    assert site.outcomes() == [(0, "mined", "done")]
    site.rpc.ask("evm_revert", mark)
    site.rpc.ask("anvil_mine", "0x2")  # another chain, and longer
    assert not site.done(1)
    site.check()
    assert site.outcomes() == [(0, "sent", "")]
    assert site.what() == ["sent", "done", "reorganised", "resent"]
    site.mine()
    assert site.outcomes() == [(0, "mined", "done")]
    assert site.done(1)


def test_no_more_is_spent_than_allowed(site: Site) -> None:
    action = site.action(1)
    gas = site.trial.needed(action)
    cost = (gas * 130 // 100 + GAS_SPARE) * site.sender.fees(site.head()).most
    site.sender = site.start(replace(SETTINGS, max_spend_hour=4 * cost))
    site.sender.send(action, gas, site.head())
    site.do(site.action(2), gas)
    with pytest.raises(NotSent, match="see --max-spend") as refusal:
        site.do(site.action(3), gas)
    assert refusal.value.why == "budget"
    site.mine()
    # What was set aside but not used is there again.
    assert site.sender.history.spent(HOUR) < cost
    site.do(site.action(3), gas)
    site.mine()
    assert 0 < site.sender.history.spent(DAY) < 2 * cost
    site.clock += HOUR + 1
    assert site.sender.history.spent(HOUR) == 0
    assert site.sender.history.spent(DAY) > 0


def test_a_crash_finds_half_of_the_budget(site: Site) -> None:
    action = site.action(1)
    gas = site.trial.needed(action)
    cost = (gas * 130 // 100 + GAS_SPARE) * site.sender.fees(site.head()).most
    site.sender = site.start(replace(SETTINGS, max_spend_day=2 * cost))
    site.sender.send(action, gas, site.head())
    for kind in (Kind.SETTLE, Kind.REFRESH):
        with pytest.raises(NotSent, match="see --max-spend"):
            site.do(site.action(2, kind=kind), gas)
    site.do(site.action(2, kind=Kind.LIQUIDATE), gas)
    with pytest.raises(NotSent, match="see --max-spend"):
        site.do(site.action(3, kind=Kind.LIQUIDATE), gas)


def test_an_empty_purse_leaves_no_hole(site: Site) -> None:
    site.rpc.ask("anvil_setBalance", site.key.address, "0x0")
    with pytest.raises(NotSent) as refusal:
        site.do(site.action(1), 100_000)
    assert refusal.value.why == "refused"
    assert site.outcomes() == [(0, "dropped", "refused")]
    site.rpc.ask("anvil_setBalance", site.key.address, hex(ETHER))
    assert site.do(site.action(1)).nonce == 0
    site.mine()
    assert site.done(1)


def test_no_answer_to_a_sending_neither_loses_nor_doubles(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_in = site.rpc.send_raw

    def silent(raw: str) -> str:
        hand_in(raw)
        raise NodeError("no answer from the node: ReadTimeout")

    action = site.action(1)
    gas = site.trial.needed(action)
    monkeypatch.setattr(site.rpc, "send_raw", silent)
    with pytest.raises(NotSent) as refusal:
        site.sender.send(action, gas, site.head())
    assert refusal.value.why == "no answer"
    assert site.outcomes() == [(0, "signed", "")]
    with pytest.raises(NotSent, match="under way"):
        site.sender.send(action, gas, site.head())
    monkeypatch.undo()
    site.mine()
    assert site.outcomes() == [(0, "mined", "done")]
    assert site.rpc.nonce(site.key.address) == 1


def test_a_node_that_had_it_already_when_it_was_asked_again(site: Site, anvil_url: str) -> None:
    def no_answer_at_first(exchange: flaky_rpc.Exchange) -> None:
        if "eth_sendRawTransaction" in exchange.methods:
            exchange.forward()
            exchange.silent = proxy.asked["eth_sendRawTransaction"] == 1

    with flaky_rpc.flaky_rpc(anvil_url) as proxy:
        site.rpc = Rpc(proxy.url)
        site.sender = site.start()
        proxy.fault = no_answer_at_first
        row = site.do(site.action(1))
        assert proxy.asked["eth_sendRawTransaction"] == 2
        assert row.state == "sent"
        site.mine()
    assert site.outcomes() == [(0, "mined", "done")]


KILLED = """
import os, signal, sys
from ballast.keeper.rpc import Rpc
from ballast.keeper.trial import Outraced
from tests.support import flaky_rpc
from tests.support.job import Site

when, url, store, target = sys.argv[1:]
site = Site(url, store, target)
for number in range(2):
    site.do(site.action(number))
hand_in = Rpc.send_raw

def die(rpc, raw):
    if when == "after":
        hand_in(rpc, raw)
    os.kill(os.getpid(), signal.SIGKILL)

Rpc.send_raw = die
site.do(site.action(2))
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_in_the_midst_of_sending(anvil_url: str, tmp_path: Path, when: str) -> None:
    store = f"sqlite:///{tmp_path}/keeper.db"
    site = Site(anvil_url, store)
    command = [sys.executable, "-c", KILLED, when, anvil_url, store, site.target]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.run(command, cwd=ROOT, env=environment, check=False, timeout=60)
    assert child.returncode == -signal.SIGKILL
    assert [state for _, state, _ in site.outcomes()] == ["sent", "sent", "signed"]
    site.sender = site.start()
    site.check()
    site.mine()
    assert site.outcomes() == [(number, "mined", "done") for number in range(3)]
    assert site.rpc.nonce(site.key.address) == 3
    assert site.what()[:1] == (["resent"] if when == "before" else ["done"])


def test_killed_while_what_it_meant_to_do_was_done_by_another(
    anvil_url: str, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path}/keeper.db"
    site = Site(anvil_url, store)
    command = [sys.executable, "-c", KILLED, "before", anvil_url, store, site.target]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=ROOT, env=environment, check=False, timeout=60)
    site.rivals("work", 2)
    site.rpc.ask("anvil_mine", "0x1")
    site.sender = site.start()
    site.check()
    assert site.what() == ["done", "done", "cancelled"]
    site.mine()
    assert site.outcomes()[2] == (2, "mined", "cancelled")


def test_several_are_handed_in_together(anvil_url: str) -> None:
    with flaky_rpc.flaky_rpc(anvil_url) as proxy:
        site = Site(proxy.url)
        site.sender = site.start(replace(SETTINGS, max_in_flight=3))
        wanted = [(site.action(number), 100_000) for number in (0, 1, 1, 2, 3)]
        before = proxy.asked["eth_sendRawTransaction"]
        found = site.sender.send_all(wanted, site.head())
        assert proxy.asked["eth_sendRawTransaction"] - before == 3
        assert [one.why for one in found if isinstance(one, NotSent)] == ["busy", "in flight"]
        site.mine()
    assert site.outcomes() == [(number, "mined", "done") for number in range(3)]


def test_one_of_several_that_is_refused_holds_up_no_nonce(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_in, hand_in_all = site.rpc.send_raw, site.rpc.send_all
    bad: list[str] = []

    def all_but_two(raws: list[str]) -> list[NodeRefused | None]:
        bad.extend(raws[i] for i in (1, 3))
        answers = iter(hand_in_all([raw for raw in raws if raw not in bad]))
        no = NodeRefused("eth_sendRawTransaction", "no")
        return [no if raw in bad else next(answers) for raw in raws]

    def refused(raw: str) -> str:
        if raw in bad:
            raise NodeRefused("eth_sendRawTransaction", "no")
        return hand_in(raw)

    monkeypatch.setattr(site.rpc, "send_all", all_but_two)
    monkeypatch.setattr(site.rpc, "send_raw", refused)
    wanted = [(site.action(number), 100_000) for number in range(4)]
    found = site.sender.send_all(wanted, site.head())
    assert [isinstance(one, NotSent) and one.why for one in found] == [
        False,
        "refused",
        False,
        "refused",
    ]
    site.mine()
    assert site.outcomes() == [
        (0, "mined", "done"),
        (1, "mined", "cancelled"),
        (2, "mined", "done"),
        (3, "dropped", "refused"),
    ]
    # The last one's nonce was free again.
    site.do(site.action(5))
    site.mine()
    assert site.outcomes()[-1] == (3, "mined", "done")


def test_killed_in_the_midst_of_sending_several(anvil_url: str, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/keeper.db"
    site = Site(anvil_url, store)
    code = KILLED.replace("site.do(site.action(2))", SEVERAL).replace("send_raw", "send_all")
    command = [sys.executable, "-c", code, "before", anvil_url, store, site.target]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.run(command, cwd=ROOT, env=environment, check=False, timeout=60)
    assert child.returncode == -signal.SIGKILL
    states = ["sent"] * 2 + ["signed"] * 3
    assert [state for _, state, _ in site.outcomes()] == states
    site.sender = site.start()
    site.check()
    site.mine()
    assert site.outcomes() == [(number, "mined", "done") for number in range(5)]


SEVERAL = "site.sender.send_all([(site.action(n), 100_000) for n in (2, 3, 4)], site.head())"
