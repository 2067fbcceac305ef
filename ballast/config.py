"""What a deployment is asked to be: typed, validated, read from a TOML file.

In the dataclasses every figure is in the contracts' unit (quote and base amounts WAD, ratios bps,
times seconds). In files, amounts (`*_quote`, `*_base`) are decimal strings in whole quote or base.
The bounds are those of the contracts (`modules/listing.vy`, the oracles, the insurance fund), so
that a bad file fails here, by name, before anything is sent.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Context, Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

from eth_utils.address import is_address

from ballast.abi import checksum
from ballast.chain import ZERO_ADDRESS
from ballast.errors import ConfigError

WAD = 10**18
BPS = 10_000
DAY = 86_400
MICRO = 10**12
MAX_AMOUNT = 2**96 - 1
MAX_ID = 4_095
PARAMETERS = Path(__file__).resolve().parent.parent / "parameters"
ORACLES = ("signed", "chainlink")
_EXACT = Context(prec=120)

_T = TypeVar("_T")


def _check(ok: bool, name: str, rule: str) -> None:
    if not ok:
        raise ConfigError(f"{name}: {rule}")


def _within(name: str, value: int, low: int, high: int) -> None:
    _check(low <= value <= high, name, f"{value} is not in {low} to {high}")


def _address(name: str, value: str) -> str:
    _check(is_address(value), name, f"{value!r} is no address")
    return checksum(value)


@dataclass(frozen=True)
class MarketParams:
    """The contract's struct, in its order. Amounts WAD, ratios bps.

    `interest_cap_base` bounds a market's open interest, `position_cap_base` one position;
    `insurance_cap_quote` refills linearly over `insurance_refill_seconds`; `funding_cap_bps` is
    per 8 hours; `liquidation_target_bps` is the target E / MM after a liquidation;
    `min_reward_quote` is what a liquidator is topped up to out of the keeper reserve.
    """

    oracle: str
    group: int
    initial_margin_bps: int
    maintenance_margin_bps: int
    position_cap_base: int
    interest_cap_base: int
    min_notional_quote: int
    price_band_bps: int
    maker_fee_bps: int
    taker_fee_bps: int
    fee_insurance_share_bps: int
    fee_reserve_share_bps: int
    liquidation_penalty_bps: int
    liquidator_share_bps: int
    penalty_insurance_share_bps: int
    liquidation_target_bps: int
    min_reward_quote: int
    insurance_cap_quote: int
    insurance_refill_seconds: int
    premium_cap_bps: int
    funding_cap_bps: int
    premium_window_seconds: int

    def as_tuple(self) -> tuple[Any, ...]:
        """The struct as the contract takes it."""
        return tuple(getattr(self, item.name) for item in fields(self))


@dataclass(frozen=True)
class MarketConfig:
    """One market. The margin, fee and funding fields are those of `MarketParams`.

    A market priced by the signed oracle needs `max_age_seconds` (oldest usable report) and
    `step_bps` (a larger step waits for a second report); one priced by Chainlink needs `feed`
    (address) and `heartbeat_seconds`.
    """

    symbol: str
    group: int = 1
    oracle: str = "signed"
    initial_margin_bps: int = 500
    maintenance_margin_bps: int = 250
    position_cap_base: int = 10_000 * WAD
    interest_cap_base: int = 100_000 * WAD
    min_notional_quote: int = 10 * WAD
    price_band_bps: int = 300
    maker_fee_bps: int = 1
    taker_fee_bps: int = 5
    fee_insurance_share_bps: int = 3_000
    fee_reserve_share_bps: int = 2_000
    liquidation_penalty_bps: int = 100
    liquidator_share_bps: int = 5_000
    penalty_insurance_share_bps: int = 4_000
    liquidation_target_bps: int = 12_000
    min_reward_quote: int = 2 * WAD
    insurance_cap_quote: int = 100_000 * WAD
    insurance_refill_seconds: int = DAY
    premium_cap_bps: int = 200
    funding_cap_bps: int = 75
    premium_window_seconds: int = 3_600
    max_age_seconds: int = 120
    step_bps: int = 1_000
    feed: str = ZERO_ADDRESS
    heartbeat_seconds: int = 0

    def __post_init__(self) -> None:
        name = f"market {self.symbol}"
        _check(bool(self.symbol), "market", "a symbol is needed")
        _check(self.oracle in ORACLES, f"{name}: oracle", f"one of {ORACLES} expected")
        self._check_amounts(name)
        self._check_ratios(name)
        if self.oracle == "signed":
            _within(f"{name}: max_age_seconds", self.max_age_seconds, 1, DAY)
            _within(f"{name}: step_bps", self.step_bps, 1, 5_000)
        else:
            _address(f"{name}: feed", self.feed)
            _check(self.feed != ZERO_ADDRESS, f"{name}: feed", "a Chainlink market needs one")
            _within(f"{name}: heartbeat_seconds", self.heartbeat_seconds, 1, 2 * DAY)

    def _check_amounts(self, name: str) -> None:
        _within(f"{name}: group", self.group, 1, MAX_ID)
        _within(f"{name}: interest_cap_base", self.interest_cap_base, 1, MAX_AMOUNT)
        _within(f"{name}: position_cap_base", self.position_cap_base, 1, self.interest_cap_base)
        _within(f"{name}: insurance_cap_quote", self.insurance_cap_quote, 0, MAX_AMOUNT)
        for part, low in (("min_notional_quote", MICRO), ("min_reward_quote", 0)):
            value = getattr(self, part)
            _within(f"{name}: {part}", value, low, MICRO * (2**64 - 1))
            _check(value % MICRO == 0, f"{name}: {part}", "a multiple of 1e-6 quote is needed")
        _within(
            f"{name}: insurance_refill_seconds", self.insurance_refill_seconds, 3_600, 365 * DAY
        )
        _within(f"{name}: premium_window_seconds", self.premium_window_seconds, 1, 2**32 - 1)

    def _check_ratios(self, name: str) -> None:
        upkeep = self.maintenance_margin_bps
        _within(f"{name}: maintenance_margin_bps", upkeep, 51, BPS - 1)
        _within(f"{name}: initial_margin_bps", self.initial_margin_bps, upkeep + 1, BPS)
        _within(f"{name}: taker_fee_bps", self.taker_fee_bps, 0, min(100, upkeep - 1))
        _within(f"{name}: maker_fee_bps", self.maker_fee_bps, 0, self.taker_fee_bps)
        _within(f"{name}: liquidation_penalty_bps", self.liquidation_penalty_bps, 0, upkeep)
        _within(f"{name}: liquidation_target_bps", self.liquidation_target_bps, BPS, 10 * BPS)
        _within(f"{name}: price_band_bps", self.price_band_bps, 1, 2_000)
        _within(f"{name}: premium_cap_bps", self.premium_cap_bps, 0, 1_000)
        _within(f"{name}: funding_cap_bps", self.funding_cap_bps, 0, 400)
        for one, two in (
            ("fee_insurance_share_bps", "fee_reserve_share_bps"),
            ("liquidator_share_bps", "penalty_insurance_share_bps"),
        ):
            _within(f"{name}: {one}", getattr(self, one), 0, BPS)
            _within(f"{name}: {two}", getattr(self, two), 0, BPS - getattr(self, one))

    def params(self, oracle: str) -> MarketParams:
        """The contract's struct, with the oracle's address."""
        names = [item.name for item in fields(MarketParams) if item.name != "oracle"]
        return MarketParams(oracle=oracle, **{name: getattr(self, name) for name in names})


@dataclass(frozen=True)
class GroupConfig:
    """A clearing group: the insurance allowance for deficits left without a position."""

    group: int
    insurance_cap_quote: int = 100_000 * WAD
    refill_seconds: int = DAY

    def __post_init__(self) -> None:
        name = f"group {self.group}"
        _within(name, self.group, 1, MAX_ID)
        _within(f"{name}: insurance_cap_quote", self.insurance_cap_quote, 0, MAX_AMOUNT)
        _within(f"{name}: refill_seconds", self.refill_seconds, 3_600, 365 * DAY)


@dataclass(frozen=True)
class AdlConfig:
    """Buckets one `deleverage` call touches at most, and its caller's reward (bps of notional)."""

    buckets_per_call: int = 8
    reward_bps: int = 2

    def __post_init__(self) -> None:
        _within("adl: buckets_per_call", self.buckets_per_call, 1, 200)
        _within("adl: reward_bps", self.reward_bps, 0, 100)


