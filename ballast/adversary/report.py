"""What is shown and kept of the games: tables, `build/adversary.json`, `build/adversary.png`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ballast.adversary.block import Searched
from ballast.adversary.crash import Played
from ballast.adversary.crash_search import Row
from ballast.adversary.funding import Washed
from ballast.adversary.policy import Policy

WAD = 10**18
MILLION = 10**6 * WAD


def _table(title: str, *columns: str, left: int = 1) -> Table:
    table = Table(*columns, title=title, title_justify="left")
    for column in table.columns[left:]:
        column.justify = "right"
    return table


def _quote(wei: int) -> str:
    return f"{wei / WAD:,.2f}" if abs(wei) >= WAD // 100 else f"{wei / WAD:.2g}"


def print_block(console: Console, results: Sequence[Searched]) -> None:
    """One row a search, and the programs that found a bug."""
    columns = ("game", "rules", "stage", "programs", "effects", "best unexplained", "dust", "")
    table = _table("At given prices (money: who is served first, no bug)", *columns, left=3)
    for found in results:
        gain = found.best.unexplained if found.game == "money" else found.best.worst
        mark = "[bold red]BUG[/]" if found.is_bug else ""
        row = (f"{found.programs:,}", f"{found.effects}", _quote(gain), _quote(found.dust), mark)
        table.add_row(found.game, found.rule, found.stage, *row)
    console.print(table)
    for found in results:
        if found.is_bug:
            console.print(f"[bold red]{found.rule}, {found.stage}[/]: {_quote(found.best.worst)}")
            for call in found.best.calls:
                console.print(f"    {call.text}")


def print_funding(console: Console, days: Iterable[Washed]) -> None:
    """What washing the premium brings a day."""
    columns = ("honest turnover", "washed every", "received", "fees", "gain")
    table = _table("Funding by wash trades: bps of the notional held, a day", *columns)
    for day in days:
        figures = (f"{f:.1f}" for f in (day.received_bps, day.fees_bps, day.gain_bps))
        table.add_row(f"{day.turnover} x interest", f"{day.every_seconds // 60} min", *figures)
    console.print(table)


def print_policies(
    console: Console, title: str, rows: Sequence[tuple[str, Policy, Played]]
) -> None:
    """What policies came to, one row each, thousands of quote."""
    columns = ("gain", "of fund", "of traders", "fees", "penalties", "margin", "waiting")
    table = _table(f"{title} (thousands)", "", *columns)
    for name, _, played in rows:
        amounts = (
            played.gain,
            played.drawn,
            played.from_traders,
            played.fees,
            played.penalties,
            played.margin,
            played.waiting,
        )
        table.add_row(name, *(f"{a / WAD / 1_000:,.0f}" for a in amounts))
    console.print(table)
    policies = dict.fromkeys(policy for _, policy, _ in rows)
    for policy in policies:
        names = ", ".join(name for name, other, _ in rows if other == policy)
        console.print(f"{names if len(policies) > 1 else 'all'}: {policy.shown()}")


def print_frontier(console: Console, path: str, rows: Sequence[Row]) -> None:
    """The best gain by margin tier, cap and fee; a losing game in green."""
    title = f"Best gain of a pair on {path} (thousands), by cap and taker fee"
    kinds = sorted({(-row.tier.cap_quote, row.tier.fee_bps) for row in rows})
    table = _table(title, "margins", *(f"{-cap // 1_000}k, {fee} bps" for cap, fee in kinds))
    lines: dict[str, dict[tuple[int, int], int]] = {}
    for row in rows:
        tier = row.tier
        name = f"{tier.initial_bps / 100:g} / {tier.maintenance_bps / 100:g} %"
        lines.setdefault(name, {})[-tier.cap_quote, tier.fee_bps] = row.played.gain
    for name, gains in lines.items():
        table.add_row(name, *(_losing(gains[kind]) for kind in kinds))
    console.print(table)


def _losing(gain: int) -> str:
    text = f"{gain / WAD / 1_000:,.1f}"
    return f"[green]{text}[/]" if gain <= 0 else text


def block_json(found: Searched) -> dict[str, Any]:
    """A search as JSON; amounts in wei."""
    best = found.best
    return {
        "game": found.game,
        "rules": found.rule,
        "stage": found.stage,
        "programs": found.programs,
        "effects": found.effects,
        "dust_wei": found.dust,
        "unexplained_wei": best.unexplained,
        "gain_wei": best.gain,
        "earned_wei": best.earned,
        "refunded_wei": best.refunded,
        "overpaid_wei": best.overpaid,
        "overdrawn_wei": best.overdrawn,
        "is_bug": found.is_bug,
        "calls": [call.text for call in best.calls],
    }


def played_json(policy: Policy, played: Played) -> dict[str, Any]:
    """A policy's result as JSON; amounts in whole quote."""
    data: dict[str, Any] = {"policy": asdict(policy)}
    for name in ("gain", "drawn", "from_traders", "fees", "penalties", "margin", "waiting", "bet"):
        data[f"{name}_quote"] = round(getattr(played, name) / WAD, 2)
    return data | {
        "opened": played.opened,
        "bankrupt": played.bankrupt,
        "violations": played.violations,
    }


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write `build/adversary.json`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2) + "\n")


def plot(path: Path, rows: Sequence[Row]) -> None:
    """Best gain against the maintenance margin, a line for each cap at the lowest fee."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fee = min(row.tier.fee_bps for row in rows)
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for cap in sorted({row.tier.cap_quote for row in rows}, reverse=True):
        line = [row for row in rows if (row.tier.cap_quote, row.tier.fee_bps) == (cap, fee)]
        axes.plot(
            [row.tier.maintenance_bps / 100 for row in line],
            [row.played.gain / MILLION for row in line],
            marker="o",
            label=f"cap {cap:,}",
        )
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xlabel("maintenance margin, % (initial: about twice)")
    axes.set_ylabel(f"best gain found, million quote (taker fee {fee} bps)")
    axes.set_title("What a pair of one's own accounts takes out of a crash")
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
