"""The exact model of a deployment as it stands: state taken over from the contracts' storage.

What the contracts keep in shares is worked out member by member, as an exact part of its bucket
(the views show it rounded to whole wei); what is credited and not booked yet becomes the leg's
unbooked result. Whatever the books hold and no account can claim goes to `Market.residue`, so that
S2 of the model is exact whatever the contracts hold: whether they hold too much or too little shows
in `Adopted.left_over`, not in the model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from fractions import Fraction

from eth_utils import keccak

from ballast import mirror, model
from ballast.chain import Chain
from ballast.contract import Contract
from ballast.errors import Reverted
from ballast.evm import Revm
from ballast.fuzz.dust import Dust
from ballast.fuzz.storage import Storage, signed128
from ballast.mirror import CLAIMS_KEY, Bucket, member
from ballast.model.account import Account, Leg
from ballast.model.claims import Group
from ballast.model.exact import QUOTE_ONE, SIZE_ONE, div_up
from ballast.model.market import Allowance, Market, Observation

_MASK_96 = (1 << 96) - 1
_MASK_104 = (1 << 104) - 1
_MASK_128 = (1 << 128) - 1
_UNSETTLED = 1 << 12
_MAX_STATUS = 7
_OBSERVE = keccak(text="observe(uint256)")[:4]
_PARAMS = [item.name for item in fields(model.MarketParams)]


@dataclass
class Adopted:
    """The model of a deployment as it stands."""

    clearing: model.Clearing
    dust: Dust
    """How far the model may be from the contracts: what is rounded in the taking over, and what
    belongs to nobody."""
    left_over: dict[int, Fraction] = field(default_factory=dict)
    """By group: pool + shortfall - sum(u) - sum(V), wei of quote, at the prices now. Dust, never
    less than zero but for funding on rounded shares (docs/INVARIANTS.md, "S2")."""

    def broken(self) -> list[str]:
        """What of S1 to S12 does not hold as it stands, apart from S2 (see `left_over`)."""
        return [text for text in self.clearing.violations() if text.startswith("S")]

    def pass_on(self, dust: Dust) -> None:
        """Adds this dust to that of a twin which begins with this model."""
        dust.roundings += self.dust.roundings
        dust.sizes += self.dust.sizes
        dust.highest |= self.dust.highest
        dust.funding += self.dust.funding


def adopt(
    chain: Revm, vault: Contract, clearing: Contract, token: Contract, accounts: Iterable[bytes]
) -> Adopted:
    """The exact model of what the contracts hold now; `accounts` are all that hold anything.

    A few milliseconds for thirty legs. An account that is left out is missing in S1 (its cash) and
    in `left_over` (its results).
    """
    return _Adoption(chain, vault, clearing, token).run(list(accounts))


def observe(chain: Chain, oracle: str, market: int) -> Observation:
    """What an oracle says; as pricing.vy takes it, nothing where that is of no use."""
    try:
        said = chain.call(oracle, _OBSERVE + market.to_bytes(32, "big"))
    except Reverted:
        return Observation()
    price, timestamp, status = (int.from_bytes(said[i : i + 32], "big") for i in (0, 32, 64))
    if len(said) != 96 or not 0 < price <= _MASK_96:
        return Observation()
    if timestamp > chain.timestamp or status > _MAX_STATUS:
        return Observation()
    return Observation(price, timestamp, status)


class _Adoption:
    def __init__(self, chain: Revm, vault: Contract, clearing: Contract, token: Contract) -> None:
        self.chain, self.vault, self.clearing = chain, vault, clearing
        self.storage = Storage(chain, vault, clearing, token)
        buckets, reward_bps = clearing.view.adl_params()
        self.model = model.Clearing(buckets, reward_bps, chain.timestamp, chain.block_number)
        self.state = self.model.state
        self.dust = Dust()
        self.ahead: dict[int, int] = {}
        self.buckets: dict[int, Bucket] = {}
        self.held: Counter[int] = Counter()

    def run(self, accounts: list[bytes]) -> Adopted:
        state, view = self.state, self.vault.view
        state.all_paused = self.clearing.view.is_paused(0)
        number = 1
        while (params := self.clearing.view.market_params(number)).group:
            self._market(number, params)
            number += 1
        for account in accounts:
            self._account(account)
        for key, its in (("insurance", view.insurance()), ("fees", view.fees())):
            setattr(state, key, its * QUOTE_ONE)
        state.reserve = view.keeper_reserve() * QUOTE_ONE
        state.total = view.total() * QUOTE_ONE
        state.last_draw_block = view.last_draw_block()
        for group in state.groups:
            self._claims(group)
        return Adopted(self.model, self.dust, self._balance())

    # Markets and groups

    def _market(self, number: int, params: object) -> None:
        chosen = model.MarketParams(**{name: getattr(params, name) for name in _PARAMS})
        stored = mirror.Market.decode(*self.storage.market(number))
        allowance = Allowance(
            chosen.insurance_cap_quote,
            chosen.insurance_refill_seconds,
            stored.insurance_used * QUOTE_ONE,
            stored.insurance_used_at,
        )
        market = Market(
            params=chosen,
            allowance=allowance,
            accrued_at=stored.accrued_at,
            sampled_at=stored.sampled_at,
            oracle=observe(self.chain, params.oracle, number),  # type: ignore[attr-defined]
            fixed=Observation(stored.price, stored.timestamp, stored.status),
            fixed_block=stored.block_number,
            index=stored.funding_index,
            ema=stored.premium,
            paused=self.storage.is_paused(number),
        )
        self.state.markets[number] = market
        if chosen.group not in self.state.groups:
            self.state.groups[chosen.group] = self._group(chosen.group)
        quote = self.state.quote(number)
        self.ahead[number] = quote.index_delta
        self.dust.highest[number] = max(quote.price, market.fixed.price)
        self.dust.funding[number] = abs(market.index + quote.index_delta)
        self.dust.roundings += 1  # the allowance

    def _group(self, number: int) -> Group:
        cap, refill = self.clearing.view.group_params(number)
        used, used_at = self.storage.group_allowance(number)
        self.dust.roundings += 1
        return Group(
            Allowance(cap, refill, used * QUOTE_ONE, used_at),
            pool=self.vault.view.pool_of(number) * QUOTE_ONE,
            shortfall=(self.storage.money(number) >> 128) * QUOTE_ONE,
        )

    # Accounts

    def _account(self, account: bytes) -> None:
        word, ledger = self.storage.account(account), self.storage.ledger(account)
        its = self.state.accounts[account] = Account(
            group=word & 4095,
            cash=(ledger & _MASK_104) * QUOTE_ONE,
            fresh=(ledger >> 104 & _MASK_104) * QUOTE_ONE,
            fresh_block=ledger >> 208,
        )
        if word & _UNSETTLED:
            its.debt = (self.storage.unsettled(account)[1] >> 128) * QUOTE_ONE
            self._claim(account, its.group)
        rest = word >> 64
        while rest:
            market = rest & 4095
            its.legs[market] = self.state.markets[market].legs[account] = self._leg(account, market)
            rest >>= 12

    def _bucket(self, key: int) -> Bucket:
        if key not in self.buckets:
            self.buckets[key] = Bucket.decode(*self.storage.bucket(key))
        return self.buckets[key]

    def _claim(self, account: bytes, group: int) -> None:
        head, tail = self.storage.unsettled(account)
        if not head & _MASK_128:
            return
        key = CLAIMS_KEY + group
        live = self._bucket(key)
        shares, _, allotted = member(
            key,
            live,
            head >> 224,
            head & _MASK_128,
            signed128(tail),
            False,
            self.storage.retired,
        )
        entry = self.state.groups[group]
        if waiting := _part(live, shares, QUOTE_ONE):
            entry.waiting[account] = waiting
        if allotted:
            entry.allotted[account] = allotted * QUOTE_ONE
        self.dust.roundings += 2

    def _leg(self, account: bytes, market: int) -> Leg:
        head, tail = self.storage.position(account, market)
        recorded, entry = head & _MASK_96, head >> 96 & _MASK_96
        bucket_id = head >> 192 & (1 << 48) - 1
        is_long = bool(bucket_id >> 16 & 1)
        key = market << 32 | bucket_id & 0x1FFFF
        now = self.state.markets[market].index + self.ahead[market]
        live = self._bucket(key).with_funding(is_long, now)
        shares, _, credit = member(
            key,
            live,
            bucket_id >> 17,
            tail & _MASK_128,
            signed128(tail >> 128),
            not is_long,
            self.storage.retired,
        )
        size, sign = _part(live, shares, SIZE_ONE), 1 if is_long else -1
        self.dust.roundings += 3
        self.dust.sizes[market] += 1
        self.held[key] += size
        return Leg(
            size=sign * size,
            entry=entry,
            closed=credit * QUOTE_ONE + sign * (size - recorded * SIZE_ONE) * entry,
            funding=sign * size * self.ahead[market],
            tier=bucket_id >> 13 & 7,
            tick=bucket_id & 8191,
            fee_cents=head >> 240,
        )

    # What is nobody's

    def _claims(self, number: int) -> None:
        """What no claimant's rounded part has of the allotted money goes to those who wait."""
        group = self.state.groups[number]
        waiting = self._bucket(CLAIMS_KEY + number).size * QUOTE_ONE - group.waiting_total()
        self.dust.roundings += div_up(abs(waiting), QUOTE_ONE)
        if group.waiting and group.free() > 0:
            self.dust.roundings += div_up(group.free(), QUOTE_ONE)
            group.allot()
            group.allotted_parts = 0

    def _balance(self) -> dict[int, Fraction]:
        """Sets the residues such that S2 holds exactly; what they are worth, by group."""
        left_over = {}
        for number, group in self.state.groups.items():
            owed = sum(group.waiting.values()) + sum(group.allotted.values())
            owed -= sum(its.debt for its in self.state.accounts.values() if its.group == number)
            listed = [
                (m, market)
                for m, market in self.state.markets.items()
                if market.params.group == number
            ]
            for m, market in listed:
                market.residue.size = -sum(leg.size for leg in market.legs.values())
                owed += sum(leg.result(0) for leg in market.legs.values())
                self.dust.sizes[m] += self._nobodys_size(m)
            left = group.pool + group.shortfall - owed
            listed[0][1].residue.carry = left
            left += sum(market.residue.size * self.state.quote(m).price for m, market in listed)
            left_over[number] = Fraction(left, QUOTE_ONE)
            self.dust.roundings += max(0, div_up(left, QUOTE_ONE))
        return left_over

    def _nobodys_size(self, market: int) -> int:
        """Wei of base in buckets that no member holds, or that members hold beyond the bucket."""
        interest = mirror.Market.decode(*self.storage.market(market)).open_interest
        apart = 0
        for side in (0, 1):
            keys = [k for k in self.held if k >> 32 == market and k >> 16 & 1 == side]
            apart += sum(abs(self.buckets[k].size * SIZE_ONE - self.held[k]) for k in keys)
            apart += abs(interest - sum(self.buckets[k].size for k in keys)) * SIZE_ONE
        return div_up(apart, SIZE_ONE)


def _part(bucket: Bucket, shares: int, unit: int) -> int:
    """A member's part of a bucket, in parts of `unit` a wei."""
    return shares * bucket.size * unit // bucket.shares if bucket.shares else 0
