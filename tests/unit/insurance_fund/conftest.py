"""A fund over a real vault, with a double for the clearinghouse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from ballast.abi import checksum
from ballast.build import artifact
from ballast.chain import Receipt
from ballast.contract import Contract
from ballast.deploy import create_address
from ballast.evm import Revm

DEPLOYER = "0x" + "d0" * 20
OWNER = "0x" + "0e" * 20
STAKER = checksum("0x" + "a1" * 20)
RIVAL = checksum("0x" + "b2" * 20)
STRANGER = checksum("0x" + "c3" * 20)

INSURANCE = (1).to_bytes(32, "big")
POOL = (2**64 + 1).to_bytes(32, "big")
DAY = 86_400
VIRTUAL = 10**9


@dataclass
class Setup:
    """One fund and its vault. Amounts in token units unless the name says quote."""

    chain: Revm
    token: Contract
    clearinghouse: Contract
    vault: Contract
    fund: Contract
    scale: int

    staker, rival, stranger = STAKER, RIVAL, STRANGER
    cooldown, window = 3 * DAY, DAY

    def give(self, holder: str, amount: int) -> None:
        """Mint tokens and let the fund take them."""
        self.token.send.mint(holder, amount, sender=holder)
        self.token.send.approve(self.fund.address, amount, sender=holder)

    def stake(self, amount: int, staker: str = STAKER) -> int:
        """Mint, approve, stake; the shares."""
        self.give(staker, amount)
        receipt = self.fund.send.deposit(amount, staker, sender=staker)
        return self.fund.returned(receipt, "deposit", 2)

    def ready(self, shares: int, staker: str = STAKER) -> None:
        """Request and wait for the window."""
        self.fund.send.request_redeem(shares, sender=staker)
        self.chain.mine(self.cooldown)

    def redeem(self, shares: int, staker: str = STAKER) -> Receipt:
        """Redeem one's own shares to oneself."""
        return self.fund.send.redeem(shares, staker, staker, sender=staker)

    def draw(self, amount_quote: int) -> None:
        """A draw, WAD, and the end of its block."""
        self.draw_now(amount_quote)
        self.chain.mine()

    def draw_now(self, amount_quote: int) -> None:
        """A draw, WAD."""
        self.clearinghouse.send.move(INSURANCE, POOL, amount_quote, sender=OWNER)

    def earn(self, amount: int) -> None:
        """Income of the fund."""
        self.token.send.mint(STRANGER, amount, sender=STRANGER)
        self.token.send.approve(self.vault.address, amount, sender=STRANGER)
        self.vault.send.donate(INSURANCE, amount, sender=STRANGER)

    def worth(self, staker: str) -> int:
        """What all shares of a staker would pay."""
        shares = self.fund.view.balanceOf(staker) + self.fund.view.escrowed(staker)
        return self.fund.view.previewRedeem(shares)


@pytest.fixture(scope="session")
def make() -> Callable[..., Setup]:
    """A new fund; `token` names the token's contract, `args` are its constructor's."""

    def build(
        token: str = "Token",
        *args: Any,
        decimals: int = 6,
        cooldown: int = Setup.cooldown,
        window: int = Setup.window,
    ) -> Setup:
        chain = Revm()

        def deploy(name: str, *args: Any) -> Contract:
            made = artifact(name)
            address, _ = chain.deploy(made.deploy_code(*args), sender=DEPLOYER)
            return Contract(chain, address, made.abi)

        asset = deploy(token, decimals, *args)
        clearinghouse = deploy("MockClearinghouse", OWNER)
        predicted = create_address(DEPLOYER, chain.nonce(DEPLOYER) + 1)
        vault = deploy("MarginVault", asset.address, clearinghouse.address, predicted)
        clearinghouse.send.set_vault(vault.address, sender=OWNER)
        fund = deploy("InsuranceFund", vault.address, "Ballast insurance", "bINS", cooldown, window)
        assert vault.view.insurance_fund() == fund.address
        return Setup(chain, asset, clearinghouse, vault, fund, 10 ** (18 - decimals))

    return build


@pytest.fixture
def s(make: Callable[..., Setup]) -> Setup:
    """A fund over a standard token of 6 decimals: cooldown three days, window one."""
    return make()
