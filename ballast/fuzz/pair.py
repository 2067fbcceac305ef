"""The contracts and the exact model side by side, compared after every call (S10).

After every call: custody (S1), zero-sum at the prices now (S2), nobody else's equity has fallen
(S5, S3), and the touched legs stand in the same buckets. Every `every` calls, and in `compare`:
every balance, claim, size, entry, result, bucket and queue, within the dust that docs/INVARIANTS.md
derives (`Dust`). A refusal must come from both, with the same reason.

A tier, or a refusal, may differ only where the comparison that decides it is itself within dust:
that is evaluated (`ranks`, `refusals`, `crumbs`), counted in `boundary`, and the model then follows
the contracts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from ballast import model
from ballast.errors import Reverted
from ballast.fuzz import checks, ranks, refusals
from ballast.fuzz.accounts import Quote
from ballast.fuzz.adopt import adopt
from ballast.fuzz.arena import Arena, Finding
from ballast.fuzz.branches import Branches
from ballast.fuzz.comparison import Comparison
from ballast.fuzz.crumbs import Crumbs
from ballast.fuzz.dust import Dust
from ballast.fuzz.holdings import Holdings
from ballast.fuzz.journal import Change, Journal
from ballast.fuzz.refusals import Edge
from ballast.fuzz.storage import Storage
from ballast.model.exact import SIZE_ONE

CREDITS = 4
"""A posting, a debt paid, a fee, an insurance draw: how often an account touched by a call can make
it credit one and the same bucket."""
Observation = tuple[int, int, int, int]
"""Market, price (0: none at all), timestamp, status bits."""


class Pair:
    """An arena and the model of it."""

    def __init__(
        self, arena: Arena, exact: model.Clearing, payer: str, keeper: str, every: int = 20
    ) -> None:
        """`exact` is the model of the arena as it is. `payer` has tokens and has approved the
        vault; `keeper` makes the calls that anyone may make."""
        self.arena, self.payer, self.keeper, self.every = arena, payer, keeper, every
        self.chain, self.vault, self.clearing = arena.chain, arena.vault, arena.clearing
        self.scale = int(arena.vault.view.scale())
        self.model, self.journal = exact, Journal(exact)
        self.groups = sorted(exact.state.groups)
        storage = Storage(arena.chain, arena.vault, arena.clearing, arena.token)
        self.holdings = Holdings(storage, arena.accounts, self.groups)
        self.dust = Dust(shares=self.holdings.most_shares)
        self.branches = Branches()
        self.comparison = Comparison(self)
        self.crumbs = Crumbs(self)
        self.calls = self.refused = self.boundary = self.dust_slices = 0
        self.actions: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.retires = True
        """Whether epochs of buckets may end with members in them."""
        self._index = {m: market.index for m, market in exact.state.markets.items()}
        self.prices_moved()
        self.holdings.reload()
        self._equities = self._equities_now()

    # Time, prices, parameters

    def new_block(self, seconds: int, report: Callable[[], Iterable[Observation]]) -> None:
        """The next block. `report` does in it whatever the oracles' side does, and returns what
        each market's oracle says then."""
        self.chain.mine(seconds)
        now, block = self.chain.timestamp, self.chain.block_number

        def move(exact: model.Clearing) -> None:
            exact.now, exact.block = now, block

        self.apply(move)
        self.observed(report())

    def observed(self, said: Iterable[Observation]) -> None:
        """What oracles say from now on."""
        for market, price, timestamp, status in said:
            self.apply(_set_price(market, price, timestamp, status))
            self.dust.highest[market] = max(self.dust.highest[market], price)
        self.prices_moved()

    def prices_moved(self) -> None:
        """Results are taken at other prices from here on, which is nobody's fault."""
        quotes = {}
        for number, market in self.model.state.markets.items():
            quote = self.model.state.quote(number)
            index = market.index + quote.index_delta
            self.dust.funding[number] += abs(index - self._index.get(number, 0))
            self._index[number] = index
            quotes[number] = Quote(quote.price, index)
        self.holdings.measure(quotes)
        self._equities = self._equities_now()

    def governed(self, name: str, send: Callable[[], Any], change: Change) -> Any:
        """A call of the owner or the guardian that must succeed, and what it changes; its receipt.
        Raises `Finding`."""
        receipt = self.must(name, send)
        self.apply(change)
        self.prices_moved()
        self.checked(())
        return receipt

    def apply(self, change: Change) -> Any:
        """Change the model; what the change returns."""
        return self.journal.apply(change)

    # Calls

    def both(
        self,
        name: str,
        send: Callable[[], Any],
        call: Change,
        touched: list[bytes],
        falls: Iterable[bytes] = (),
        edge: Edge | None = None,
        follows: bool = False,
    ) -> bool:
        """A call that both know; whether it was accepted. `falls`: who may lose equity by it;
        `edge`: as of `refusals`; `follows`: what it does turns on dust, so the model is not asked.
        Raises `Finding`."""
        before = self.chain.snapshot()
        try:
            receipt = send()
        except Reverted as refusal:
            self.chain.release(before)
            refusals.by_contracts(self, name, refusal.reason, call, touched, edge)
            return False
        if follows:
            self.chain.release(before)
            self.follow(name, touched, falls)
            return True
        try:
            self.journal.call(call)
        except model.ModelError as refusal:
            refusals.by_one_side(self, name, str(refusal), touched, edge)
            self.chain.revert(before)
            self.holdings.reload()
            return False
        self.chain.release(before)
        may_leave = self.crumbs.among(touched)
        if may_leave:
            self.follow_prices(self.clearing.events(receipt))
        self.counted(name)
        if (may_leave or self.crumbs.settled(touched)) and self.crumbs.fixed_apart():
            self.boundary += 1
            self._adopt()
        self.checked(touched, falls)
        return True

    def must(self, name: str, send: Callable[[], Any]) -> Any:
        """A call that the model does not know and that must succeed; its receipt. Counted;
        `checked` is the caller's to call after it. Raises `Finding`."""
        try:
            receipt = send()
        except Reverted as refusal:
            raise self.finding(f"{name} reverts: {refusal.reason!r}") from refusal
        self.counted(name)
        return receipt

    def must_refuse(self, name: str, send: Callable[[], Any], *reasons: str) -> None:
        """A call that must be refused, for one of these reasons. Raises `Finding`."""
        try:
            send()
        except Reverted as refusal:
            if refusal.reason not in reasons:
                raise self.finding(
                    f"{name} reverts: {refusal.reason!r} instead of {reasons}"
                ) from refusal
            self.counted_refusal(name, refusal.reason)
            return
        raise self.finding(f"{name} is accepted: {reasons} expected")

    # The model follows the contracts

    def follow(
        self,
        name: str,
        touched: list[bytes],
        falls: Iterable[bytes],
        limits: dict[bytes, int] | None = None,
    ) -> None:
        """Take over what the contracts have made of a call that dust decides."""
        self.counted(name)
        self.boundary += 1
        self.holdings.touch(touched)
        self._adopt()
        self.checked(touched, falls, limits)

    def follow_prices(self, events: Iterable[Any]) -> None:
        """A market is left, and its price fixed, when a leg's last wei is touched: that may be dust
        in the model."""
        for event in events:
            if event.name == "PriceFixed":
                self.apply(_fix(event.market))

    def _adopt(self) -> None:
        """Begin again with the model of what the contracts hold; equities are still compared with
        those before the call."""
        its, equities = self.arena, self._equities
        adopted = adopt(its.chain, its.vault, its.clearing, its.token, self.accounts)
        self.model.state = adopted.clearing.state
        adopted.pass_on(self.dust)
        self.prices_moved()
        self.holdings.reload()
        self.journal.mark()
        self._equities = equities

    # After a call

    def checked(
        self,
        touched: Iterable[bytes],
        falls: Iterable[bytes] = (),
        limits: dict[bytes, int] | None = None,
    ) -> None:
        """What must hold after every call. `falls`: who may lose equity by it; `limits`: others,
        and by how much at most, wei of quote. Raises `Finding`."""
        everyone = list(touched)
        self._note_dust()
        self.holdings.touch(everyone)
        for account in everyone:
            ranks.compare(self, account)
        equities = self._equities_now()
        checks.assert_every_call(
            self, self._equities, equities, set(falls), limits or {}, CREDITS * (1 + len(everyone))
        )
        self._equities = equities
        self.branches.state(self)
        if len(self.journal) >= self.every:
            self.compare()

    def compare(self) -> None:
        """Everything, from storage read anew; the model can be restored from here on. Raises
        `Finding`."""
        self.holdings.reload()
        self.comparison.run()
        self.journal.mark()
        self._equities = self._equities_now()

    def finding(self, message: str) -> Finding:
        """What to raise."""
        return Finding(message, self.chain.tape)

    def counted(self, name: str) -> None:
        """A call was accepted."""
        self.calls += 1
        self.actions[name] += 1

    def counted_refusal(self, name: str, reason: str) -> None:
        """A call was refused as expected."""
        self.refused += 1
        self.refusals[f"{name}: {reason}"] += 1

    def book(self, accounts: Iterable[bytes]) -> int:
        """The dust of accounts that a call touches; how many legs they have."""
        legs = 0
        for account in set(accounts):
            held = self.markets_of(account)
            legs += len(held)
            self.dust.book(held, self.model.group_of(account))
        return legs

    def _note_dust(self) -> None:
        """What the model has noted for the bounds since the last call."""
        for group in self.model.state.groups.values():
            self.dust.allotments += group.allotted_parts
            group.allotted_parts = 0
        for number, market in self.model.state.markets.items():
            self.dust.sizes[number] += market.residue.absorbed // SIZE_ONE
            market.residue.absorbed = 0

    # What both show

    @property
    def accounts(self) -> list[bytes]:
        """Everybody seen so far."""
        return list(self.holdings.accounts)

    @property
    def markets(self) -> list[int]:
        """Every market."""
        return list(self.model.state.markets)

    def size(self, account: bytes, market: int) -> int:
        """Size of a leg in the contracts, without its sign; wei of base."""
        held = self.holdings.accounts.get(account)
        leg = held.legs.get(market) if held else None
        return leg.size if leg else 0

    def markets_of(self, account: bytes) -> list[int]:
        """Markets with a leg in the contracts."""
        held = self.holdings.accounts.get(account)
        return list(held.legs) if held else []

    def _equities_now(self) -> dict[bytes, int]:
        return {account: held.equity for account, held in self.holdings.accounts.items()}


def _set_price(market: int, price: int, timestamp: int, status: int) -> Change:
    return lambda exact: exact.set_price(market, price, timestamp, status)


def _fix(market: int) -> Change:
    return lambda exact: exact.state.fix(market)
