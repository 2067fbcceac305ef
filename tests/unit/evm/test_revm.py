"""The in-process chain: gas as a real chain charges it, isolation of sends, snapshots, reasons."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from eth_tester import EthereumTester, PyEVMBackend
from web3 import EthereumTesterProvider, Web3

from ballast.abi import Event
from ballast.build import Artifact, compile_file
from ballast.contract import Contract
from ballast.errors import AbiError, BallastError, Reverted, SnapshotError
from ballast.evm import Revm
from ballast.signing import key_from_label

CALLER = key_from_label("caller").address
OTHER = key_from_label("other").address
SOURCE = Path(__file__).parent / "Probe.vy"


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return compile_file(SOURCE)


@pytest.fixture
def chain() -> Revm:
    return Revm()


@pytest.fixture
def probe(chain: Revm, artifact: Artifact) -> Contract:
    address, _ = chain.deploy(artifact.deploy_code(5), sender=CALLER)
    return Contract(chain, address, artifact.abi)


WRITES = [(1, 7), (1, 8), (1, 0), (1, 9), (1, 9), (2, 1), (2, 0)]


def test_exact_gas_equals_that_of_another_evm(artifact: Artifact) -> None:
    # py-evm charges whole transactions; every send here must cost the same to the unit.
    chain = Revm(exact_gas=True)
    address, receipt = chain.deploy(artifact.deploy_code(5), sender=CALLER)
    ours = Contract(chain, address, artifact.abi)

    web3 = Web3(EthereumTesterProvider(EthereumTester(PyEVMBackend())))
    payer = web3.eth.accounts[0]
    sent = web3.eth.send_transaction({"from": payer, "data": artifact.deploy_code(5)})
    theirs = web3.eth.get_transaction_receipt(sent)
    assert receipt.gas_used == theirs["gasUsed"]

    for args in WRITES:
        data = ours.data.write(*args)
        sent = web3.eth.send_transaction(
            {"from": payer, "to": theirs["contractAddress"], "data": data, "gas": 500_000}
        )
        expected = web3.eth.get_transaction_receipt(sent)["gasUsed"]
        assert ours.send.write(*args, sender=CALLER).gas_used == expected, args


def test_exact_gas_does_not_depend_on_what_was_sent_before(probe: Contract) -> None:
    first = probe.send.write(1, 7, sender=CALLER, exact_gas=True).gas_used
    probe.send.write(2, 7, sender=CALLER)
    again = probe.send.write(3, 7, sender=CALLER, exact_gas=True).gas_used
    assert again == first


def test_gas_of_a_send_without_exact_gas_is_refused(probe: Contract) -> None:
    receipt = probe.send.write(1, 7, sender=CALLER)
    with pytest.raises(BallastError, match="exact_gas=True"):
        _ = receipt.gas_used


def test_transient_storage_ends_with_the_send(probe: Contract) -> None:
    first = probe.send.scratch(4, sender=CALLER)
    second = probe.send.scratch(5, sender=CALLER)
    assert probe.returned(first, "scratch", 1) == 0
    assert probe.returned(second, "scratch", 1) == 0
    assert probe.view.scratch(6) == 0


def test_transient_storage_stays_clear_after_a_revert_to_a_snapshot(
    chain: Revm, probe: Contract
) -> None:
    probe.send.nop(sender=CALLER)
    snapshot = chain.snapshot()
    probe.send.scratch(4, sender=CALLER)
    probe.send.scratch(5, sender=CALLER)
    chain.revert(snapshot)
    assert probe.view.scratch(6) == 0


def test_view_leaves_no_trace(probe: Contract) -> None:
    assert probe.view.write(1, 7) == 0
    assert probe.view.slots(1) == 0


def test_call_data_and_results_of_structs(probe: Contract) -> None:
    pairs, who = probe.view.swap([(1, 2), {"left": 4, "right": 3}], CALLER)
    assert [(p.left, p.right) for p in pairs] == [(2, 1), (3, 4)]
    assert who == CALLER


@pytest.mark.parametrize("args", [(-1, 2), (2**256, 2), ("x", 2), (1,), (1, 2, 3)])
def test_arguments_that_do_not_fit_are_refused(probe: Contract, args: tuple[object, ...]) -> None:
    with pytest.raises(AbiError):
        probe.view.write(*args)


def test_unknown_function_is_refused(probe: Contract) -> None:
    with pytest.raises(AttributeError, match="no function 'missing'"):
        probe.view.missing()


def test_event_is_decoded(probe: Contract) -> None:
    receipt = probe.send.write(3, 4, sender=CALLER)
    expected = {"writer": CALLER, "key": 3, "value": 4, "note": "hello"}
    assert probe.events(receipt) == [Event("Written", probe.address, expected)]
    assert probe.event(receipt, "Written").value == 4
    with pytest.raises(AbiError, match="0 events 'Read'"):
        probe.event(receipt, "Read")


@pytest.mark.parametrize(
    ("amount", "reason"), [(1, "probe: too small"), (150, ""), (250, "halt: InvalidFEOpcode")]
)
@pytest.mark.parametrize("kind", ["view", "send"])
def test_reverted_send_says_why_and_changes_nothing(
    probe: Contract, amount: int, reason: str, kind: str
) -> None:
    call: Callable[..., object] = getattr(probe, kind).refuse
    with pytest.raises(Reverted) as caught:
        call(amount, sender=CALLER)
    assert caught.value.reason == reason
    assert probe.view.number() == 5


def test_send_out_of_gas_is_reverted(probe: Contract) -> None:
    with pytest.raises(Reverted, match="halt: OutOfGas"):
        probe.send.write_many(100, 1, sender=CALLER, gas=100_000)
    assert probe.view.slots(0) == 0


def test_sends_share_a_block_until_it_is_mined(chain: Revm, probe: Contract) -> None:
    start, number, chain_id = probe.view.clock()
    assert chain_id == chain.chain_id == 31_337
    probe.send.nop(sender=CALLER)
    assert probe.view.clock()[:2] == (start, number)
    chain.mine(30)
    assert probe.view.clock()[:2] == (start + 30, number + 1)
    chain.set_block(100, start + 1_000)
    assert (chain.block_number, chain.timestamp) == (100, start + 1_000)


def test_value_moves_balances(chain: Revm, probe: Contract) -> None:
    chain.set_balance(CALLER, 100)
    probe.send.pay(sender=CALLER, value=40)
    assert (chain.balance(CALLER), chain.balance(probe.address)) == (60, 40)
    chain.flush()
    assert (chain.balance(CALLER), chain.balance(probe.address)) == (60, 40)
    with pytest.raises(Reverted):
        probe.send.pay(sender=OTHER, value=1)


def test_nested_snapshots_return_state_and_time(chain: Revm, probe: Contract) -> None:
    probe.send.write(1, 1, sender=CALLER)
    outer, start = chain.snapshot(), chain.timestamp
    probe.send.write(1, 2, sender=CALLER)
    chain.mine()
    inner = chain.snapshot()
    probe.send.write(1, 3, sender=CALLER)
    chain.revert(inner)
    assert probe.view.slots(1) == 2
    assert chain.timestamp == start + 12
    chain.revert(outer)
    assert probe.view.slots(1) == 1
    assert chain.timestamp == start
    for gone in (inner, outer):
        with pytest.raises(SnapshotError):
            chain.revert(gone)


def test_reverting_an_outer_snapshot_drops_the_inner_ones(chain: Revm, probe: Contract) -> None:
    outer = chain.snapshot()
    probe.send.write(1, 2, sender=CALLER)
    inner = chain.snapshot()
    probe.send.write(1, 3, sender=CALLER)
    chain.revert(outer)
    assert probe.view.slots(1) == 0
    with pytest.raises(SnapshotError):
        chain.revert(inner)
    # The journal's depth is back where it was: snapshots can go on for ever.
    for _ in range(2_000):
        with chain.rolled_back():
            probe.send.write(1, 3, sender=CALLER)
    assert probe.view.slots(1) == 0


def test_released_snapshot_keeps_the_state(chain: Revm, probe: Contract) -> None:
    for exact in (False, True):
        snapshot = chain.snapshot(exact_gas=exact)
        probe.send.write(1, 2, sender=CALLER)
        chain.release(snapshot)
        assert probe.view.slots(1) == 2
        with pytest.raises(SnapshotError):
            chain.revert(snapshot)


def test_exact_gas_under_a_snapshot_taken_for_it(chain: Revm, probe: Contract) -> None:
    probe.send.write(1, 9, sender=CALLER)
    reference = probe.send.write(5, 9, sender=CALLER, exact_gas=True).gas_used
    with chain.rolled_back(exact_gas=True):
        probe.send.write(2, 9, sender=CALLER)
        assert probe.send.write(6, 9, sender=CALLER, exact_gas=True).gas_used == reference
        with chain.rolled_back(exact_gas=True):
            probe.send.write(1, 0, sender=CALLER, exact_gas=True)
            probe.send.write(7, 1, sender=CALLER, exact_gas=True)
        assert [probe.view.slots(i) for i in (1, 2, 6, 7)] == [9, 9, 9, 0]
    assert [probe.view.slots(i) for i in (1, 2, 5, 6, 7)] == [9, 0, 9, 0, 0]


def test_exact_gas_under_a_plain_snapshot_is_refused(chain: Revm, probe: Contract) -> None:
    with chain.rolled_back():
        probe.send.write(2, 9, sender=CALLER)
        with chain.rolled_back(), pytest.raises(SnapshotError, match="exact_gas=True"):
            probe.send.write(3, 9, sender=CALLER, exact_gas=True)


def test_contract_created_under_a_snapshot_is_gone_after_it(
    chain: Revm, artifact: Artifact
) -> None:
    for exact in (False, True):
        nonce = chain.nonce(CALLER)
        with chain.rolled_back(exact_gas=exact):
            address, _ = chain.deploy(artifact.deploy_code(5), sender=CALLER)
            chain.flush() if exact else None
            assert len(chain.code(address)) == artifact.runtime_size
            assert chain.nonce(CALLER) == nonce + 1
        assert chain.code(address) == b""
        assert chain.nonce(CALLER) == nonce
        # The same address can be used again, from nothing.
        with chain.rolled_back(exact_gas=exact):
            again, _ = chain.deploy(artifact.deploy_code(6), sender=CALLER)
            probe = Contract(chain, again, artifact.abi)
            assert again == address
            assert (probe.view.number(), probe.view.slots(1)) == (6, 0)


def test_flush_keeps_everything(chain: Revm, probe: Contract) -> None:
    probe.send.write_many(3_000, 8, sender=CALLER)
    probe.send.write(7, 0, sender=CALLER)
    code = chain.code(probe.address)
    chain.flush()
    assert [probe.view.slots(i) for i in (0, 6, 7, 8, 2_999, 3_000)] == [8, 8, 0, 8, 8, 0]
    assert chain.code(probe.address) == code
    assert code.startswith(compile_file(SOURCE).runtime)
    assert chain.storage(probe.address, 0) == 5


def test_speed(probe: Contract) -> None:
    # Far below what it does (about 80,000 a second), far above what fuzzing needs.
    begin = time.perf_counter()
    for _ in range(5_000):
        probe.send.nop(sender=CALLER)
        probe.view.slots(1)
    assert 10_000 / (time.perf_counter() - begin) > 5_000


def test_sender_with_code_is_refused(chain: Revm, probe: Contract) -> None:
    # EIP-3607: contracts send through their own functions only.
    with pytest.raises(Reverted, match="RejectCallerWithCode"):
        probe.send.nop(sender=probe.address)
