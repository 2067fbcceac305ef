"""Who may trade for whom: orders' signatures, delegates, cancellations, and the fund's permits."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import count
from typing import Any

from ballast.fuzz.dice import Dice
from ballast.fuzz.plays.bad_reports import STRANGER
from ballast.fuzz.plays.feeding import Feeding
from ballast.fuzz.plays.trading import Action
from ballast.fuzz.rules.orders import NOBODY, OrderRules, Signed
from ballast.fuzz.rules.permits import Permit
from ballast.fuzz.signer import Signer, high_s
from ballast.fuzz.twin import Twin
from ballast.signing import Domain, Order, order_digest, owner_of

FOREVER = 2**64 - 1
MOST_RESTING = 12


class Permitting(Feeding):
    """What the order settlement is told beside matches."""

    def __init__(self, twin: Twin, *cast: Any) -> None:
        super().__init__(twin, *cast)
        self.orders = OrderRules(self.wiring.wallets)
        self.resting: list[Signed] = []
        """Orders that are not filled, or not wholly; some have been cancelled since."""
        self._domain = Domain(twin.chain.chain_id, self.wiring.settlement.address)
        self._salts = count(1)
        self._nonces: Counter[str] = Counter()
        self._fund_name = str(twin.arena.fund.view.name())

    def scenes(self) -> dict[str, list[Action]]:
        """As `Feeding`, and permissions given and taken."""
        return {
            **super().scenes(),
            "permit": [
                *[self.delegate] * 3,
                *[self.cancel] * 3,
                *[self.permit] * 2,
                self.cancel_below,
                self.break_wallet,
                self.fill_orders,
                self.quiet_block,
            ],
        }

    # Orders and signatures

    def sign(self, order: Order, dice: Dice) -> Signed:
        """By the owner's key, the wallet's, or a delegate whose time runs."""
        key, now = self.wiring.keys[owner_of(order.account)], self.twin.chain.timestamp
        for delegate in self.wiring.delegates:
            runs = self.orders.delegates[order.account, delegate.address] >= now
            if runs and dice.chance(60):
                key = delegate
        signed = self.signed_by(key, order)
        if owner_of(order.account) in self.orders.wallets and dice.chance(20):
            # A wallet's own signature may be of any length.
            return replace(signed, signature=signed.signature + bytes(1 + dice.below(455)))
        return signed

    def signed_by(self, key: Signer, order: Order, domain: Domain | None = None) -> Signed:
        """By a key; for another chain or contract it is nobody's."""
        digest = order_digest(self._domain, order)
        if domain is not None:
            return Signed(order, digest, key.sign(order_digest(domain, order)), "")
        return Signed(order, digest, key.sign(digest), key.address)

    def _salt(self, account: bytes) -> int:
        """Each another one, and now and then the lowest that is still good."""
        number = next(self._salts)
        return self.orders.floors[account] + (number if number % 8 else 0)

    def _expiry(self, dice: Dice) -> int:
        now = self.twin.chain.timestamp
        return dice.pick((FOREVER, now, now + 60, now + 86_400))

    def delegate(self, dice: Dice) -> None:
        """An account's delegate gets time, or has no more; seldom that is asked for by another."""
        account, key = dice.pick(self.people), dice.pick(self.wiring.delegates).address
        now = self.twin.chain.timestamp
        expiry = dice.pick((now + 86_400, now + 86_400, now + 600, now, 0, FOREVER))
        caller = owner_of(account)
        if dice.chance(15):
            caller = dice.pick((STRANGER.address, key))
        if dice.chance(5):
            key = NOBODY
        self.send_delegate(account, key, expiry, caller)

    def cancel(self, dice: Dice) -> None:
        """A resting order, or one that nobody has seen, by the owner, a delegate or a stranger."""
        owner = owner_of(dice.pick(self.people))
        digest = bytes([dice.below(4)]) * 32
        if self.resting and dice.chance(85):
            resting = dice.pick(self.resting)
            digest, owner = resting.digest, owner_of(resting.order.account)
        delegate = dice.pick(self.wiring.delegates).address
        self.send_cancel(dice.pick((owner, owner, delegate, STRANGER.address)), digest)

    def cancel_below(self, dice: Dice) -> None:
        """All that an account has signed, or a part of it, or nothing."""
        account = dice.pick(self.people)
        caller = STRANGER.address if dice.chance(15) else owner_of(account)
        salt = self.orders.floors[account] + dice.pick((0, 1, 1, 5, 50))
        self.send_cancel_below(account, salt, caller)

    def send_delegate(
        self, account: bytes, key: str, expiry: int, caller: str | None = None
    ) -> None:
        """`set_delegate`, by the owner if nobody is named."""
        caller, its = caller or owner_of(account), self.wiring.settlement
        reasons = self.orders.set_delegate(caller, account, key, expiry)
        self._send("set_delegate", (account, key, expiry), caller, reasons)
        shown = its.view.delegate_expiry(account, key)
        if shown != self.orders.delegates[account, key]:
            raise self.twin.finding(f"delegate_expiry: {shown}")

    def send_cancel(self, caller: str, digest: bytes) -> None:
        """`cancel`."""
        refusal = self.orders.cancel(caller, digest)
        self._send("cancel", (digest,), caller, {refusal} if refusal else set())
        if not self.wiring.settlement.view.is_cancelled(caller, digest):
            raise self.twin.finding("is_cancelled: False")

    def send_cancel_below(self, account: bytes, salt: int, caller: str | None = None) -> None:
        """`cancel_below`, by the owner if nobody is named."""
        caller, its = caller or owner_of(account), self.wiring.settlement
        reasons = self.orders.cancel_below(caller, account, salt)
        self._send("cancel_below", (account, salt), caller, reasons)
        if its.view.salt_floor(account) != self.orders.floors[account]:
            raise self.twin.finding(f"salt_floor: {its.view.salt_floor(account)}")

    def _send(self, name: str, args: tuple[Any, ...], caller: str, reasons: set[str]) -> None:
        call = getattr(self.wiring.settlement.send, name)
        if reasons:
            return self.twin.must_refuse(
                f"orders.{name}", lambda: call(*args, sender=caller), *reasons
            )
        self.twin.must(f"orders.{name}", lambda: call(*args, sender=caller))
        return self.twin.checked(())

    def break_wallet(self, dice: Dice) -> None:
        """A contract wallet answers nobody, or everybody again; its owner's key trades on."""
        wallet, (key, contract) = dice.pick(list(self.wiring.chain.wallets.items()))
        broken = wallet not in self.orders.broken
        contract.send.set_broken(broken, sender=key)
        self.orders.broken ^= {wallet}

    def permit(self, dice: Dice) -> None:
        """A staker's allowance by signature; seldom late, forged, or used a second time."""
        twin, fund = self.twin, self.twin.arena.fund
        owner, spender = dice.pick(self.stakers), dice.pick(self.stakers)
        now, nonce = twin.chain.timestamp, self._nonces[owner]
        asked = Permit(owner, spender, dice.amount(1, 10**27), nonce, now + 60)
        reasons: tuple[str, ...] = ()
        kind, key = dice.below(16), self.wiring.keys[owner]
        if kind == 0:
            asked, reasons = replace(asked, deadline=now - 1), ("erc20: expired deadline",)
        elif kind == 1:
            key, reasons = STRANGER, ("erc20: invalid signature",)
        elif kind == 2:
            asked, reasons = replace(asked, spender=NOBODY), ("erc20: approve to the zero address",)
        elif kind == 3:
            asked, reasons = replace(asked, nonce=nonce + 1), ("erc20: invalid signature",)
        digest = asked.digest(self._fund_name, twin.chain.chain_id, fund.address)
        signature = key.sign(digest)
        if kind == 4:
            signature, reasons = high_s(signature), ("ecdsa: invalid signature `s` value",)
        v, r, s = signature[64], signature[:32], signature[32:64]

        def send() -> Any:
            return fund.send.permit(
                owner, asked.spender, asked.amount, asked.deadline, v, r, s, sender=twin.keeper
            )

        if reasons:
            return twin.must_refuse("fund.permit", send, *reasons)
        twin.must("fund.permit", send)
        self._nonces[owner] += 1
        self.fund.allowances[owner, spender] = asked.amount
        if fund.view.allowance(owner, spender) != asked.amount:
            raise twin.finding(f"allowance: {fund.view.allowance(owner, spender)}")
        twin.must_refuse("fund.permit", send, "erc20: invalid signature")
        return twin.checked(())
