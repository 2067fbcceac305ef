"""What the contracts hold, account by account, kept current at a few microseconds a record.

Raw records are read when an account is touched; buckets, cash and claims are read after every
call, and what depends on a changed one is worked out again, in the contracts' own arithmetic
(ballast.mirror is the same for whole books). `reload` forgets all of it and reads everything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ballast.fuzz.accounts import MASK_104, Account, Bucket, Leg, Quote
from ballast.fuzz.dust import WAD
from ballast.fuzz.storage import INSURANCE, Storage, signed128
from ballast.mirror import CLAIMS_KEY, EPOCHS_BEHIND, INDEX_BITS

MASK_96 = (1 << 96) - 1
MASK_120 = (1 << 120) - 1
MASK_127 = (1 << 127) - 1
MASK_128 = (1 << 128) - 1
PLACE_MASK = (1 << 17) - 1
UNSETTLED = 1 << 12
FEES = (2).to_bytes(32, "big")


def pool_key(group: int) -> bytes:
    """A pool's ledger key."""
    return (CLAIMS_KEY + group).to_bytes(32, "big")


class Holdings:
    """All accounts of a deployment. `measure` must be called when prices or time have moved."""

    def __init__(self, storage: Storage, accounts: Iterable[bytes], groups: Sequence[int]) -> None:
        self.storage = storage
        self.groups = list(groups)
        self.accounts: dict[bytes, Account] = {account: Account() for account in accounts}
        self.quotes: dict[int, Quote] = {}
        self.conversions = 0
        """Legs that were followed into a later epoch by a touch."""
        self.most_shares: Counter[int] = Counter()
        """By market, or claims key: the most shares a bucket has had."""
        self._buckets: dict[int, Bucket] = {}
        self._claims: dict[int, tuple[int, int]] = {}
        self._retired: dict[tuple[int, int], tuple[int, int, int]] = {}
        self.pools: dict[int, int] = {}
        self.insurance = self.fees = self.reserve = 0

    # Reading

    def reload(self) -> None:
        """Read every record again."""
        self._buckets.clear()
        self._claims.clear()
        for account in self.accounts:
            self._read(account)
        self.measure(self.quotes)

    def measure(self, quotes: Mapping[int, Quote]) -> None:
        """Prices or time have moved: everything is worked out again."""
        self.quotes = dict(quotes)
        for key, bucket in self._buckets.items():
            self._load(key, bucket, self.storage.bucket(key))
        self._read_money()

    def touch(self, accounts: Iterable[bytes]) -> None:
        """These accounts' records may have changed; so may any bucket and any cash."""
        for account in accounts:
            self._read(account)
        read = self.storage.bucket
        empty = []
        for key, bucket in self._buckets.items():
            if not bucket.members:
                empty.append(key)
                continue
            words = read(key)
            if words != bucket.words:
                self._load(key, bucket, words)
        for key in empty:
            del self._buckets[key]
        self._read_money()

    def _read(self, account: bytes) -> None:
        held = self.accounts.setdefault(account, Account())
        before = held.legs
        for leg in before.values():
            if (bucket := self._buckets.get(leg.key)) is not None and leg in bucket.members:
                bucket.members.remove(leg)
        word = self.storage.account(account)
        held.group = word & 4095
        held.flagged = bool(word & UNSETTLED)
        held.debt = held.claim_shares = held.waiting = held.allotted = 0
        if held.flagged:
            head, tail = self.storage.unsettled(account)
            held.claim_shares, held.claim_epoch = head & MASK_128, head >> 224
            held.claim_index, held.debt = signed128(tail), tail >> 128
            self._claims.pop(held.group, None)
        held.legs = {}
        rest = word >> 64
        while rest:
            market = rest & 4095
            rest >>= 12
            leg = self._read_leg(account, market)
            held.legs[market] = leg
            earlier = before.get(market)
            if earlier is not None and earlier.is_behind and earlier.bucket_id != leg.bucket_id:
                self.conversions += 1
            bucket = self._buckets.get(leg.key)
            if bucket is None:
                bucket = self._buckets[leg.key] = Bucket((0, 0), 0, 0, 0, 0)
            else:
                bucket.words = (0, 0)
            bucket.members.append(leg)

    def _read_leg(self, account: bytes, market: int) -> Leg:
        head, tail = self.storage.position(account, market)
        recorded, entry = head & MASK_96, head >> 96 & MASK_96
        bucket_id = head >> 192 & (1 << 48) - 1
        is_long = bool(bucket_id >> 16 & 1)
        cost = -(-recorded * entry // WAD) if is_long else -(recorded * entry // WAD)
        return Leg(
            market,
            is_long,
            market << 32 | bucket_id & PLACE_MASK,
            bucket_id,
            bucket_id >> 17,
            recorded,
            entry,
            head >> 240,
            tail & MASK_128,
            signed128(tail >> 128),
            cost,
        )

    # Working out

    def _load(self, key: int, bucket: Bucket, words: tuple[int, int]) -> None:
        """A bucket's words have changed, or its funding: so have its members."""
        head, tail = words
        bucket.words = words
        bucket.size, bucket.shares = head & MASK_104, head >> 104 & MASK_120
        bucket.epoch, bucket.credit_index = head >> 224, signed128(tail)
        market = key >> 32
        self.most_shares[market] = max(self.most_shares[market], bucket.shares)
        quote = self.quotes[market]
        delta = quote.funding_index - signed128(tail >> 128)
        is_long = bool(key >> 16 & 1)
        if delta and bucket.shares:
            amount = bucket.size * (-delta if is_long else delta) // WAD
            bucket.credit_index += (amount << INDEX_BITS) // bucket.shares
        price, size, shares = quote.price, bucket.size, bucket.shares
        index, epoch = bucket.credit_index, bucket.epoch
        for leg in bucket.members:
            if leg.epoch == epoch:
                held, credit = leg.shares, leg.shares * (index - leg.index) >> INDEX_BITS
            else:
                held, credit = self._follow(key, bucket, leg)
            if not shares:
                leg.size = 0
            elif is_long:
                leg.size = held * size // shares
            else:
                leg.size = min(-(-held * size // shares), size)
            leg.credit = credit
            leg.result = leg.result_at(price)

    def _follow(self, key: int, bucket: Bucket, leg: Leg) -> tuple[int, int]:
        """Shares and credit of a member whose epoch has ended."""
        held, index, epoch, credit = leg.shares, leg.index, leg.epoch, 0
        for _ in range(EPOCHS_BEHIND):
            if epoch == bucket.epoch or not held:
                break
            size, total, last_index = self._retired_at(key, epoch)
            if not total:
                held = 0
                break
            credit += held * (last_index - index) >> INDEX_BITS
            index = last_index
            held = held * size // total if leg.is_long else min(-(-held * size // total), size)
            epoch += 1
        if epoch != bucket.epoch:
            held = 0
        leg.is_behind = held > 0
        return held, credit + (held * (bucket.credit_index - index) >> INDEX_BITS)

    def _retired_at(self, key: int, epoch: int) -> tuple[int, int, int]:
        known = self._retired.get((key, epoch))
        if known is None:
            known = self._retired[key, epoch] = self.storage.retired(key, epoch)
        return known

    def _read_money(self) -> None:
        ledger = self.storage.ledger
        for account, held in self.accounts.items():
            held.ledger_word = ledger(account)
        both = ledger(INSURANCE)
        self.insurance, self.reserve = both & MASK_104, both >> 104 & MASK_104
        self.fees = ledger(FEES)
        for group in self.groups:
            self.pools[group] = ledger(pool_key(group))
            words = self.storage.bucket(CLAIMS_KEY + group)
            if self._claims.get(group) != words:
                self._claims[group] = words
                self._load_claims(group, words)

    def _load_claims(self, group: int, words: tuple[int, int]) -> None:
        head, tail = words
        size, shares, epoch = head & MASK_104, head >> 104 & MASK_120, head >> 224
        index, key = signed128(tail), CLAIMS_KEY + group
        self.most_shares[key] = max(self.most_shares[key], shares)
        for held in self.accounts.values():
            if held.group != group or not held.claim_shares:
                continue
            own, credit, at, behind = held.claim_shares, 0, held.claim_index, held.claim_epoch
            while behind != epoch and own:
                last_size, total, last_index = self._retired_at(key, behind)
                if not total:
                    own = 0
                    break
                credit += own * (last_index - at) >> INDEX_BITS
                at, own, behind = last_index, own * last_size // total, behind + 1
            credit += own * (index - at) >> INDEX_BITS
            held.waiting, held.allotted = own * size // shares if shares else 0, credit

    # Sums

    def waiting(self, group: int) -> int:
        """Claims the pool has not paid for yet."""
        return self._claims[group][0] & MASK_104

    def is_waiting_noted(self, group: int) -> bool:
        """Whether claims wait, as noted beside the group's money."""
        return bool(self.storage.money(group) >> 127 & 1)

    def allotted(self, group: int) -> int:
        """In the pool, and somebody's already."""
        return self.storage.money(group) & MASK_127

    def shortfall(self, group: int) -> int:
        """Written off and not paid down."""
        return self.storage.money(group) >> 128

    def ledger_sum(self) -> int:
        """All balances of the ledger."""
        cash = sum(held.cash for held in self.accounts.values())
        return cash + sum(self.pools.values()) + self.insurance + self.fees + self.reserve

    def dust(self, group: int, prices: Mapping[int, int] | None = None) -> int:
        """S2: pool + shortfall - sum(u) - sum(V), at the quotes or at other prices."""
        owed = 0
        for held in self.accounts.values():
            if held.group != group:
                continue
            owed += held.unsettled
            if prices is None:
                owed += sum(leg.result for leg in held.legs.values())
            else:
                owed += sum(leg.result_at(prices[m]) for m, leg in held.legs.items())
        return self.pools[group] + self.shortfall(group) - owed

    def legs(self) -> int:
        """How many positions are open."""
        return sum(len(held.legs) for held in self.accounts.values())
