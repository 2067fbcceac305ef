"""Signed orders: matched in parts and whole, cancelled, delegated; and everything that is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from ballast.fuzz.dice import Dice
from ballast.fuzz.dust import WAD
from ballast.fuzz.plays.bad_orders import spoil
from ballast.fuzz.plays.feeding import Feeding
from ballast.fuzz.plays.publishing import STRANGER
from ballast.fuzz.plays.trading import BPS, Action
from ballast.fuzz.rules.orders import NOBODY, OrderRules, Part, Signed
from ballast.fuzz.rules.permits import Permit
from ballast.fuzz.signer import Signer, high_s, match_data
from ballast.fuzz.twin import Twin, owner_of
from ballast.model.exact import SIZE_ONE
from ballast.model.state import SIZE_DUST
from ballast.signing import Domain, Order, order_digest

FOREVER = 2**64 - 1
MOST_RESTING = 12


@dataclass
class Match:
    """One call of `match_orders`."""

    taker: Signed
    makers: list[Signed]
    sizes: list[int]


class Ordering(Feeding):
    """Trades come as orders signed by owners' keys, delegates and contract wallets."""

    def __init__(self, twin: Twin, *cast: Any) -> None:
        super().__init__(twin, *cast)
        self.orders = OrderRules(self.wiring.wallets)
        floor_of = self.wiring.settlement.view.salt_floor
        self.orders.floors.update({who: int(floor_of(who)) for who in self.people})
        self._nonces: Counter[str] = Counter()
        self.resting: list[Signed] = []
        """Makers' orders that are not filled, or not wholly; some have been cancelled since."""
        self._domain = Domain(twin.chain.chain_id, self.wiring.settlement.address)
        self._salts = count(1)
        self._fund_name = str(twin.arena.fund.view.name())

    def scenes(self) -> dict[str, list[Action]]:
        """As `Feeding`, and orders."""
        return {
            **super().scenes(),
            "orders": [
                *[self.fill_orders] * 6,
                *[self.take_resting] * 4,
                *[self.close_by_order] * 4,
                *[self.match_badly] * 5,
                *[self.delegate] * 2,
                self.cancel,
                self.cancel,
                self.cancel_below,
                self.break_wallet,
                self.permit,
                self.withdraw,
                self.quiet_block,
            ],
        }

    # Matches

    def fill_orders(self, dice: Dice) -> None:
        """One taker against one to five makers, all orders new."""
        match = self._fresh_match(dice)
        if match is None:
            return self.fill(dice)
        return self.match(match)

    def take_resting(self, dice: Dice) -> None:
        """A new taker against orders that rest already, as far as they are good for."""
        good = [its for its in self.resting if self._is_good(its)]
        if not good:
            return self.fill_orders(dice)
        first = dice.pick(good)
        market, is_buy = first.order.market, not first.order.is_buy
        makers = [its for its in good if self._alike(its.order, first.order)][: 1 + dice.below(4)]
        homes = self.homes[first.order.account]
        takers = [who for who in self.people if self.homes[who] == homes]
        taker = dice.pick(takers)
        makers = [its for its in makers if its.order.account != taker] or [first]
        if self.doubtful(taker, market) and dice.chance(90):
            return self.close_by_order(dice)
        sizes = []
        for its in makers:
            carried = min(self._carried(taker, market), self._carried(its.order.account, market))
            left = self.orders.left(its)
            part = int(carried * dice.between(0.1, 0.6)) // len(makers)
            sizes.append(
                left if part >= left or dice.chance(10) else max(self._least(market), part)
            )
        limits = [its.order.limit_price for its in makers]
        asked = Order(
            account=taker,
            market=market,
            is_buy=is_buy,
            size=sum(sizes) + dice.chance(30) * sizes[0],
            limit_price=max(limits) if is_buy else min(limits),
            salt=self._salt(taker),
        )
        return self.match(Match(self.sign(asked, dice), makers, sizes))

    def close_by_order(self, dice: Dice) -> None:
        """A reduce-only taker who asks for more than there is to close, against one maker; or a
        reduce-only maker."""
        who = dice.pick(self.people)
        legs = self.twin.holdings.accounts[who].legs
        if not legs:
            return self.fill_orders(dice)
        market = dice.pick(list(legs))
        leg = legs[market]
        others = [
            other
            for other in self.people
            if other != who
            and self.homes[other] == self.homes[who]
            and (dice.left % 2 or market in self.twin.holdings.accounts[other].legs)
        ]
        if not others or not leg.size:
            return self.refresh(dice)
        size = max(1, int(leg.size * dice.pick((1.0, 1.0, 0.3, 2.5))))
        closing = Order(
            account=who,
            market=market,
            is_buy=not leg.is_long,
            size=size,
            limit_price=self.fill_price(dice, market),
            reduce_only=True,
            salt=self._salt(who),
        )
        other = dice.pick(others)
        opposite = replace(
            closing,
            account=other,
            is_buy=leg.is_long,
            reduce_only=dice.chance(15),
            salt=self._salt(other),
        )
        taker, maker = self.sign(closing, dice), self.sign(opposite, dice)
        if dice.chance(40):
            taker, maker = maker, taker
        return self.match(Match(taker, [maker], [size]))

    def match(self, its: Match) -> None:
        """The settlement does what the rules say; what it lets through is up to the clearinghouse,
        as if the venue had called."""
        twin, orders = self.twin, self.orders
        taker, makers = its.taker, its.makers
        data = match_data(taker, makers, its.sizes)
        reasons, parts = orders.match(
            taker, makers, its.sizes, twin.chain.timestamp, self._reducible
        )

        def send() -> Any:
            return twin.chain.send(self.wiring.settlement.address, data, sender=STRANGER.address)

        if reasons:
            return twin.must_refuse("orders.match_orders", send, *reasons)
        order = taker.order
        if self._leaves_crumbs(order, parts):
            return None
        if twin.fill_orders(
            order.market, order.account, order.is_buy, parts, "orders.match_orders", send
        ):
            orders.matched(taker, makers, parts)
            for signed in (taker, *makers):
                self._check_filled(signed)
            self._rest(makers)
        return None

    def _leaves_crumbs(self, taker: Order, parts: Sequence[Part]) -> bool:
        """Whether a leg would be left with a few wei: below the minimum in the contract, closed in
        the model."""
        held: dict[bytes, int] = {}
        for maker, size, _ in parts:
            for account, is_buy in ((taker.account, taker.is_buy), (maker, not taker.is_buy)):
                if account not in held:
                    leg = self.twin.holdings.accounts[account].legs.get(taker.market)
                    held[account] = 0 if leg is None else leg.size if leg.is_long else -leg.size
                held[account] += size if is_buy else -size
                if 0 < abs(held[account]) * SIZE_ONE <= SIZE_DUST:
                    return True
        return False

    def _rest(self, makers: Sequence[Signed]) -> None:
        left = [its for its in (*self.resting, *makers) if self.orders.left(its)]
        self.resting = list({its.digest: its for its in left}.values())[-MOST_RESTING:]

    def _check_filled(self, signed: Signed) -> None:
        shown = self.wiring.settlement.view.filled(signed.digest)
        if shown != self.orders.filled[signed.digest]:
            raise self.twin.finding(
                f"filled: {shown}, by the rules {self.orders.filled[signed.digest]}"
            )

    def _fresh_match(self, dice: Dice) -> Match | None:
        """As `Trading.fill_orders`, as orders; None where it cannot be."""
        market = self.market(dice)
        taker, maker = self.two(dice, market)
        accounts = [maker]
        for _ in range(dice.below(5)):
            other = self.two(dice, market)[1]
            if other != taker:
                accounts.append(other)
        if any(self.doubtful(who, market) for who in (taker, *accounts)) and dice.chance(90):
            return None
        carried = min(
            self._carried(taker, market) // len(accounts),
            *(self._carried(who, market) for who in accounts),
        )
        size = int(carried * dice.between(0.05, 0.6)) // len(accounts)
        if size < self._least(market):
            return None
        price, is_buy = self.fill_price(dice, market), dice.chance(50)
        sizes = [size + i for i in range(len(accounts))]
        makers = [
            self._maker(who, market, not is_buy, part, price, dice)
            for who, part in zip(accounts, sizes, strict=True)
        ]
        asked = Order(
            account=taker,
            market=market,
            is_buy=is_buy,
            size=sum(sizes) * (1 + dice.below(2)),
            limit_price=price if dice.chance(50) else price * (101 if is_buy else 99) // 100,
            salt=self._salt(taker),
            expiry=self._expiry(dice),
        )
        return Match(self.sign(asked, dice), makers, sizes)

    def _maker(
        self, who: bytes, market: int, is_buy: bool, size: int, price: int, dice: Dice
    ) -> Signed:
        order = Order(
            account=who,
            market=market,
            is_buy=is_buy,
            size=size * dice.pick((1, 1, 2, 3)),
            limit_price=price,
            post_only=dice.chance(30),
            expiry=self._expiry(dice),
            salt=self._salt(who),
        )
        return self.sign(order, dice)

    def match_badly(self, dice: Dice) -> None:
        """Something is wrong with it, and the settlement says what."""
        market = self.market(dice)
        taker, maker = self.two(dice, market)
        accounts, is_buy = [maker], dice.chance(50)
        if dice.chance(40) and (other := self.two(dice, market)[0]) != taker:
            accounts.append(other)
        price, size = self.twin.model.state.quote(market).price, self._least(market)
        makers = [self._maker(who, market, not is_buy, size, price, dice) for who in accounts]
        asked = Order(
            account=taker,
            market=market,
            is_buy=is_buy,
            size=3 * size * len(makers),
            limit_price=price,
            salt=self._salt(taker),
        )
        match = Match(self.sign(asked, dice), makers, [size] * len(makers))
        spoil(self, match, dice)
        self.match(match)

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
        return self.orders.floors[account] + next(self._salts)

    def _expiry(self, dice: Dice) -> int:
        now = self.twin.chain.timestamp
        return dice.pick((FOREVER, now, now + 60, now + 86_400))

    def _reducible(self, order: Order) -> int:
        leg = self.twin.holdings.accounts[order.account].legs.get(order.market)
        return leg.size if leg is not None and leg.is_long != order.is_buy else 0

    def _is_good(self, signed: Signed) -> bool:
        """Whether a resting order can be filled now (its digest is its own taker here)."""
        order, now = signed.order, self.twin.chain.timestamp
        price = self.twin.model.state.quote(order.market).price
        band = self.params(order.market).price_band_bps
        return (
            self.orders.left(signed) > 0
            and not self.orders.refusals(signed, now)
            and abs(order.limit_price - price) * BPS <= price * band
            and not self.doubtful(order.account, order.market)
        )

    @staticmethod
    def _alike(one: Order, other: Order) -> bool:
        return (one.market, one.is_buy) == (other.market, other.is_buy)

    def _carried(self, who: bytes, market: int) -> int:
        """Base that the account's free backing carries."""
        price = self.twin.model.state.quote(market).price
        margin_bps: int = self.params(market).initial_margin_bps + 100
        return self.free(who) * BPS // margin_bps * WAD // price

    def _least(self, market: int) -> int:
        price = self.twin.model.state.quote(market).price
        least: int = self.params(market).min_notional_quote * WAD // price
        return least + 1

    # Permissions

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
