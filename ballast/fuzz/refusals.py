"""Refusals: both sides refuse a call, for the same reason.

One side alone may refuse, or each for a reason of its own, only where the condition that decides it
is itself within dust of its boundary: that is evaluated, and counted in `boundary`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import TYPE_CHECKING

from ballast.fuzz.journal import Change
from ballast.fuzz.reasons import agree
from ballast.model.exact import QUOTE_ONE, SIZE_ONE
from ballast.model.insurance import leg_cover
from ballast.model.state import SIZE_DUST

if TYPE_CHECKING:
    from ballast.fuzz.pair import Pair

Edge = Callable[[], Fraction]
"""How far a call is from being refused on one side alone, where that is not one of an account's
measures; wei."""
FAR = Fraction(2**256)
"""Further than any dust."""


def by_contracts(
    pair: Pair, name: str, reason: str, call: Change, touched: list[bytes], edge: Edge | None = None
) -> None:
    """The contracts have refused a call for `reason`: so must the model. Raises `Finding`."""
    its = pair.journal.refusal(call)
    if its is None:
        by_one_side(pair, name, reason, touched, edge)
        return
    if not agree(its, reason):
        # One of them is passed on the other side, if it is at its boundary.
        if not any(_margins(pair, text, touched, edge)[1] for text in (reason, its)):
            raise pair.finding(f"{name} reverts: {reason!r}, the model expects {its!r}")
        pair.boundary += 1
    pair.counted_refusal(name, reason)


def by_one_side(
    pair: Pair, name: str, reason: str, touched: list[bytes], edge: Edge | None = None
) -> None:
    """One side has refused, the other has not: the condition must be within dust of its boundary.
    Raises `Finding`."""
    margins, is_near = _margins(pair, reason, touched, edge)
    if not is_near:
        near = [float(m) for m in margins]
        raise pair.finding(f"{name}: one side alone refuses: {reason!r}, margins {near}")
    pair.boundary += 1


def _margins(
    pair: Pair, reason: str, touched: list[bytes], edge: Edge | None
) -> tuple[list[Fraction], bool]:
    """How far the condition behind a refusal is from its boundary, and if that is dust."""
    exact, margins = pair.model, []
    if edge is not None and any(
        word in reason for word in ("insufficient", "minimum", "insurance")
    ):
        margins.append(edge())
    for account in touched:
        initial, maintenance = exact.margin(account)
        if "initial" in reason:
            margins.append(abs(exact.backing(account) - initial))
        elif "healthy" in reason:
            margins.append(abs(exact.equity(account) - maintenance))
        elif "debt" in reason:
            margins.append(exact.debt(account))
        elif any(word in reason for word in ("solvent", "bankrupt", "health would fall")):
            margins.append(abs(exact.equity(account)))
    return margins, bool(margins) and min(margins) <= 2 * pair.dust.money()


# Edges


def own_cash(pair: Pair, account: bytes) -> Fraction:
    """Cash that did not come in during this block, in the model; wei of quote."""
    fresh = pair.model.state.seen(account).fresh_now(pair.model.block)
    return pair.model.cash(account) - Fraction(fresh, QUOTE_ONE)


def rest(pair: Pair, market: int, sides: Iterable[bytes], size: int) -> Fraction:
    """What a fill leaves of the leg that it comes nearest to closing, beyond what the model closes
    with it; wei of base."""
    held = [pair.model.state.leg(account, market) for account in sides]
    rests = [abs(abs(leg.size) - size * SIZE_ONE) for leg in held if leg]
    return Fraction(max(0, min(rests) - SIZE_DUST), SIZE_ONE) if rests else FAR


def uncovered(pair: Pair, account: bytes, market: int) -> Fraction:
    """How far a leg is from being covered by insurance on one side alone, wei of quote: at a
    deficit near zero, near its caps, or where a leg by its last wei is, or is not, a losing one."""
    if market not in pair.model.markets_of(account):
        return FAR
    state = pair.model.clone().state
    state.touch_all(account)
    cover = leg_cover(state, account, market)
    result = Fraction(state.result(account, market), QUOTE_ONE)
    beyond = Fraction(min(cover.caps) - cover.deficit)
    return min(map(abs, (pair.model.equity(account), beyond, result)))
