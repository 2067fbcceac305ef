"""How long a keeper's mirror takes to re-score everybody after a price (`ballast.columns`)."""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np

from ballast import config
from ballast.abi import Event
from ballast.build import ROOT
from ballast.columns import Columns
from ballast.indexer import Indexer
from ballast.mirror import INDEX_BITS, WAD, bucket_key
from ballast.model import grid

TARGET_SECONDS = 0.050
RESULT = ROOT / "build" / "bench_mirror.json"
ZERO = "0x" + "00" * 20
PRICES = {1: 116_830 * WAD, 2: 4_010 * WAD, 3: 207 * WAD}
"""BTC, ETH and SOL before the crash."""
LEVERAGES = (1.5, 2, 3, 5, 8, 12, 18, 25)
ENTRY_SIGMA = 0.05
CLOSED_SHARE = 0.1

Say = Callable[[str], None]


def silent(line: str) -> None:
    """Says nothing."""


def synthetic(accounts: int, seed: int) -> Indexer:
    """An indexer that has seen accounts with 1 to 3 legs each, and a tenth of all buckets closed by
    half: the events are made up, what becomes of them is the indexer's own work."""
    rnd = random.Random(seed)
    indexer = Indexer(ZERO, ZERO)
    indexer.take([_event("GroupSet", group=1)], 1, 1)
    parameters = config.load(config.PARAMETERS / "local.toml")
    for market, params in enumerate(parameters.markets, 1):
        indexer.take([_event("MarketSet", market=market, params=params.params(ZERO))], 1, 1)
    for market, price in PRICES.items():
        fixed = _event(
            "PriceFixed", market=market, price=price, timestamp=1, status=0, funding_index=0
        )
        indexer.take([fixed], 1, 1)
    for number in range(1, accounts + 1):
        indexer.take(_opening(indexer, (number << 96).to_bytes(32, "big"), rnd), 1, 1)
    for key, bucket in list(indexer.buckets.items()):
        if rnd.random() < CLOSED_SHARE:
            half = bucket.size // 2
            gain = (half * PRICES[key >> 32] // WAD << INDEX_BITS) // bucket.shares
            gain = gain if key >> 16 & 1 else -gain
            closed = _event(
                "ForcedClose",
                market=key >> 32,
                bucket_id=key & (2**17 - 1),
                size=half,
                credit_index=bucket.credit_index + gain,
            )
            indexer.take([closed], 2, 2)
    return indexer


def _event(name: str, **args: Any) -> Event:
    return Event(name, ZERO, args)


def _opening(indexer: Indexer, account: bytes, rnd: random.Random) -> list[Event]:
    leverage = rnd.choice(LEVERAGES)
    notional = min(3_000 * rnd.lognormvariate(0, 2), 2e7)
    markets = rnd.sample(sorted(PRICES), rnd.choices((1, 2, 3), (6, 3, 1))[0])
    cash = int(notional / leverage * 1e6) * 10**12
    events = [
        _event("Deposited", account=account, amount_quote=cash),
        _event("GroupChosen", account=account, group=1),
    ]
    for market in markets:
        entry = int(PRICES[market] * rnd.lognormvariate(0, ENTRY_SIGMA))
        size = int(notional / len(markets) / (entry / WAD) * 1e9) * 10**9 + 1
        is_long = rnd.random() < 0.5
        tier = grid.tier_of(int(leverage * 1_000), 1_000)
        place = is_long << 16 | tier << 13 | grid.tick_of(entry)
        live = indexer.buckets.get(bucket_key(market, place))
        events.append(
            _event(
                "PositionChanged",
                account=account,
                market=market,
                size=size if is_long else -size,
                entry_price=entry,
                bucket_id=place,
                shares=size,
                credit_index=live.credit_index if live else 0,
                left_base=0,
                joined_base=size,
            )
        )
    return events


def measure(
    accounts: int = 100_000, rounds: int = 50, seed: int = 1, say: Say = silent
) -> dict[str, Any]:
    """Re-score that many accounts at that many prices; seconds, JSON-able.

    `score` is equity, maintenance and the two decisions; `rank` score, size ahead and band of
    every leg; `both` is what a price costs. Every round's prices are 0.01 to 20 % off.
    """
    began = time.perf_counter()
    indexer = synthetic(accounts, seed)
    say(f"{accounts:,} accounts indexed")
    columns = Columns(indexer)
    indexed = time.perf_counter()
    columns.update(10)
    renewed = time.perf_counter()
    say("columns filled")
    rnd = random.Random(seed + 1)
    scores, ranks, examined, bankrupt, liquidatable = [], [], [], [], []
    columns.screen(PRICES)
    columns.ranks(PRICES)
    for _ in range(rounds):
        prices = {m: int(p * (1 - rnd.uniform(-0.05, 0.20))) for m, p in PRICES.items()}
        start = time.perf_counter()
        screen = columns.screen(prices)
        middle = time.perf_counter()
        columns.ranks(prices)
        scores.append(middle - start)
        ranks.append(time.perf_counter() - middle)
        examined.append(screen.examined)
        bankrupt.append(int(screen.bankrupt.sum()))
        liquidatable.append(int(screen.liquidatable.sum()))
    say("re-scored")
    differences = _differences(columns, prices, screen, min(accounts, 2_000), rnd)
    both = [a + b for a, b in zip(scores, ranks, strict=True)]
    return {
        "accounts": accounts,
        "legs": int(np.count_nonzero(columns.size)),
        "buckets": sum(1 for b in indexer.buckets.values() if b.size),
        "rounds": rounds,
        "seed": seed,
        "index_seconds": indexed - began,
        "fill_seconds": renewed - indexed,
        "score": _times(scores),
        "rank": _times(ranks),
        "both": _times(both),
        "target_seconds": TARGET_SECONDS,
        "examined_most": max(examined),
        "bankrupt_most": max(bankrupt),
        "liquidatable_most": max(liquidatable),
        **differences,
    }


def _times(seconds: list[float]) -> dict[str, float]:
    return {"median": statistics.median(seconds), "worst": max(seconds)}


def _differences(
    columns: Columns, prices: dict[int, int], screen: Any, sample: int, rnd: random.Random
) -> dict[str, Any]:
    """How far the floats of a sample lie from the integers, and decisions that differ (none)."""
    wrong, furthest = 0, 0.0
    for number in rnd.sample(range(len(columns.names)), sample):
        equity, needed = columns.exact(number, prices)
        furthest = max(furthest, abs(screen.equity[number] - equity / WAD) / screen.error[number])
        wrong += bool(screen.bankrupt[number]) != (equity < 0)
        wrong += bool(screen.liquidatable[number]) != (0 <= equity < needed)
    return {
        "sample": sample,
        "wrong_decisions": wrong,
        "error_of_bound": furthest,
        "largest_error_quote": float(screen.error.max()),
    }


def section(result: dict[str, Any]) -> str:
    """The result as a section of docs/BENCHMARKS.md."""
    r = SimpleNamespace(**result)

    def row(name: str, times: dict[str, float]) -> str:
        return f"| {name} | {times['median'] * 1e3:.1f} | {times['worst'] * 1e3:.1f} |"

    return f"""## The keeper's mirror

`python -m ballast.bench.mirror_speed`: {r.accounts:,} accounts with {r.legs:,} legs in
{r.buckets:,} buckets of three markets (seed {r.seed}), re-scored at {r.rounds} prices, one core.
Target: {r.target_seconds * 1e3:.0f} ms.

| after a price | median ms | worst ms |
|---|---|---|
{row("equity, maintenance, who is bankrupt or liquidatable", r.score)}
{row("score, size ahead and band of every leg", r.rank)}
{row("both", r.both)}

Arrays are floats, decisions are exact: whoever lies within the error bound of a threshold (at
most {r.examined_most} accounts a price here; the bound is at most {r.largest_error_quote:.1e}
quote) is evaluated in the contracts' integers. Of {r.sample:,} accounts drawn, {r.wrong_decisions}
decisions differ from the integers', and the floats use at most {r.error_of_bound:.1%} of the bound.
Against the chain's views: `tests/unit/mirror`, and the whole market below. Filling the columns from
decoded events takes {r.index_seconds:.1f} s + {r.fill_seconds:.1f} s once; afterwards only what has
changed is renewed.
"""


def write(result: dict[str, Any], path: Path = RESULT) -> None:
    """Keep a result."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")


@click.command()
@click.option("--accounts", default=100_000, show_default=True, type=click.IntRange(10))
@click.option("--rounds", default=50, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0))
def cli(accounts: int, rounds: int, seed: int) -> None:
    """Measure how long re-scoring everybody takes after a price."""
    result = measure(accounts, rounds, seed, click.echo)
    write(result)
    click.echo(section(result))


if __name__ == "__main__":
    cli()
