"""What other protocols charge for the same operations.

Measured by us on a local chain from their own sources, each operation a transaction of its own,
21,000 base cost and call data included. Where an operation takes a request and an execution, both
transactions count. None where a protocol has no such operation or it was not measured.
"""

from __future__ import annotations

PEERS = ("dYdX v1", "MAI v2", "Velar", "Perennial v2.4", "GMX v2")
_FIGURES: dict[str, tuple[int | None, ...]] = {
    "deposit_fresh": (141_805, 130_606, None, 521_301, 1_080_000 + 2_000_000),
    "deposit": (107_477, None, None, 624_492, None),
    "trade": (166_884, 423_794, 814_612, 732_032 + 432_803, 844_662 + 2_431_690),
    "increase": (176_766, 279_384, 814_612, 780_698 + 445_266, 2_186_296),
    "partial_close": (177_134, 290_285, None, None, 819_093 + 2_265_253),
    "close": (176_936, 246_394, 905_263, 769_477 + 444_389, 2_147_635),
    "trade_5_makers": (479_493, None, None, None, None),
    "withdraw": (101_782, None, None, 656_604, None),
    "liquidate": (135_784, 233_623, 1_034_318, 796_740 + 468_804, 2_444_400),
    "deleverage": (142_994, None, None, None, 535_924 + 2_614_815),
}
NOTES = (
    "dYdX v1 has one market per contract, one margin ratio, no ranking and no cross margin. Its "
    "ADL figure is the operator's call, which names the counterparty; by anyone it is 206,350.",
    "MAI v2 trades against a pool; it has no ADL but spreads a loss over a side.",
    "Velar is written in Vyper. Perennial and GMX take a request and an execution: both count. "
    "GMX's deposit is known to ten thousands only.",
)


def figures(row: str) -> dict[str, int]:
    """Gas by protocol of a row of the table; empty for rows that are not in it."""
    known = _FIGURES.get(row, ())
    return {peer: gas for peer, gas in zip(PEERS, known, strict=False) if gas is not None}


def cheapest(row: str) -> int | None:
    """The cheapest peer's gas."""
    return min(figures(row).values(), default=None)


def rows() -> list[str]:
    """The rows of the peers' table."""
    return list(_FIGURES)
