"""Stakers of the insurance fund: in, request, wait, out; and their shares from hand to hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ballast.fuzz.dice import Dice
from ballast.fuzz.dust import WAD
from ballast.fuzz.fund import Fund
from ballast.fuzz.plays.keeping import Keeping
from ballast.fuzz.plays.trading import Action
from ballast.fuzz.twin import Twin

DAY = 86_400
OTHERS = "others"
"""Whoever staked before; they stay."""


class Staking(Keeping):
    """Every call of the fund succeeds, or is refused for the reason that `Fund` gives."""

    def __init__(
        self, twin: Twin, people: Sequence[bytes], drained: Sequence[bytes], stakers: Sequence[str]
    ) -> None:
        """`stakers` have tokens, and have approved the fund."""
        super().__init__(twin, people, drained)
        self.stakers = list(stakers)
        view = twin.arena.fund.view
        self.fund = Fund(view.cooldown_seconds(), view.window_seconds())
        self.fund.shares[OTHERS] = int(view.totalSupply())

    def scenes(self) -> dict[str, list[Action]]:
        """As `Keeping`, and stakers coming and going."""
        return {
            **super().scenes(),
            "stake": [
                *[self.stake] * 3,
                self.mint,
                *[self.request] * 4,
                *[self.redeem] * 4,
                self.withdraw_stake,
                self.cancel,
                self.wait,
                self.wait,
                *[self.run] * 3,
                self.transfer,
                self.approve,
                self.resolve_next,
            ],
        }

    def deleverage(self, dice: Dice) -> None:
        """As `Keeping`; where insurance was drawn stakers try to leave in the same block."""
        super().deleverage(dice)
        if self._drawn() and self._open_now():
            self.redeem(dice)

    def run(self, dice: Dice) -> None:
        """Everybody may leave when prices gap and insurance is drawn."""
        for who in self.stakers:
            if self.fund.shares[who]:
                self._request(who, self.fund.shares[who] + self.fund.escrow[who])
        self.next_block({}, self.fund.cooldown_seconds + 1)
        self.gap(dice)
        for _ in range(3):
            self.resolve_next(dice)

    def stake(self, dice: Dice) -> None:
        """`deposit` of the fund."""
        who, receiver = dice.pick(self.stakers), dice.pick(self.stakers)
        assets = dice.amount(1, 500 * WAD // self.twin.scale)
        shares = self.fund.shares_for(assets, self.insured())
        self._stake("deposit", assets, assets, shares, who, receiver)

    def mint(self, dice: Dice) -> None:
        """A number of shares, whatever they cost."""
        who, receiver = dice.pick(self.stakers), dice.pick(self.stakers)
        shares = dice.amount(1, 10**9 * 200 * WAD // self.twin.scale)
        assets = self.fund.assets_for(shares, self.insured(), up=True)
        if assets <= 10**6 * WAD // self.twin.scale:
            self._stake("mint", shares, assets, shares, who, receiver)

    def _stake(
        self, name: str, asked: int, assets: int, shares: int, who: str, receiver: str
    ) -> None:
        def send() -> Any:
            return getattr(self.twin.arena.fund.send, name)(asked, receiver, sender=who)

        refusal = self.fund.refuses_stake(assets, shares, self.insured())
        if self._refused(f"fund.{name}", send, refusal):
            return
        price = self._price()
        self.twin.must(f"fund.{name}", send)
        self.twin.apply(lambda exact: exact.stake(assets * self.twin.scale))
        self.fund.shares[receiver] += shares
        self._settled(price)

    def request(self, dice: Dice) -> None:
        """Some of one's shares, hardly ever more than there are."""
        who = self._holder(dice)
        held = self.fund.shares[who] + self.fund.escrow[who]
        self._request(who, int(held * dice.between(0.1, 1)) if dice.chance(90) else held + 1)

    def _request(self, who: str, shares: int) -> None:
        now = self.twin.chain.timestamp

        def send() -> Any:
            return self.twin.arena.fund.send.request_redeem(shares, sender=who)

        if self._refused("fund.request_redeem", send, self.fund.refuses_request(who, shares)):
            return
        self.twin.must("fund.request_redeem", send)
        self.fund.request(who, shares, now)
        self._settled()

    def cancel(self, dice: Dice) -> None:
        """Out of escrow."""
        who = self._holder(dice)

        def send() -> Any:
            return self.twin.arena.fund.send.cancel_redeem(sender=who)

        refusal = "" if self.fund.escrow[who] else "fund: no request"
        if self._refused("fund.cancel_redeem", send, refusal):
            return
        self.twin.must("fund.cancel_redeem", send)
        self.fund.cancel(who)
        self._settled()

    def redeem(self, dice: Dice) -> None:
        """Shares in escrow, in the window or not."""
        owner, caller = self._leaver(dice)
        shares = max(1, int(self.fund.escrow[owner] * dice.between(0.1, 1)))
        shares += dice.chance(3) * 10**30
        assets = self.fund.assets_for(shares, self.insured())
        self._leave("redeem", shares, assets, shares, owner, caller)

    def withdraw_stake(self, dice: Dice) -> None:
        """As many shares as an amount costs."""
        owner, caller = self._leaver(dice)
        worth = self.fund.assets_for(self.fund.escrow[owner], self.insured())
        assets = int(worth * dice.between(0, 1))
        shares = self.fund.shares_for(assets, self.insured(), up=True)
        self._leave("withdraw", assets, assets, shares, owner, caller)

    def _leave(
        self, name: str, asked: int, assets: int, shares: int, owner: str, caller: str
    ) -> None:
        twin = self.twin

        def send() -> Any:
            return getattr(twin.arena.fund.send, name)(asked, owner, owner, sender=caller)

        refusal = self.fund.refuses_leave(
            owner, caller, shares, assets, twin.chain.timestamp, self._drawn()
        )
        if self._refused(f"fund.{name}", send, refusal):
            return
        price = self._price()
        twin.must(f"fund.{name}", send)
        twin.apply(lambda exact: exact.unstake(assets * twin.scale))
        self.fund.leave(owner, caller, shares)
        self._settled(price)

    def transfer(self, dice: Dice) -> None:
        """Shares to somebody else; those in escrow stay."""
        who, to = self._holder(dice), dice.pick(self.stakers)
        shares = int(self.fund.shares[who] * dice.between(0, 1))
        fund = self.twin.arena.fund
        self.twin.must("fund.transfer", lambda: fund.send.transfer(to, shares, sender=who))
        self.fund.shares[who] -= shares
        self.fund.shares[to] += shares
        self._settled()

    def approve(self, dice: Dice) -> None:
        """An allowance, and a part of it used at once."""
        owner, spender = self._holder(dice), dice.pick(self.stakers)
        shares = int((self.fund.shares[owner] + self.fund.escrow[owner]) * dice.between(0, 1))
        fund = self.twin.arena.fund
        self.twin.must("fund.approve", lambda: fund.send.approve(spender, shares, sender=owner))
        self.fund.allowances[owner, spender] = shares
        self._settled()
        moved = min(shares, self.fund.shares[owner]) // 2

        def send() -> Any:
            return fund.send.transferFrom(owner, spender, moved, sender=spender)

        self.twin.must("fund.transferFrom", send)
        self.fund.allowances[owner, spender] -= moved
        self.fund.shares[owner] -= moved
        self.fund.shares[spender] += moved
        self._settled()

    def wait(self, dice: Dice) -> None:
        """About a cooldown, or a window."""
        self.next_block({}, dice.pick((DAY // 2, DAY, DAY + 60, 2 * DAY)))

    def insured(self) -> int:
        """The insurance balance in whole token units."""
        return self.twin.holdings.insurance // self.twin.scale

    def _holder(self, dice: Dice) -> str:
        """Somebody with shares, if there is anybody."""
        held = [who for who in self.stakers if self.fund.shares[who] or self.fund.escrow[who]]
        return dice.pick(held or self.stakers)

    def _leaver(self, dice: Dice) -> tuple[str, str]:
        """Mostly somebody whose request can be used now; the owner, seldom somebody else, calls."""
        open_now = self._open_now()
        owner = dice.pick(open_now) if open_now and dice.chance(85) else self._holder(dice)
        return owner, dice.pick(self.stakers) if dice.chance(10) else owner

    def _open_now(self) -> list[str]:
        """Whose request can be used now."""
        now, fund = self.twin.chain.timestamp, self.fund
        return [who for who, at in fund.ready_at.items() if at <= now < at + fund.window_seconds]

    def _drawn(self) -> bool:
        """Whether insurance was drawn in this block."""
        return self.twin.holdings.storage.last_draw_block() == self.twin.chain.block_number

    def _refused(self, name: str, send: Callable[[], Any], reason: str) -> bool:
        if reason:
            self.twin.must_refuse(name, send, reason)
        return bool(reason)

    def _price(self) -> tuple[int, int]:
        """Assets and shares, virtual ones included."""
        return self.insured() + 1, self.fund.supply + 10**9

    def _settled(self, before: tuple[int, int] | None = None) -> None:
        """Nobody's shares are worth less for others' coming and going; supply and holders agree."""
        twin, view = self.twin, self.twin.arena.fund.view
        twin.checked(())
        if before is not None:
            assets, shares = self._price()
            if assets * before[1] < before[0] * shares:
                raise twin.finding(f"fund: a share fell from {before} to {(assets, shares)}")
        if view.totalSupply() != self.fund.supply:
            raise twin.finding(f"fund: {view.totalSupply()} shares, exactly {self.fund.supply}")
        for who in self.stakers:
            ours = view.balanceOf(who), view.escrowed(who)
            if ours != (self.fund.shares[who], self.fund.escrow[who]):
                raise twin.finding(f"fund: {who} has {ours}")
