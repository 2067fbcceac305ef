"""Order settlement by the rules of design section 8, apart from `OrderSettlement`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ballast.signing import Order, owner_of

KEY_SIGNATURE = 65
HALF_CURVE_ORDER = 0x7FFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_5D576E73_57A4501D_DFE92F46_681B20A0
NOBODY = "0x" + "00" * 20
Reducible = Callable[[Order], int]
"""How much base an order may fill without growing or flipping the position of its account."""
Part = tuple[bytes, int, int]
"""Maker's account, size, price."""


@dataclass(frozen=True, slots=True)
class Signed:
    """An order as it is sent. `signer`: whose key's signature begins it, "" for nobody's."""

    order: Order
    digest: bytes
    signature: bytes
    signer: str

    def as_tuple(self) -> tuple[tuple[object, ...], bytes]:
        """The contract's struct."""
        return self.order.as_tuple(), self.signature


@dataclass
class OrderRules:
    """What was filled, cancelled and permitted. `wallets`: contract wallets, and the address of
    the key each of them listens to."""

    wallets: dict[str, str]
    filled: Counter[bytes] = field(default_factory=Counter)
    cancelled: set[tuple[str, bytes]] = field(default_factory=set)
    floors: Counter[bytes] = field(default_factory=Counter)
    delegates: Counter[tuple[bytes, str]] = field(default_factory=Counter)
    broken: set[str] = field(default_factory=set)

    # Matching

    def left(self, signed: Signed) -> int:
        """Base not filled yet."""
        return signed.order.size - self.filled[signed.digest]

    def match(
        self,
        taker: Signed,
        makers: Sequence[Signed],
        sizes: Sequence[int],
        now: int,
        reducible: Reducible,
    ) -> tuple[set[str], list[Part]]:
        """Reasons for the settlement to refuse, those of the first entry that is wrong; or, with
        none, what goes to the clearinghouse. Changes nothing."""
        reasons = self.refusals(taker, now)
        if taker.order.post_only:
            reasons.add("settlement: post only taker")
        if not makers:
            reasons.add("settlement: no makers")
        if len(makers) != len(sizes):
            reasons.add("settlement: length mismatch")
        if reasons:
            return reasons, []
        filled, parts = Counter(self.filled), list[Part]()
        for maker, size in zip(makers, sizes, strict=True):
            reasons = self._mismatches(taker.order, maker.order) | self.refusals(maker, now)
            cut = min(self._most(signed, parts, taker, reducible) for signed in (taker, maker))
            size_cut = min(size, cut)
            if size == 0:
                reasons.add("settlement: zero size")
            elif size_cut == 0:
                reasons.add("settlement: nothing to reduce")
            for signed in (taker, maker):
                if filled[signed.digest] + size_cut > signed.order.size:
                    reasons.add("settlement: over-filled")
            if reasons:
                return reasons, []
            for signed in (taker, maker):
                filled[signed.digest] += size_cut
            parts.append((maker.order.account, size_cut, maker.order.limit_price))
        return set(), parts

    def matched(self, taker: Signed, makers: Sequence[Signed], parts: Sequence[Part]) -> None:
        """The clearinghouse took it."""
        for maker, (_, size, _) in zip(makers, parts, strict=True):
            self.filled[maker.digest] += size
            self.filled[taker.digest] += size

    def _most(
        self, signed: Signed, parts: Sequence[Part], taker: Signed, reducible: Reducible
    ) -> int:
        """What a reduce-only order may still fill, after the parts before it in this call."""
        if not signed.order.reduce_only:
            return 2**256
        if signed is taker:
            done = sum(size for _, size, _ in parts)
        else:
            done = sum(size for account, size, _ in parts if account == signed.order.account)
        return max(0, reducible(signed.order) - done)

    def refusals(self, signed: Signed, now: int) -> set[str]:
        """Reasons not to honour an order at all."""
        order, digest = signed.order, signed.digest
        owner, reasons = owner_of(order.account), set()
        if now > order.expiry:
            reasons.add("settlement: expired")
        if order.salt < self.floors[order.account]:
            reasons.add("settlement: below salt floor")
        if (owner, digest) in self.cancelled:
            reasons.add("settlement: cancelled")
        key = signed.signer if is_canonical(signed.signature) else ""
        is_delegate = bool(key) and now <= self.delegates.get((order.account, key), -1)
        if key == owner:
            return reasons
        if is_delegate:
            if (key, digest) in self.cancelled:
                reasons.add("settlement: cancelled")
        elif owner in self.broken or not signed.signer or self.wallets.get(owner) != signed.signer:
            reasons.add("settlement: bad signature")
        return reasons

    @staticmethod
    def _mismatches(taker: Order, maker: Order) -> set[str]:
        reasons = set()
        if maker.market != taker.market:
            reasons.add("settlement: market mismatch")
        if maker.account == taker.account:
            reasons.add("settlement: self fill")
        if maker.is_buy == taker.is_buy:
            reasons.add("settlement: same side")
        bid, ask = (taker, maker) if taker.is_buy else (maker, taker)
        if bid.limit_price < ask.limit_price:
            reasons.add("settlement: prices do not cross")
        return reasons

    # Permissions

    def cancel(self, caller: str, digest: bytes) -> str:
        """ "" or the reason against it."""
        if (caller, digest) in self.cancelled:
            return "settlement: already cancelled"
        self.cancelled.add((caller, digest))
        return ""

    def cancel_below(self, caller: str, account: bytes, salt: int) -> set[str]:
        """Reasons against it; with none it is done."""
        reasons = set()
        if caller != owner_of(account):
            reasons.add("settlement: not the owner")
        if salt <= self.floors[account]:
            reasons.add("settlement: floor not raised")
        if not reasons:
            self.floors[account] = salt
        return reasons

    def set_delegate(self, caller: str, account: bytes, delegate: str, expiry: int) -> set[str]:
        """Reasons against it; with none it is done."""
        reasons = set()
        if caller != owner_of(account):
            reasons.add("settlement: not the owner")
        if delegate == NOBODY:
            reasons.add("settlement: zero delegate")
        if expiry == self.delegates[account, delegate]:
            reasons.add("settlement: no change")
        if not reasons:
            self.delegates[account, delegate] = expiry
        return reasons


def is_canonical(signature: bytes) -> bool:
    """Whether it is a key's signature in the only form that is taken: r, s, v with the low s."""
    return (
        len(signature) == KEY_SIGNATURE
        and int.from_bytes(signature[32:64], "big") <= HALF_CURVE_ORDER
    )
