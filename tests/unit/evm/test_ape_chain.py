"""The same client through Ape: the embedded chain, and a node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
import requests
from ape import accounts, networks
from web3.exceptions import CannotHandleRequest

from ballast.ape_chain import ApeChain, reverted
from ballast.batch import BatchReader, View
from ballast.build import compile_file
from ballast.commands import plain_errors
from ballast.contract import Contract
from ballast.errors import BallastError, NodeError, Reverted
from ballast.evm import Revm
from ballast.signing import key_from_label

ARTIFACT = compile_file(Path(__file__).parent / "Probe.vy")
WRITES = [(1, 7), (1, 8), (1, 0), (1, 9), (1, 9)]


@pytest.fixture(params=["embedded", pytest.param("node", marks=pytest.mark.node)])
def chain(request: pytest.FixtureRequest) -> Iterator[ApeChain]:
    if request.param == "embedded":
        with networks.ethereum.local.use_provider("test") as provider:
            yield ApeChain(provider)
        return
    settings = {"host": request.getfixturevalue("anvil_url")}
    with networks.ethereum.local.use_provider("foundry", provider_settings=settings) as provider:
        yield ApeChain(provider)


@pytest.fixture
def caller(chain: ApeChain) -> str:
    return chain.register(accounts.test_accounts[0])


@pytest.fixture
def probe(chain: ApeChain, caller: str) -> Contract:
    address, _ = chain.deploy(ARTIFACT.deploy_code(5), sender=caller)
    return Contract(chain, address, ARTIFACT.abi)


def test_it_is_the_same_chain_as_revm(chain: ApeChain, caller: str, probe: Contract) -> None:
    revm = Revm(exact_gas=True)
    address, _ = revm.deploy(ARTIFACT.deploy_code(5), sender=caller)
    twin = Contract(revm, address, ARTIFACT.abi)
    for args in WRITES:
        ours, theirs = (c.send.write(*args, sender=caller) for c in (probe, twin))
        assert ours.gas_used == theirs.gas_used
        assert [e.args for e in probe.events(ours)] == [e.args for e in twin.events(theirs)]
    assert chain.code(probe.address) == revm.code(address)
    assert probe.view.slots(1) == 9
    pairs, who = probe.view.swap([(1, 2)], caller)
    assert ((pairs[0].left, pairs[0].right), who) == ((2, 1), caller)


def test_reasons(caller: str, probe: Contract) -> None:
    for amount, reason in ((1, "probe: too small"), (150, "")):
        for call in (probe.view.refuse, probe.send.refuse):
            with pytest.raises(Reverted) as caught:
                call(amount, sender=caller)
            assert caught.value.reason == reason
    with pytest.raises(Reverted, match="halt: "):
        probe.send.refuse(250, sender=caller)
    assert probe.view.number() == 5


def test_keys_send_once_registered(chain: ApeChain, caller: str, probe: Contract) -> None:
    trader = key_from_label("trader")
    with pytest.raises(BallastError, match="no signer registered"):
        probe.send.nop(sender=trader.address)
    assert chain.register(trader) == trader.address
    chain.send(trader.address, b"", sender=caller, value=10**18)
    assert chain.balance(trader.address) == 10**18
    nonce = chain.nonce(trader.address)
    probe.send.nop(sender=trader.address)
    assert chain.nonce(trader.address) == nonce + 1


def test_time_and_snapshots(chain: ApeChain, caller: str, probe: Contract) -> None:
    assert chain.is_local
    start, block = chain.timestamp, chain.block_number
    chain.mine(100)
    assert chain.timestamp >= start + 100
    assert chain.block_number > block
    snapshot = chain.snapshot()
    probe.send.write(1, 7, sender=caller)
    chain.revert(snapshot)
    assert probe.view.slots(1) == 0


def test_batch_of_views(chain: ApeChain, caller: str, probe: Contract) -> None:
    for key in range(3):
        probe.send.write(key, key + 10, sender=caller)
    views = [View(probe, "slots", key % 3) for key in range(150)] + [View(probe, "number")]
    with pytest.raises(BallastError, match="no sender to deploy a reader"):
        BatchReader(chain)
    reader = BatchReader(chain, caller)
    assert reader.read(views) == [key % 3 + 10 for key in range(150)] + [5]
    assert reader.read([]) == []
    with pytest.raises(Reverted, match="must: probe: too small"):
        reader.read([View(probe, "number"), View(probe, "must", 1)])


def test_batch_on_revm_asks_one_by_one() -> None:
    revm = Revm()
    address, _ = revm.deploy(ARTIFACT.deploy_code(5), sender=key_from_label("caller").address)
    probe = Contract(revm, address, ARTIFACT.abi)
    assert BatchReader(revm).read([View(probe, "number"), View(probe, "slots", 1)]) == [5, 0]


def test_keys_are_refused_on_live_networks() -> None:
    provider = SimpleNamespace(web3=None, chain_id=1, network=SimpleNamespace(is_local=False))
    chain = ApeChain(provider)
    with pytest.raises(BallastError, match="senders are Ape accounts"):
        chain.register(key_from_label("trader"))
    with pytest.raises(BallastError, match="time cannot be set"):
        chain.mine()


def test_error_of_a_node_that_is_no_revert_is_told_apart() -> None:
    assert not isinstance(reverted(ConnectionError("gone")), Reverted)
    assert "ConnectionError: gone" in str(reverted(ConnectionError("gone")))


@pytest.mark.parametrize("kind", [CannotHandleRequest, requests.ConnectionError, TimeoutError])
def test_a_node_without_an_answer_is_told_with_what_to_do(kind: type[Exception]) -> None:
    found = reverted(kind("method:eth_estimateGas params:0x60..."))
    assert isinstance(found, NodeError)
    again = "run the same command again"
    with pytest.raises(click.ClickException, match=again) as told, plain_errors():
        raise found
    assert "0x60" not in told.value.message
