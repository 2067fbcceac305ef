"""What can be wrong with a report: each takes a good one and spoils it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ballast.fuzz.desk import PUBLISHERS, Parcel
from ballast.fuzz.dice import Dice
from ballast.fuzz.rules.signed_prices import PRICE_LIMIT
from ballast.fuzz.signer import Signer, high_s
from ballast.signing import Domain, SignedReport

if TYPE_CHECKING:
    from ballast.fuzz.plays.publishing import Publishing

STRANGER = Signer("fuzz stranger")
"""Whose signature counts for nothing anywhere."""
Word = tuple[Signer, int, int]
Defect = Callable[["Publishing", Parcel, Dice], Parcel]


def spoil(play: Publishing, parcel: Parcel, dice: Dice) -> Parcel:
    """The same with one thing wrong."""
    return dice.pick(DEFECTS)(play, parcel, dice)


def _words(parcel: Parcel) -> list[Word]:
    by_address = {signer.address: signer for signer in PUBLISHERS}
    return [(by_address[q.signer], q.price, q.timestamp) for q in parcel.report.quotes]


def _again(play: Publishing, parcel: Parcel, words: list[Word]) -> Parcel:
    return play.desk.parcel(parcel.report.market, words)


def _unsigned(parcel: Parcel, which: int, sent: SignedReport) -> Parcel:
    """What is sent, with one word that nobody has signed."""
    quotes = [
        replace(quote, price=price, timestamp=time)
        for quote, price, time in zip(
            parcel.report.quotes, sent.prices, sent.timestamps, strict=True
        )
    ]
    quotes[which] = replace(quotes[which], signer="")
    return Parcel(replace(parcel.report, quotes=tuple(quotes)), sent)


def too_few(play: Publishing, parcel: Parcel, dice: Dice) -> Parcel:
    """One signature less than it takes."""
    return _again(play, parcel, _words(parcel)[: play.desk.signed.threshold - 1])


def unsorted(play: Publishing, parcel: Parcel, dice: Dice) -> Parcel:
    """Descending by signer."""
    return _again(play, parcel, _words(parcel)[::-1])


def twice(play: Publishing, parcel: Parcel, dice: Dice) -> Parcel:
    """Somebody signed twice, beside himself or not."""
    words = _words(parcel)
    which = dice.below(len(words))
    words[which] = words[(which + 1) % len(words)]
    return _again(play, parcel, words)


def by_stranger(play: Publishing, parcel: Parcel, dice: Dice) -> Parcel:
    """One signature is nobody's who publishes."""
    return _replaced(play, parcel, STRANGER, dice)


def by_dismissed(play: Publishing, parcel: Parcel, dice: Dice) -> Parcel:
    """One signature is somebody's who publishes no more, or not yet."""
    others = [its for its in PUBLISHERS if its.address not in play.desk.signed.publishers]
    return _replaced(play, parcel, dice.pick(others or [STRANGER]), dice)


def _replaced(play: Publishing, parcel: Parcel, signer: Signer, dice: Dice) -> Parcel:
    words = _words(parcel)
    which = dice.below(len(words))
    words[which] = (signer, *words[which][1:])
    words.sort(key=lambda word: int(word[0].address, 16))
    return _again(play, parcel, words)


def tampered(play: Publishing, parcel: Parcel, dice: Dice) -> Parcel:
    """A price or a time is another one than was signed."""
    sent = parcel.sent
    which = dice.below(len(sent.prices))
    prices, times = list(sent.prices), list(sent.timestamps)
    if dice.chance(50):
        prices[which] += 1
    else:
        times[which] -= 1
    return _unsigned(parcel, which, replace(sent, prices=prices, timestamps=times))


def misshapen(play: Publishing, parcel: Parcel, dice: Dice) -> Parcel:
    """A signature is short, empty, has another v, or the high s."""
    which = dice.below(len(parcel.sent.signatures))
    signatures = list(parcel.sent.signatures)
    good = signatures[which]
    signatures[which] = dice.pick(
        (good[:64], b"", good[:64] + bytes([good[64] - 27]), high_s(good), bytes(65))
    )
    return _unsigned(parcel, which, replace(parcel.sent, signatures=signatures))


def elsewhere(play: Publishing, parcel: Parcel, dice: Dice) -> Parcel:
    """Signed for another chain, or another contract."""
    domain = play.desk.domain
    other = dice.pick(
        (
            Domain(domain.chain_id + 1, domain.contract),
            Domain(domain.chain_id, play.wiring.settlement.address),
        )
    )
    return play.desk.parcel(parcel.report.market, _words(parcel), other)


def shifted(play: Publishing, parcel: Parcel, dice: Dice) -> Parcel:
    """Earlier or later than it may be."""
    its, now = play.desk.signed.markets[parcel.report.market], play.twin.chain.timestamp
    at = dice.pick((now + 1, now + 600, its.newest, now - its.max_age_seconds - 1, 0, 2**40))
    return _again(play, parcel, [(signer, price, at) for signer, price, _ in _words(parcel)])


def apart(play: Publishing, parcel: Parcel, dice: Dice) -> Parcel:
    """Times three seconds apart."""
    words = _words(parcel)
    signer, price, _ = words[0]
    words[0] = signer, price, max(time for _, _, time in words) - 3
    return _again(play, parcel, words)


def priceless(play: Publishing, parcel: Parcel, dice: Dice) -> Parcel:
    """A price of zero, or beyond the limit."""
    words = _words(parcel)
    signer, _, time = words[-1]
    words[-1] = signer, dice.pick((0, PRICE_LIMIT, 2**256 - 1)), time
    return _again(play, parcel, words)


def short(play: Publishing, parcel: Parcel, dice: Dice) -> Parcel:
    """A price or a time is missing."""
    sent, (prices, times) = parcel.sent, parcel.report.lengths
    if dice.chance(50):
        sent, prices = replace(sent, prices=sent.prices[:-1]), prices - 1
    else:
        sent, times = replace(sent, timestamps=sent.timestamps[:-1]), times - 1
    return Parcel(replace(parcel.report, lengths=(prices, times)), sent)


def unknown(play: Publishing, parcel: Parcel, dice: Dice) -> Parcel:
    """A market that this oracle does not know."""
    market = dice.pick((0, 4_095, *play.desk.feeds.markets))
    return play.desk.parcel(market, _words(parcel))


DEFECTS: tuple[Defect, ...] = (
    too_few,
    unsorted,
    twice,
    by_stranger,
    by_dismissed,
    tampered,
    misshapen,
    elsewhere,
    shifted,
    apart,
    priceless,
    short,
    unknown,
)
