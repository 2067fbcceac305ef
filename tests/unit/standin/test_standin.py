"""The stand-in for a testnet: what it forgets when killed, and what a reorganisation takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ballast.errors import NodeError
from ballast.signing import key_from_label
from ballast.standin import SEPOLIA, StandIn

FUNDED = key_from_label("funded").address

pytestmark = pytest.mark.node


@pytest.fixture
def node(tmp_path: Path) -> Iterator[StandIn]:
    with StandIn(folder=tmp_path, block_seconds=1) as node:
        yield node


def balance(node: StandIn) -> int:
    return int(node.node.ask("eth_getBalance", FUNDED, "latest"), 16)


def head(node: StandIn) -> Any:
    return node.node.ask("eth_getBlockByNumber", "latest", False)


def test_it_looks_like_a_testnet(node: StandIn) -> None:
    assert node.node.chain_id() == SEPOLIA
    assert node.node.ask("eth_accounts") == []
    assert int(head(node)["baseFeePerGas"], 16) > 0
    node.wait_blocks(1)
    assert node.block_number >= 1


def test_kill_loses_what_was_not_saved(node: StandIn) -> None:
    node.set_interval(0)
    node.fund(FUNDED, 5)
    node.mine(3)
    node.save()
    saved = head(node)
    node.fund(FUNDED, 2)
    node.mine(4)
    assert balance(node) == 7
    node.kill()
    with pytest.raises(NodeError, match="does not run"):
        _ = node.pid
    with pytest.raises(NodeError, match="no answer"):
        balance(node)
    node.restart()
    assert balance(node) == 5
    assert node.node.ask("eth_getBlockByNumber", saved["number"], False)["hash"] == saved["hash"]
    node.wait_blocks(1)


def test_stop_loses_nothing(node: StandIn) -> None:
    node.set_interval(0)
    node.fund(FUNDED, 5)
    node.mine(3)
    saved = head(node)
    node.stop()
    node.start()
    assert balance(node) == 5
    assert node.node.ask("eth_getBlockByNumber", saved["number"], False)["hash"] == saved["hash"]
    with pytest.raises(NodeError, match="runs already"):
        node.start()


def test_rollback_shortens_and_reorganisation_replaces(node: StandIn) -> None:
    node.set_interval(0)
    node.mine(6)
    before = head(node)
    node.reorganise(2)
    after = head(node)
    assert (after["number"], after["hash"] == before["hash"]) == (before["number"], False)
    node.rollback(3)
    assert node.block_number == int(before["number"], 16) - 3


def test_wait_for_blocks_has_an_end(node: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    node.set_interval(0)
    monkeypatch.setattr("ballast.standin.WAIT_SECONDS", 0.2)
    node.block_seconds = 0
    with pytest.raises(NodeError, match="did not come"):
        node.wait_blocks(1)


def test_anvil_that_ends_at_its_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="unexpected argument '--no-such-option'"):
        StandIn(folder=tmp_path, args=["--no-such-option"]).start()
