"""How the whole market's figures are told: a section of docs/BENCHMARKS.md, and two plots."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from ballast.bench import continuous
from ballast.bench.crash_run import BLOCK_GAS
from ballast.build import ROOT

IMAGES = ROOT / "docs" / "images"
CALLS = ("report", "liquidate", "deleverage", "settle", "refresh")
NAMES = {
    "ideal": "ideal queue: no ticks, no tiers",
    "grid": "the grid, leverage as of now",
    "grid_as_touched": "the grid, leverage as last touched",
    "chain": "the chain",
}
MARKERS = {1: ":x", 4: "--s", 8: "-o", 16: "-.^"}


def section(result: dict[str, Any]) -> str:
    """The result as a section of docs/BENCHMARKS.md."""
    return "\n".join(
        [
            "## A whole market through a crash\n",
            _setting(result),
            _cost_table(result),
            "![Blocks of 30 million gas by minute](images/market_blocks.svg)\n",
            _money(result),
            _queue_table(result),
            "![What the grid costs](images/grid_curve.svg)\n",
            _curve_table(result),
        ]
    )


def _setting(r: dict[str, Any]) -> str:
    interest = r["interest_quote"] / 1e6
    return f"""`python -m ballast.bench.market`: {r["accounts"]:,} accounts (seed {r["seed"]}),
{interest:.1f} million quote of open interest in BTC, ETH and SOL, {r["minutes"]} minutes of
10 October 2025; each minute's price is the recorded one furthest from the minute before. The keeper
decides from its mirror alone: {r["checked"]} accounts were compared with the chain's views on the
way (equity, maintenance, rank, decisions), {r["differing"]} differed.
"""


def _cost_table(r: dict[str, Any]) -> str:
    rows = [
        f"| `{call}` | {r['calls'][call]:,} | {r['gas'][call] / r['calls'][call]:,.0f} "
        f"| {r['gas'][call] / BLOCK_GAS:.1f} |"
        for call in CALLS
        if r["calls"][call]
    ]
    rows.append(f"| all | {sum(r['calls'].values()):,} | | {r['blocks_all']:.1f} |")
    table, model = "\n".join(rows), ""
    if r["deleverage_gas"]:
        g = r["deleverage_gas"]
        model = (
            f"\nBy least squares a `deleverage` costs {g['call']:,.0f} gas, {g['leg']:,.0f} "
            f"for each leg it closes\nand {g['bucket']:,.0f} for each bucket it takes "
            f"(root mean square of the rest: {g['residual']:,.0f}).\n"
        )
    return f"""| call | calls | gas each | blocks of 30 M |
|---|---|---|---|
{table}

At worst, after one price: {r["bankrupt_worst"]} bankrupt accounts, {r["resolve_blocks_worst"]}
blocks until the last was resolved, {r["blocks_worst"]} until nothing was left to do. With a block
every 12 seconds the keeper was at most {r["late_seconds_worst"]} seconds late for a minute's price.
Bankrupt accounts left at a minute's end: {r["unresolved"]}.
{model}"""


def _money(r: dict[str, Any]) -> str:
    winners = max(1, r["winners"])
    touched, paying = r["winners_touched"] / winners, r["winners_paying"] / winners
    return f"""| quote | |
|---|---|
| deficits of {r["bankrupt"]:,} bankruptcies | {r["deficit_quote"]:,.2f} |
| paid by insurance | {r["insurance_quote"]:,.2f} |
| taken from winners | {r["taken_quote"]:,.2f} |
| written off to the shortfall | {r["shortfall_quote"]:,.2f} |

What was taken, paid and written off comes to the deficits and {r["over_wei"]:,} wei, at most
{r["over_wei_worst"]:,} wei a bankruptcy; the documented rounding (a wei of price on the size
closed, 4 wei a bucket, leg and call) was passed {r["over_bound"]} times. Of {winners:,} accounts in
profit on a side that was called on, {touched:.1%} were closed at least in part and {paying:.1%}
gave more than a cent over the whole crash. Claims waiting at worst: {r["claims_quote_worst"]:,.2f}
quote (winners were not made to collect: what a bucket owes them is booked when they ask).
"""


def _queue_row(title: str, q: dict[str, float], spread: str = "") -> str:
    shares = (f"{q[name]:.1%}" for name in ("regret", "touched", "largest"))
    return f"| {title} | {q['misplaced']:.1%}{spread} | {' | '.join(shares)} |"


def _queue_table(r: dict[str, Any]) -> str:
    rows = []
    for name, title in NAMES.items():
        seen = [other[name]["misplaced"] for other in r["spread"]]
        rows.append(_queue_row(title, r["queues"][name], f" ({min(seen):.0%}-{max(seen):.0%})"))
    if "refreshed" in r:
        again = r["refreshed"]
        title = f"the chain, stale winners re-ranked ({again['calls']['refresh']:,} `refresh`)"
        rows.append(_queue_row(title, again["queues"]["chain"]))
    table = "\n".join(rows)
    return f"""Every minute's closings, asked of other queues from the same book at the minute's
