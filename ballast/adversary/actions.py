"""The vocabulary: what the adversary can do in a block, as genes that mean something in any state.

An `Action` names parties by number and amounts as parts of what is there, so that it can be moved
from program to program. `carry_out` turns it into one call on the arena and says which; a call the
contracts refuse raises `Reverted`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from ballast.adversary.arena import (
    ADVERSARY,
    ALL,
    BPS,
    HAND,
    INSURANCE,
    RESERVE,
    VENUE,
    WAD,
    Arena,
)
from ballast.chain import Receipt
from ballast.errors import Reverted

CRUMBS = (1, 10**9, WAD // 100)
"""Amounts of a part below `CRUMB`: for what rounding could be good for."""
CRUMB, WHOLE = 0.06, 0.8


@dataclass(frozen=True, slots=True)
class Action:
    """One call. `who` and `whom` choose accounts, `mode` a variant, `part` (0 to 1) an amount,
    `offset` (-1 to 1) a price in the band."""

    kind: str
    who: int
    whom: int
    market: int
    mode: int
    part: float
    offset: float


@dataclass(frozen=True)
class Call:
    """A call that was made, in words for reports; `income` is what it brought the fund out of other
    people's fees, at most."""

    text: str
    receipt: Receipt | None
    income: int = 0


Maker = Callable[[Arena, Action], Call]


def amount(part: float, most: int) -> int:
    """A part of `most`: crumbs at the lower end, all of it from `WHOLE` on."""
    if part < CRUMB:
        return CRUMBS[int(part / CRUMB * len(CRUMBS))]
    if part > WHOLE:
        return most
    return int(most * (part - CRUMB) / (WHOLE - CRUMB))


def _own(arena: Arena, number: int) -> bytes:
    return arena.own[number % len(arena.own)]


def _anyone(arena: Arena, number: int) -> bytes:
    people = [*arena.own, *arena.others]
    return people[number % len(people)]


def _market(arena: Arena, action: Action) -> int:
    return arena.markets[action.market % len(arena.markets)]


def _price(arena: Arena, action: Action, market: int) -> int:
    """A price in the band; the oracle's where the offset is near its middle."""
    at, band = arena.prices[market], arena.params[market].price_band_bps
    reach = 0.0 if abs(action.offset) < 0.1 else action.offset
    return at + at * int(reach * band * 1_000) // (BPS * 1_000)


