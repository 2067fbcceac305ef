"""A policy played through a path of prices on the contracts, among a crowd and late keepers.

At each step the price comes first, then the adversary acts (before anybody else), then the keepers,
then he levels what they have taken from one side of a pair, so that at no change of a price his
accounts are anything but pairs of equal sides: what he gains is the option's, not a bet's.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace

from ballast.adversary.arena import ADVERSARY, BPS, WAD, Arena
from ballast.adversary.crowd import Crowd, CrowdConfig
from ballast.adversary.paths import PricePath
from ballast.adversary.policy import Policy
from ballast.adversary.unwind import money
from ballast.config import DeployConfig
from ballast.errors import Reverted

PURSE = 10**9 * WAD
MILLION = 10**6 * WAD
ROUNDING = 10**6


@dataclass
class Played:
    """What a policy came to, quote in wei.

    `gain` is the cash he could carry home less what he put in; `waiting` are claims he could not.
    `drawn` is what insurance paid for his accounts; `fees` and `penalties` are what he paid,
    `margin` was the most he had out of his purse. `bet` is what unpaired positions won: nothing, or
    the figures mean another game.
    """

    gain: int = 0
    waiting: int = 0
    drawn: int = 0
    fees: int = 0
    penalties: int = 0
    margin: int = 0
    bet: int = 0
    opened: int = 0
    bankrupt: int = 0
    violations: list[str] = field(default_factory=list)

    @property
    def from_traders(self) -> int:
        """What came from other traders' unpaid profit: all that the fund did not pay."""
        return self.gain + self.fees + self.penalties - self.drawn


@dataclass
class _Pair:
    """Two own accounts, long and short by the same sizes (market: base)."""

    long: bytes
    short: bytes
    sizes: dict[int, int]


class Crash:
    """A deployment with a crowd in it, ready to play policies on one path."""

    def __init__(self, config: DeployConfig, path: PricePath, crowd: CrowdConfig) -> None:
        self.path = path
        first = path.first()
        listed = tuple(m for m in config.markets if m.symbol in first)
        prices = [first[market.symbol] for market in listed]
        self.arena = Arena(replace(config, markets=listed), prices)
        self.coins = {market.symbol: number for number, market in enumerate(listed, 1)}
        self.crowd = Crowd(self.arena, self.coins, crowd)
        self.arena.mint(ADVERSARY, PURSE)

    def play(self, policy: Policy) -> Played:
        """The policy's result; the arena is as before afterwards."""
        self.crowd.begin()
        with self.arena.rolled_back():
            return _Game(self, policy).play()


