"""Exact arithmetic: integers with guard digits.

A *size unit* is 2^-96 wei of base, a *quote unit* is a size unit times one wei of price:
2^-96 * 1e-18 wei of quote. So `size * price` is exact, every result that the protocol forms from
sizes and integer prices is an integer here, and S2 holds without any dust. Only two things are
snapped to the grid: a pro rata part (off by less than one unit, the parts still sum to the whole)
and a ratio such as a margin requirement. 2^-96 wei of size is worth less than 1e-18 wei of quote
at every price the protocol admits, which no comparison in wei can see.
"""

from collections.abc import Hashable, Sequence
from fractions import Fraction

AccountId = Hashable

WAD = 10**18
BPS = 10**4
SIZE_ONE = 1 << 96
"""Size units in one wei of base."""
QUOTE_ONE = SIZE_ONE * WAD
"""Quote units in one wei of quote."""


class ModelError(Exception):
    """The protocol refuses the call; the text is the reason (`module: reason`)."""


def require(condition: bool, reason: str) -> None:
    """Raise ModelError(reason) unless the condition holds."""
    if not condition:
        raise ModelError(reason)


def to_wei(quote_units: int) -> Fraction:
    """Quote units to wei of quote, exact."""
    return Fraction(quote_units, QUOTE_ONE)


def size_to_wei(size_units: int) -> Fraction:
    """Size units to wei of base, exact."""
    return Fraction(size_units, SIZE_ONE)


def div_up(numerator: int, denominator: int) -> int:
    """Quotient rounded towards plus infinity; the denominator is positive."""
    return -(-numerator // denominator)


def div_trunc(numerator: int, denominator: int) -> int:
    """Quotient rounded towards zero, as Vyper's `//`; the denominator is positive."""
    quotient = abs(numerator) // denominator
    return quotient if numerator >= 0 else -quotient


def clamp(value: int, bound: int) -> int:
    """The value, held within +-bound."""
    return max(-bound, min(bound, value))


def pro_rata(amount: int, weights: Sequence[int]) -> list[int]:
    """Split an amount over positive weights: the parts sum to it exactly, each is within one unit
    of its exact share, and none exceeds its weight when the amount does not exceed their sum."""
    total = sum(weights)
    parts: list[int] = []
    seen = given = 0
    for weight in weights:
        seen += weight
        upto = amount * seen // total
        parts.append(upto - given)
        given = upto
    return parts
