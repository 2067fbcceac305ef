"""A settlement over a double of the clearinghouse, and traders who sign."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount

from ballast.build import artifact
from ballast.chain import Receipt
from ballast.contract import Contract
from ballast.evm import Revm
from ballast.signing import (
    Domain,
    Order,
    SignedOrder,
    account_id,
    key_from_label,
    order_digest,
    sign_order,
)

DEPLOYER = "0x" + "d0" * 20
MATCHER = "0x" + "c3" * 20
WAD = 10**18
MARKET = 1

TAKER, MAKER, SECOND, DELEGATE = (
    key_from_label(f"settlement {role}") for role in ("taker", "maker", "second", "delegate")
)


@dataclass
class Setup:
    """One settlement and what it talks to. Sizes and prices WAD."""

    chain: Revm
    clearinghouse: Contract
    settlement: Contract
    domain: Domain
    deploy: Callable[..., Contract]

    taker, maker, second, delegate = TAKER, MAKER, SECOND, DELEGATE
    matcher = MATCHER
    market = MARKET

    def order(self, signer: LocalAccount, is_buy: bool, **changes: Any) -> Order:
        """An order of 10 at 100 for the signer's account 0, with changes."""
        fields: dict[str, Any] = {
            "account": account_id(signer.address),
            "market": MARKET,
            "is_buy": is_buy,
            "size": 10 * WAD,
            "limit_price": 100 * WAD,
        }
        return Order(**{**fields, **changes})

    def sign(
        self, signer: LocalAccount, is_buy: bool, by: LocalAccount | None = None, **changes: Any
    ) -> SignedOrder:
        """The same, signed by the signer or `by` another."""
        return sign_order(self.domain, self.order(signer, is_buy, **changes), by or signer)

    def match(self, taker: Any, makers: list[Any], sizes: list[int]) -> Receipt:
        """A match by someone with no part in it."""
        return self.settlement.send.match_orders(taker, makers, sizes, sender=MATCHER)

    def filled(self, order: SignedOrder) -> int:
        """What the contract says is filled of an order."""
        return self.settlement.view.filled(order_digest(self.domain, order.order))

    def set_position(self, signer: LocalAccount, size: int, sub: int = 0) -> None:
        """The signed size (base WAD) of an account's position at the clearinghouse."""
        account = account_id(signer.address, sub)
        self.clearinghouse.send.set_position(account, MARKET, size, sender=DEPLOYER)


@pytest.fixture
def s() -> Setup:
    """A settlement without history."""
    chain = Revm()

    def deploy(name: str, *args: Any) -> Contract:
        made = artifact(name)
        address, _ = chain.deploy(made.deploy_code(*args), sender=DEPLOYER)
        return Contract(chain, address, made.abi)

    clearinghouse = deploy("MockClearinghouse", DEPLOYER)
    settlement = deploy("OrderSettlement", clearinghouse.address)
    domain = Domain(chain.chain_id, settlement.address)
    return Setup(chain, clearinghouse, settlement, domain, deploy)
