"""A clearinghouse on an in-process chain, with an oracle whose prices are set at will.

The venue is a plain address, so that tests trade through `fill` itself; everything else is wired
as the deploy script wires it. Amounts are WAD integers unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import rlp
from eth_utils import keccak

from ballast.abi import checksum
from ballast.build import artifact
from ballast.config import MarketParams
from ballast.contract import Contract
from ballast.evm import Revm

WAD = 10**18
INSURANCE = (1).to_bytes(32, "big")
RESERVE = (3).to_bytes(32, "big")
MAX = 2**256 - 1


def address(label: str) -> str:
    """A plain address for an actor named by role."""
    return checksum(keccak(text=label)[12:])


def create_address(sender: str, nonce: int) -> str:
    """Where a creation by `sender` with this nonce will be."""
    return checksum(keccak(rlp.encode([bytes.fromhex(sender[2:]), nonce]))[12:])


def account_id(owner: str, sub: int = 0) -> bytes:
    """The account of an owner's subaccount."""
    return bytes.fromhex(owner[2:]) + sub.to_bytes(12, "big")


OWNER = address("owner")
GUARDIAN = address("guardian")
VENUE = address("venue")
KEEPER = address("keeper")
DONOR = address("donor")
ZERO_FEES = MarketParams(
    oracle="0x" + "00" * 20,
    group=1,
    initial_margin_bps=1_000,
    maintenance_margin_bps=500,
    position_cap_base=10**9 * WAD,
    interest_cap_base=10**10 * WAD,
    min_notional_quote=WAD,
    price_band_bps=2_000,
    maker_fee_bps=0,
    taker_fee_bps=0,
    fee_insurance_share_bps=0,
    fee_reserve_share_bps=0,
    liquidation_penalty_bps=0,
    liquidator_share_bps=10_000,
    penalty_insurance_share_bps=0,
    liquidation_target_bps=15_000,
    min_reward_quote=0,
    insurance_cap_quote=10**9 * WAD,
    insurance_refill_seconds=86_400,
    premium_cap_bps=0,
    funding_cap_bps=0,
    premium_window_seconds=3_600,
)
REAL_FEES = replace(
    ZERO_FEES,
    initial_margin_bps=500,
    maintenance_margin_bps=250,
    maker_fee_bps=2,
    taker_fee_bps=5,
    fee_insurance_share_bps=3_000,
    fee_reserve_share_bps=2_000,
    liquidation_penalty_bps=100,
    liquidator_share_bps=5_000,
    penalty_insurance_share_bps=4_000,
    liquidation_target_bps=12_000,
    min_reward_quote=2 * WAD,
    premium_cap_bps=200,
    funding_cap_bps=75,
)


@dataclass
class Deployed:
    """The contracts of a core deployment."""

    token: Contract
    vault: Contract
    clearing: Contract
    fund: Contract
    oracle: Contract
    batch: Contract


def deploy_core(chain: Revm, decimals: int = 18, token: str = "Token") -> Deployed:
    """Deploy the core as the deploy script does (addresses predicted from the nonce)."""

    def make(name: str, *args: Any) -> Contract:
        made = artifact(name)
        at, _ = chain.deploy(made.deploy_code(*args), sender=OWNER)
        return Contract(chain, at, made.abi)

    asset = make(token, decimals)
    oracle = make("MockOracle")
    nonce = chain.nonce(OWNER)
    clearing_at, fund_at = (create_address(OWNER, nonce + i) for i in (6, 7))
    vault = make("MarginVault", asset.address, clearing_at, fund_at)
    engines = ["Governance", "SettlementEngine", "LiquidationEngine", "WaterfallEngine", "Lens"]
    codes = [make(name, vault.address).address for name in engines]
    core = make("Clearinghouse", vault.address, *codes, OWNER, GUARDIAN)
    fund = make("InsuranceFund", vault.address, "Ballast Insurance", "bINS", 86_400, 86_400)
    assert (core.address, fund.address) == (clearing_at, fund_at)
    abis = [artifact(name).abi for name in ("Clearinghouse", "Governance", "Lens")]
    for engine in ("WaterfallEngine", "LiquidationEngine", "SettlementEngine"):
        abis.append([entry for entry in artifact(engine).abi if entry["type"] == "event"])
    clearing = Contract(chain, core.address, *abis)
    batch = make("LiquidationBatch", core.address)
    return Deployed(asset, vault, clearing, fund, oracle, batch)


