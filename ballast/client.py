"""A deployment in the hand of a script, a bot or a test: the contracts, and the calls people make.

Sizes, prices and quote amounts are WAD; `amount` is in token units. A call that a contract refuses
raises `ballast.errors.Reverted` with its reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eth_account.signers.local import LocalAccount

from ballast import contracts, signing
from ballast.batch import BatchReader, View
from ballast.chain import Chain, Receipt
from ballast.errors import ConfigError
from ballast.record import Record
from ballast.signing import Domain, Order, SignedOrder, SignedReport

MAX_UINT256 = 2**256 - 1


class Ballast:
    """The contracts of one deployment on one chain.

    `vault`, `clearinghouse` (all its names, wherever their code is), `settlement`, `fund`,
    `oracle` (signed prices), `chainlink`, `batch` (liquidations) and `token` are `Contract`s;
    `markets` maps symbols to ids.
    """

    def __init__(
        self,
        chain: Chain,
        addresses: Mapping[str, str],
        collateral: str,
        markets: Mapping[str, int],
    ) -> None:
        self.chain = chain
        self.markets = dict(markets)
        self.vault = contracts.at(chain, contracts.VAULT, addresses[contracts.VAULT])
        self.clearinghouse = contracts.at(
            chain, contracts.CLEARINGHOUSE, addresses[contracts.CLEARINGHOUSE]
        )
        self.settlement = contracts.at(chain, contracts.SETTLEMENT, addresses[contracts.SETTLEMENT])
        self.fund = contracts.at(chain, contracts.FUND, addresses[contracts.FUND])
        self.oracle = contracts.at(
            chain, contracts.SIGNED_ORACLE, addresses[contracts.SIGNED_ORACLE]
        )
        self.chainlink = contracts.at(
            chain, contracts.CHAINLINK_ORACLE, addresses[contracts.CHAINLINK_ORACLE]
        )
        self.batch = contracts.at(
            chain, contracts.LIQUIDATION_BATCH, addresses[contracts.LIQUIDATION_BATCH]
        )
        self.token = contracts.at(chain, contracts.TOKEN, collateral)
        self.order_domain = Domain(chain.chain_id, self.settlement.address)
        self.report_domain = Domain(chain.chain_id, self.oracle.address)
        self._batch: BatchReader | None = None

    @classmethod
    def from_deployment(cls, chain: Chain, kept: Record) -> Ballast:
        """The client of a recorded deployment. Raises `ConfigError` on the wrong chain."""
        if kept.chain_id != chain.chain_id:
            raise ConfigError(f"deployed on chain {kept.chain_id}, connected to {chain.chain_id}")
        return cls(chain, kept.contracts, kept.parameters["collateral"], kept.markets)

    @staticmethod
    def account_id(owner: str, sub: int = 0) -> bytes:
        """The account of an owner's subaccount."""
        return signing.account_id(owner, sub)

    # Money

    def deposit(self, account: bytes, amount: int, *, sender: str) -> Receipt:
        """Deposit `amount` token units of the sender's into an account; approves if needed."""
        self._approve(self.vault.address, amount, sender)
        return self.vault.send.deposit(account, amount, sender=sender)

    def withdraw(
        self, account: bytes, amount: int, *, sender: str, receiver: str | None = None
    ) -> Receipt:
        """Withdraw `amount` token units of the sender's account, to the sender by default."""
        return self.vault.send.withdraw(account, amount, receiver or sender, sender=sender)

    def stake(self, amount: int, *, sender: str) -> Receipt:
        """Stake `amount` token units in the insurance fund, approving them if needed."""
        self._approve(self.fund.address, amount, sender)
        return self.fund.send.deposit(amount, sender, sender=sender)

    def request_redeem(self, shares: int, *, sender: str) -> Receipt:
        """Ask to leave the fund with as many shares in all; `redeem` within the window pays."""
        return self.fund.send.request_redeem(shares, sender=sender)

    def redeem(self, shares: int, *, sender: str, receiver: str | None = None) -> Receipt:
        """Redeem shares asked for, to the sender by default, at the price of the moment."""
        return self.fund.send.redeem(shares, receiver or sender, sender, sender=sender)

    def donate(self, key: int, amount: int, *, sender: str) -> Receipt:
        """Give `amount` token units to insurance (key 1) or the keeper reserve (key 3)."""
        self._approve(self.vault.address, amount, sender)
        return self.vault.send.donate(key.to_bytes(32, "big"), amount, sender=sender)

    def _approve(self, spender: str, amount: int, owner: str) -> None:
        if self.token.view.allowance(owner, spender) < amount:
            self.token.send.approve(spender, MAX_UINT256, sender=owner)

    # Orders

    def sign_order(self, order: Order, signer: LocalAccount) -> SignedOrder:
        """Sign an order for this deployment's settlement contract."""
        return signing.sign_order(self.order_domain, order, signer)

    def order_hash(self, order: Order) -> bytes:
        """The order's hash on chain."""
        return signing.order_digest(self.order_domain, order)

    def match(
        self,
        taker: SignedOrder,
        makers: Sequence[SignedOrder],
        sizes: Sequence[int],
        *,
        sender: str,
    ) -> Receipt:
        """Match a taker with makers, each at the maker's price; `sizes` base WAD, one a maker."""
        return self.settlement.send.match_orders(
            taker.as_tuple(), [maker.as_tuple() for maker in makers], list(sizes), sender=sender
        )

    def cancel(self, order_hash: bytes, *, sender: str) -> Receipt:
        """Cancel an order for good: one of the sender's accounts, or one that the sender signed."""
        return self.settlement.send.cancel(order_hash, sender=sender)

    def cancel_below(self, account: bytes, salt: int, *, sender: str) -> Receipt:
        """Cancel all orders of the sender's account with a salt below this one."""
        return self.settlement.send.cancel_below(account, salt, sender=sender)

    def set_delegate(self, account: bytes, key: str, expiry: int, *, sender: str) -> Receipt:
        """Let a key trade for the sender's account until `expiry` (Unix seconds); 0 revokes."""
        return self.settlement.send.set_delegate(account, key, expiry, sender=sender)

    # Prices

    def sign_prices(
        self,
        prices: Mapping[int, int],
        publishers: Iterable[LocalAccount],
        timestamp: int | None = None,
    ) -> list[SignedReport]:
        """Reports of market ids and prices (quote per base WAD), signed by every publisher given.

        `timestamp` is Unix seconds; by default the chain's.
        """
        when = self.chain.timestamp if timestamp is None else timestamp
        signers = list(publishers)
        return [
            signing.combine(
                [signing.sign_price(self.report_domain, market, price, when, s) for s in signers]
            )
            for market, price in prices.items()
        ]

    def report_prices(
        self,
        prices: Mapping[int, int],
        publishers: Iterable[LocalAccount],
        *,
        sender: str,
        timestamp: int | None = None,
    ) -> Receipt:
        """Sign prices and bring them on chain in one transaction."""
        return self.submit_reports(self.sign_prices(prices, publishers, timestamp), sender=sender)

    def submit_reports(self, reports: Sequence[SignedReport], *, sender: str) -> Receipt:
        """Bring signed reports on chain in one transaction."""
        return self.oracle.send.report_prices([r.as_tuple() for r in reports], sender=sender)

    # Keepers

    def settle(self, account: bytes, *, sender: str) -> Receipt:
        """Settle an account."""
        return self.clearinghouse.send.settle(account, sender=sender)

    def refresh(self, account: bytes, *, sender: str) -> Receipt:
        """Re-rank an account's positions at the present prices."""
        return self.clearinghouse.send.refresh(account, sender=sender)

    def liquidate(
        self,
        account: bytes,
        market: int,
        liquidator: bytes,
        *,
        sender: str,
        size: int = MAX_UINT256,
    ) -> Receipt:
        """Take over up to `size` base WAD of a leg (by default as much as is allowed)."""
        return self.clearinghouse.send.liquidate(account, market, size, liquidator, sender=sender)

    def liquidate_many(
        self, legs: Iterable[tuple[bytes, int]], liquidator: bytes, *, sender: str
    ) -> Receipt:
        """Take over legs (account, market), at most 32, as much of each as is allowed. The
        liquidator's owner has let `batch` operate it; what is refused is passed over."""
        takeovers = [(account, market, MAX_UINT256) for account, market in legs]
        return self.batch.send.liquidate_many(takeovers, liquidator, sender=sender)

    def deleverage(self, account: bytes, *, sender: str) -> Receipt:
        """Close a bankrupt account against the deleveraging queue; one call's worth."""
        return self.clearinghouse.send.deleverage(account, sender=sender)

    def deleverage_many(self, accounts: Sequence[bytes], *, sender: str) -> Receipt:
        """The same for up to 32 accounts; those that are solvent are passed over."""
        return self.clearinghouse.send.deleverage_many(list(accounts), sender=sender)

    # Reading

    def read(self, views: Sequence[View], *, sender: str | None = None) -> list[Any]:
        """Many views in one go. `sender` deploys a reader where a local network has none."""
        if self._batch is None:
            self._batch = BatchReader(self.chain, sender)
        return self._batch.read(views)
