"""Who may sign for an account, and which orders the chain says are void.

Delegates, salt floors and cancellations are the chain's facts, learnt in order. A contract wallet
is asked, in threads of its own: it runs code of others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from ballast.errors import NodeError, SigningError
from ballast.relay import facts
from ballast.relay.facts import Fact
from ballast.relay.feed import CHAIN_SECONDS
from ballast.relay.kept import Kept
from ballast.relay.refusal import Refusal, no_answer
from ballast.relay.wallets import Settlement
from ballast.signing import Order, owner_of, signer_of

KINDS = (facts.DELEGATE, facts.FLOOR, facts.CANCEL)
"""The facts that permissions follow from."""
WALLETS_AT_ONCE = 8


class Permissions:
    """Delegates, salt floors and cancelled orders, as of the last step."""

    def __init__(self) -> None:
        self._delegates: dict[tuple[bytes, str], int] = {}
        self._floors: dict[bytes, int] = {}
        self._cancelled: set[tuple[str, bytes]] = set()

    def restore(self, known: Iterable[Fact]) -> None:
        """Forget all, and learn from what is known."""
        self._delegates.clear()
        self._floors.clear()
        self._cancelled.clear()
        self.learn(known)

    def learn(self, told: Iterable[Fact]) -> None:
        """Take facts in, in the chain's order; those of other kinds are passed over."""
        for fact in told:
            if fact.kind == facts.DELEGATE and fact.account is not None:
                of = fact.account, str(fact.details["delegate"])
                self._delegates[of] = int(fact.details["expiry"])
            elif fact.kind == facts.FLOOR and fact.account is not None:
                self._floors[fact.account] = int(fact.details["salt"])
            elif fact.kind == facts.CANCEL and fact.other is not None:
                self._cancelled.add((str(fact.details["canceller"]), fact.other))

    def salt_floor(self, account: bytes) -> int:
        """The lowest salt that is good."""
        return self._floors.get(account, 0)

    def is_delegate(self, account: bytes, signer: str, timestamp: int) -> bool:
        """Whether somebody may sign for an account at a time (Unix seconds)."""
        return timestamp <= self._delegates.get((account, signer), 0)

    def check(self, order_hash: bytes, order: Order, signer: str) -> None:
        """Raises `Refusal` where the chain says that an order is void."""
        owner = owner_of(order.account)
        if (owner, order_hash) in self._cancelled or (signer, order_hash) in self._cancelled:
            raise Refusal("cancelled", "cancelled on chain", "sign another salt")
        floor = self.salt_floor(order.account)
        if order.salt < floor:
            text = f"salts below {floor} are cancelled on chain"
            raise Refusal("below_salt_floor", text, f"sign a salt of {floor} or more")


class Signers:
    """Tells by a signature who has signed, and whether that one may."""

    def __init__(self, settlement: Settlement, permissions: Permissions) -> None:
        self._settlement, self._permissions = settlement, permissions
        self._threads = ThreadPoolExecutor(WALLETS_AT_ONCE, thread_name_prefix="wallet")
        self._asking = 0

    def close(self) -> None:
        """Ask no more wallets."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def of_order(
        self, order_hash: bytes, order: Order, signature: bytes, timestamp: int
    ) -> str:
        """Who signed: the owner, a delegate in force at a time (Unix seconds), or the owner's
        contract wallet. Raises `Refusal`."""
        owner = owner_of(order.account)
        signer = _recovered(order_hash, signature)
        if signer == owner:
            return owner
        if signer and self._permissions.is_delegate(order.account, signer, timestamp):
            return signer
        if await self._wallet_accepts(owner, order_hash, signature):
            return owner
        raise Refusal(
            "bad_signature",
            f"signed by {signer or 'nobody'}, who may not sign for this account",
            "sign it in this domain, with the owner's key or a delegate's",
        )

    async def check_cancel(self, kept: Kept, digest: bytes, signature: bytes) -> None:
        """Raises `Refusal` where neither an order's owner nor its signer has signed a cancel."""
        signer = _recovered(digest, signature)
        owner = owner_of(kept.order.account)
        if signer not in (owner, kept.signer) and not await self._wallet_accepts(
            owner, digest, signature
        ):
            raise Refusal(
                "bad_signature",
                f"signed by {signer or 'nobody'}, who may not cancel this order",
                "sign Cancel with the owner's key, or the one that signed the order",
            )

    async def _wallet_accepts(self, owner: str, digest: bytes, signature: bytes) -> bool:
        if self._asking >= WALLETS_AT_ONCE:
            raise Refusal(
                "overloaded", "too many contract wallets are asked", "try again", retry_after=1
            )
        self._asking += 1
        try:
            asked = asyncio.get_running_loop().run_in_executor(
                self._threads, self._settlement.wallet_accepts, owner, digest, signature
            )
            return await asyncio.wait_for(asked, CHAIN_SECONDS)
        except (NodeError, TimeoutError) as error:
            raise no_answer() from error
        finally:
            self._asking -= 1


def _recovered(digest: bytes, signature: bytes) -> str:
    """The key's address; "" where it is no key's signature."""
    try:
        return signer_of(digest, signature)
    except SigningError:
        return ""
