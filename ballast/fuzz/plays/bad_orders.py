"""What can be wrong with a match: each takes a good one and spoils it, so that the rules refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ballast.fuzz.dice import Dice
from ballast.fuzz.plays.bad_reports import STRANGER
from ballast.fuzz.rules.orders import Signed
from ballast.fuzz.signer import high_s
from ballast.signing import Domain, owner_of

if TYPE_CHECKING:
    from ballast.fuzz.plays.ordering import Match, Ordering

Defect = Callable[["Ordering", "Match", Dice], None]


def spoil(play: Ordering, match: Match, dice: Dice) -> None:
    """One thing is made wrong with it."""
    dice.pick(DEFECTS)(play, match, dice)


def _change(match: Match, dice: Dice, change: Callable[[Signed], Signed]) -> Signed:
    """Puts another order in the place of the taker or of a maker, and returns it."""
    which = dice.below(len(match.makers) + 1)
    if which == len(match.makers):
        match.taker = change(match.taker)
        return match.taker
    match.makers[which] = change(match.makers[which])
    return match.makers[which]


def _again(play: Ordering, dice: Dice, **changes: Any) -> Callable[[Signed], Signed]:
    """The same order, changed and signed anew."""
    return lambda signed: play.sign(replace(signed.order, **changes), dice)


def misshapen(play: Ordering, match: Match, dice: Dice) -> None:
    """A signature is short, empty, has another v, or the high s."""

    def change(signed: Signed) -> Signed:
        good = signed.signature[:65]
        bad = dice.pick((good[:64], b"", good[:64] + b"\x02", high_s(good), bytes(65)))
        # The wallets here ask the precompile alone, which takes the high s as well.
        signer = signed.signer if bad == high_s(good) else ""
        return replace(signed, signature=bad, signer=signer)

    _change(match, dice, change)


def forged(play: Ordering, match: Match, dice: Dice) -> None:
    """Signed by somebody else: a stranger, or another trader."""
    keys = [STRANGER, *play.wiring.keys.values(), *play.wiring.delegates]
    _change(match, dice, lambda signed: play.signed_by(dice.pick(keys), signed.order))


def altered(play: Ordering, match: Match, dice: Dice) -> None:
    """The order is another one than was signed."""
    changes: tuple[dict[str, Any], ...] = (
        {"size": match.taker.order.size + 1},
        {"salt": 2**64},
        {"expiry": 2**63},
        {"reduce_only": True},
        {"account": play.people[0]},
    )

    def change(signed: Signed) -> Signed:
        other = play.signed_by(STRANGER, replace(signed.order, **dice.pick(changes)))
        if other.order == signed.order:
            return signed
        return replace(other, signature=signed.signature, signer="")

    _change(match, dice, change)


def elsewhere(play: Ordering, match: Match, dice: Dice) -> None:
    """Signed for another chain or another contract."""
    chain_id = play.twin.chain.chain_id
    domain = dice.pick(
        (
            Domain(chain_id + 1, play.wiring.settlement.address),
            Domain(chain_id, play.desk.oracle.address),
        )
    )

    def change(signed: Signed) -> Signed:
        key = play.wiring.keys[owner_of(signed.order.account)]
        return play.signed_by(key, signed.order, domain)

    _change(match, dice, change)


def expired(play: Ordering, match: Match, dice: Dice) -> None:
    """The time is over."""
    _change(match, dice, _again(play, dice, expiry=play.twin.chain.timestamp - 1))


def overfilled(play: Ordering, match: Match, dice: Dice) -> None:
    """A wei more than an order has left: one maker's, the same in two parts, or the taker's."""
    if dice.chance(35):
        match.taker = _again(play, dice, size=sum(match.sizes) - 1)(match.taker)
        return
    which = dice.below(len(match.sizes))
    match.sizes[which] = play.orders.left(match.makers[which]) + 1
    if dice.chance(50):
        match.sizes[which] -= 1
        match.makers.append(match.makers[which])
        match.sizes.append(1)


def apart(play: Ordering, match: Match, dice: Dice) -> None:
    """Limits that do not cross, by a wei."""
    which = dice.below(len(match.makers))
    limit, worse = match.makers[which].order.limit_price, -1 if match.taker.order.is_buy else 1
    match.taker = _again(play, dice, limit_price=limit + worse)(match.taker)


def cancelled(play: Ordering, match: Match, dice: Dice) -> None:
    """By the owner, just before."""
    its = _change(match, dice, lambda signed: signed)
    play.send_cancel(owner_of(its.order.account), its.digest)


def cancelled_by_delegate(play: Ordering, match: Match, dice: Dice) -> None:
    """The delegate who signed it takes it back."""
    delegate = dice.pick(play.wiring.delegates)
    its = _change(match, dice, lambda signed: play.signed_by(delegate, signed.order))
    if play.orders.delegates[its.order.account, delegate.address] != 2**255:
        play.send_delegate(its.order.account, delegate.address, 2**255)
    play.send_cancel(delegate.address, its.digest)


def below_floor(play: Ordering, match: Match, dice: Dice) -> None:
    """The account's floor is raised above the order's salt."""
    its = _change(match, dice, lambda signed: signed)
    play.send_cancel_below(its.order.account, its.order.salt + 1)


def only_reducing(play: Ordering, match: Match, dice: Dice) -> None:
    """Reduce-only where there may be nothing to reduce."""
    _change(match, dice, _again(play, dice, reduce_only=True))


def past_delegate(play: Ordering, match: Match, dice: Dice) -> None:
    """Signed by a delegate whose time is over, or who was sent away."""
    delegate, now = dice.pick(play.wiring.delegates), play.twin.chain.timestamp
    its = _change(match, dice, lambda signed: play.signed_by(delegate, signed.order))
    for expiry in (now + 60, dice.pick((now - 1, 0))):
        if play.orders.delegates[its.order.account, delegate.address] != expiry:
            play.send_delegate(its.order.account, delegate.address, expiry)


def other_market(play: Ordering, match: Match, dice: Dice) -> None:
    """A maker of another market."""
    market = match.taker.order.market % len(play.twin.markets) + 1
    match.makers[-1] = _again(play, dice, market=market)(match.makers[-1])


def same_side(play: Ordering, match: Match, dice: Dice) -> None:
    """A maker on the taker's side."""
    match.makers[-1] = _again(play, dice, is_buy=match.taker.order.is_buy)(match.makers[-1])


def own_maker(play: Ordering, match: Match, dice: Dice) -> None:
    """Taker and maker are one account."""
    account = match.taker.order.account
    match.makers[-1] = _again(play, dice, account=account)(match.makers[-1])


def post_only_taker(play: Ordering, match: Match, dice: Dice) -> None:
    """A taker that asked not to be one."""
    match.taker = _again(play, dice, post_only=True)(match.taker)


def nothing(play: Ordering, match: Match, dice: Dice) -> None:
    """A size of zero, a size too few, or no makers."""
    kind = dice.below(3)
    if kind == 0:
        match.sizes[-1] = 0
    elif kind == 1:
        match.sizes.pop()
    else:
        match.makers, match.sizes = [], []


DEFECTS: tuple[Defect, ...] = (
    misshapen,
    forged,
    altered,
    elsewhere,
    expired,
    overfilled,
    apart,
    cancelled,
    cancelled_by_delegate,
    below_floor,
    only_reducing,
    past_delegate,
    other_market,
    same_side,
    own_maker,
    post_only_taker,
    nothing,
)
