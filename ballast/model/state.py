"""The whole state, and what every call is made of: prices, booking, margin, rank."""

from dataclasses import dataclass, field

from ballast.model.account import Account, Leg
from ballast.model.claims import Group
from ballast.model.exact import BPS, QUOTE_ONE, SIZE_ONE, AccountId, div_up, require
from ballast.model.grid import tick_of, tier_of
from ballast.model.market import Market, Quote
from ballast.model.records import Waterfall

MAX_LEGS = 16
SIZE_DUST = 1_000 * SIZE_ONE
"""Views of the contracts are whole wei, rounded and carried through many touches: a close whose
size is within this of the leg closes the leg, and so does a touch of what is left below it. 1,000
wei is far above the sizes' dust and far below any minimum notional."""


@dataclass
class State:
    """Balances in quote units. The ledger is: every account's cash, every group's pool,
    insurance, fees, reserve."""

    adl_buckets_per_call: int
    adl_reward_bps: int
    now: int = 0
    block: int = 0
    accounts: dict[AccountId, Account] = field(default_factory=dict)
    markets: dict[int, Market] = field(default_factory=dict)
    groups: dict[int, Group] = field(default_factory=dict)
    insurance: int = 0
    fees: int = 0
    reserve: int = 0
    total: int = 0
    last_draw_block: int = -1
    all_paused: bool = False
    last_waterfall: Waterfall | None = None

    # ---------------------------------------------------------------- look-ups

    def market(self, market_id: int) -> Market:
        """Raises ModelError for a market that is not listed."""
        require(market_id in self.markets, "market: not listed")
        return self.markets[market_id]

    def seen(self, account_id: AccountId) -> Account:
        """For views: the account, or an empty one."""
        return self.accounts.get(account_id) or Account()

    def account(self, account_id: AccountId) -> Account:
        """For calls: the account, created at its first use."""
        return self.accounts.setdefault(account_id, Account())

    def leg(self, account_id: AccountId, market_id: int) -> Leg | None:
        """The account's leg, None without one."""
        return self.seen(account_id).legs.get(market_id)

    # ---------------------------------------------------------------- prices

    def quote(self, market_id: int) -> Quote:
        """The price a call would use now; changes nothing."""
        return self.market(market_id).quote(self.now, self.block)

    def fix(self, market_id: int) -> Quote:
        """Fix a market's price for the block; refused when it never had one."""
        quote = self.market(market_id).fix(self.now, self.block)
        require(quote.price > 0, "oracle: no price")
        return quote

    def fix_legs(self, account_id: AccountId) -> None:
        """Fix the prices of every market the account has a leg in."""
        for market_id in sorted(self.account(account_id).legs):
            self.fix(market_id)

    # ---------------------------------------------------------------- measures, quote units

    def claim(self, account_id: AccountId) -> int:
        """Waiting and allotted parts of the account's claim."""
        group = self.groups.get(self.seen(account_id).group)
        return group.claim_of(account_id) if group else 0

    def unsettled(self, account_id: AccountId) -> int:
        """u: claim less debt."""
        return self.claim(account_id) - self.seen(account_id).debt

    def result(self, account_id: AccountId, market_id: int) -> int:
        """V_m, with funding up to now."""
        leg = self.seen(account_id).legs[market_id]
        quote = self.quote(market_id)
        return leg.result(quote.price, quote.index_delta)

    def equity(self, account_id: AccountId) -> int:
        """E = cash + u + sum(V_m)."""
        account = self.seen(account_id)
        results = sum(self.result(account_id, market_id) for market_id in account.legs)
        return account.cash + self.unsettled(account_id) + results

    def backing(self, account_id: AccountId) -> int:
        """B = cash + min(0, u) + sum(min(0, V_m))."""
        account = self.seen(account_id)
        losses = sum(min(0, self.result(account_id, market_id)) for market_id in account.legs)
        return account.cash + min(0, self.unsettled(account_id)) + losses

    def notional(self, account_id: AccountId) -> int:
        """Sum of |size| * price."""
        legs = self.seen(account_id).legs.items()
        return sum(abs(leg.size) * self.quote(market_id).price for market_id, leg in legs)

    def margin(self, account_id: AccountId) -> tuple[int, int]:
        """(IM, MM), each leg's part rounded up."""
        initial = maintenance = 0
        for market_id, leg in self.seen(account_id).legs.items():
            params = self.markets[market_id].params
            notional = abs(leg.size) * self.quote(market_id).price
            initial += div_up(notional * params.initial_margin_bps, BPS)
            maintenance += div_up(notional * params.maintenance_margin_bps, BPS)
        return initial, maintenance

    # ---------------------------------------------------------------- money

    def book(self, account_id: AccountId, result: int) -> None:
        """Add a realised result to `u`, one signed number, and move the money that follows from it
        (SPEC section 4): what the account's claim was allotted is collected; a loss first uses up
        the rest of the claim, then cash, then becomes debt; a gain first cancels debt."""
        account = self.accounts[account_id]
        if account.group == 0:
            return
        group = self.groups[account.group]
        account.cash += group.collect(account_id)
        net = group.waiting.pop(account_id, 0) - account.debt + result
        account.debt = 0
        if net > 0:
            account.cash += group.pay_or_join(account_id, net)
        elif net < 0:
            paid = min(account.cash, -net)
            account.cash -= paid
            account.debt = -net - paid
            group.receive(paid)

    def touch_all(self, account_id: AccountId) -> None:
        """Book what every leg has coming, as one sum, and drop the empty ones. Prices are looked
        at, not fixed, except of markets that are left."""
        account = self.account(account_id)
        result = 0
        for market_id, leg in list(account.legs.items()):
            if abs(leg.size) <= SIZE_DUST:
                self.fix(market_id)
                self.markets[market_id].residue.absorb(leg.size, leg.entry)
                result += leg.take_unbooked()
                self.drop_leg(account_id, market_id)
            else:
                result += leg.take_unbooked(self.quote(market_id).index_delta)
        self.book(account_id, result)

    def legs_status(self, account_id: AccountId) -> int:
        """The status bits of all the account's markets."""
        status = 0
        for market_id in self.seen(account_id).legs:
            status |= self.quote(market_id).status
        return status

    def draw_insurance(self, group_id: int, amount: int) -> None:
        """Insurance pays into the pool. The caller allots it after the bankrupt's own result is
        booked, so that none of it goes to the bankrupt's own claim."""
        if amount:
            self.insurance -= amount
            self.groups[group_id].pool += amount
            self.last_draw_block = self.block

    def share_income(self, group_id: int, insurance: int, fees: int) -> None:
        """Income of insurance and protocol, already taken from its payer; a shortfall of the
        group goes first, out of the protocol's part before the insurance fund's."""
        group = self.groups[group_id]
        to_group = min(group.shortfall, insurance + fees)
        if to_group:
            group.shortfall -= to_group
            group.receive(to_group)
        from_fees = min(to_group, fees)
        self.insurance += insurance - (to_group - from_fees)
        self.fees += fees - from_fees

    # ---------------------------------------------------------------- rank and groups

    def rank(self, account_id: AccountId, market_id: int) -> None:
        """Recompute tier and tick of a leg, if there is one. The tier's equity leaves out what was
        deposited in this block."""
        leg = self.leg(account_id, market_id)
        if leg is None or leg.size == 0:
            return
        leg.tier = self.tier(account_id)
        leg.tick = tick_of(leg.entry)

    def tier(self, account_id: AccountId) -> int:
        """The account's leverage tier now."""
        fresh = self.seen(account_id).fresh_now(self.block)
        return tier_of(self.notional(account_id), self.equity(account_id) - fresh)

    def drop_leg(self, account_id: AccountId, market_id: int) -> None:
        """Forget a leg that is touched and empty."""
        del self.accounts[account_id].legs[market_id]
        del self.markets[market_id].legs[account_id]

    def join_group(self, account_id: AccountId, group_id: int) -> None:
        """An account belongs to the group of its first trade until it is empty again."""
        account = self.account(account_id)
        if account.group == group_id:
            return
        empty = not account.legs and account.debt == 0 and self.claim(account_id) == 0
        require(empty, "account: other group")
        account.group = group_id

    def cents(self, amount: int) -> int:
        """Quote units to whole hundredths of quote, rounded down."""
        return amount * 100 // (QUOTE_ONE * 10**18)
