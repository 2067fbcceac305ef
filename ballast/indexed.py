"""What an indexer knows: tables of rows. One function writes them all, so that what was taken in
can be taken back (`watch`, `undo`), and be written down and read again (`state`, `restore`).

What the rows mean is told by events, in `ballast.indexer`; values at a time, by `ballast.mirror`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from ballast.errors import BallastError
from ballast.mirror import (
    CLAIMS_KEY,
    Account,
    Book,
    Bucket,
    Group,
    Leg,
    Market,
    bucket_key,
    leg_now,
    member,
)

EMPTY = Bucket(0, 0, 0, 0, 0)
FIRST_ACCOUNT = 1 << 96
"""Below it the vault's keys are pools, insurance, fees and the reserve."""
_NOTHING = Account(0, 0, 0, 0, {})

Changes = list[tuple[dict[Any, Any], Any, Any]]
"""What was overwritten: the table, the key, and what stood there (None: nothing)."""


class IndexerError(BallastError):
    """The logs contradict what was indexed so far: some are missing, or out of order."""


@dataclass(frozen=True)
class PositionRow:
    """A position as its last event left it."""

    size: int
    entry_price: int
    bucket_id: int
    shares: int
    credit_index: int

    @property
    def is_long(self) -> bool:
        """The side of its bucket."""
        return bool(self.bucket_id >> 16 & 1)


@dataclass(frozen=True)
class UnsettledRow:
    """Shares of the group's claims, since which epoch and index; or a debt (WAD)."""

    shares: int
    epoch: int
    credit_index: int
    debt: int


@dataclass(frozen=True)
class MarketRow:
    """A market's record (open interest aside), and of its parameters what is needed."""

    record: Market
    oracle: str = ""
    maintenance_bps: int = 0
    premium_cap_bps: int = 0
    funding_cap_bps: int = 0
    window: int = 1
    insurance_cap: int = 0
    refill: int = 1


@dataclass(frozen=True)
class GroupRow:
    """A group's waiting claims, as a bucket, and its money."""

    claims: Bucket = EMPTY
    allotted: int = 0
    shortfall: int = 0


@dataclass(frozen=True)
class AccountRow:
    """An account; its cash is with the vault's entries."""

    group: int = 0
    unsettled: UnsettledRow = UnsettledRow(0, 0, 0, 0)
    positions: Mapping[int, PositionRow] = field(default_factory=lambda: _NO_POSITIONS)


_NO_POSITIONS: Mapping[int, PositionRow] = MappingProxyType({})


