"""`Clearing`: the protocol's calls, one to one, on the exact state."""

import pickle
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from ballast.model import checks, liquidation, settling, trading, views, waterfall
from ballast.model.claims import Group
from ballast.model.exact import QUOTE_ONE, AccountId, ModelError, require, size_to_wei, to_wei
from ballast.model.market import PENDING, STALE, Allowance, Market, MarketParams, Observation
from ballast.model.records import Taken, Waterfall
from ballast.model.state import State
from ballast.model.trading import Part, Side

P = ParamSpec("P")
R = TypeVar("R")


def atomic(
    call: Callable[Concatenate["Clearing", P], R],
) -> Callable[Concatenate["Clearing", P], R]:
    """A refused call leaves no trace, not even the price it fixed."""

    @wraps(call)
    def wrapped(self: "Clearing", /, *args: P.args, **kwargs: P.kwargs) -> R:
        saved = pickle.dumps(self.state, pickle.HIGHEST_PROTOCOL)
        try:
            return call(self, *args, **kwargs)
        except ModelError:
            self.state = pickle.loads(saved)
            raise

    return wrapped


class Clearing:
    """Vault, clearinghouse and risk engine in one. Amounts are wei (WAD quote), sizes wei of base,
    prices wei; an account is any hashable value. The caller advances `now` and `block`. Every call
    raises ModelError where the protocol refuses; views are exact and change nothing."""

    def __init__(
        self, adl_buckets_per_call: int, adl_reward_bps: int, now: int = 0, block: int = 0
    ) -> None:
        self.state = State(adl_buckets_per_call, adl_reward_bps, now, block)

    def clone(self) -> "Clearing":
        """An independent copy."""
        other = Clearing(0, 0)
        other.state = pickle.loads(pickle.dumps(self.state, pickle.HIGHEST_PROTOCOL))
        return other

    # ---------------------------------------------------------------- clock, oracle, parameters

    @property
    def now(self) -> int:
        """Block timestamp, seconds."""
        return self.state.now

    @now.setter
    def now(self, value: int) -> None:
        self.state.now = value

    @property
    def block(self) -> int:
        """Block number."""
        return self.state.block

    @block.setter
    def block(self, value: int) -> None:
        self.state.block = value

    def advance(self, seconds: int, blocks: int = 1) -> None:
        """Move the clock."""
        self.state.now += seconds
        self.state.block += blocks

    def set_price(self, market: int, price: int, timestamp: int, status: int = 0) -> None:
        """What the oracle says from now on: status bits 1 stale, 2 pending, 4 grace. A price of 0
        stands for a call that fails. A price fixed in this block stays."""
        self.state.market(market).oracle = Observation(price, timestamp, status)

    def set_adl(self, buckets_per_call: int, reward_bps: int) -> None:
        """Buckets a `deleverage` may touch, and its reward on the notional closed."""
        self.state.adl_buckets_per_call = buckets_per_call
        self.state.adl_reward_bps = reward_bps

    def list_market(self, params: MarketParams) -> int:
        """List a market (and its group, with nothing allowed in the last step); ids from 1."""
        require(params.insurance_refill_seconds > 0, "market: bad refill")
        now = self.state.now
        allowance = Allowance(
            params.insurance_cap_quote, params.insurance_refill_seconds, updated=now
        )
        self.state.groups.setdefault(params.group, Group(Allowance(0, 1, updated=now)))
        market = len(self.state.markets) + 1
        self.state.markets[market] = Market(params, allowance, accrued_at=now, sampled_at=now)
        return market

    def set_market(self, market: int, params: MarketParams) -> None:
        """New parameters of a market. Funding up to now runs at the old ones."""
        entry = self.state.market(market)
        entry.fix(self.state.now, self.state.block)
        entry.change(params, self.state.now)

    def pause(self, market: int, paused: bool) -> None:
        """Stop (or allow again) what adds risk in a market, 0 for all."""
        if market:
            self.state.market(market).paused = paused
        else:
            self.state.all_paused = paused

    def set_group(self, group: int, insurance_cap_quote: int, refill_seconds: int) -> None:
        """What insurance may pay for a group in the last step of the waterfall."""
        require(refill_seconds > 0, "group: bad refill")
        now = self.state.now
        entry = self.state.groups.setdefault(group, Group(Allowance(0, 1, updated=now)))
        entry.allowance.change(insurance_cap_quote, refill_seconds, now)

    # ---------------------------------------------------------------- the vault

    @atomic
    def deposit(self, account: AccountId, amount: int) -> None:
        """Credit cash; in this block it neither improves the tier nor can be withdrawn."""
        require(amount > 0, "vault: no amount")
        units = amount * QUOTE_ONE
        entry = self.state.account(account)
        entry.mark_fresh(units, self.state.block)
        entry.cash += units
        self.state.total += units

    @atomic
    def withdraw(self, account: AccountId, amount: int) -> None:
        """Book the account, then hand out free cash; no cash under a debt or a doubtful price."""
        require(amount > 0, "vault: no amount")
        state, units = self.state, amount * QUOTE_ONE
        state.touch_all(account)
        state.fix_legs(account)
        entry = state.accounts[account]
        require(entry.debt == 0, "margin: debt")
        if entry.legs:
            require(not state.legs_status(account) & (STALE | PENDING), "oracle: stale or pending")
            initial, _ = state.margin(account)
            require(state.backing(account) - units >= initial, "margin: below initial")
        require(units <= entry.cash - entry.fresh_now(state.block), "vault: insufficient cash")
        entry.cash -= units
        state.total -= units

    @atomic
    def donate(self, key: str, amount: int) -> None:
        """Give to "insurance" or "reserve"."""
        require(key in ("insurance", "reserve"), "vault: not a donation")
        self._grow(key, amount * QUOTE_ONE)

    @atomic
    def stake(self, amount: int) -> None:
        """Insurance grows by a deposit into the fund."""
        self._grow("insurance", amount * QUOTE_ONE)

    @atomic
    def unstake(self, amount: int) -> None:
        """Insurance shrinks by a redemption; not in a block with a draw."""
        require(self.state.last_draw_block != self.state.block, "fund: draw in this block")
        self._grow("insurance", -amount * QUOTE_ONE)

    @atomic
    def collect_fees(self, amount: int) -> None:
        """The owner takes protocol fees."""
        self._grow("fees", -amount * QUOTE_ONE)

    def _grow(self, key: str, units: int) -> None:
        balance = getattr(self.state, key) + units
        require(balance >= 0, "vault: insufficient balance")
        setattr(self.state, key, balance)
        self.state.total += units

    # ---------------------------------------------------------------- the clearinghouse

    @atomic
    def fill(self, market: int, buyer: AccountId, seller: AccountId, size: int, price: int) -> None:
        """One fill; both sides pay the taker fee."""
        fee = self.state.market(market).params.taker_fee_bps
        parts = [Part(Side(seller, fee), size, price)]
        trading.fill(self.state, market, Side(buyer, fee), True, parts)

    @atomic
    def fill_orders(
        self,
        market: int,
        taker: AccountId,
        taker_is_buyer: bool,
        makers: Sequence[AccountId],
        sizes: Sequence[int],
        prices: Sequence[int],
    ) -> None:
        """One taker against makers in the order given. Makers are checked after each, the taker
        after all."""
        params = self.state.market(market).params
        parts = [
            Part(Side(maker, params.maker_fee_bps), size, price)
            for maker, size, price in zip(makers, sizes, prices, strict=True)
        ]
        taker_side = Side(taker, params.taker_fee_bps)
        trading.fill(self.state, market, taker_side, taker_is_buyer, parts)

    @atomic
    def settle(self, account: AccountId) -> None:
        """Book what is due, pay debt, collect, draw on open losses while claims wait."""
        settling.settle(self.state, account)

    @atomic
    def refresh(self, account: AccountId) -> None:
        """Re-rank every leg."""
        settling.refresh(self.state, account)

    @atomic
    def liquidate(
        self, account: AccountId, market: int, size: int, liquidator: AccountId
    ) -> Fraction:
        """Take over up to `size` of a leg; returns the size taken."""
        taken = liquidation.liquidate(self.state, account, market, size, liquidator)
        return size_to_wei(taken)

    @atomic
    def deleverage(self, account: AccountId, caller: AccountId) -> tuple[Fraction, Fraction]:
        """Close a bankrupt account against the queue; returns (notional open, deficit left).
        `caller` is the account that is rewarded."""
        notional, deficit = waterfall.deleverage(self.state, account, caller)
        return to_wei(notional), to_wei(deficit)

    # ---------------------------------------------------------------- views of an account, wei

    def equity(self, account: AccountId) -> Fraction:
        """E."""
        return to_wei(self.state.equity(account))

    def backing(self, account: AccountId) -> Fraction:
        """B."""
        return to_wei(self.state.backing(account))

    def unsettled(self, account: AccountId) -> Fraction:
        """u, both parts of a claim counted."""
        return to_wei(self.state.unsettled(account))

    def claim(self, account: AccountId) -> tuple[Fraction, Fraction]:
        """(waiting, allotted but not collected)."""
        group = self.state.groups.get(self.group_of(account))
        if group is None:
            return Fraction(0), Fraction(0)
        return to_wei(group.waiting.get(account, 0)), to_wei(group.allotted.get(account, 0))

    def debt(self, account: AccountId) -> Fraction:
        """Realised losses that cash did not reach."""
        return to_wei(self.state.seen(account).debt)

    def cash(self, account: AccountId) -> Fraction:
        """The vault's balance of the account."""
        return to_wei(self.state.seen(account).cash)

    def free_cash(self, account: AccountId) -> Fraction:
        """What could be withdrawn now."""
        return to_wei(views.free_cash(self.state, account))

    def margin(self, account: AccountId) -> tuple[Fraction, Fraction]:
        """(IM, MM)."""
        initial, maintenance = self.state.margin(account)
        return to_wei(initial), to_wei(maintenance)

    def notional(self, account: AccountId) -> Fraction:
        """Sum of |size| * price."""
        return to_wei(self.state.notional(account))

    def accounts(self) -> list[AccountId]:
        """Every account ever used."""
        return list(self.state.accounts)

    def markets_of(self, account: AccountId) -> list[int]:
        """Markets with a leg, also one that forced closes emptied and nothing has touched yet."""
        return sorted(self.state.seen(account).legs)

    def group_of(self, account: AccountId) -> int:
        """The account's group, 0 before its first trade."""
        return self.state.seen(account).group

    def position(self, account: AccountId, market: int) -> views.Position | None:
        """The account's leg, None without one."""
        return views.position(self.state, account, market)

    def current_rank(self, account: AccountId, market: int) -> tuple[int, int] | None:
        """(tier, tick) that `refresh` would give the leg now."""
        return views.current_rank(self.state, account, market)

    def liquidation_price(self, account: AccountId, market: int) -> Fraction:
        """The price of this market alone at which E = MM."""
        return views.liquidation_price(self.state, account, market)

    def max_liquidation(self, account: AccountId, market: int) -> tuple[Fraction, int]:
        """(size, price) of the largest take-over allowed now, (0, 0) for none."""
        offer = liquidation.offer(self.state, account, market)
        return size_to_wei(offer.size), offer.price

    def adl_rank(self, account: AccountId, market: int) -> tuple[int, Fraction, int]:
        """(score, size ahead, band)."""
        return views.adl_rank(self.state, account, market)

    def preview_deleverage(self, account: AccountId) -> list[Taken]:
        """The buckets `deleverage` would touch now, with sizes in size units and prices."""
        trial = self.clone()
        trial.deleverage(account, account)
        record = trial.last_waterfall
        return record.taken if record else []

    # ---------------------------------------------------------------- views of markets and groups

    def queue(self, market: int, is_long: bool) -> list[views.QueueEntry]:
        """Buckets of one side in score order."""
        return views.queue(self.state, market, is_long)

    def price(self, market: int) -> tuple[int, int]:
        """(price, timestamp) a call would use now."""
        quote = self.state.quote(market)
        return quote.price, quote.timestamp

    def open_interest(self, market: int) -> tuple[Fraction, Fraction]:
        """(long, short)."""
        entry = self.state.market(market)
        return size_to_wei(entry.interest(True)), size_to_wei(entry.interest(False))

    def funding(self, market: int) -> tuple[int, int]:
        """(index up to now, rate per 8 hours)."""
        entry = self.state.market(market)
        return entry.index + self.state.quote(market).index_delta, entry.rate()

    def residue(self, market: int) -> tuple[Fraction, Fraction]:
        """(size, value at the current price) of what rounding to whole wei has left over."""
        residue = self.state.market(market).residue
        value = to_wei(residue.result(self.state.quote(market).price))
        return size_to_wei(residue.size), value

    def insurance_left(self, market: int) -> Fraction:
        """What the market's allowance still admits."""
        return to_wei(self.state.market(market).allowance.left(self.state.now))

    def group_insurance_left(self, group: int) -> Fraction:
        """What the group's allowance still admits in the last step."""
        return to_wei(self.state.groups[group].allowance.left(self.state.now))

    def pool_of(self, group: int) -> Fraction:
        """The group's pool, allotted money included."""
        return to_wei(self.state.groups[group].pool)

    def claims(self, group: int) -> Fraction:
        """Claims the pool has not been allotted to."""
        return to_wei(self.state.groups[group].waiting_total())

    def shortfall(self, group: int) -> Fraction:
        """Deficits written off and not paid down yet."""
        return to_wei(self.state.groups[group].shortfall)

    def insurance(self) -> Fraction:
        """The insurance balance."""
        return to_wei(self.state.insurance)

    def fees(self) -> Fraction:
        """The protocol's fees."""
        return to_wei(self.state.fees)

    def keeper_reserve(self) -> Fraction:
        """The keeper reserve."""
        return to_wei(self.state.reserve)

    def total(self) -> Fraction:
        """Sum of the ledger by what went in and out."""
        return to_wei(self.state.total)

    # ---------------------------------------------------------------- invariants

    @property
    def last_waterfall(self) -> Waterfall | None:
        """The record of the last `deleverage`."""
        return self.state.last_waterfall

    def violations(self, prices: Sequence[Mapping[int, int]] = ()) -> list[str]:
        """Everything that can be checked of the state (S2 at the fixed prices and at the vectors
        given) and of the last waterfall."""
        state = self.state
        found = checks.s1(state) + checks.s5(state) + checks.structure(state)
        for vector in ({}, *prices):
            found += checks.s2(state, vector)
        if state.last_waterfall is not None:
            record = state.last_waterfall
            found += checks.s3(record) + checks.s4(record) + checks.s6(record)
        return found
