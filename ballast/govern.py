"""What owner and guardian do with a deployment that runs: list a market, raise a parameter (with
its delay), pause, take over ownership.

Each command is a list of calls and what the record says afterwards. A call whose effect the chain
already shows is not sent again, so a command that failed can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ballast import config, contracts
from ballast.chain import Chain
from ballast.config import DeployConfig, MarketConfig
from ballast.contract import Contract
from ballast.deploy import Call, group_call, market_calls, oracle_of
from ballast.errors import GovernanceError, Reverted
from ballast.record import Record

EVERY_MARKET = "all"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Change:
    """Calls in order, and the record's part of it once they are made."""

    calls: list[Call]
    note: Callable[[Record], None] = lambda kept: None


def carry_out(
    chain: Chain,
    kept: Record,
    change: Change,
    *,
    sender: str,
    path: Path | None,
    progress: Progress = lambda line: None,
) -> None:
    """Send what is not done yet and note it in the record. Raises `GovernanceError`."""
    for call in change.calls:
        if call.done():
            continue
        progress(call.describe())
        try:
            getattr(_at(chain, kept, call.contract).send, call.function)(*call.args, sender=sender)
        except Reverted as error:
            raise GovernanceError(f"{call.describe()} reverted: {error}") from error
        if not call.done():
            raise GovernanceError(f"{call.describe()} had no effect")
    change.note(kept)
    kept.save(path)


def rehearse(chain: Chain, kept: Record, change: Change, *, sender: str) -> list[tuple[Call, str]]:
    """Each call that is not done yet, and "" or why the chain would refuse it now.

    A call that builds on one before it is refused here: nothing is sent.
    """
    results = []
    for call in change.calls:
        if call.done():
            continue
        try:
            getattr(_at(chain, kept, call.contract).view, call.function)(*call.args, sender=sender)
        except Reverted as error:
            results.append((call, str(error)))
        else:
            results.append((call, ""))
    return results


def call_data(chain: Chain, kept: Record, call: Call) -> tuple[str, str]:
    """Address and data of a call in hex, for a Safe or a timelock that owns the contracts."""
    contract = _at(chain, kept, call.contract)
    data: bytes = getattr(contract.data, call.function)(*call.args)
    return contract.address, "0x" + data.hex()


def list_market(chain: Chain, kept: Record, asked: DeployConfig, symbol: str) -> Change:
    """List a market of a parameter file, with its group where that is new.

    Raises `GovernanceError`.
    """
    if symbol in kept.markets:
        raise GovernanceError(f"{symbol} is market {kept.markets[symbol]} already")
    market = next((market for market in asked.markets if market.symbol == symbol), None)
    if market is None:
        known = ", ".join(market.symbol for market in asked.markets)
        raise GovernanceError(f"the parameter file has no market {symbol}, only {known}")
    group = next(group for group in asked.groups if group.group == market.group)
    is_new = group.group not in [known.group for known in kept.config.groups]
    calls = [group_call(chain, kept, group)] if is_new else []
    number = len(kept.markets) + 1
    calls += market_calls(chain, kept, number, market)

    def note(kept: Record) -> None:
        had = kept.config
        groups = (*had.groups, group) if is_new else had.groups
        _note_config(kept, replace(had, groups=groups, markets=(*had.markets, market)))
        kept.markets[symbol] = number

    return Change(calls, note)


def announce(kept: Record, symbol: str, changes: Mapping[str, str]) -> tuple[MarketConfig, Call]:
    """A market's new parameters and the call that announces them.

    Raises `GovernanceError` where no margin requirement rises, `ConfigError`.
    """
    number, market = _market(kept, symbol)
    wanted = config.changed_market(market, changes)
    if not _raises_margin(market, wanted):
        raise GovernanceError(f"no margin requirement of {symbol} rises: `set` does it at once")
    params = wanted.params(kept.contracts[oracle_of(wanted)]).as_tuple()
    return wanted, Call(contracts.CLEARINGHOUSE, "announce", (number, params), lambda: False)


