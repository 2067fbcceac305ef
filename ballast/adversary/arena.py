"""A deployment to play in: the contracts as `ballast.deploy` wires them, prices set at will.

The venue is a plain address, so that fills need no signatures (they would not change what anybody
gains), and every market is priced by a mock oracle. Quote amounts and sizes are WAD.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from eth_utils import keccak

from ballast import build
from ballast.abi import checksum
from ballast.chain import Receipt
from ballast.client import Ballast
from ballast.config import DeployConfig, MarketParams
from ballast.contract import Contract
from ballast.deploy import deploy, deploy_token
from ballast.errors import Reverted
from ballast.evm import Revm
from ballast.signing import account_id

WAD = 10**18
BPS = 10_000
ALL = 2**256 - 1
INSURANCE, RESERVE = 1, 3


def address(label: str) -> str:
    """A plain address for an actor named by role."""
    return checksum(keccak(text=label)[12:])


OWNER = address("owner")
VENUE = address("venue")
KEEPER = address("keeper")
STAKER = address("staker")
ADVERSARY = address("adversary")
HAND = address("adversary's operator")


MOST_CALLS = 40


@dataclass(frozen=True)
class Resolution:
    """A liquidation or a call of deleveraging: whose account, and what it cost the system.

    `drawn` on insurance for legs whose maintenance margin was `closed_margin`; `reward` out of the
    keeper reserve, `penalty` out of the account, of which the liquidator was to keep `kept`.
    """

    account: bytes
    is_own: bool
    drawn: int
    closed_margin: int
    reward: int
    penalty: int
    kept: int
    receipt: Receipt


class Arena:
    """One deployment, the adversary's accounts (`own`) and everybody else's (`others`)."""

    def __init__(self, config: DeployConfig, prices: Sequence[int], decimals: int = 18) -> None:
        self.chain = Revm()
        token = deploy_token(self.chain, OWNER, decimals)
        record = deploy(self.chain, config, sender=OWNER, collateral=token)
        client = Ballast.from_deployment(self.chain, record)
        self.client, self.token, self.vault = client, client.token, client.vault
        self.house, self.fund = client.clearinghouse, client.fund
        self.scale: int = 10 ** (18 - decimals)
        self.config = config
        self.markets = list(range(1, len(config.markets) + 1))
        self.groups = {m: market.group for m, market in enumerate(config.markets, 1)}
        self.params: dict[int, MarketParams] = {}
        self.own: list[bytes] = []
        self.others: list[bytes] = []
        self.fees_paid = 0
        self.resolutions: list[Resolution] = []
        self._names: dict[bytes, str] = {}
        self._price_all_by_a_mock(prices)

    def _price_all_by_a_mock(self, prices: Sequence[int]) -> None:
        artifact = build.artifact("MockOracle")
        at, _ = self.chain.deploy(artifact.deploy_code(), sender=OWNER)
        self.oracle = Contract(self.chain, at, artifact.abi)
        self.prices = dict(zip(self.markets, prices, strict=True))
        for market, wanted in enumerate(self.config.markets, 1):
            self.params[market] = wanted.params(at)
            self.house.send.set_market(market, self.params[market].as_tuple(), sender=OWNER)
        self.house.send.set_venue(VENUE, True, sender=OWNER)
        self.next_block()

    # Time and prices

    def _report(self) -> None:
        for market, price in self.prices.items():
            self.oracle.send.set_price(market, price, sender=OWNER)

    def next_block(self, prices: dict[int, int] | None = None, seconds: int = 12) -> None:
        """A new block, with new prices of some markets; the others' are as they were, and fresh."""
        self.chain.mine(seconds)
        self.prices.update(prices or {})
        self._report()

    @contextmanager
    def rolled_back(self) -> Iterator[None]:
        """Undo everything done in the `with` block at its end."""
        kept = dict(self.prices), list(self.own), list(self.others), self.fees_paid
        resolved = len(self.resolutions)
        with self.chain.rolled_back():
            try:
                yield
            finally:
                self.prices, self.own, self.others, self.fees_paid = kept
                del self.resolutions[resolved:]

    # People

    def person(self, label: str, cash: int = 0) -> bytes:
        """The account of somebody else, with some cash."""
        account = account_id(address(label))
        if account not in self.others:
            self.others.append(account)
            self._names[account] = label
        self.deposit(account, cash)
        return account

    def own_account(self, cash: int = 0) -> bytes:
        """A further account of the adversary's, with some cash."""
        account = account_id(ADVERSARY, len(self.own))
        self._names[account] = f"own {len(self.own)}"
        self.own.append(account)
        self.deposit(account, cash)
        return account

    @property
    def maker(self) -> bytes:
        """The first of the others: willing to trade any size at the oracle price."""
        return self.others[0]

    def name(self, account: bytes) -> str:
        """What an account is called in reports."""
        return self._names[account]

    def mint(self, holder: str, cash: int) -> None:
        """Give a holder tokens worth `cash`, approved to vault and fund."""
        self.token.send.mint(holder, cash // self.scale, sender=holder)
        for spender in (self.vault, self.fund):
            self.token.send.approve(spender.address, ALL, sender=holder)

    def deposit(self, account: bytes, cash: int) -> None:
        """Somebody deposits for an account."""
        if cash:
            self.mint(STAKER, cash)
            self.vault.send.deposit(account, cash // self.scale, sender=STAKER)

    def donate(self, key: int, cash: int) -> None:
        """Somebody gives to insurance or to the keeper reserve."""
        if cash:
            self.mint(STAKER, cash)
            self.vault.send.donate(key.to_bytes(32, "big"), cash // self.scale, sender=STAKER)

    def stake(self, staker: str, cash: int) -> None:
        """Somebody stakes in the insurance fund."""
        if cash:
            self.mint(staker, cash)
            self.fund.send.deposit(cash // self.scale, staker, sender=staker)

    # Trades and keepers' calls

    def fill(
        self, buyer: bytes, seller: bytes, size: int, market: int = 1, price: int | None = None
    ) -> Receipt:
        """A fill, at the oracle price unless another is named; own fees are noted."""
        at = self.prices[market] if price is None else price
        receipt = self.house.send.fill(market, buyer, seller, size, at, sender=VENUE)
        self.fees_paid += self.own_fees(receipt)
        return receipt

    def own_fees(self, receipt: Receipt) -> int:
        """What fees the adversary's accounts paid in a transaction."""
        found = 0
        for event in self.house.events(receipt):
            if event.name == "Fill":
                found += event.args["buyer_fee_quote"] * (event.args["buyer"] in self.own)
                found += event.args["seller_fee_quote"] * (event.args["seller"] in self.own)
        return found

    def liquidate(
        self, account: bytes, market: int, liquidator: bytes, sender: str, size: int = ALL
    ) -> Resolution:
        """Take over a part of a leg, as much as may be by default."""
        send = self.house.send.liquidate
        return self._resolution(
            account, lambda: send(account, market, size, liquidator, sender=sender)
        )

    def deleverage(self, account: bytes, sender: str = KEEPER) -> Resolution:
        """One call of deleveraging."""
        send = self.house.send.deleverage
        return self._resolution(account, lambda: send(account, sender=sender))

    def _resolution(self, account: bytes, send: Callable[[], Receipt]) -> Resolution:
        vault, margin = self.vault.view, self.house.view.margin
        insurance, reserve, required = vault.insurance(), vault.keeper_reserve(), margin(account)[1]
        receipt = send()
        told = [e.args for e in self.house.events(receipt) if e.name == "Liquidated"]
        penalty = kept = 0
        reward = reserve - vault.keeper_reserve()
        if told:
            penalty, reward = told[0]["penalty_quote"], told[0]["reward_quote"]
            kept = penalty * self.params[told[0]["market"]].liquidator_share_bps // BPS
        made = Resolution(
            account=account,
            is_own=account in self.own,
            drawn=max(0, insurance - vault.insurance()),
            closed_margin=required - margin(account)[1],
            reward=reward,
            penalty=penalty,
            kept=kept,
            receipt=receipt,
        )
        self.resolutions.append(made)
        return made

    def resolve(self, account: bytes, sender: str = KEEPER) -> None:
        """Deleverage an account until it is not bankrupt any more, or nothing more can be done."""
        for _ in range(MOST_CALLS):
            if self.equity(account) >= 0:
                return
            try:
                self.deleverage(account, sender)
            except Reverted:
                return

    def settle(self, *accounts: bytes) -> None:
        """Somebody settles accounts."""
        for account in accounts:
            self.house.send.settle(account, sender=KEEPER)

    # Figures

    def equity(self, account: bytes) -> int:
        """E of an account."""
        return int(self.house.view.equity(account))

    def size(self, account: bytes, market: int) -> int:
        """Signed size of a leg."""
        return int(self.house.view.position(account, market)[0])

    def staked(self, owner: str = ADVERSARY) -> int:
        """What an owner's shares of the fund are worth, those in escrow included."""
        shares = self.fund.view.balanceOf(owner) + self.fund.view.escrowed(owner)
        return int(self.fund.view.convertToAssets(shares)) * self.scale

    def wallet(self, owner: str = ADVERSARY) -> int:
        """Tokens in an owner's wallet, WAD."""
        return int(self.token.view.balanceOf(owner)) * self.scale

    def wealth(self) -> int:
        """All that is his, claims at face value; a bankrupt account is worth nothing to him."""
        held = sum(max(0, self.equity(account)) for account in self.own)
        return held + self.wallet() + self.staked()
