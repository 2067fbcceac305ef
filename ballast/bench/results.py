"""What a run measured, as `build/bench.json` keeps it. A run of one part keeps the others'."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ballast.bench import floor, peers
from ballast.bench.rows import Measured
from ballast.build import ROOT

PATH = ROOT / "build" / "bench.json"

Data = dict[str, Any]


def load(path: Path = PATH) -> Data:
    """What is there of earlier runs."""
    return dict(json.loads(path.read_text())) if path.exists() else {}


def save(data: Data, path: Path = PATH) -> None:
    """Write it all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2) + "\n")


def of_rows(measured: Iterable[Measured]) -> Data:
    """`rows`, those of the peers' table by name, and `extra`, a list of the others."""
    main: Data = {}
    extra = []
    for item in measured:
        if item.row.is_extra:
            extra.append({"name": item.row.name, **_figures(item)})
        else:
            peer = peers.cheapest(item.row.name)
            main[item.row.name] = {**_figures(item), "peer": peer}
    return {"rows": main, "extra": extra}


def _figures(item: Measured) -> Data:
    gas, least = item.breakdown.gas_used, floor.floor(item.row.name)
    return {
        "gas": gas,
        "floor": least,
        "ratio": round(gas / least, 2),
        "holds": item.row.holds,
        "above": floor.above(item.row.name, item.breakdown.gas),
        "breakdown": item.breakdown.gas,
        "counts": item.breakdown.counts,
    }
