"""A signed oracle with five publishers, three of whom are enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from eth_account.signers.local import LocalAccount

from ballast.build import artifact
from ballast.chain import Receipt
from ballast.contract import Contract
from ballast.evm import Revm
from ballast.signing import Domain, SignedReport, combine, key_from_label, sign_price

DEPLOYER = "0x" + "d0" * 20
OWNER = "0x" + "0e" * 20
KEEPER = "0x" + "c3" * 20
WAD = 10**18
MARKET = 1

PUBLISHERS = sorted(
    (key_from_label(f"publisher {n}") for n in range(5)), key=lambda key: int(key.address, 16)
)
OUTSIDER = key_from_label("no publisher")


@dataclass
class Setup:
    """One oracle. Prices WAD, `ages` in seconds before the block."""

    chain: Revm
    oracle: Contract
    domain: Domain

    owner, keeper, market = OWNER, KEEPER, MARKET
    publishers, outsider = PUBLISHERS, OUTSIDER
    max_age, step_bps = 60, 500

    def report(
        self,
        prices: int | Sequence[int],
        ages: int | Sequence[int] = 0,
        signers: Sequence[LocalAccount] = PUBLISHERS[:3],
        market: int = MARKET,
        domain: Domain | None = None,
    ) -> SignedReport:
        """A report by `signers`, of one price and age or one each."""
        count = len(signers)
        each_price = [prices] * count if isinstance(prices, int) else prices
        each_age = [ages] * count if isinstance(ages, int) else ages
        return combine(
            [
                sign_price(domain or self.domain, market, price, self.chain.timestamp - age, signer)
                for price, age, signer in zip(each_price, each_age, signers, strict=True)
            ]
        )

    def send(self, *reports: SignedReport) -> Receipt:
        """Anyone brings reports."""
        return self.oracle.send.report_prices(list(reports), sender=KEEPER)

    def price(self) -> int:
        """The price in force, without its time."""
        return self.oracle.view.price(MARKET)[0]


@pytest.fixture
def bare() -> Setup:
    """An oracle that knows no market."""
    chain = Revm()
    made = artifact("SignedPriceOracle")
    addresses = [publisher.address for publisher in PUBLISHERS]
    address, _ = chain.deploy(made.deploy_code(OWNER, addresses, 3), sender=DEPLOYER)
    return Setup(chain, Contract(chain, address, made.abi), Domain(chain.chain_id, address))


@pytest.fixture
def s(bare: Setup) -> Setup:
    """An oracle that knows one market, without a price."""
    bare.oracle.send.set_market(MARKET, Setup.max_age, Setup.step_bps, sender=OWNER)
    return bare
