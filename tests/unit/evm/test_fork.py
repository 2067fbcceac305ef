"""A node's state on a chain of one's own, and what a run needs of it in a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ape import accounts, networks

from ballast import node as node_module
from ballast.ape_chain import ApeChain
from ballast.build import artifact, compile_file
from ballast.contract import Contract
from ballast.errors import BallastError, NodeError, Reverted, SnapshotError
from ballast.evm import Revm
from ballast.fork import State, capture
from ballast.node import Node
from ballast.signing import key_from_label

ARTIFACT = compile_file(Path(__file__).parent / "Probe.vy")
CALLER = key_from_label("caller").address


class Origin:
    """A probe on a node, written to in a few blocks."""

    def __init__(self, chain: ApeChain, url: str) -> None:
        self.chain, self.url = chain, url
        self.sender = chain.register(accounts.test_accounts[0])
        self.address, _ = chain.deploy(ARTIFACT.deploy_code(5), sender=self.sender)
        self.probe = self.on(chain)
        for key in range(4):
            self.probe.send.write(key, key + 10, sender=self.sender)
        self.block = chain.block_number

    def on(self, chain: Any) -> Contract:
        """The probe on a chain."""
        return Contract(chain, self.address, ARTIFACT.abi)


@pytest.fixture
def origin(anvil_url: str) -> Iterator[Origin]:
    settings = {"host": anvil_url}
    with networks.ethereum.local.use_provider("foundry", provider_settings=settings) as provider:
        yield Origin(ApeChain(provider), anvil_url)


@pytest.mark.node
def test_fork_goes_on_where_the_node_is_and_leaves_it_alone(origin: Origin) -> None:
    chain = Revm.fork(origin.url)
    probe = origin.on(chain)
    now, number, chain_id = probe.view.clock()
    assert (now, number) == (origin.chain.timestamp + 1, origin.block + 1)
    assert chain_id == chain.chain_id == origin.chain.chain_id
    assert chain.code(origin.address) == origin.chain.code(origin.address)
    assert [probe.view.slots(key) for key in range(5)] == [10, 11, 12, 13, 0]
    probe.send.write(1, 99, sender=CALLER)
    assert (probe.view.slots(1), origin.probe.view.slots(1)) == (99, 11)
    with pytest.raises(Reverted, match="probe: too small"):
        probe.send.refuse(1, sender=CALLER)


@pytest.mark.node
def test_fork_of_an_earlier_block(origin: Origin) -> None:
    probe = origin.on(Revm.fork(origin.url, origin.block - 2))
    assert [probe.view.slots(key) for key in range(4)] == [10, 11, 0, 0]
    assert probe.view.clock()[1] == origin.block - 1


@pytest.mark.node
def test_snapshots_and_exact_gas_on_a_fork(origin: Origin) -> None:
    plain = Revm()
    address, _ = plain.deploy(ARTIFACT.deploy_code(5), sender=CALLER)
    twin, chain = Contract(plain, address, ARTIFACT.abi), Revm.fork(origin.url)
    probe = origin.on(chain)
    for key in range(4):
        twin.send.write(key, key + 10, sender=CALLER)
    with chain.rolled_back(exact_gas=True):
        for args in ((1, 0), (2, 12), (9, 1)):
            ours, theirs = (
                c.send.write(*args, sender=CALLER, exact_gas=True) for c in (probe, twin)
            )
            assert ours.gas_used == theirs.gas_used
        with chain.rolled_back():
            probe.send.write(3, 0, sender=CALLER)
            assert probe.view.slots(3) == 0
        assert [probe.view.slots(key) for key in (1, 2, 3, 9)] == [0, 12, 13, 1]
    assert [probe.view.slots(key) for key in (1, 2, 3, 9)] == [11, 12, 13, 0]


@pytest.mark.node
def test_node_that_does_not_answer(origin: Origin) -> None:
    with pytest.raises(NodeError, match=r"no answer from 127\.0\.0\.1: ConnectionError"):
        Revm.fork("http://127.0.0.1:1/key-of-the-user")
    with pytest.raises(NodeError, match="has no block 9999"):
        Revm.fork(origin.url, 9_999)
    with pytest.raises(NodeError, match="an HTTP address"):
        Revm.fork("ws://127.0.0.1:1")
    with pytest.raises(NodeError, match="eth_nothing: Method not found"):
        Node(origin.url).ask("eth_nothing")
    # A node that is lost later is no revert of a contract.
    lost = Revm(origin=("http://127.0.0.1:1", 3))
    for call in (
        lambda: lost.code(CALLER),
        lambda: lost.call(origin.address, b""),
        lambda: lost.send(origin.address, b"", sender=CALLER),
    ):
        with pytest.raises(NodeError, match="the forked node: Connection refused"):
            call()


@pytest.mark.node
@pytest.mark.parametrize("most", [2_000, 3, 1])
def test_logs_in_bounded_ranges(origin: Origin, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """The node refuses ranges of more than `most` blocks."""
    node, asked = Node(origin.url), node_module.Node._logs

    def bounded(self: Node, addresses: list[str], first: int, last: int, topic: Any) -> Any:
        if last - first >= most:
            raise NodeError("range too large")
        return asked(self, addresses, first, last, topic)

    monkeypatch.setattr(node_module.Node, "_logs", bounded)
    found = list(node.logs([origin.address], 0, origin.block))
    events = [origin.probe.interface.decode_logs(logs)[0] for logs, _, _ in found]
    assert [(event.key, event.value) for event in events] == [(k, k + 10) for k in range(4)]
    assert [number for _, number, _ in found] == list(range(origin.block - 3, origin.block + 1))
    assert found[-1][2] == origin.chain.timestamp
    assert list(node.logs([CALLER], 0, origin.block)) == []


@pytest.mark.node
def test_logs_that_the_node_refuses(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> Any:
        raise NodeError("pruned")

    monkeypatch.setattr(node_module.Node, "_logs", refuse)
    with pytest.raises(NodeError, match="pruned"):
        list(Node(origin.url).logs([origin.address], 0, origin.block))


def scene(probe: Contract) -> list[Any]:
    """Views, sends, and a call that is refused after it has read."""
    seen = [probe.view.slots(key) for key in range(3)]
    probe.send.write(1, 7, sender=CALLER)
    try:
        probe.send.refuse(150, sender=CALLER)
    except Reverted as refusal:
        seen.append(refusal.reason)
    return [*seen, probe.view.slots(1), probe.view.number()]


@pytest.mark.node
def test_captured_state_replays_without_the_node(origin: Origin) -> None:
    chain = Revm.fork(origin.url)
    state = capture(chain, lambda: scene(origin.on(chain)))
    assert origin.on(chain).view.slots(1) == 11  # what was run has left no trace
    written = json.dumps(state.as_json())
    assert State.from_json(json.loads(written)) == state
    assert list(state.contracts) == [origin.address]
    kept = state.contracts[origin.address]
    assert kept.code == "0x" + chain.code(origin.address).hex()
    assert sorted(int(value, 16) for value in kept.slots.values()) == [5, 10, 11, 12]
    alone = State.from_json(json.loads(written)).chain(Revm)
    assert (alone.chain_id, alone.block_number) == (chain.chain_id, chain.block_number)
    assert scene(origin.on(alone)) == scene(origin.on(chain))


def test_a_refused_calls_reads_are_captured() -> None:
    chain = Revm()
    address, _ = chain.deploy(ARTIFACT.deploy_code(5), sender=CALLER)
    probe = Contract(chain, address, ARTIFACT.abi)
    with pytest.raises(Reverted):
        chain.watch(lambda: probe.send.refuse(1, sender=CALLER))

    def refused() -> None:
        with pytest.raises(Reverted):
            probe.send.refuse(1, sender=CALLER)

    assert chain.watch(refused)[address] == {0}


def test_builds_are_kept_by_name() -> None:
    chain, made = Revm(), artifact("Token")
    address, _ = chain.deploy(made.deploy_code(6), sender=CALLER)
    token = Contract(chain, address, made.abi)
    token.send.mint(CALLER, 3, sender=CALLER)
    state = capture(chain, lambda: token.view.balanceOf(CALLER))
    name, _, immutables = state.contracts[address].code.partition(":")
    assert name == "Token"
    assert len(immutables) == 2 * made.immutables_size
    assert token.at(address).view.balanceOf(CALLER) == 3
    alone = Contract(state.chain(Revm), address, made.abi)
    assert (alone.view.balanceOf(CALLER), alone.view.decimals()) == (3, 6)


@pytest.mark.parametrize("data", [{}, {"contracts": {"0x": {}}}, {"contracts": 3}, []])
def test_data_without_state(data: Any) -> None:
    with pytest.raises(BallastError, match="this is no state"):
        State.from_json(data)


def test_put_is_undone_with_a_snapshot() -> None:
    chain = Revm()
    address, _ = chain.deploy(ARTIFACT.deploy_code(5), sender=CALLER)
    probe = Contract(chain, address, ARTIFACT.abi)
    code = chain.code(address)
    with chain.rolled_back(exact_gas=True):
        chain.put(address, slots={0: 6})
        assert probe.view.number() == 6
        chain.put(address, code=b"", nonce=9)
        assert (chain.code(address), chain.nonce(address)) == (b"", 9)
        chain.send(CALLER, b"", sender=address)  # without code it can send
    assert (chain.code(address), chain.nonce(address), probe.view.number()) == (code, 1, 5)
    probe.send.write(1, 2, sender=CALLER)
    with chain.rolled_back():
        probe.send.write(1, 3, sender=CALLER)
        with pytest.raises(SnapshotError):
            chain.put(address, slots={0: 6})
    chain.put(address, slots={0: 8})
    assert (probe.view.number(), probe.view.slots(1)) == (8, 2)
