"""The plots of `docs/images/`: small SVGs, the same ones for the same figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib

from ballast.bench import peers
from ballast.bench.results import Data
from ballast.build import ROOT

IMAGES = ROOT / "docs" / "images"
_BESIDE = {"textcoords": "offset points", "ha": "center"}
_BLUE, _GREY, _ORANGE = "#2b6cb0", "#a0aec0", "#dd6b20"


def draw(data: Data, folder: Path = IMAGES) -> list[Path]:
    """Draw what there are figures for; the files."""
    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": "ballast", "svg.fonttype": "none", "font.size": 9})
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    plots: dict[str, tuple[str, Callable[..., Any]]] = {
        "adl": ("flat", _adl),
        "adl_buckets": ("buckets", _buckets),
        "peers": ("rows", _rows),
    }
    made = []
    for name, (part, plot) in plots.items():
        if part not in data:
            continue
        figure = plot(plt, data[part])
        path = folder / f"{name}.svg"
        figure.savefig(path, metadata={"Date": None})
        text = path.read_text()
        path.write_text("\n".join(line.rstrip() for line in text.splitlines()) + "\n")
        plt.close(figure)
        made.append(path)
    return made


def _adl(plt: Any, pairs: Sequence[Sequence[int]]) -> Any:
    figure, axes = plt.subplots(figsize=(6.4, 3.0), layout="constrained")
    counts, gas = zip(*pairs, strict=True)
    each = peers.cheapest("deleverage") or 0
    peer = [each * count for count in counts]
    axes.loglog(counts, peer, "--", color=_GREY, label=f"a call each, as dYdX v1 ({each:,})")
    axes.loglog(counts, gas, "o-", color=_BLUE, label="Ballast, one call")
    axes.annotate(f"{gas[0]:,}", (counts[0], gas[0]), (0, 7), **_BESIDE)
    axes.annotate(f"{gas[-1]:,}", (counts[-1], gas[-1]), (0, 7), **_BESIDE)
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.minorticks_off()
    axes.margins(x=0.08)
    axes.set_xlabel("counterparties deleveraged")
    axes.set_ylabel("gas")
    axes.set_title("Deleveraging costs the same against any number of counterparties")
    axes.legend(loc="upper left", frameon=False)
    return figure


def _buckets(plt: Any, pairs: Sequence[Sequence[int]]) -> Any:
    figure, axes = plt.subplots(figsize=(6.4, 3.0), layout="constrained")
    counts, gas = zip(*pairs, strict=True)
    axes.plot(counts, [g / 1e6 for g in gas], "o-", color=_BLUE)
    slope = (gas[-1] - gas[0]) / max(1, counts[-1] - counts[0])
    middle = (counts[-1] / 2, gas[-1] / 2e6)
    axes.annotate(f"{slope:,.0f} gas a bucket", middle, (60, -14), **_BESIDE)
    axes.set_xlabel("buckets of the queue closed against in one call")
    axes.set_ylabel("million gas")
    axes.set_title("Deleveraging grows by a constant with each bucket")
    return figure


def _rows(plt: Any, rows: Data) -> Any:
    figure, axes = plt.subplots(figsize=(6.4, 5.2), layout="constrained")
    names = list(rows)
    series = (
        ("Ballast", "gas", _BLUE),
        ("its floor", "floor", _ORANGE),
        ("cheapest peer", "peer", _GREY),
    )
    for offset, (label, key, color) in enumerate(series):
        heights = [index + (offset - 1) * 0.27 for index in range(len(names))]
        values = [rows[name][key] / 1_000 for name in names]
        axes.barh(heights, values, 0.25, color=color, label=label)
        for height, value in zip(heights, values, strict=True):
            axes.annotate(
                f"{value * 1_000:,.0f}",
                (value, height),
                (3, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
            )
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("thousand gas")
    axes.legend(loc="lower right", frameon=False)
    return figure