class _Game:
    def __init__(self, crash: Crash, policy: Policy) -> None:
        self._arena, self._crowd = crash.arena, crash.crowd
        self._path, self._policy = crash.path, policy
        chosen = sorted(crash.coins)
        self._markets = [
            crash.coins[coin] for i, coin in enumerate(chosen) if policy.coins >> i & 1
        ]
        self._coins = crash.coins
        self._pairs: list[_Pair] = []
        self._seen: dict[int, list[int]] = {market: [] for market in crash.coins.values()}
        self._played = Played()
        self._rounds = policy.rounds
        self._exposure: dict[int, int] = {}

    def play(self) -> Played:
        """Step by step through the path, then wind up."""
        arena, played = self._arena, self._played
        start = arena.wallet()
        self._stake()
        watched = len(arena.resolutions)
        last = self._path.steps[0].timestamp
        for number, step in enumerate(self._path.steps):
            seconds = max(1, step.timestamp - last)
            last = step.timestamp
            prices = {self._coins[c]: p for c, p in step.prices.items() if c in self._coins}
            arena.next_block(prices, seconds)
            for market, price in prices.items():
                self._bet(market, price)
                self._seen[market].append(price)
            self._act()
            self._crowd.act(number, self._held())
            self._level()
            self._note_exposure()
            played.margin = max(played.margin, start - arena.wallet())
        for pair in list(self._pairs):
            self._close(pair)
        self._check(watched)
        played.gain = money(arena) - start
        played.waiting = sum(max(0, int(arena.house.view.unsettled(a))) for a in arena.own)
        played.fees = arena.fees_paid
        return played

    def _held(self) -> list[bytes]:
        """The accounts of his pairs."""
        return [account for pair in self._pairs for account in (pair.long, pair.short)]

    def _note_exposure(self) -> None:
        """What his accounts hold in all, market by market: nothing, if all is in pairs."""
        for market in self._seen:
            self._exposure[market] = sum(self._arena.size(a, market) for a in self._held())

    def _bet(self, market: int, price: int) -> None:
        """What a change of price did to an exposure that was not paired."""
        if self._seen[market]:
            change = price - self._seen[market][-1]
            self._played.bet += self._exposure.get(market, 0) * change // WAD

    # What he does

    def _stake(self) -> None:
        """Stake, and ask for the stake back in time for the window to be open when it begins."""
        arena, fund = self._arena, self._arena.fund
        units = int(self._policy.stake * 1_000) * MILLION // 1_000 // arena.scale
        if units:
            shares = fund.view.previewDeposit(units)
            fund.send.deposit(units, ADVERSARY, sender=ADVERSARY)
            fund.send.request_redeem(shares, sender=ADVERSARY)
            arena.next_block(seconds=int(fund.view.cooldown_seconds()))

    def _bail(self) -> None:
        """Take the stake out ahead of a draw, where no draw of the block forbids it."""
        fund = self._arena.fund
        with suppress(Reverted):
            fund.send.redeem(fund.view.escrowed(ADVERSARY), ADVERSARY, ADVERSARY, sender=ADVERSARY)

    def _act(self) -> None:
        for pair in list(self._pairs):
            self._tend(pair)
        if not self._pairs and self._rounds and self._is_time():
            self._rounds -= 1
            self._open_all()

    def _is_time(self) -> bool:
        policy = self._policy
        if not policy.trigger:
            return True
        for market in self._markets:
            recent = self._seen[market][-policy.memory - 1 :]
            if recent and max(recent) - min(recent) >= policy.trigger * recent[-1]:
                return True
        return False

    def _tend(self, pair: _Pair) -> None:
        arena, policy = self._arena, self._policy
        equity = {account: arena.equity(account) for account in (pair.long, pair.short)}
        loser = min(equity, key=lambda account: equity[account])
        initial, maintenance = arena.house.view.margin(loser)
        if equity[loser] < 0:
            self._played.bankrupt += 1
            if policy.resolves:
                self._strike(pair, loser)
        elif (policy.flees and equity[loser] < maintenance) or (
            equity[loser] < policy.roll * initial
        ):
            self._close(pair)

    def _strike(self, pair: _Pair, loser: bytes) -> None:
        """One side is bankrupt: have its loss resolved, leave with the other before or after."""
        arena, policy = self._arena, self._policy
        winner = pair.short if loser == pair.long else pair.long
        if policy.bails:
            self._bail()
        if policy.leaves_first:
            self._leave(winner)
        arena.resolve(loser, ADVERSARY)
        for account in (winner, loser):
            self._leave(account)
        self._drop(pair)

    def _leave(self, account: bytes) -> None:
        """Close all legs with honest traders at the oracle price."""
        for market in self._arena.house.view.markets_of(account):
            self._trade(account, market, -self._arena.size(account, market))

    def _trade(self, account: bytes, market: int, size: int) -> None:
        maker = self._crowd.maker
        pair = (account, maker) if size > 0 else (maker, account)
        with suppress(Reverted):
            self._arena.fill(*pair, abs(size), market)

    def _close(self, pair: _Pair) -> None:
        """Both sides close with each other; what one has more of, with honest traders."""
        arena = self._arena
        for market in pair.sizes:
            long, short = arena.size(pair.long, market), -arena.size(pair.short, market)
            both = min(long, short)
            if both > 0:
                with suppress(Reverted):
                    arena.fill(pair.short, pair.long, both, market)
        for account in (pair.long, pair.short):
            self._leave(account)
        self._drop(pair)

    def _level(self) -> None:
        """Keepers took from one side: the other is cut to the same size."""
        arena = self._arena
        for pair in list(self._pairs):
            for market in pair.sizes:
                net = arena.size(pair.long, market) + arena.size(pair.short, market)
                if net > 0:
                    self._trade(pair.long, market, -net)
                elif net < 0:
                    self._trade(pair.short, market, -net)
            self._drop(pair)

    def _drop(self, pair: _Pair) -> None:
        """Forget a pair that holds nothing any more, and bring its cash home."""
        arena, accounts = self._arena, (pair.long, pair.short)
        arena.settle(*accounts)  # a leg that was closed by force is listed until it is touched
        if any(arena.house.view.markets_of(account) for account in accounts):
            return
        self._pairs.remove(pair)
        for account in accounts:
            free = int(arena.house.view.free_cash(account)) // arena.scale
            if free:
                arena.vault.send.withdraw(account, free, ADVERSARY, sender=ADVERSARY)

    # Opening

    def _open_all(self) -> None:
        for _ in range(self._policy.pairs):
            groups = [self._markets] if self._policy.crossed else [[m] for m in self._markets]
            for markets in groups:
                self._open(markets)

    def _open(self, markets: list[int]) -> None:
        arena, policy = self._arena, self._policy
        sizes = {market: self._base(market) for market in markets}
        need = 0
        for market, size in sizes.items():
            params = arena.params[market]
            ratio = params.initial_margin_bps + 2 * params.taker_fee_bps
            need += size * arena.prices[market] // WAD * ratio // BPS
        cash = int(need * policy.margin) // WAD * WAD + WAD
        pair = _Pair(self._new_account(cash), self._new_account(cash), sizes)
        for market, size in sizes.items():
            with suppress(Reverted):
                arena.fill(pair.long, pair.short, size, market)
        self._played.opened += 1
        self._pairs.append(pair)

    def _base(self, market: int) -> int:
        arena = self._arena
        size = int(self._policy.notional * 1_000) * MILLION // 1_000 * WAD // arena.prices[market]
        return min(size, arena.params[market].position_cap_base)

    def _new_account(self, cash: int) -> bytes:
        arena = self._arena
        account = arena.own_account()
        arena.vault.send.deposit(account, cash // arena.scale, sender=ADVERSARY)
        return account

    # What must hold

    def _check(self, watched: int) -> None:
        """The fund's caps, whoever's account it paid for: each call at most the maintenance margins
        of the legs it closed, each market and group at most its allowance."""
        arena, played = self._arena, self._played
        drawn: dict[tuple[int, int], int] = {}
        for made in arena.resolutions[watched:]:
            if made.drawn > made.closed_margin + ROUNDING:
                played.violations.append(
                    f"{arena.name(made.account)}: {made.drawn} drawn for {made.closed_margin}"
                )
            for event in arena.house.events(made.receipt):
                if event.name == "InsuranceDrawn":
                    key = event.args["group"], event.args["market"]
                    drawn[key] = drawn.get(key, 0) + event.args["amount_quote"]
            if made.is_own:
                played.drawn += made.drawn
                played.penalties += made.penalty
        for key, amount in drawn.items():
            if amount > self._allowed(*key):
                played.violations.append(f"{key}: {amount} drawn of {self._allowed(*key)}")

    def _allowed(self, group: int, market: int) -> int:
        """A market's (0: the group's) allowance over the path: its cap, and what refilled."""
        arena = self._arena
        cap, refill = arena.house.view.group_params(group)
        if market:
            params = arena.params[market]
            cap, refill = params.insurance_cap_quote, params.insurance_refill_seconds
        seconds = self._path.steps[-1].timestamp - self._path.steps[0].timestamp
        return int(cap + cap * seconds // refill)
