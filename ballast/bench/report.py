"""`docs/BENCHMARKS.md`, composed of sections.

A section is a function of the figures that returns Markdown, or "" where its figures are not there.
Another part of the project adds one to `SECTIONS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from ballast.bench import floor, market, mirror_speed, peers
from ballast.bench.results import Data
from ballast.bench.trace import CATEGORIES
from ballast.build import ROOT

PAGE = ROOT / "docs" / "BENCHMARKS.md"
FLAT_WITHIN = 0.02
BUCKET_LIMIT = 40_000

Section = Callable[[Data], str]

_FIGURE = re.compile(r"^(\*\*)?[-\d,.]+(\*\*)?$")

_COUNTED = (
    "slots made",
    "slots changed",
    "writes without effect",
    "cold reads",
    "warm reads",
    "calls",
    "signatures",
    "events",
)

_HEAD = """# Benchmarks

Written by `make bench`, which measures everything here on one machine in one run, in process
(figures also in `build/bench.json`). Do not edit.

Gas is what a transaction is charged: 21,000 base cost, call data, execution, refunds taken off.
Each row is a transaction of its own in a block of its own: every account and slot is cold. The
contracts are wired by the deploy script with the parameters of local networks: a real ERC-20 with
six decimals, orders and prices that are signed and checked, order hashes never filled before, a
price reported in the block before and fixed by the transaction itself, fees, funding that moves.
*Flat* accounts have a deposit, have traded before and hold no position; *occupied buckets* hold
other traders' positions. A price report is a transaction of its own (`price_report`).
"""

_FLOOR_TEXT = """The floor is the gas that an operation's change of state must cost in the *smallest
state that holds the facts*, not in the slots this code happens to write: one contract instead of
several, every word packed full, the tightest encoding of the call (all its bytes non-zero), one
event for what happened, no arithmetic, no memory, nothing read twice. It is not reachable; the
ratio says how far the code is from it. The columns behind it say what the rest is: storage beyond
those words, wider call data, calls between contracts, more and longer events, and the code itself
(arithmetic, jumps, memory, hashing, locks).
"""

_SIDES = """Every trade and take-over changes more here than at dYdX v1, which holds an account in
one word, margin and position together, and ranks nobody. Here a position is two words (its share of
a bucket and the bucket's index at entry are what lets one call deleverage everybody in it), cash
and the list of the account's markets are a word each (cross margin), and the bucket's two words and
those of the market change as well (ranking and funding on chain). The floors hold exactly that.
"""

_WHY = {
    "trade": "Opening makes two new words a side, and each order's fill is one more.",
    "increase": "Both words of each position and of each bucket change.",
    "partial_close": "As an increase; the result passes through the group's pool, so that nobody "
    "is paid what no loser has paid.",
    "close": "The words cleared give a refund; the orders' fills are new words.",
    "trade_5_makers": "Each maker adds a signature, a fresh fill and two new words.",
    "liquidate": "The liquidator's position is two new words; the buckets of both sides change.",
    "deleverage": "One call, by anyone, closes by rank against any number of counterparties; the "
    "peer's is for one counterparty that its operator names (206,350 by anyone), so that it takes "
    "as many calls as there are counterparties.",
}


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; a column of figures is aligned to the right."""
    lines = [[_cell(cell) for cell in row] for row in rows]
    columns = list(zip(*lines, strict=True))
    rule = ["---:" if all(map(_FIGURE.match, column)) else "---" for column in columns]
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, rule, *lines)) + "\n"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else str(value)


def head(_: Data) -> str:
    """What the page holds and how it was measured."""
    return _HEAD


def against_peers(data: Data) -> str:
    """Every row of the peers' table, ours beside theirs."""
    rows = data.get("rows")
    if not rows:
        return ""
    lines = []
    for name, row in rows.items():
        known = peers.figures(name)
        ours = f"**{row['gas']:,}**" if row["gas"] < row["peer"] else f"{row['gas']:,}"
        lines.append([f"`{name}`", row["holds"], ours, *(known.get(p) for p in peers.PEERS)])
    below = sum(row["gas"] < row["peer"] for row in rows.values())
    return (
        "## Beside other protocols\n\n"
        f"{below} of {len(rows)} rows are below the cheapest peer (bold). The others follow with "
        "their floors and reasons.\n\n"
        + table(("row", "what it holds", "Ballast", *peers.PEERS), lines)
        + "\nThe peers' figures were measured by us on a local chain from their sources, base cost "
        "and call data included. " + " ".join(peers.NOTES) + "\n\n![rows](images/peers.svg)\n"
    )


def above_peers(data: Data) -> str:
    """Each row that is not below the cheapest peer: its floor and the reason."""
    rows = data.get("rows", {})
    lines = [_above(name, row) for name, row in rows.items() if row["gas"] >= row["peer"]]
    if not lines:
        return ""
    return f"## Rows above the cheapest peer\n\n{_SIDES}\n" + "\n".join(lines) + "\n"


def _above(name: str, row: Data) -> str:
    side = "above" if row["floor"] >= row["peer"] else "below"
    rest = ", ".join(f"{kind} {gas:,}" for kind, gas in row["above"].items() if gas)
    return (
        f"- `{name}`: {row['gas']:,} against {row['peer']:,}. Floor {row['floor']:,}, {side} the "
        f"peer; the {row['gas'] - row['floor']:,} above it: {rest}. {_WHY.get(name, '')}"
    )