beginning (in brackets: over {r["runs"]} seeds). *Misplaced*: share of the closed notional that the
ideal queue takes from others. *Regret*: how much further back those closed stand in the ideal queue
than those it closes, as a share of the side. *Touched*: winning legs a minute and side. *Largest*:
share of a leg's profit taken in one minute.

| queue | misplaced | regret | touched | largest |
|---|---|---|---|---|
{table}
"""


def _curve_table(r: dict[str, Any]) -> str:
    table = "\n".join(
        f"| {int(c['tiers'])} | {c['width']:.3%} | {c['misplaced']:.1%} | {c['regret']:.2%} "
        f"| {c['touched']:.1%} | {c['largest']:.1%} | {c['units']:.3f} |"
        for c in r["curve"]
    )
    return f"""| tiers | tick | misplaced | regret | touched | largest | buckets a closing |
|---|---|---|---|---|---|---|
{table}

What follows from it for the grid: [GRID.md](GRID.md).
"""


# Drawing


def draw(result: dict[str, Any], folder: Path = IMAGES) -> list[Path]:
    """Draw market_blocks.svg and grid_curve.svg into a folder."""
    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "ballast", "font.size": 9}
    folder.mkdir(parents=True, exist_ok=True)
    return [_draw_blocks(result, folder), _draw_curve(result, folder)]


def _save(figure: Any, path: Path) -> Path:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")
    return path


def _draw_blocks(result: dict[str, Any], folder: Path) -> Path:
    figure = Figure(figsize=(7, 3.4))
    axes = figure.subplots()
    rows = result["by_minute"]
    at = np.arange(len(rows))
    axes.bar(at, [m["blocks"] for m in rows], color="0.8", edgecolor="0.3", label="all calls")
    axes.bar(
        at,
        [m["resolve_blocks"] for m in rows],
        color="0.45",
        edgecolor="0.1",
        hatch="///",
        label="until the last bankrupt account is resolved",
    )
    axes.axhline(5, color="0.2", linestyle=":", linewidth=1)
    axes.annotate("5 blocks a minute", (len(rows) - 1, 5.1), ha="right", va="bottom")
    marks = list(range(0, len(rows), 10))
    times = [time.strftime("%H:%M", time.gmtime(rows[i]["timestamp"])) for i in marks]
    axes.set_xticks(marks, times)
    axes.set_ylabel("blocks of 30 million gas")
    axes.set_xlabel("10 October 2025, UTC")
    axes.legend(frameon=False)
    return _save(figure, folder / "market_blocks.svg")


def _draw_curve(result: dict[str, Any], folder: Path) -> Path:
    figure = Figure(figsize=(7, 3.4))
    panels = figure.subplots(1, 2)
    shown = (("misplaced", "misplaced notional, %"), ("touched", "winning legs touched, %"))
    for axes, (name, title) in zip(panels, shown, strict=True):
        for tiers, style in MARKERS.items():
            rows = [c for c in result["curve"] if c["tiers"] == tiers]
            across = [c["width"] * 100 for c in rows]
            up = [c[name] * 100 for c in rows]
            plural = "tier" if tiers == 1 else "tiers"
            axes.plot(
                across, up, style, color="0.15", ms=4, lw=1, mfc="w", label=f"{tiers} {plural}"
            )
            if name == "misplaced":
                start = (across[0], up[0])
                axes.annotate(f"{tiers}", start, xytext=(-14, -3), textcoords="offset points")
        chosen = next(
            c
            for c in result["curve"]
            if (c["width"], c["tiers"]) == (continuous.CHOSEN[0], continuous.CHOSEN[1])
        )
        point = (chosen["width"] * 100, chosen[name] * 100)
        axes.annotate(
            "chosen",
            point,
            xytext=(-8, -24),
            textcoords="offset points",
            arrowprops={"arrowstyle": "-"},
        )
        axes.set_xscale("log")
        axes.set_xticks([0.1, 0.5, 1, 2, 5], ["0.1", "0.5", "1", "2", "5"])
        axes.set_xlim(0.07, 6)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("tick width, %")
        axes.set_title(title, fontsize=9)
    panels[1].legend(frameon=False)
    return _save(figure, folder / "grid_curve.svg")
