"""What a replay shows: tables, `build/demo.json` and `build/demo.png`."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ballast.mirror import WAD
from ballast.replay.run import Forced, Result

COUNTS = (
    "liquidations",
    "deleverage_calls",
    "deleverage_resumed",
    "max_deleverage_gas",
    "steps",
    "checks",
    "unresolved",
    "traders",
    "trades",
)
AMOUNTS = (
    "liquidated_quote",
    "insurance_paid_quote",
    "deficit_quote",
    "adl_quote",
    "profit_taken_quote",
    "claims_waiting_quote",
    "shortfall_quote",
    "max_dust_quote",
)


def as_json(result: Result, seconds: float, extra: dict[str, Any]) -> dict[str, Any]:
    """The result with every `_quote` figure in quote."""
    data: dict[str, Any] = {name: getattr(result, name) for name in COUNTS}
    data |= {name: getattr(result, name) / WAD for name in AMOUNTS}
    data["largest_share_of_profit_taken"] = result.largest_share
    data["insurance_lowest_quote"] = min(result.insurance, default=0.0)
    data["violations"] = result.violations
    data["seconds"] = round(seconds, 1)
    data["deleveraged"] = [
        {**asdict(forced), "lost_quote": forced.lost_quote / WAD} for forced in result.forced
    ]
    return data | extra


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write `build/demo.json`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2) + "\n")


def print_stages(console: Console, result: Result) -> None:
    """The table by waterfall stage."""

    def quote(wei: int) -> str:
        return f"{wei / WAD:,.2f}"

    table = Table("stage", "", "figure", title="Waterfall", title_justify="left")
    table.columns[2].justify = "right"
    low = min(result.insurance, default=0.0)
    rows = (
        ("1 liquidation", "positions taken over", f"{result.liquidations}"),
        ("", "volume", quote(result.liquidated_quote)),
        ("2 insurance", "paid", quote(result.insurance_paid_quote)),
        ("", "lowest balance", f"{low:,.2f}"),
        (
            "3 deleveraging",
            "calls (resumed)",
            f"{result.deleverage_calls} ({result.deleverage_resumed})",
        ),
        ("", "volume", quote(result.adl_quote)),
        ("", "deficit after insurance", quote(result.deficit_quote)),
        ("", "profit taken from winners", quote(result.profit_taken_quote)),
        ("", "largest share of a winner's profit", f"{100 * result.largest_share:.2f} %"),
        ("", "gas of the dearest call", f"{result.max_deleverage_gas:,}"),
        ("4 what is left", "claims still waiting", quote(result.claims_waiting_quote)),
        ("", "shortfall", quote(result.shortfall_quote)),
        ("", "accounts unresolved", f"{result.unresolved}"),
    )
    for row in rows:
        table.add_row(*row)
    console.print(table)


def print_bands(console: Console, forced: list[Forced]) -> None:
    """The band every deleveraged trader was shown a minute before."""
    if not forced:
        return
    table = Table(
        "trader",
        "market",
        "closes",
        "size",
        "profit taken",
        "most of its profit",
        "band before",
        title="Deleveraged traders, and the band (1 to 5) the chain showed a minute before",
        title_justify="left",
    )
    for column in table.columns[2:]:
        column.justify = "right"
    groups: dict[tuple[str, str], list[Forced]] = defaultdict(list)
    for close in forced:
        groups[close.trader, close.coin].append(close)
    for (trader, coin), closes in sorted(groups.items(), key=lambda item: _number(item[0])):
        bands = sorted({close.band for close in closes}, reverse=True)
        table.add_row(
            trader,
            coin,
            f"{len(closes)}",
            f"{sum(close.size for close in closes):,.4f}",
            f"{sum(close.lost_quote for close in closes) / WAD:,.2f}",
            f"{100 * max(close.share_of_profit for close in closes):.2f} %",
            ", ".join(str(band) for band in bands),
        )
    console.print(table)


def _number(key: tuple[str, str]) -> tuple[int, str]:
    digits = "".join(filter(str.isdigit, key[0]))
    return (int(digits) if digits else -1, key[1])


def print_checks(console: Console, result: Result) -> None:
    """What was checked, and the first violation if there is one."""
    dust = f"{result.max_dust_quote / WAD:.3g}"
    if result.violations:
        console.print(f"[bold red]VIOLATION[/] at step {result.steps}: {result.violations[0]}")
        return
    console.print(
        f"S1, S2, S3 and S6 held after each of {result.checks} steps, account by account against"
        f" the exact model; largest dust {dust} quote."
    )


def plot(path: Path, result: Result) -> None:
    """Prices, insurance balance, open interest, and every liquidation and ADL on a time axis."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.dates import DateFormatter

    times = [datetime.fromtimestamp(t, UTC) for t in result.times]
    figure, (top, middle, bottom) = plt.subplots(
        3, 1, sharex=True, figsize=(11, 9), height_ratios=(3, 2, 2), layout="constrained"
    )
    for coin, series in result.prices.items():
        top.plot(times, [100 * price / series[0] for price in series], label=coin)
    top.set_ylabel("price, % of the first")
    for kind, marker, color in (("liquidation", "v", "tab:orange"), ("ADL", "x", "tab:red")):
        marks = [event for event in result.events if event[1] == kind]
        if not marks:
            continue
        index = {t: i for i, t in enumerate(result.times)}
        heights = [_height(result, coin, index.get(t, 0)) for t, _, coin, _ in marks]
        sizes = [20 + 120 * min(1.0, quote / 500_000) for _, _, _, quote in marks]
        moments = [datetime.fromtimestamp(t, UTC) for t, _, _, _ in marks]
        top.scatter(
            moments,
            heights,
            s=sizes,
            marker=marker,
            color=color,
            label=kind,
            zorder=3,
        )
    top.legend(loc="lower left", ncols=5)
    top.set_title("A crash through the waterfall")
    middle.fill_between(times, result.insurance, color="tab:green", alpha=0.4)
    middle.set_ylabel("insurance fund, quote")
    bottom.stackplot(times, *result.interest.values(), labels=list(result.interest), alpha=0.7)
    bottom.set_ylabel("open interest, quote")
    bottom.legend(loc="lower left", ncols=5)
    bottom.xaxis.set_major_formatter(DateFormatter("%d %b %H:%M", tz=UTC))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _height(result: Result, coin: str, index: int) -> float:
    series = result.prices[coin]
    return 100 * series[min(index, len(series) - 1)] / series[0]