def all_rows(data: Data) -> list[Data]:
    """Rows of the table and the extra ones, each with its name."""
    main = [{"name": name, **row} for name, row in data.get("rows", {}).items()]
    return main + list(data.get("extra", []))


def floors(data: Data) -> str:
    """Gas, floor and ratio of every row, and what lies between."""
    rows = all_rows(data)
    if not rows:
        return ""
    kinds = [kind for kind in rows[0]["above"] if kind != "base"]
    lines = [
        [
            f"`{row['name']}`",
            row["holds"],
            row["gas"],
            row["floor"],
            f"{row['ratio']:.2f}",
            *(row["above"][kind] for kind in kinds),
        ]
        for row in rows
    ]
    header = ("row", "what it holds", "gas", "floor", "ratio", *(f"+ {kind}" for kind in kinds))
    return f"## Floors\n\n{_FLOOR_TEXT}\n{table(header, lines)}"


def breakdown(data: Data) -> str:
    """Where the gas of each row goes."""
    rows = all_rows(data)
    if not rows:
        return ""
    names = list(CATEGORIES)
    lines = [[f"`{r['name']}`", r["gas"], *(r["breakdown"][name] for name in names)] for r in rows]
    counted = [[f"`{r['name']}`", *(r["counts"].get(kind, 0) for kind in _COUNTED)] for r in rows]
    told = ", ".join(f"*{name}*: {text}" for name, text in CATEGORIES.items())
    return (
        "## Where the gas goes\n\n"
        "Every transaction is run a second time by another EVM (py-evm), instruction by "
        "instruction, on the state it began with. Categories are differences of the gas before "
        "and after an instruction; they sum to what revm charged, to the unit, or the run fails. "
        f"Here {told}.\n\n"
        + table(("row", "gas", *names), lines)
        + "\nHow often:\n\n"
        + table(("row", *_COUNTED), counted)
    )


def flat(data: Data) -> str:
    """`deleverage` against the number of counterparties."""
    pairs = data.get("flat")
    if not pairs:
        return ""
    first = pairs[0][1]
    worst = max(abs(gas - first) / first for _, gas in pairs)
    held = "holds" if worst <= FLAT_WITHIN else "**does not hold**"
    return (
        "## Deleveraging at scale\n\n"
        "One call closes a bankrupt long against so many shorts of one bucket, up to "
        f"{pairs[-1][0]:,}, which come in one by one through `fill`. Within 2 % of one "
        f"counterparty {held}: largest difference {100 * worst:.2f} %.\n\n"
        + table(("counterparties", "gas"), pairs)
        + "\n![flat](images/adl.svg)\n"
    )


def buckets(data: Data) -> str:
    """`deleverage` against the number of buckets."""
    pairs = data.get("buckets")
    if not pairs:
        return ""
    base, first = pairs[0]
    lines: list[tuple[int | None, ...]] = [(base, first, None, None)]
    for (before, less), (count, gas) in pairwise(pairs):
        further = (gas - less) // (count - before)
        lines.append((count, gas, (gas - first) // (count - base), further))
    dearest = max(line[3] or 0 for line in lines)
    held = "holds" if dearest <= BUCKET_LIMIT else "**does not hold**"
    return (
        "The same over so many buckets, each of another price, one counterparty in each. At most "
        f"{BUCKET_LIMIT:,} for each bucket {held}: on average after the first "
        f"{lines[-1][2] or 0:,}, in the dearest stretch {dearest:,}. (A deployment's own limit of "
        "buckets a call is lower; what is left is closed by the next call.)\n\n"
        + table(("buckets", "gas", "each after the first", "each since the row above"), lines)
        + "\n![buckets](images/adl_buckets.svg)\n"
    )


def facts(data: Data) -> str:
    """What each floor holds."""
    if not all_rows(data):
        return ""
    costs = [(name, fact.gas, fact.text) for name, fact in floor.FACTS.items()]
    held = [
        (f"`{name}`", floor.of(needs), ", ".join(_count(fact, n) for fact, n in needs.items() if n))
        for name, needs in floor.NEEDS.items()
    ]
    return (
        "## What the floors hold\n\n"
        "Sizes, prices and amounts of one record take 96 bits, indexes and shares 128, a rank 48; "
        "a sub-account one byte, a salt four. A new word costs 22,100, a changed one 5,000, one "
        "cleared 5,000 less 4,800 of refund, a read one 2,100, all cold.\n\n"
        + table(("fact", "gas", "what it is"), costs)
        + "\n"
        + table(("row", "floor", "facts"), held)
    )


def _count(fact: str, number: int) -> str:
    return fact if number == 1 else f"{number} x {fact}"


def whole_market(data: Data) -> str:
    """10,000 accounts through the recorded crash."""
    return market.section(data["market"]) if "market" in data else ""


def keeper_mirror(data: Data) -> str:
    """How fast a keeper re-scores everybody."""
    return mirror_speed.section(data["mirror"]) if "mirror" in data else ""


SECTIONS: tuple[Section, ...] = (
    head,
    against_peers,
    above_peers,
    floors,
    flat,
    buckets,
    breakdown,
    facts,
    whole_market,
    keeper_mirror,
)


def page(data: Data) -> str:
    """The whole page."""
    return "\n".join(text for section in SECTIONS if (text := section(data)))


def write(data: Data, path: Path = PAGE) -> None:
    """Write the page."""
    path.write_text(page(data))
