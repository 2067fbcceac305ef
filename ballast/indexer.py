"""The clearinghouse's book from logs alone: no view is asked.

`Indexer.apply` takes the logs of one transaction after the other; `Indexer.book` is then what
`mirror.Reader` would read from the chain, to the last unit, at any time until the next one.
The arithmetic is that of `ballast.mirror`; what is added here is what each event means:

- a position, a claim or a debt is what its last event says;
- the cash of an account, a pool, insurance, fees and the reserve are the vault's entries, summed;
- a bucket moves by its members' joining and leaving (`PositionChanged`) and by `ForcedClose`; the
  shares a member leaves with, and how an epoch ended, follow from the states before;
- funding runs by `PriceFixed`, and its rate by `Fill` and `MarketSet`.

A shard (`group`) is the same for one clearing group: its markets, buckets, claims and accounts. Of
the others it keeps the vault's entries alone: cash comes before its account has chosen a group.

What is known, and how a change is taken back, is `ballast.indexed`'s.

Events of one transaction must be read together: both sides of a `Fill` or `Liquidated` leave their
buckets before either joins one, and a taker joins after its last `Fill`; and a claim that opens the
next epoch of its group is that of the `UnsettledChanged` that follows. So a transaction's logs are
applied as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from ballast import contracts
from ballast.abi import Event, checksum
from ballast.chain import Log
from ballast.indexed import (
    EMPTY,
    FIRST_ACCOUNT,
    GroupRow,
    Indexed,
    IndexerError,
    MarketRow,
    PositionRow,
    UnsettledRow,
)
from ballast.mirror import CLAIMS_KEY, WAD, Bucket, Market, bucket_key, member

FULL_SAMPLE_SHARE = 64
_BPS_WAD = 10**14


class Indexer(Indexed):
    """Every account and every bucket of one deployment, or of one clearing group of it."""

    def __init__(self, vault: str, clearinghouse: str, group: int | None = None) -> None:
        super().__init__()
        self._shard = group
        self._interfaces = {
            checksum(vault): contracts.interface(contracts.VAULT),
            checksum(clearinghouse): contracts.interface(contracts.CLEARINGHOUSE),
        }
        self._carried: dict[tuple[bytes, int], int] = {}
        self._block = 0
        self._now = 0

    # Applying

    def apply(self, logs: Iterable[Log], block_number: int, timestamp: int) -> None:
        """Take in all logs of one transaction. Raises `IndexerError`."""
        events: list[Event] = []
        for log in logs:
            known = self._interfaces.get(checksum(log.address))
            if known is not None:
                events += known.decode_logs([log])
        self.take(events, block_number, timestamp)

    def take(self, events: list[Event], block_number: int, timestamp: int) -> None:
        """Take in the decoded events of one transaction, in order. Raises `IndexerError`."""
        self._block, self._now = block_number, timestamp
        leavers = _leavers(events)
        self._carried.clear()
        left: set[int] = set()
        for place, event in enumerate(events):
            if self._is_foreign(event):
                continue
            if event.name == "PositionChanged":
                for other in leavers.get(place, [place]):
                    if other not in left:
                        left.add(other)
                        self._leave(events[other])
                self._place(event)
            elif event.name == "ClaimsChanged":
                self._claims_changed(event, events[place + 1 :])
            elif (handler := getattr(self, f"_on_{_snake(event.name)}", None)) is not None:
                handler(event)

    def _is_foreign(self, event: Event) -> bool:
        """Whether an event is of another shard. What is of a group or a market names it."""
        if self._shard is None or event.name in ("GroupChosen", "MarketSet"):
            return False
        if "group" in event.args:
            return bool(event.group != self._shard)
        return "market" in event.args and event.market not in self._markets

    # The vault

    def _enter(self, key: bytes, amount: int) -> None:
        number = int.from_bytes(key, "big")
        cash = self._cash.get(number, 0) + amount
        if cash < 0:
            raise IndexerError(f"ledger key {key.hex()} would be negative")
        self._put(self._cash, number, cash)
        if key in self._accounts:
            self._touched.add(key)
        elif number >= FIRST_ACCOUNT and self._shard is None:
            self._change_account(key)

    def _on_deposited(self, event: Event) -> None:
        self._enter(event.account, event.amount_quote)

    def _on_withdrawn(self, event: Event) -> None:
        self._enter(event.account, -event.amount_quote)

    def _on_moved(self, event: Event) -> None:
        self._enter(event.source, -event.amount_quote)
        self._enter(event.target, event.amount_quote)

    def _on_charged(self, event: Event) -> None:
        parts = (event.insurance_quote, event.protocol_quote, event.reserve_quote)
        self._enter(event.account, -sum(parts))
        for key, part in enumerate(parts, 1):
            self._enter(key.to_bytes(32, "big"), part)

    def _on_donated(self, event: Event) -> None:
        self._enter(event.key, event.amount_quote)

    def _on_staked(self, event: Event) -> None:
        self._enter((1).to_bytes(32, "big"), event.amount_quote)

    def _on_unstaked(self, event: Event) -> None:
        self._enter((1).to_bytes(32, "big"), -event.amount_quote)

    def _on_fees_collected(self, event: Event) -> None:
        self._enter((2).to_bytes(32, "big"), -event.amount_quote)

    # Markets and groups

    def _on_market_set(self, event: Event) -> None:
        params = event.params
        if self._shard not in (None, params.group):
            return
        known = self._markets.get(event.market, _UNLISTED)
        # What insurance has paid refills at the old rate up to now (modules/allowances.vy).
        used = self._insurance_used(known)
        record = replace(known.record, insurance_used=used, insurance_used_at=self._now)
        if not known.funding_cap_bps:
            # The premium's average begins now (modules/listing.vy).
            record = replace(record, sampled_at=self._now, premium=0)
        self._put(
            self._markets,
            event.market,
            replace(
                known,
                record=record,
                oracle=checksum(params.oracle),
                maintenance_bps=params.maintenance_margin_bps,
                premium_cap_bps=params.premium_cap_bps,
                funding_cap_bps=params.funding_cap_bps,
                window=params.premium_window_seconds,
                insurance_cap=params.insurance_cap_quote,
                refill=params.insurance_refill_seconds,
            ),
        )

    def _on_group_set(self, event: Event) -> None:
        if event.group not in self._groups:
            self._put(self._groups, event.group, GroupRow())

    def _on_price_fixed(self, event: Event) -> None:
        record = replace(
            self._market(event.market).record,
            price=event.price,
            timestamp=event.timestamp,
            block_number=self._block,
            status=event.status,
            funding_index=event.funding_index,
            accrued_at=self._now,
        )
        self._change_market(event.market, record=record)

    def _on_fill(self, event: Event) -> None:
        """The fill's premium enters the average (modules/pricing.vy, `_sample`)."""
        known = self._market(event.market)
        elapsed = self._now - known.record.sampled_at
        # The taker stands in no bucket between its makers.
        for account, size in ((event.buyer, event.size), (event.seller, -event.size)):
            if (account, event.market) in self._carried:
                self._carried[account, event.market] += size
        carried = (size for (_, market), size in self._carried.items() if market == event.market)
        interest = self.interest(event.market) + sum(max(0, size) for size in carried)
        if event.size * FULL_SAMPLE_SHARE < interest:
            elapsed = elapsed * event.size * FULL_SAMPLE_SHARE // interest
        if elapsed == 0 or known.funding_cap_bps == 0:
            return
        cap = known.premium_cap_bps * _BPS_WAD
        premium = min(max(event.price * WAD // known.record.price - WAD, -cap), cap)
        step = (premium - known.record.premium) * elapsed
        weight = known.window + elapsed
        moved = step // weight if step >= 0 else -(-step // weight)
        record = replace(
            known.record,
            premium=known.record.premium + moved,
            sampled_at=known.record.sampled_at + elapsed,
        )
        self._change_market(event.market, record=record)

    def _on_insurance_drawn(self, event: Event) -> None:
        if event.market == 0:
            return
        known = self._market(event.market)
        used = self._insurance_used(known) + event.amount_quote
        record = replace(known.record, insurance_used=used, insurance_used_at=self._now)
        self._change_market(event.market, record=record)

    # Claims and debts

    def _insurance_used(self, known: MarketRow) -> int:
        """What still counts as used now, wei."""
        record = known.record
        refilled = known.insurance_cap * (self._now - record.insurance_used_at) // known.refill
        return max(record.insurance_used - refilled, 0)

    def _on_group_chosen(self, event: Event) -> None:
        if self._shard in (None, event.group):
            self._change_account(event.account, group=event.group)
        elif event.account in self._accounts:
            self._touched.add(event.account)
            self._put(self._accounts, event.account, None)

    def _on_shortfall_changed(self, event: Event) -> None:
        self._change_group(event.group, shortfall=event.shortfall_quote)

    def _on_unsettled_changed(self, event: Event) -> None:
        unsettled = UnsettledRow(
            event.claim_shares, event.epoch, event.credit_index, event.debt_quote
        )
        self._change_account(event.account, unsettled=unsettled)

    def _claims_changed(self, event: Event, later: list[Event]) -> None:
        known = self._group(event.group)
        if event.epoch != known.claims.epoch:
            self._retire_claims(event.group, later)
        claims = Bucket(event.waiting_quote, event.shares, event.epoch, event.credit_index, 0)
        self._change_group(event.group, claims=claims, allotted=event.allotted_quote)

    def _retire_claims(self, group: int, later: list[Event]) -> None:
        """How an epoch of claims ended: the joiner's own claim had been taken out before."""
        claims = self._groups[group].claims
        joiner = next((e for e in later if e.name == "UnsettledChanged" and e.group == group), None)
        if joiner is None:
            raise IndexerError(f"claims of group {group} without their account")
        account = self._known(joiner.account)
        size, shares = claims.size, claims.shares
        if account.unsettled.shares:
            own_shares, own_size, _ = self._claim(account)
            size, shares = size - own_size, shares - min(own_shares, shares)
        if shares:
            ended = size, shares, claims.credit_index
            self._put(self.retired, (CLAIMS_KEY + group, claims.epoch), ended)

    # Positions and rank buckets

    def _funded(self, market: int, bucket_id: int) -> tuple[int, Bucket]:
        key = bucket_key(market, bucket_id)
        index = self._market(market).record.funding_index
        return key, self.buckets.get(key, EMPTY).with_funding(bool(bucket_id >> 16 & 1), index)

    def _leave(self, event: Event) -> None:
        """The account's leg leaves its bucket, unless it was only touched."""
        position = self._known(event.account).positions.get(event.market)
        is_long = position is not None and position.is_long
        self._carried[event.account, event.market] = event.left_base * (1 if is_long else -1)
        if position is None or (event.joined_base == 0 and event.size != 0):
            return
        key, live = self._funded(event.market, position.bucket_id)
        shares, size, _ = member(
            key,
            live,
            position.bucket_id >> 17,
            position.shares,
            position.credit_index,
            not position.is_long,
            self._retired,
        )
        if size != event.left_base:
            raise IndexerError(f"{event.account.hex()} left with {event.left_base}, not {size}")
        if shares:
            left = max(0, live.shares - shares)
            self._store(key, replace(live, size=live.size - size, shares=left))

    def _place(self, event: Event) -> None:
        self._carried.pop((event.account, event.market), None)
        positions = dict(self._known(event.account).positions)
        positions.pop(event.market, None)
        if event.size:
            positions[event.market] = PositionRow(
                abs(event.size),
                event.entry_price,
                event.bucket_id,
                event.shares,
                event.credit_index,
            )
        self._change_account(event.account, positions=positions)
        if event.size == 0 or event.joined_base == 0:
            return
        key, live = self._funded(event.market, event.bucket_id)
        epoch = event.bucket_id >> 17
        if epoch != live.epoch:
            if live.shares:
                ended = live.size, live.shares, live.credit_index
                self._put(self.retired, (key, live.epoch), ended)
            live = replace(live, epoch=epoch, shares=live.size)
        if event.credit_index != live.credit_index:
            raise IndexerError(f"bucket {event.bucket_id} of market {event.market} differs")
        joined = live.size + event.joined_base
        self._store(key, replace(live, size=joined, shares=live.shares + event.shares))

    def _on_forced_close(self, event: Event) -> None:
        key, live = self._funded(event.market, event.bucket_id)
        left = live.size - event.size
        self._store(key, replace(live, size=left, credit_index=event.credit_index))


_UNLISTED = MarketRow(Market(*(0,) * 11))


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def _leavers(events: list[Event]) -> dict[int, list[int]]:
    """For the first `PositionChanged` of each exchange: whose legs have left their buckets by then,
    as places of their `PositionChanged`, in order. A fill's maker is placed just before the `Fill`,
    its taker after the last of its fills; a liquidation's account and liquidator before it."""
    found = {}
    for place, event in enumerate(events):
        if event.name == "Fill":
            maker = _nearest(events, range(place - 1, -1, -1), event, (event.buyer, event.seller))
            other = event.seller if events[maker].account == event.buyer else event.buyer
            taker = _nearest(events, range(place + 1, len(events)), event, (other,))
            found[maker] = [taker, maker]
        elif event.name == "Liquidated":
            back = range(place - 1, -1, -1)
            names = (event.account, event.liquidator)
            account, liquidator = (_nearest(events, back, event, (name,)) for name in names)
            found[account] = [account, liquidator]
    return found


def _nearest(
    events: list[Event], places: range, exchange: Event, accounts: tuple[bytes, ...]
) -> int:
    for place in places:
        event = events[place]
        if (
            event.name == "PositionChanged"
            and event.account in accounts
            and event.market == exchange.market
        ):
            return place
    raise IndexerError(f"{exchange.name} without its two positions")
