"""`NodeChain`: a deployment and a trader's whole life by a node's address and keys, without Ape."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from eth_account import Account

from ballast import config
from ballast.client import Ballast
from ballast.deploy import deploy
from ballast.errors import BallastError, Reverted
from ballast.node_chain import NodeChain
from ballast.signing import Order, account_id, sign_order
from ballast.standin import StandIn

WAD = 10**18


@pytest.fixture(scope="module")
def node() -> Iterator[StandIn]:
    with StandIn(block_seconds=0) as found:
        yield found


@pytest.fixture(scope="module")
def chain(node: StandIn) -> NodeChain:
    return NodeChain(node.url)


@pytest.fixture(scope="module")
def ballast(node: StandIn, chain: NodeChain) -> Ballast:
    asked, sender = config.load(config.PARAMETERS / "local.toml"), rich(node, chain)
    kept = deploy(chain, asked, sender=sender, collateral=None)
    found = Ballast.from_deployment(chain, kept)
    found.token.send.mint(sender, 10**10, sender=sender)
    return found


def rich(node: StandIn, chain: NodeChain) -> str:
    key = Account.create()
    node.fund(key.address)
    return chain.register(key)


def test_money_and_delegates(node: StandIn, chain: NodeChain, ballast: Ballast) -> None:
    trader = rich(node, chain)
    account = account_id(trader)
    ballast.token.send.mint(trader, 500 * 10**6, sender=trader)
    receipt = ballast.deposit(account, 300 * 10**6, sender=trader)
    assert receipt.logs
    assert receipt.gas_used > 21_000
    assert ballast.vault.view.balance_of(account) == 300 * WAD
    delegate = Account.create()
    expiry = chain.timestamp + 100
    ballast.set_delegate(account, delegate.address, expiry, sender=trader)
    assert ballast.settlement.view.delegate_expiry(account, delegate.address) == expiry
    ballast.withdraw(account, 300 * 10**6, sender=trader)
    assert ballast.token.view.balanceOf(trader) == 500 * 10**6


def test_cancelling(node: StandIn, chain: NodeChain, ballast: Ballast) -> None:
    key = Account.create()
    node.fund(key.address)
    trader = chain.register(key)
    order = Order(
        account_id(trader), 1, True, WAD, 10**5 * WAD, expiry=int(time.time()) + 99, salt=5
    )
    assert sign_order(ballast.order_domain, order, key) == ballast.sign_order(order, key)
    ballast.cancel(ballast.order_hash(order), sender=trader)
    with pytest.raises(Reverted, match="settlement: already cancelled"):
        ballast.cancel(ballast.order_hash(order), sender=trader)
    ballast.cancel_below(order.account, 6, sender=trader)
    with pytest.raises(Reverted, match="settlement: floor not raised"):
        ballast.cancel_below(order.account, 6, sender=trader)


def test_leaving_the_fund(node: StandIn, chain: NodeChain, ballast: Ballast) -> None:
    staker = rich(node, chain)
    ballast.token.send.mint(staker, 10**9, sender=staker)
    ballast.stake(10**9, sender=staker)
    shares = ballast.fund.view.balanceOf(staker)
    ballast.request_redeem(shares, sender=staker)
    with pytest.raises(Reverted):
        ballast.redeem(shares, sender=staker)
    node.mine(1, ballast.fund.view.redeem_ready_at(staker) - chain.timestamp)
    ballast.redeem(shares, sender=staker)
    assert ballast.token.view.balanceOf(staker) == 10**9


def test_what_reverts_on_chain_says_why(
    node: StandIn, chain: NodeChain, ballast: Ballast, monkeypatch: pytest.MonkeyPatch
) -> None:
    trader = rich(node, chain)
    monkeypatch.setattr(chain.rpc, "estimate", lambda request: 300_000)
    with pytest.raises(Reverted, match="vault: insufficient cash"):
        ballast.withdraw(account_id(trader), 1, sender=trader)


def test_only_with_a_key(chain: NodeChain, ballast: Ballast) -> None:
    stranger = Account.create().address
    with pytest.raises(BallastError, match="no key of"):
        ballast.settle(account_id(stranger), sender=stranger)
    with pytest.raises(BallastError, match="time cannot be set"):
        chain.mine()