def send_announcement(
    chain: Chain, kept: Record, wanted: MarketConfig, call: Call, *, sender: str, path: Path | None
) -> int:
    """Announce; returns from when on (Unix seconds) `set` works. Raises `GovernanceError`."""
    house = _at(chain, kept, call.contract)
    try:
        receipt = house.send.announce(*call.args, sender=sender)
    except Reverted as error:
        raise GovernanceError(f"{call.describe()} reverted: {error}") from error
    effective_at = int(house.event(receipt, "MarketAnnounced").effective_at)
    kept.announced[wanted.symbol] = {
        "parameters": config.market_as_file(wanted),
        "effective_at": effective_at,
    }
    kept.save(path)
    return effective_at


def set_market(chain: Chain, kept: Record, symbol: str, changes: Mapping[str, str]) -> Change:
    """Change a market: by what was announced where no changes are named.

    Raises `GovernanceError` where a margin requirement would rise without an announcement, or
    before its time; `ConfigError`.
    """
    number, market = _market(kept, symbol)
    told = kept.announced.get(symbol)
    if not changes and told is None:
        raise GovernanceError(f"nothing is announced for {symbol}: name what is to change")
    if changes or told is None:
        wanted = config.changed_market(market, changes)
    else:
        wanted = config.read_market(told["parameters"])
    calls = list(market_calls(chain, kept, number, wanted, listed=True))
    if _raises_margin(market, wanted) and not calls[0].done():
        if told is None or config.read_market(told["parameters"]) != wanted:
            raise GovernanceError(
                f"a margin requirement of {symbol} rises: `announce` the same change first"
            )
        _check_time(chain, symbol, int(told["effective_at"]))

    def note(kept: Record) -> None:
        had = kept.config
        markets = tuple(wanted if m.symbol == symbol else m for m in had.markets)
        _note_config(kept, replace(had, markets=markets))
        if told is not None and config.read_market(told["parameters"]) == wanted:
            del kept.announced[symbol]

    return Change(calls, note)


def pause(chain: Chain, kept: Record, symbol: str, paused: bool) -> Change:
    """Stop what adds risk in a market (`all`: in every one), or allow it again."""
    number = 0 if symbol == EVERY_MARKET else _market(kept, symbol)[0]
    view = _at(chain, kept, contracts.CLEARINGHOUSE).view
    if number and view.is_paused(0):
        raise GovernanceError(f"every market is paused: `unpause {EVERY_MARKET}` comes first")
    name = contracts.CLEARINGHOUSE
    return Change([Call(name, "pause", (number, paused), lambda: view.is_paused(number) == paused)])


def accept_ownership(chain: Chain, kept: Record, sender: str) -> Change:
    """Take over whatever is offered to `sender`. Raises `GovernanceError` where nothing is."""
    calls = []
    for name in contracts.OWNED:
        view = _at(chain, kept, name).view
        if view.pending_owner() == sender:
            done = lambda v=view: v.owner() == sender  # noqa: E731
            calls.append(Call(name, "accept_ownership", (), done))
    if not calls:
        raise GovernanceError(f"no contract is offered to {sender}")
    return Change(calls)


def _check_time(chain: Chain, symbol: str, effective_at: int) -> None:
    left = effective_at - chain.timestamp
    if left > 0:
        raise GovernanceError(
            f"what is announced for {symbol} may be set from {utc(effective_at)} on: "
            f"{timedelta(seconds=left)} left"
        )


def utc(timestamp: int) -> str:
    """Unix seconds for people."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _at(chain: Chain, kept: Record, name: str) -> Contract:
    return contracts.at(chain, name, kept.contracts[name])


def _market(kept: Record, symbol: str) -> tuple[int, MarketConfig]:
    if symbol not in kept.markets:
        raise GovernanceError(f"no market {symbol}, only {', '.join(kept.markets)}")
    number = kept.markets[symbol]
    return number, kept.config.markets[number - 1]


def _raises_margin(old: MarketConfig, new: MarketConfig) -> bool:
    return (
        new.initial_margin_bps > old.initial_margin_bps
        or new.maintenance_margin_bps > old.maintenance_margin_bps
    )


def _note_config(kept: Record, now: DeployConfig) -> None:
    kept.parameters.update(now.as_file())