class Indexed:
    """The tables of one deployment, or of one clearing group of it."""

    def __init__(self) -> None:
        self.buckets: dict[int, Bucket] = {}
        """Live rank buckets, as stored (`Lens.bucket`), by `mirror.bucket_key`."""
        self.retired: dict[tuple[int, int], tuple[int, int, int]] = {}
        """Size, shares and credit index with which an epoch ended (`Lens.retired`)."""
        self._accounts: dict[bytes, AccountRow] = {}
        self._markets: dict[int, MarketRow] = {}
        self._groups: dict[int, GroupRow] = {}
        self._cash: dict[int, int] = {}
        self._interests: dict[int, int] = {}
        self._touched: set[bytes] = set()
        self._moved: set[int] = set()
        self._changes: Changes | None = None

    # Reading

    @property
    def accounts(self) -> list[bytes]:
        """Every account seen so far."""
        return list(self._accounts)

    @property
    def groups(self) -> list[int]:
        """Every group set up so far."""
        return sorted(self._groups)

    @property
    def funding_caps_bps(self) -> dict[int, int]:
        """The funding cap of every market, as `mirror.Reader` wants it."""
        return {market: known.funding_cap_bps for market, known in sorted(self._markets.items())}

    @property
    def maintenance_bps(self) -> dict[int, int]:
        """The maintenance ratio of every market."""
        return {market: known.maintenance_bps for market, known in sorted(self._markets.items())}

    def funding(self, timestamp: int) -> dict[int, int]:
        """Every market's funding index (WAD quote per base) at a time not before the last
        transaction."""
        return {
            market: known.record.funding_at(timestamp, known.funding_cap_bps)
            for market, known in sorted(self._markets.items())
        }

    @property
    def oracles(self) -> dict[int, str]:
        """The oracle of every market."""
        return {market: known.oracle for market, known in sorted(self._markets.items())}

    def price(self, market: int) -> tuple[int, int]:
        """Price (WAD, 0: none yet) and status of a market as last fixed."""
        record = self._market(market).record
        return record.price, record.status

    def interest(self, market: int) -> int:
        """Open interest, base."""
        return self._interests.get(market, 0)

    def account(self, account: bytes, funding: dict[int, int]) -> Account:
        """One account as `book` holds it, at these funding indices (`funding`); one that is unknown
        has nothing."""
        return self._account(account, funding) if account in self._accounts else _NOTHING

    def cash(self, account: bytes) -> int:
        """An account's cash, WAD; also of one that has not chosen a group, which is in no shard."""
        return self._cash.get(int.from_bytes(account, "big"), 0)

    def changes(self) -> tuple[set[bytes], set[int]]:
        """Accounts with an event of their own, and buckets (claims included) that moved under
        their members, since the last call of this method."""
        found = self._touched, self._moved
        self._touched, self._moved = set(), set()
        return found

    def claimants(self, group: int) -> list[bytes]:
        """The group's accounts with a claim."""
        return [
            account
            for account, known in self._accounts.items()
            if known.group == group and known.unsettled.shares
        ]

    def book(self, timestamp: int, accounts: Iterable[bytes] | None = None) -> Book:
        """The book at a time not before the last transaction; of these accounts (default: all)."""
        markets = {
            market: replace(known.record, open_interest=self.interest(market))
            for market, known in sorted(self._markets.items())
        }
        funding = self.funding(timestamp)
        groups = {
            number: Group(g.claims, g.allotted, g.shortfall, self._cash.get(CLAIMS_KEY + number, 0))
            for number, g in sorted(self._groups.items())
        }
        wanted = self._accounts if accounts is None else accounts
        known = {account: self._account(account, funding) for account in wanted}
        insurance, fees, reserve = (self._cash.get(key, 0) for key in (1, 2, 3))
        total = sum(self._cash.values())
        return Book(known, markets, groups, insurance, fees, reserve, total)

    def _account(self, account: bytes, funding: dict[int, int]) -> Account:
        known = self._accounts[account]
        cash = self._cash.get(int.from_bytes(account, "big"), 0)
        claim = 0
        if known.unsettled.shares:
            _, waiting, allotted = self._claim(known)
            claim = waiting + allotted
        legs: dict[int, Leg] = {}
        for market, p in sorted(known.positions.items()):
            live = self.buckets[bucket_key(market, p.bucket_id)]
            live = live.with_funding(p.is_long, funding[market])
            legs[market] = leg_now(
                market,
                p.size,
                p.entry_price,
                p.bucket_id,
                p.shares,
                p.credit_index,
                live,
                self._retired,
            )
        return Account(known.group, cash, claim, known.unsettled.debt, legs)

    def _claim(self, account: AccountRow) -> tuple[int, int, int]:
        u = account.unsettled
        claims = self._groups[account.group].claims
        key = CLAIMS_KEY + account.group
        return member(key, claims, u.epoch, u.shares, u.credit_index, False, self._retired)

    def _retired(self, key: int, epoch: int) -> tuple[int, int, int]:
        return self.retired.get((key, epoch), (0, 0, 0))

    # Writing: every change of a table is one `_put`

    def _put(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        """Write, or with None remove."""
        if self._changes is not None:
            self._changes.append((table, key, table.get(key)))
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value

    def _change_account(self, account: bytes, **changed: Any) -> None:
        self._touched.add(account)
        self._put(self._accounts, account, replace(self._known(account), **changed))

    def _change_market(self, market: int, **changed: Any) -> None:
        self._put(self._markets, market, replace(self._market(market), **changed))

    def _change_group(self, group: int, **changed: Any) -> None:
        self._moved.add(CLAIMS_KEY + group)
        self._put(self._groups, group, replace(self._group(group), **changed))

    def _known(self, account: bytes) -> AccountRow:
        return self._accounts.get(account, _NEW)

    def _market(self, market: int) -> MarketRow:
        if market not in self._markets:
            raise IndexerError(f"market {market} was never listed")
        return self._markets[market]

    def _group(self, group: int) -> GroupRow:
        if group not in self._groups:
            raise IndexerError(f"group {group} was never set up")
        return self._groups[group]

    # Taking back, writing down

    def watch(self) -> Changes:
        """The list that what is overwritten from now on is noted in, until the next call."""
        self._changes = []
        return self._changes

    def undo(self, changes: Changes) -> None:
        """Take back what was noted: the last list of `watch` first, then the one before."""
        self._changes = None
        for table, key, before in reversed(changes):
            self._note(table, key)
            self._put(table, key, before)

    def _note(self, table: dict[Any, Any], key: Any) -> None:
        """Let `changes` tell of an entry that is replaced."""
        if table is self._accounts:
            self._touched.add(key)
        elif table is self._cash and key >= FIRST_ACCOUNT:
            self._touched.add(key.to_bytes(32, "big"))
        elif table is self.buckets:
            self._moved.add(key)
        elif table is self._groups:
            self._moved.add(CLAIMS_KEY + key)

    def state(self) -> dict[str, Any]:
        """All that is known, as plain lists of integers, strings and bytes."""
        return {
            "buckets": [(key, *_values(b)) for key, b in self.buckets.items()],
            "retired": [(*key, *ended) for key, ended in self.retired.items()],
            "accounts": [
                (
                    name,
                    a.group,
                    _values(a.unsettled),
                    [(market, *_values(p)) for market, p in a.positions.items()],
                )
                for name, a in self._accounts.items()
            ],
            "markets": [
                (market, _values(m.record), *_values(m)[1:]) for market, m in self._markets.items()
            ],
            "groups": [
                (group, _values(g.claims), *_values(g)[1:]) for group, g in self._groups.items()
            ],
            "cash": list(self._cash.items()),
            "interests": list(self._interests.items()),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put `state` in the place of all that was known. Columns of it are to be made anew."""
        self._changes = None
        self.buckets = {key: Bucket(*b) for key, *b in state["buckets"]}
        self.retired = {(key, epoch): (*ended,) for key, epoch, *ended in state["retired"]}
        self._accounts = {
            name: AccountRow(
                group,
                UnsettledRow(*unsettled),
                {market: PositionRow(*p) for market, *p in positions},
            )
            for name, group, unsettled, positions in state["accounts"]
        }
        self._markets = {
            market: MarketRow(Market(*record), *rest) for market, record, *rest in state["markets"]
        }
        self._groups = {
            group: GroupRow(Bucket(*claims), *rest) for group, claims, *rest in state["groups"]
        }
        self._cash = dict(state["cash"])
        self._interests = dict(state["interests"])
        self._touched, self._moved = set(self._accounts), set(self.buckets)

    def _store(self, key: int, bucket: Bucket) -> None:
        if key >> 16 & 1:
            before = self.buckets.get(key, EMPTY).size
            market = key >> 32
            self._put(self._interests, market, self.interest(market) + bucket.size - before)
        self._put(self.buckets, key, bucket)
        self._moved.add(key)


_NEW = AccountRow()


def _values(record: Any) -> tuple[Any, ...]:
    """A record's fields, in order."""
    return tuple(vars(record).values())