class World:
    """One deployment, its markets and its traders."""

    def __init__(
        self,
        params: MarketParams = ZERO_FEES,
        prices: tuple[int, ...] = (100 * WAD,),
        groups: tuple[int, ...] = (),
        decimals: int = 18,
        token: str = "Token",
        buckets: int = 8,
        reward_bps: int = 0,
        insurance_cap_quote: int = 0,
        chain: Revm | None = None,
        **chain_options: Any,
    ) -> None:
        self.chain = chain or Revm(**chain_options)
        self.__dict__.update(vars(deploy_core(self.chain, decimals, token)))
        self.unit = 10**decimals
        self.scale = 10 ** (18 - decimals)
        owner = {"sender": OWNER}
        groups = groups or (params.group,) * len(prices)
        for group in sorted(set(groups)):
            self.clearing.send.set_group(group, insurance_cap_quote, 86_400, **owner)
        self.clearing.send.set_adl(buckets, reward_bps, **owner)
        self.clearing.send.set_venue(VENUE, True, **owner)
        self.params = replace(params, oracle=self.oracle.address)
        self.markets = []
        for price, group in zip(prices, groups, strict=True):
            asked = replace(self.params, group=group)
            self.clearing.send.list_market(asked.as_tuple(), **owner)
            self.markets.append(len(self.markets) + 1)
            self.oracle.send.set_price(len(self.markets), price, sender=OWNER)

    token: Contract
    vault: Contract
    clearing: Contract
    fund: Contract
    oracle: Contract
    batch: Contract

    def price(self, price: int, market: int = 1, seconds: int = 12) -> None:
        """A new block with a new price of one market (the others' reports are renewed)."""
        self.chain.mine(seconds)
        for other in self.markets:
            now = price if other == market else self.oracle.view.price(other)[0]
            self.oracle.send.set_price(other, now, sender=OWNER)

    def next_block(self, seconds: int = 12) -> None:
        """A new block, all prices as they are and fresh."""
        self.price(self.oracle.view.price(1)[0], 1, seconds)

    def trader(self, label: str, cash: int = 0, sub: int = 0) -> bytes:
        """An account with some cash (WAD)."""
        account = account_id(address(label), sub)
        if cash:
            self.deposit(account, cash)
        return account

    def deposit(self, account: bytes, cash: int) -> None:
        """Deposit WAD quote into an account."""
        self.mint(DONOR, cash)
        self.vault.send.deposit(account, cash // self.scale, sender=DONOR)

    def mint(self, holder: str, cash: int) -> None:
        """Give a holder tokens worth `cash` (WAD), approved to the vault."""
        self.token.send.mint(holder, cash // self.scale, sender=holder)
        self.token.send.approve(self.vault.address, MAX, sender=holder)

    def donate(self, key: bytes, cash: int) -> None:
        """Give `cash` (WAD) to insurance or reserve."""
        self.mint(DONOR, cash)
        self.vault.send.donate(key, cash // self.scale, sender=DONOR)

    def fill(self, buyer: bytes, seller: bytes, size: int, price: int, market: int = 1) -> Any:
        """A fill through the venue."""
        return self.clearing.send.fill(market, buyer, seller, size, price, sender=VENUE)

    def deleverage(self, account: bytes, caller: str = KEEPER) -> tuple[int, int]:
        """Call `deleverage` as anybody; notional open and deficit left."""
        receipt = self.clearing.send.deleverage(account, sender=caller)
        return self.clearing.returned(receipt, "deleverage", 1)

    def cash(self, account: bytes) -> int:
        """The account's cash."""
        return self.vault.view.balance_of(account)
