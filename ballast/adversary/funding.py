"""What a wash trader takes out of funding while prices stand still: the game of time alone.

The adversary is short against honest longs, and two further accounts of his trade with each other
at the upper end of the band now and then, to and fro: the average premium rises, and so does what
longs pay. Honest people meanwhile trade among themselves at the oracle price, a little every
minute, which pulls the average back.
"""

from __future__ import annotations

from dataclasses import dataclass

from ballast.adversary.arena import BPS, WAD, Arena
from ballast.adversary.rules import PRICES, real

MINUTE = 60
DAY = 24 * 60 * MINUTE
INTEREST = 10_000 * WAD
SAMPLE = 64
"""A fill of 1 / SAMPLE of the open interest uses up all the time since the last one."""
EVERY = (5 * MINUTE, 15 * MINUTE, 60 * MINUTE, 240 * MINUTE)
TURNOVERS = (0, 1, 5)


@dataclass(frozen=True)
class Washed:
    """A day, in bps of the notional he is short: what longs paid him, what washing cost.

    He washed every so many seconds; honest volume was `turnover` times the open interest.
    """

    every_seconds: int
    turnover: int
    received_bps: float
    fees_bps: float

    @property
    def gain_bps(self) -> float:
        """What is left of it."""
        return self.received_bps - self.fees_bps


def wash(every_seconds: int, turnover: int) -> Washed:
    """A day of it on the contracts, with the real parameters."""
    arena = Arena(real(), PRICES)
    price, notional = arena.prices[1], INTEREST * arena.prices[1] // WAD
    honest = [arena.person(label, 2 * notional) for label in ("buyer", "seller", "bull")]
    hands = [arena.own_account(2 * notional) for _ in range(3)]
    arena.next_block()
    arena.fill(honest.pop(), hands.pop(), INTEREST)
    fees, start = arena.fees_paid, arena.wealth()
    dear = price * (BPS + arena.params[1].price_band_bps) // BPS
    for minute in range(DAY // MINUTE):
        arena.next_block(seconds=MINUTE)
        if turnover:
            honest.reverse()
            arena.fill(honest[0], honest[1], INTEREST * turnover * MINUTE // DAY)
        if minute * MINUTE % every_seconds == 0:
            hands.reverse()
            size = arena.house.view.open_interest(1)[0] // SAMPLE + 1
            arena.fill(hands[0], hands[1], size, price=dear)
    arena.next_block()
    fees = arena.fees_paid - fees
    received = arena.wealth() + fees - start
    return Washed(every_seconds, turnover, received / notional * BPS, fees / notional * BPS)


def table() -> list[Washed]:
    """Washing often and seldom, alone and against honest volume."""
    return [wash(every, turnover) for turnover in TURNOVERS for every in EVERY]
