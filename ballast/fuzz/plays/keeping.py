"""Keepers, late or dead, and everything they are there for: gaps, outages, bankruptcies."""

from __future__ import annotations

from collections.abc import Sequence

from ballast.fuzz import probes
from ballast.fuzz.dice import Dice
from ballast.fuzz.dust import WAD
from ballast.fuzz.plays.draining import drain
from ballast.fuzz.plays.trading import Action, Trading
from ballast.fuzz.twin import Twin
from ballast.model.market import GRACE, PENDING, STALE


class Keeping(Trading):
    """Prices gap by up to 95 % either way; keepers liquidate and deleverage, or do not."""

    def __init__(self, twin: Twin, people: Sequence[bytes], drained: Sequence[bytes]) -> None:
        """`drained`: the accounts that `drain` plays with."""
        super().__init__(twin, people)
        self.drained = list(drained)

    def scenes(self) -> dict[str, list[Action]]:
        """As `Trading`, and crashes, keepers' rounds and outages."""
        return {
            **super().scenes(),
            "crash": [
                *[self.gap] * 3,
                *[self.deleverage] * 4,
                *[self.liquidate] * 3,
                self.settle,
                self.refresh,
                self.fill,
                self.reduce,
            ],
            "resolve": [
                *[self.resolve_next] * 6,
                self.settle,
                self.refresh,
                self.reduce,
                self.withdraw,
            ],
            "outage": [self.outage, self.outage, self.resolve_next, self.fill, self.quiet_block],
            "drain": [self.drain],
            "give": [self.donate, self.settle, self.resolve_next],
        }

    def gap(self, dice: Dice) -> None:
        """One market, or all of them, by anything up to 95 %."""
        size = dice.pick((0.02, 0.05, 0.1, 0.2, 0.35, 0.6, 0.95))
        hit = self.twin.markets if dice.chance(30) else [self.market(dice)]
        moves = {m: 1 + size * dice.between(-1, 1) for m in hit}
        self.next_block(moves, dice.pick((1, 12, 12, 60, 3_600, 86_400)))

    def drain(self, dice: Dice) -> None:
        """See draining.py; where a market is kept for it."""
        if self.reserved and dice.chance(50):
            drain(self, dice, self.reserved, self.drained)
        else:
            self.gap(dice)

    def outage(self, dice: Dice) -> None:
        """A market's oracle gets something wrong with it, or is well again."""
        market = self.market(dice)
        if self.status:
            self.status.popitem()
        else:
            self.status[market] = dice.pick((STALE, PENDING, GRACE, STALE | PENDING, STALE | GRACE))
        self.next_block({m: dice.between(0.97, 1.03) for m in self.twin.markets})

    def liquidate(self, dice: Dice) -> None:
        """Somebody takes over a leg of somebody who is, mostly, below maintenance."""
        weak = self.weak()
        if not weak and dice.chance(90):
            return self.gap(dice)
        who = dice.pick(weak) if weak and dice.chance(97) else dice.pick(self.people)
        legs = list(self.twin.holdings.accounts[who].legs)
        closable = [m for m in legs if self.closable(m)]
        if not legs or (not closable and dice.chance(90)):
            return self.refresh(dice)
        rich = [other for other in self.people if self.homes[other] == self.homes[who]]
        rich.sort(key=self.free, reverse=True)
        liquidator = dice.pick(rich[: 1 + len(rich) // 3])
        if liquidator == who and dice.chance(90):
            liquidator = rich[0] if rich[0] != who else rich[1]
        if len(weak) > 1 and dice.chance(30):
            self._batch(weak, liquidator)
        part = 1.0 if dice.chance(70) else dice.between(0.05, 1)
        self.twin.liquidate(who, dice.pick(closable or legs), liquidator, part)
        return None

    def _batch(self, weak: list[bytes], liquidator: bytes) -> None:
        """The legs of some of them, the first one's twice: what is gone is passed over."""
        accounts = self.twin.holdings.accounts
        legs = [(who, market) for who in weak[:4] for market in accounts[who].legs][:8]
        probes.assert_batch_is_one_by_one(self.twin, [*legs, *legs[:1]], liquidator)

    def deleverage(self, dice: Dice) -> None:
        """Somebody bankrupt, where there is anybody; sometimes somebody weak, or anybody, who must
        be refused."""
        bankrupt = self.bankrupt()
        if dice.chance(8):
            self.twin.deleverage(dice.pick(self.weak() or self.people))
        elif bankrupt:
            if len(bankrupt) > 1:
                first = dice.below(len(bankrupt))
                some = (bankrupt[first:] + bankrupt[:first])[:5]
                probes.assert_many_is_one_by_one(self.twin, some)
            self.twin.deleverage(dice.pick(bankrupt))
        else:
            self.liquidate(dice)

    def resolve_next(self, dice: Dice) -> None:
        """A keeper's round: somebody bankrupt, else somebody below maintenance."""
        if self.bankrupt():
            return self.deleverage(dice)
        if self.weak():
            return self.liquidate(dice)
        return self.gap(dice) if dice.chance(30) else self.fill(dice)

    def donate(self, dice: Dice) -> None:
        """To insurance, seldom to the reserve; little, so that both run dry."""
        key = "reserve" if dice.chance(30) else "insurance"
        self.twin.donate(key, self.units(dice.amount(WAD, 400 * WAD)))

    def weak(self) -> list[bytes]:
        """E < MM, in the exact model."""
        state = self.twin.model.state
        return [
            who
            for who in self.people
            if (account := state.accounts.get(who))
            and account.legs
            and state.equity(who) < state.margin(who)[1]
        ]

    def bankrupt(self) -> list[bytes]:
        """E < 0 in the exact model, with something that may be closed or written off."""
        state = self.twin.model.state
        return [
            who
            for who in self.people
            if (account := state.accounts.get(who))
            and (not account.legs or any(self.closable(m) for m in account.legs))
            and state.equity(who) < 0
        ]

    def closable(self, market: int) -> bool:
        """Whether legs of a market may be closed by force now."""
        return not self.twin.model.state.quote(market).status & (STALE | GRACE)
