"""A vault over a token, with a double for the clearinghouse and a plain address for the fund."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from ballast.build import artifact
from ballast.chain import Receipt
from ballast.contract import Contract
from ballast.evm import Revm
from ballast.signing import account_id

DEPLOYER = "0x" + "d0" * 20
OWNER = "0x" + "0e" * 20
FUND = "0x" + "f0" * 20
TRADER = "0x" + "a1" * 20
RIVAL = "0x" + "b2" * 20
STRANGER = "0x" + "c3" * 20


def key(number: int) -> bytes:
    """A ledger key of the system."""
    return number.to_bytes(32, "big")


INSURANCE, FEES, RESERVE, POOL = key(1), key(2), key(3), key(2**64 + 1)


@dataclass
class Setup:
    """One vault and what it talks to. Amounts in token units unless the name says quote."""

    chain: Revm
    token: Contract
    clearinghouse: Contract
    vault: Contract
    scale: int

    trader = TRADER
    rival = RIVAL
    stranger = STRANGER
    owner = OWNER
    fund = FUND
    account = account_id(TRADER)
    rival_account = account_id(RIVAL, 7)
    insurance, fees, reserve, pool = INSURANCE, FEES, RESERVE, POOL

    def give(self, holder: str, amount: int) -> None:
        """Mint tokens and let the vault take them."""
        self.token.send.mint(holder, amount, sender=holder)
        self.token.send.approve(self.vault.address, amount, sender=holder)

    def deposit(self, account: bytes, amount: int, sender: str = TRADER) -> Receipt:
        """Mint, approve, deposit."""
        self.give(sender, amount)
        return self.vault.send.deposit(account, amount, sender=sender)

    def move(self, source: bytes, target: bytes, amount_quote: int) -> Receipt:
        """A move by the clearinghouse."""
        return self.clearinghouse.send.move(source, target, amount_quote, sender=OWNER)

    def charge(self, account: bytes, *parts: int) -> Receipt:
        """A charge by the clearinghouse: for insurance, protocol and reserve."""
        return self.clearinghouse.send.charge(account, *parts, sender=OWNER)

    def custody_holds(self) -> bool:
        """S1: the balances sum to `total`, and `total` to at most the tokens held."""
        keys = (self.account, self.rival_account, INSURANCE, FEES, RESERVE, POOL)
        total = self.vault.view.total()
        held = self.token.view.balanceOf(self.vault.address) * self.scale
        return total == sum(map(self.vault.view.balance_of, keys)) and total <= held


@pytest.fixture(scope="session")
def make() -> Callable[..., Setup]:
    """A new vault; `token` names the token's contract, `args` are its constructor's."""

    def build(token: str = "Token", *args: Any, decimals: int = 6) -> Setup:
        chain = Revm()

        def deploy(name: str, *args: Any) -> Contract:
            made = artifact(name)
            address, _ = chain.deploy(made.deploy_code(*args), sender=DEPLOYER)
            return Contract(chain, address, made.abi)

        asset = deploy(token, decimals, *args)
        clearinghouse = deploy("MockClearinghouse", OWNER)
        vault = deploy("MarginVault", asset.address, clearinghouse.address, FUND)
        clearinghouse.send.set_vault(vault.address, sender=OWNER)
        return Setup(chain, asset, clearinghouse, vault, 10 ** (18 - decimals))

    return build


@pytest.fixture
def s(make: Callable[..., Setup]) -> Setup:
    """A vault over a standard token of 6 decimals."""
    return make()
