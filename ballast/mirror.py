"""The clearinghouse's books off chain: raw records, decoded, with the contracts' own arithmetic.

`Reader.read` takes a whole book in one call of `Lens.read`; a `Book` answers what the chain's views
would, to the last unit, at the prices of the moment or at any others. Integers are WAD; a book
holds no more than was read. Layouts: contracts/modules/records.vy; arithmetic:
share_buckets.vy, positions.vy, account_margin.vy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ballast.contract import Contract
from ballast.errors import Reverted

WAD = 10**18
BPS = 10_000
INDEX_BITS = 72
EPOCHS_BEHIND = 8
FUNDING_PERIOD = 8 * 3600
CLAIMS_KEY = 2**64
PLACE_MASK = 2**17 - 1
PAGE = 128


def _bits(word: int, low: int, width: int) -> int:
    return (word >> low) & ((1 << width) - 1)


def _signed(word: int, low: int, width: int) -> int:
    value = _bits(word, low, width)
    return value - (1 << width) if value >> (width - 1) else value


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def _truncated(a: int, b: int) -> int:
    return a // b if a >= 0 else -(-a // b)


@dataclass(frozen=True)
class Bucket:
    """A share bucket as stored; `size` is base, or quote waiting of a claims bucket."""

    size: int
    shares: int
    epoch: int
    credit_index: int
    funding_index: int

    @classmethod
    def decode(cls, head: int, tail: int) -> Bucket:
        """From its two words."""
        return cls(
            _bits(head, 0, 104),
            _bits(head, 104, 120),
            head >> 224,
            _signed(tail, 0, 128),
            _signed(tail, 128, 128),
        )

    def with_funding(self, is_long: bool, index: int) -> Bucket:
        """The bucket with its funding up to `index` paid or received, rounded down."""
        delta = index - self.funding_index
        amount = self.size * (-delta if is_long else delta) // WAD
        credit = (amount << INDEX_BITS) // self.shares if self.shares else 0
        return Bucket(self.size, self.shares, self.epoch, self.credit_index + credit, index)

    def size_of(self, shares: int, up: bool) -> int:
        """A member's part of the size, rounded down, or up and clamped."""
        if not self.shares:
            return 0
        if up:
            return min(_ceil_div(shares * self.size, self.shares), self.size)
        return shares * self.size // self.shares


Retired = Callable[[int, int], tuple[int, int, int]]


def member(
    key: int, live: Bucket, epoch: int, shares: int, index: int, up: bool, retired: Retired
) -> tuple[int, int, int]:
    """A member's shares in the present epoch, its size and its credit since the last touch."""
    credit = 0
    for _ in range(EPOCHS_BEHIND):
        if epoch == live.epoch or not shares:
            break
        size, total, last_index = retired(key, epoch)
        if not total:  # an epoch that ended without shares left no record
            shares = 0
            break
        credit += shares * (last_index - index) >> INDEX_BITS
        index = last_index
        shares = Bucket(size, total, epoch, 0, 0).size_of(shares, up)
        epoch += 1
    if epoch != live.epoch:
        shares = 0
    credit += shares * (live.credit_index - index) >> INDEX_BITS
    return shares, live.size_of(shares, up), credit