def _affordable(arena: Arena, account: bytes, market: int) -> int:
    """Base that the account's free cash would carry at the initial margin, fees left aside."""
    params = arena.params[market]
    ratio = params.initial_margin_bps + params.taker_fee_bps
    cash = int(arena.house.view.free_cash(account))
    return int(cash * BPS // ratio * WAD // arena.prices[market])


def _size(arena: Arena, action: Action, market: int, first: bytes, second: bytes) -> int:
    """A part of one party's leg, of the other's, of what both could afford; or the smallest
    position there may be."""
    legs = abs(arena.size(first, market)), abs(arena.size(second, market))
    choice = action.mode % 4
    if choice == 3:
        return arena.params[market].min_notional_quote * WAD // arena.prices[market] * 11 // 10
    if choice < 2 and any(legs):
        return amount(action.part, legs[choice] or max(legs))
    return amount(action.part, min(_affordable(arena, who, market) for who in (first, second)))


def _fee(arena: Arena, market: int, size: int) -> int:
    """What the fund has of a taker's fee on a size at the oracle price."""
    params, notional = arena.params[market], size * arena.prices[market] // WAD
    return notional * params.taker_fee_bps * params.fee_insurance_share_bps // BPS**2


def _quote(value: int) -> str:
    return f"{value / WAD:,.6g}"


# Money


def _deposit(arena: Arena, action: Action) -> Call:
    account = _anyone(arena, action.whom) if action.mode % 4 == 0 else _own(arena, action.who)
    cash = amount(action.part, arena.wallet())
    receipt = arena.vault.send.deposit(account, cash // arena.scale, sender=ADVERSARY)
    return Call(f"deposit {_quote(cash)} for {arena.name(account)}", receipt)


def _withdraw(arena: Arena, action: Action) -> Call:
    account = _own(arena, action.who)
    cash = amount(action.part, int(arena.house.view.free_cash(account)))
    units = cash // arena.scale
    receipt = arena.vault.send.withdraw(account, units, ADVERSARY, sender=ADVERSARY)
    return Call(f"withdraw {_quote(cash)} from {arena.name(account)}", receipt)


def _donate(arena: Arena, action: Action) -> Call:
    key, name = ((INSURANCE, "insurance"), (RESERVE, "reserve"))[action.mode % 2]
    cash = amount(action.part * 0.5, arena.wallet())
    units = cash // arena.scale
    receipt = arena.vault.send.donate(key.to_bytes(32, "big"), units, sender=ADVERSARY)
    return Call(f"donate {_quote(cash)} to {name}", receipt)


# Trades


def _cross(arena: Arena, action: Action) -> Call:
    """A fill between two own accounts, anywhere in the band."""
    market = _market(arena, action)
    buyer, seller = _own(arena, action.who), _own(arena, action.whom)
    size, price = _size(arena, action, market, buyer, seller), _price(arena, action, market)
    receipt = arena.house.send.fill(market, buyer, seller, size, price, sender=VENUE)
    text = f"fill: {arena.name(buyer)} buys {_quote(size)} of market {market} from"
    return Call(f"{text} {arena.name(seller)} at {_quote(price)}", receipt)


def _trade(arena: Arena, action: Action) -> Call:
    """A fill with an honest trader, who is willing at the oracle price."""
    market, account = _market(arena, action), _own(arena, action.who)
    other = arena.maker if action.mode % 4 else arena.others[action.whom % len(arena.others)]
    size = _size(arena, action, market, account, account)
    pair = (account, other) if action.offset > 0 else (other, account)
    receipt = arena.house.send.fill(market, *pair, size, arena.prices[market], sender=VENUE)
    text = f"fill: {arena.name(pair[0])} buys {_quote(size)} of market {market} from"
    return Call(
        f"{text} {arena.name(pair[1])} at the oracle price",
        receipt,
        _fee(arena, market, size),
    )


def _orders(arena: Arena, action: Action) -> Call:
    """A taker of his against two makers at once, an own one and an honest one."""
    market, taker = _market(arena, action), _own(arena, action.who)
    makers = [_own(arena, action.whom), arena.maker]
    prices = [_price(arena, action, market), arena.prices[market]]
    size = _size(arena, action, market, taker, makers[0])
    if action.mode % 2:
        makers, prices = makers[::-1], prices[::-1]
    receipt = arena.house.send.fill_orders(
        market, taker, action.mode % 4 < 2, makers, [size, size], prices, sender=VENUE
    )
    side = "buys from" if action.mode % 4 < 2 else "sells to"
    parts = ", ".join(
        f"{arena.name(m)} {_quote(size)} at {_quote(p)}"
        for m, p in zip(makers, prices, strict=True)
    )
    return Call(
        f"orders: {arena.name(taker)} {side} {parts} (market {market})",
        receipt,
        _fee(arena, market, size),
    )


# Keepers' calls


def _settle(arena: Arena, action: Action) -> Call:
    account = _anyone(arena, action.whom)
    receipt = arena.house.send.settle(account, sender=ADVERSARY)
    return Call(f"settle {arena.name(account)}", receipt)


def _refresh(arena: Arena, action: Action) -> Call:
    account = _anyone(arena, action.whom)
    receipt = arena.house.send.refresh(account, sender=ADVERSARY)
    return Call(f"refresh {arena.name(account)}", receipt)


def _liquidate(arena: Arena, action: Action) -> Call:
    victim, liquidator = _anyone(arena, action.whom), _own(arena, action.who)
    market = _market(arena, action)
    size = ALL
    if action.part <= WHOLE:
        size = amount(action.part, abs(arena.size(victim, market)))
    by = HAND if action.mode % 4 == 3 else ADVERSARY
    made = arena.liquidate(victim, market, liquidator, by, size)
    shown = "all that may be" if size == ALL else _quote(size)
    return Call(
        f"liquidate {shown} of {arena.name(victim)} in market {market} by {arena.name(liquidator)}",
        made.receipt,
    )


def _deleverage(arena: Arena, action: Action) -> Call:
    victim = _anyone(arena, action.whom)
    made = arena.deleverage(victim, ADVERSARY)
    return Call(f"deleverage {arena.name(victim)}", made.receipt)


def _name_operator(arena: Arena, action: Action) -> Call:
    expiry = arena.chain.timestamp + 3_600
    receipt = arena.house.send.set_operator(HAND, expiry, sender=ADVERSARY)
    return Call("name an operator", receipt)


# The fund


def _stake(arena: Arena, action: Action) -> Call:
    cash = amount(action.part, arena.wallet())
    receipt = arena.fund.send.deposit(cash // arena.scale, ADVERSARY, sender=ADVERSARY)
    return Call(f"stake {_quote(cash)}", receipt)


def _unstake(arena: Arena, action: Action) -> Call:
    """Request, cancel, or redeem what is in escrow."""
    fund, mode = arena.fund, action.mode % 3
    if mode == 0:
        shares = amount(action.part, int(fund.view.balanceOf(ADVERSARY)))
        return Call("request", fund.send.request_redeem(shares, sender=ADVERSARY))
    if mode == 1:
        return Call("cancel the request", fund.send.cancel_redeem(sender=ADVERSARY))
    shares = amount(action.part, int(fund.view.escrowed(ADVERSARY)))
    receipt = fund.send.redeem(shares, ADVERSARY, ADVERSARY, sender=ADVERSARY)
    return Call(f"redeem {shares:,} shares", receipt)


WAITS = (12, 3_600, 86_400, 3 * 86_400)


def _wait(arena: Arena, action: Action) -> Call:
    seconds = WAITS[action.mode % len(WAITS)]
    arena.next_block(seconds=seconds)
    return Call(f"wait {seconds:,} s", None)


VOCABULARY: dict[str, tuple[Maker, int]] = {
    "cross": (_cross, 6),
    "deleverage": (_deleverage, 4),
    "liquidate": (_liquidate, 4),
    "trade": (_trade, 3),
    "settle": (_settle, 2),
    "orders": (_orders, 2),
    "deposit": (_deposit, 1),
    "withdraw": (_withdraw, 1),
    "refresh": (_refresh, 1),
    "stake": (_stake, 1),
    "unstake": (_unstake, 1),
    "donate": (_donate, 1),
    "operator": (_name_operator, 1),
}
"""Every kind of action with the weight it is drawn with."""

TIME: dict[str, tuple[Maker, int]] = {"wait": (_wait, 2)}
"""What a game over several blocks has beside."""


FUND = ("stake", "unstake", "donate")


class Vocabulary:
    """Draws and changes actions; `carry_out` performs one."""

    def __init__(self, with_time: bool = False, with_fund: bool = True) -> None:
        makers = {**VOCABULARY, **(TIME if with_time else {})}
        self._makers = {k: m for k, m in makers.items() if with_fund or k not in FUND}
        self._kinds = list(self._makers)
        self._weights = [weight for _, weight in self._makers.values()]

    def draw(self, random: Random) -> Action:
        """Any action."""
        return Action(
            random.choices(self._kinds, self._weights)[0],
            random.randrange(60),
            random.randrange(60),
            random.choice((0, 0, 0, 1, 1, 2)),
            random.randrange(12),
            random.random(),
            random.uniform(-1, 1),
        )

    def change(self, action: Action, random: Random) -> Action:
        """The action with one gene changed."""
        other = self.draw(random)
        gene = random.choice(("who", "whom", "market", "mode", "part", "offset", "offset", "part"))
        return replace(action, **{gene: getattr(other, gene)})

    def carry_out(self, arena: Arena, action: Action) -> Call:
        """Make the call. Raises `Reverted` where the contracts refuse it, or nothing is there."""
        try:
            return self._makers[action.kind][0](arena, action)
        except (ValueError, ZeroDivisionError) as error:
            raise Reverted(f"adversary: {error}") from error
