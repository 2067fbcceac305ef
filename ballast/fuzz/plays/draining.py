"""A bucket drained to a few wei and joined again: its id ends, and its members are converted.

    price P      members open from P (one bucket), a victim sells all but a few wei of their size
    price 1.5 P  (or P / 2 for shorts) the victim is bankrupt: its deleveraging drains the bucket
    price P      newcomers join the drained bucket, which opens the next id; the members are settled

Chance alone does not find this, so it is played in a market of its own.
"""

from __future__ import annotations

from ballast.fuzz.dice import Dice
from ballast.fuzz.dust import WAD
from ballast.fuzz.plays.trading import Trading

RICH = 10**6 * WAD


def drain(play: Trading, dice: Dice, market: int, cast: list[bytes]) -> None:
    """Play it once. `cast`: seven accounts that nobody else uses. Ends where a call is refused."""
    twin = play.twin
    maker, other, victim, *members = cast
    price = twin.model.state.quote(market).price
    is_long = dice.chance(50)
    near, far = (price * 11 // 10, price * 3 // 2) if is_long else (price * 9 // 10, price // 2)
    for who in (maker, other, *members):
        twin.deposit(who, play.units(RICH))
    _set_price(play, market, price, 12)
    size = 5 * twin.model.state.markets[market].params.min_notional_quote * WAD // price
    size += dice.below(1_000)
    joined = 0
    for member in members[: 1 + dice.below(3)]:
        joined += size
        if not twin.fill(market, *_sides(member, maker, is_long), size, price):
            return
    total = joined - 1 - dice.below(40)
    twin.deposit(victim, play.units(total * price // WAD * 16 // 100 + WAD))
    _set_price(play, market, near, 12)
    if not twin.fill(market, *_sides(victim, other, not is_long), total, near):
        return
    _set_price(play, market, far, dice.pick((12, 3_600, 86_400)))
    while twin.model.state.equity(victim) < 0 and twin.deleverage(victim):
        pass
    _set_price(play, market, price, 12)
    for who in members[-1 - dice.below(2) :]:
        if not twin.fill(market, *_sides(who, maker, is_long), size, price):
            return
    _set_price(play, market, price, dice.pick((1, 3_600)))
    for member in members:
        twin.settle(member)


def _sides(who: bytes, against: bytes, is_long: bool) -> tuple[bytes, bytes]:
    return (who, against) if is_long else (against, who)


def _set_price(play: Trading, market: int, price: int, seconds: int) -> None:
    prices = {m: play.twin.model.state.quote(m).price for m in play.twin.markets} | {market: price}
    play.twin.new_block(seconds, lambda: [play.report(m, prices[m]) for m in prices])