@dataclass(frozen=True)
class Leg:
    """A position as it stands now."""

    market: int
    is_long: bool
    size: int
    recorded_size: int
    entry_price: int
    bucket_id: int
    realised: int

    @property
    def tier(self) -> int:
        """Leverage tier of its bucket, 0 to 7."""
        return _bits(self.bucket_id, 13, 3)

    @property
    def tick(self) -> int:
        """Entry tick of its bucket."""
        return _bits(self.bucket_id, 0, 13)

    @property
    def signed_size(self) -> int:
        """Base, shorts negative."""
        return self.size if self.is_long else -self.size

    def cost_basis(self, size: int) -> int:
        """What `size` was entered for, as a cost, rounded against the account."""
        if self.is_long:
            return _ceil_div(size * self.entry_price, WAD)
        return -(size * self.entry_price // WAD)

    def result(self, price: int) -> int:
        """V: what closing at `price` would book."""
        worth = self.size * price
        proceeds = worth // WAD if self.is_long else -_ceil_div(worth, WAD)
        return self.realised + proceeds - self.cost_basis(self.size)


def leg_now(
    market: int,
    recorded: int,
    entry_price: int,
    bucket_id: int,
    shares: int,
    credit_index: int,
    live: Bucket,
    retired: Retired,
) -> Leg:
    """A position as it stands now, from its record and its bucket (funding included)."""
    is_long = bool(_bits(bucket_id, 16, 1))
    _, size, credit = member(
        bucket_key(market, bucket_id),
        live,
        bucket_id >> 17,
        shares,
        credit_index,
        not is_long,
        retired,
    )
    leg = Leg(market, is_long, size, recorded, entry_price, bucket_id, 0)
    realised = credit + leg.cost_basis(size) - leg.cost_basis(recorded)
    now = live.epoch << 17 | bucket_id & PLACE_MASK
    return Leg(market, is_long, size, recorded, entry_price, now, realised)


def bucket_key(market: int, bucket_id: int) -> int:
    """Where the contract keeps the bucket on an id's place."""
    return market << 32 | bucket_id & PLACE_MASK


@dataclass(frozen=True)
class Market:
    """Price, funding, open interest and insurance used, as stored."""

    price: int
    timestamp: int
    block_number: int
    status: int
    premium: int
    funding_index: int
    accrued_at: int
    open_interest: int
    sampled_at: int
    insurance_used: int
    insurance_used_at: int

    @classmethod
    def decode(cls, price: int, flow: int, allowance: int) -> Market:
        """From its three words."""
        return cls(
            _bits(price, 0, 96),
            _bits(price, 96, 32),
            _bits(price, 160, 35),
            _bits(price, 195, 3),
            _signed(price, 198, 58),
            _signed(flow, 0, 128),
            _bits(price, 128, 32),
            _bits(flow, 128, 96),
            flow >> 224,
            _bits(allowance, 128, 96),
            allowance >> 224,
        )

    def funding_at(self, timestamp: int, funding_cap_bps: int) -> int:
        """The funding index at a time, as the next touch will fix it."""
        cap = funding_cap_bps * 10**14
        rate = min(max(self.premium, -cap), cap)
        elapsed = timestamp - self.accrued_at
        return self.funding_index + _truncated(rate * self.price * elapsed, FUNDING_PERIOD * WAD)


@dataclass(frozen=True)
class Group:
    """A clearing group's money."""

    claims: Bucket
    allotted: int
    shortfall: int
    pool: int


@dataclass(frozen=True)
class Account:
    """One account's records."""

    group: int
    cash: int
    claim: int
    debt: int
    legs: Mapping[int, Leg]

    @property
    def unsettled(self) -> int:
        """u: claim less debt."""
        return self.claim - self.debt


@dataclass
class Book:
    """What was read; `prices` are those fixed on chain unless others are given."""

    accounts: dict[bytes, Account]
    markets: dict[int, Market]
    groups: dict[int, Group]
    insurance: int
    fees: int
    keeper_reserve: int
    total: int
    prices: dict[int, int] = field(default_factory=dict)

    def price(self, market: int) -> int:
        """The price results are taken at."""
        return self.prices.get(market) or self.markets[market].price

    def results(self, account: bytes) -> Iterator[int]:
        """V of each leg."""
        for market, leg in self.accounts[account].legs.items():
            yield leg.result(self.price(market))

    def equity(self, account: bytes) -> int:
        """E."""
        a = self.accounts[account]
        return a.cash + a.unsettled + sum(self.results(account))

    def backing(self, account: bytes) -> int:
        """B."""
        a = self.accounts[account]
        return a.cash + min(0, a.unsettled) + sum(min(0, v) for v in self.results(account))

    def requirement(self, account: bytes, ratio_bps: Mapping[int, int]) -> int:
        """Sum of ratio x notional over the legs, rounded up leg by leg."""
        return sum(
            _ceil_div(_ceil_div(leg.size * self.price(market), WAD) * ratio_bps[market], BPS)
            for market, leg in self.accounts[account].legs.items()
        )

    def dust(self, group: int, prices: Mapping[int, int] | None = None) -> int:
        """S2: pool + shortfall - sum(u) - sum(V) of a group, at these or other prices."""
        taken = {**{m: self.price(m) for m in self.markets}, **(prices or {})}
        owed = sum(
            a.unsettled + sum(leg.result(taken[m]) for m, leg in a.legs.items())
            for a in self.accounts.values()
            if a.group == group
        )
        money = self.groups[group]
        return money.pool + money.shortfall - owed


def _split(accounts: Sequence[bytes], words: Iterator[int]) -> Iterator[tuple[bytes, list[int]]]:
    """Each account's own words."""
    for account in accounts:
        head = [next(words) for _ in range(4)]
        legs = ((head[0] >> 64).bit_length() + 11) // 12
        yield account, head + [next(words) for _ in range(4 * legs)]


def recorded_tiers(words: Sequence[int]) -> set[int]:
    """The tiers an account's legs stand in, from what `read` returns of it alone."""
    legs = ((words[0] >> 64).bit_length() + 11) // 12
    return {_bits(words[4 + 4 * leg], 192 + 13, 3) for leg in range(legs)}


class Reader:
    """Reads books of fixed accounts, markets and groups; remembers retired epochs for good."""

    def __init__(
        self,
        clearing: Contract,
        accounts: Sequence[bytes],
        funding_caps_bps: Mapping[int, int],
        groups: Sequence[int],
    ) -> None:
        self.clearing = clearing
        self.accounts = list(accounts)
        self.funding_caps_bps = dict(funding_caps_bps)
        self.groups = list(groups)
        self._retired: dict[tuple[int, int], tuple[int, int, int]] = {}

    def retired(self, key: int, epoch: int) -> tuple[int, int, int]:
        """Size, shares and credit index with which an epoch ended."""
        if (key, epoch) not in self._retired:
            self._retired[key, epoch] = tuple(self.clearing.view.retired(key, epoch))
        return self._retired[key, epoch]

    def read(self, timestamp: int | None = None) -> Book:
        """The book now; funding runs to `timestamp` (default: the chain's)."""
        now = self.clearing.chain.timestamp if timestamp is None else timestamp
        markets = list(self.funding_caps_bps)
        pages = [self.accounts[i : i + PAGE] for i in range(0, len(self.accounts), PAGE)] or [[]]
        raw: list[tuple[bytes, list[int]]] = []
        words: Iterator[int] = iter(())
        for number, page in enumerate(pages, 1):
            last = (markets, self.groups) if number == len(pages) else ([], [])
            for part, words in self._read(page, *last):
                raw += _split(part, words)
        known = {m: Market.decode(next(words), next(words), next(words)) for m in markets}
        groups = {}
        for group in self.groups:
            claims = Bucket.decode(next(words), next(words))
            money = next(words)
            groups[group] = Group(claims, _bits(money, 0, 127), money >> 128, next(words))
        funding = {m: known[m].funding_at(now, self.funding_caps_bps[m]) for m in markets}
        accounts = {account: self._account(own, groups, funding) for account, own in raw}
        insurance, fees, reserve, total = (next(words) for _ in range(4))
        return Book(accounts, known, groups, insurance, fees, reserve, total)

    def _read(
        self, page: Sequence[bytes], markets: Sequence[int], groups: Sequence[int]
    ) -> Iterator[tuple[Sequence[bytes], Iterator[int]]]:
        """A page, in parts where it has more legs than one call returns."""
        try:
            yield page, iter(self.clearing.view.read(list(page), markets, groups))
        except Reverted:
            if len(page) < 2:
                raise
            half = len(page) // 2
            yield from self._read(page[:half], [], [])
            yield from self._read(page[half:], markets, groups)

    def _account(
        self, words: list[int], groups: Mapping[int, Group], funding: Mapping[int, int]
    ) -> Account:
        head, money, unsettled, index = words[:4]
        group = _bits(head, 0, 12)
        claim = debt = 0
        if _bits(head, 12, 1):
            debt = index >> 128
            _, waiting, allotted = member(
                CLAIMS_KEY + group,
                groups[group].claims,
                unsettled >> 224,
                _bits(unsettled, 0, 128),
                _signed(index, 0, 128),
                False,
                self.retired,
            )
            claim = waiting + allotted
        legs = {}
        for number in range((len(words) - 4) // 4):
            market = _bits(head, 64 + 12 * number, 12)
            legs[market] = self._leg(market, words[4 + 4 * number :][:4], funding[market])
        return Account(group, _bits(money, 0, 104), claim, debt, legs)

    def _leg(self, market: int, words: Sequence[int], funding_index: int) -> Leg:
        head, tail = words[:2]
        bucket_id = _bits(head, 192, 48)
        live = Bucket.decode(*words[2:]).with_funding(bool(_bits(bucket_id, 16, 1)), funding_index)
        return leg_now(
            market,
            _bits(head, 0, 96),
            _bits(head, 96, 96),
            bucket_id,
            _bits(tail, 0, 128),
            _signed(tail, 128, 128),
            live,
            self.retired,
        )