@dataclass(frozen=True)
class FundConfig:
    """The insurance fund's share token, and the two periods of a redemption in seconds."""

    name: str = "Ballast Insurance"
    symbol: str = "bINS"
    cooldown_seconds: int = 3 * DAY
    window_seconds: int = 2 * DAY

    def __post_init__(self) -> None:
        _check(0 < len(self.name) <= 25, "fund: name", "1 to 25 characters")
        _check(0 < len(self.symbol) <= 5, "fund: symbol", "1 to 5 characters")
        _within("fund: cooldown_seconds", self.cooldown_seconds, 1, 30 * DAY)
        _within("fund: window_seconds", self.window_seconds, 1, 30 * DAY)


@dataclass(frozen=True)
class SignedOracleConfig:
    """The publishers (addresses; sorted on reading) and how many must sign a report."""

    publishers: tuple[str, ...] = ()
    threshold: int = 0

    def __post_init__(self) -> None:
        ordered = sorted(
            (_address("signed_oracle: publishers", p) for p in self.publishers),
            key=lambda address: int(address, 16),
        )
        object.__setattr__(self, "publishers", tuple(ordered))
        count = len(ordered)
        _within("signed_oracle: number of publishers", count, 1, 15)
        _check(len(set(ordered)) == count, "signed_oracle: publishers", "one is named twice")
        _check(ZERO_ADDRESS not in ordered, "signed_oracle: publishers", "one is zero")
        _within("signed_oracle: threshold", self.threshold, count // 2 + 1, count)


@dataclass(frozen=True)
class ChainlinkConfig:
    """The L2's sequencer-uptime feed (zero on an L1) and the grace after an outage in seconds."""

    sequencer_feed: str = ZERO_ADDRESS
    grace_seconds: int = 600

    def __post_init__(self) -> None:
        feed = _address("chainlink: sequencer_feed", self.sequencer_feed)
        object.__setattr__(self, "sequencer_feed", feed)
        _within("chainlink: grace_seconds", self.grace_seconds, 0, 3_600)


@dataclass(frozen=True)
class DeployConfig:
    """A whole deployment. `guardian` zero means none. Collateral is chosen when deploying."""

    signed_oracle: SignedOracleConfig
    markets: tuple[MarketConfig, ...]
    groups: tuple[GroupConfig, ...] = (GroupConfig(1),)
    adl: AdlConfig = field(default_factory=AdlConfig)
    fund: FundConfig = field(default_factory=FundConfig)
    chainlink: ChainlinkConfig = field(default_factory=ChainlinkConfig)
    guardian: str = ZERO_ADDRESS

    def __post_init__(self) -> None:
        object.__setattr__(self, "guardian", _address("guardian", self.guardian))
        _check(bool(self.markets), "markets", "at least one is needed")
        symbols = [market.symbol for market in self.markets]
        _check(len(set(symbols)) == len(symbols), "markets", "a symbol is named twice")
        ids = [group.group for group in self.groups]
        _check(len(set(ids)) == len(ids), "groups", "a group is named twice")
        for market in self.markets:
            known = market.group in ids
            _check(known, f"market {market.symbol}: group", f"{market.group} is not among {ids}")

    def as_file(self) -> dict[str, Any]:
        """The configuration as a parameter file holds it; `from_file_data` reads it back."""
        return {
            "guardian": self.guardian,
            "signed_oracle": _dump(self.signed_oracle),
            "chainlink": _dump(self.chainlink),
            "adl": _dump(self.adl),
            "fund": _dump(self.fund),
            "groups": [_dump(group) for group in self.groups],
            "markets": [market_as_file(market) for market in self.markets],
        }


def load(
    path: Path,
    *,
    oracle: str | None = None,
    publishers: Sequence[str] = (),
    threshold: int | None = None,
) -> DeployConfig:
    """Read a parameter file (TOML). Raises `ConfigError` naming the field.

    `oracle` prices every market instead of what the file says, `publishers` and `threshold`
    (default: more than half) stand in for the file's.
    """
    return from_file_data(with_choices(read(path), oracle, publishers, threshold))


def read(path: Path) -> dict[str, Any]:
    """A parameter file's contents as they are. Raises `ConfigError`."""
    try:
        return tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def with_choices(
    data: dict[str, Any], oracle: str | None, publishers: Sequence[str], threshold: int | None
) -> dict[str, Any]:
    """A parameter file's contents with what was chosen when deploying."""
    chosen = dict(data)
    if oracle is not None:
        chosen["markets"] = [{**market, "oracle": oracle} for market in data.get("markets", ())]
    if "signed_oracle" not in data:
        return chosen
    signed = dict(data["signed_oracle"])
    if publishers:
        signed.update(publishers=list(publishers), threshold=len(publishers) // 2 + 1)
    if threshold is not None:
        signed["threshold"] = threshold
    _check(
        bool(signed.get("publishers")),
        "signed_oracle: publishers",
        "none are named: pass --publisher ADDRESS for each, or write them into the file",
    )
    return {**chosen, "signed_oracle": signed}


def from_file_data(data: Mapping[str, Any]) -> DeployConfig:
    """A configuration out of a parameter file's contents. Raises `ConfigError`.

    `[defaults]` holds values for all markets, which each market may override.
    """
    known = {item.name for item in fields(DeployConfig)} | {"defaults"}
    unknown = sorted(set(data) - known)
    _check(not unknown, "parameters", f"unknown {unknown}")
    _check("signed_oracle" in data, "signed_oracle", "missing")
    defaults = data.get("defaults", {})
    parts: dict[str, Any] = {
        "signed_oracle": _read(SignedOracleConfig, data["signed_oracle"], "signed_oracle"),
        "markets": tuple(read_market({**defaults, **m}) for m in data.get("markets", ())),
    }
    if "groups" in data:
        parts["groups"] = tuple(_read(GroupConfig, g, "groups") for g in data["groups"])
    for name, kind in (("adl", AdlConfig), ("fund", FundConfig), ("chainlink", ChainlinkConfig)):
        if name in data:
            parts[name] = _read(kind, data[name], name)
    if "guardian" in data:
        parts["guardian"] = data["guardian"]
    return DeployConfig(**parts)


def read_market(data: Mapping[str, Any]) -> MarketConfig:
    """A market out of its table in a parameter file. Raises `ConfigError`."""
    return _read(MarketConfig, data, f"market {data.get('symbol', '?')}")


def changed_market(market: MarketConfig, changes: Mapping[str, str]) -> MarketConfig:
    """A market with other values, as a user types them. Raises `ConfigError`."""
    data = market_as_file(market)
    for name, text in changes.items():
        _check(name in data and name != "symbol", f"market {market.symbol}", f"no field {name!r}")
        whole = isinstance(data[name], int)
        _check(not whole or text.isdecimal(), name, f"a whole number is expected, got {text!r}")
        data[name] = int(text) if whole else text
    return read_market(data)


def market_as_file(market: MarketConfig) -> dict[str, Any]:
    """A market's table in a parameter file; `read_market` reads it back."""
    return _dump(market)


def _is_amount(name: str) -> bool:
    return name.endswith(("_quote", "_base"))


def to_wad(name: str, value: Any) -> int:
    """A decimal (a string, or a whole number) as WAD, exactly. Raises `ConfigError`."""
    _check(
        isinstance(value, str | int) and not isinstance(value, bool),
        name,
        f"a decimal string is expected, got {value!r}",
    )
    try:
        scaled = Decimal(value).scaleb(18, _EXACT)
        whole = int(scaled)
    except (InvalidOperation, ValueError, OverflowError):
        raise ConfigError(f"{name}: {value!r} is no decimal") from None
    _check(scaled == whole, name, f"{value!r} has more than 18 decimals")
    return whole


def from_wad(value: int) -> str:
    """WAD as a decimal string, exactly."""
    sign, digits = ("-" if value < 0 else ""), f"{abs(value):019d}"
    return f"{sign}{digits[:-18]}.{digits[-18:]}".rstrip("0").rstrip(".")


def _read(kind: type[_T], data: Any, where: str) -> _T:
    _check(isinstance(data, Mapping), where, "a table is expected")
    known = {item.name: str(item.type) for item in fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for name, value in data.items():
        _check(name in known, where, f"unknown field {name!r}")
        if _is_amount(name):
            values[name] = to_wad(f"{where}: {name}", value)
        elif known[name] == "int":
            whole = isinstance(value, int) and not isinstance(value, bool)
            _check(whole, f"{where}: {name}", f"a whole number is expected, got {value!r}")
            values[name] = value
        elif known[name] == "str":
            _check(isinstance(value, str), f"{where}: {name}", "a string is expected")
            values[name] = value
        else:
            _check(isinstance(value, list), f"{where}: {name}", "a list is expected")
            values[name] = tuple(value)
    try:
        return kind(**values)
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from None


def _dump(part: Any) -> dict[str, Any]:
    result = {}
    for item in fields(part):
        value = getattr(part, item.name)
        if _is_amount(item.name):
            value = from_wad(value)
        result[item.name] = list(value) if isinstance(value, tuple) else value
    return result
