"""What a program of calls gained, where it came from, and how much of it nobody can explain.

Prices stand still, so an owner's wealth (`Arena.wealth`) can only change hands. Legitimate are

- `earned`: what strangers' accounts in trouble pay to whoever resolves them (penalties, and rewards
  from the keeper reserve within their limits), and a staker's part of fees that strangers pay;
- `refunded`: rewards from the reserve for resolving one's own account, as long as they are no more
  than the fees one's own legs have paid.

`unexplained` is the rest, and any of it beyond dust is a bug. So are refunds beyond the fees paid
(`overpaid`) and insurance beyond the maintenance margin of the legs it was drawn for (`overdrawn`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ballast.adversary.actions import Action, Call, Vocabulary
from ballast.adversary.arena import WAD, Arena, Resolution
from ballast.adversary.unwind import money
from ballast.errors import Reverted

DRAW_ROUNDING = 4
"""Wei by which a draw may pass its legs' margin: each of four terms is rounded up once."""
NEVER = -(10**40)


@dataclass
class Outcome:
    """What a program did. Quote in wei; `calls` are those that were not refused."""

    gain: int = 0
    earned: int = 0
    refunded: int = 0
    fees_paid: int = 0
    overdrawn: int = NEVER
    calls: list[Call] = field(default_factory=list)
    useful: list[Action] = field(default_factory=list)
    features: tuple[int, ...] = ()

    @property
    def overpaid(self) -> int:
        """Refunds beyond the fees that own legs have paid."""
        return self.refunded - self.fees_paid

    @property
    def unexplained(self) -> int:
        """The gain that is neither earned from strangers nor one's own fees come back."""
        return self.gain - self.earned - min(self.refunded, self.fees_paid)

    @property
    def worst(self) -> int:
        """The largest of the three: above dust it is a bug."""
        return max(self.unexplained, self.overpaid, self.overdrawn)


@dataclass(frozen=True)
class _Funds:
    """The system's own money, and who is in trouble."""

    insurance: int
    reserve: int
    shortfall: int
    claims: int
    shares: int
    own_legs: int
    own_bankrupt: int
    others_bankrupt: int

    def compared(self, before: _Funds) -> tuple[int, ...]:
        """For each figure: -1, 0 or 1, as it has fallen, stayed or risen."""
        pairs = zip(vars(self).values(), vars(before).values(), strict=True)
        return tuple((now > was) - (now < was) for now, was in pairs)


def _funds(arena: Arena) -> _Funds:
    view, vault = arena.house.view, arena.vault.view
    return _Funds(
        vault.insurance(),
        vault.keeper_reserve(),
        sum(view.shortfall(group.group) for group in arena.config.groups),
        sum(view.claims(group.group) for group in arena.config.groups),
        arena.fund.view.totalSupply(),
        sum(len(view.markets_of(account)) for account in arena.own),
        sum(arena.equity(account) < 0 for account in arena.own),
        sum(arena.equity(account) < 0 for account in arena.others),
    )


class Judge:
    """Runs programs from one stage and takes them back. `in_money` values accounts by what they
    would bring if everything was wound up, instead of at face value."""

    def __init__(self, arena: Arena, vocabulary: Vocabulary, in_money: bool = False) -> None:
        self.arena, self._vocabulary, self._in_money = arena, vocabulary, in_money
        self._funds = _funds(arena)
        self._start = self._wealth()

    def _wealth(self) -> int:
        if not self._in_money:
            return self.arena.wealth()
        with self.arena.rolled_back():
            return money(self.arena)

    def run(self, program: Sequence[Action]) -> Outcome:
        """The outcome of a program; the arena is as before afterwards."""
        arena, outcome = self.arena, Outcome(fees_paid=self.arena.fees_paid)
        before = len(arena.resolutions)
        with arena.rolled_back():
            for action in program:
                self._perform(action, outcome)
            self._count(arena.resolutions[before:], outcome)
            outcome.gain = self._wealth() - self._start
            outcome.features = _funds(arena).compared(self._funds)
        if outcome.refunded > outcome.fees_paid:
            receipts = [call.receipt for call in outcome.calls if call.receipt]
            outcome.fees_paid += sum(arena.own_fees(receipt) for receipt in receipts)
        return outcome

    def _perform(self, action: Action, outcome: Outcome) -> None:
        try:
            call = self._vocabulary.carry_out(self.arena, action)
        except Reverted:
            return
        outcome.calls.append(call)
        outcome.useful.append(action)
        if call.income and self.arena.staked():
            outcome.earned += call.income

    def _count(self, resolutions: Sequence[Resolution], outcome: Outcome) -> None:
        for made in resolutions:
            if made.is_own:
                outcome.refunded += made.reward
            else:
                outcome.earned += made.reward + (made.penalty if self.arena.staked() else made.kept)
            if made.drawn:
                beyond = made.drawn - made.closed_margin - DRAW_ROUNDING
                outcome.overdrawn = max(outcome.overdrawn, beyond)


def dust(arena: Arena, calls: int) -> int:
    """Wei that roundings may hand to the adversary in so many calls, at most.

    As in `ballast.replay.checks`: a call moves an account's figures by less than 6 wei, 2 wei of
    base at the market's price, a wei of price for each base, and shares / 2^72 wei; and by one unit
    of the token where the fund's shares are valued. Every own account may be a party.
    """
    worth = sum(-(-price // WAD) for price in arena.prices.values())
    interest = max(int(arena.house.view.open_interest(m)[0]) for m in arena.markets)
    figure = 6 + 2 * worth + interest // WAD + (interest >> 72)
    return (1 + calls) * (len(arena.own) * figure + arena.scale)
