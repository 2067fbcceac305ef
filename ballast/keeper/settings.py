"""A keeper from what its operator says: keys, accounts, prices; and how it logs."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import structlog
from eth_account import Account
from eth_account.signers.local import LocalAccount

from ballast.chain import ZERO_ADDRESS
from ballast.config import to_wad
from ballast.errors import ConfigError
from ballast.keeper.actions import KEEPER_KINDS, Kind
from ballast.keeper.costs import SendSettings
from ballast.keeper.follower import Follower
from ballast.keeper.keeper import Keeper, Pace
from ballast.keeper.rpc import Rpc
from ballast.keeper.sender import Sender
from ballast.keeper.situation import PlanSettings
from ballast.keeper.store import Store
from ballast.keeper.trial import Trial
from ballast.node import Node
from ballast.record import Record, load, path_for
from ballast.signing import account_id, owner_of

_ACCOUNT_BYTES = 32


@dataclass(frozen=True)
class KeeperSettings:
    """All of a keeper's settings but its key. `group` None: all clearing groups in one process.

    `native_market` is the market whose price is the native coin's (None: `plan.native_quote`).
    """

    url: str
    record: Record
    group: int | None = None
    plan: PlanSettings = field(default_factory=PlanSettings)
    send: SendSettings = field(default_factory=SendSettings)
    pace: Pace = field(default_factory=Pace)
    native_market: int | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class Options:
    """A keeper's options as its operator gives them (docs/KEEPERS.md): amounts are decimals, of
    quote, native coin or gwei."""

    liquidator: str = "0"
    group: int | None = None
    do: tuple[str, ...] = ()
    native_price: str | None = None
    min_profit: str = "0"
    min_settle: str = "10"
    max_refresh: int = 4
    refresh_tiers: int = 1
    max_spend: str = "0.1"
    max_spend_hour: str | None = None
    max_fee: str = "100"
    max_tip: str = "3"
    in_flight: int = 8
    stuck_blocks: int = 3
    confirmations: int = 12
    poll: float = 1.0
    max_lag: float = 60.0
    turn: float = 0.5
    dry_run: bool = False


def choose(options: Options, url: str, record: Record, key: LocalAccount | None) -> KeeperSettings:
    """Options as settings, for a node and a deployment. Raises `ConfigError`."""
    unowned = key is None and not options.liquidator.startswith("0x")
    native_quote, native_market = native_price(options.native_price, record.markets)
    spend_day = whole_units("--max-spend", options.max_spend, 18)
    spend_hour = spend_day
    if options.max_spend_hour is not None:
        spend_hour = whole_units("--max-spend-hour", options.max_spend_hour, 18)
    plan = PlanSettings(
        kinds=frozenset(map(Kind, options.do or KEEPER_KINDS)),
        liquidator=None if unowned else liquidator_of(options.liquidator, key),
        native_quote=native_quote,
        min_profit_quote=whole_units("--min-profit", options.min_profit, 18),
        min_settle_quote=whole_units("--min-settle", options.min_settle, 18),
        max_refresh=options.max_refresh,
        refresh_tiers=options.refresh_tiers,
    )
    send = SendSettings(
        max_fee=whole_units("--max-fee", options.max_fee, 9),
        max_tip=whole_units("--max-tip", options.max_tip, 9),
        max_spend_day=spend_day,
        max_spend_hour=spend_hour,
        max_in_flight=options.in_flight,
        stuck_blocks=options.stuck_blocks,
        confirmations=options.confirmations,
    )
    pace = Pace(options.poll, options.max_lag, options.turn)
    return KeeperSettings(
        url, record, options.group, plan, send, pace, native_market, options.dry_run
    )


def assemble(
    settings: KeeperSettings,
    key: LocalAccount | None,
    store: Store,
    shared: Store | None = None,
) -> Keeper:
    """A keeper, its mirror read as far as the store goes. What it sends is written down in
    `shared`, the store that several keepers have in common (None: in its own). Raises
    `BallastError`."""
    if key is None and not settings.dry_run:
        raise ConfigError("a keeper that sends needs a key (or --dry-run)")
    rpc = Rpc(settings.url)
    follower = Follower(Node(settings.url), store, settings.record, settings.group)
    if key is not None:
        address = str(key.address)
    elif settings.plan.liquidator is not None:
        address = owner_of(settings.plan.liquidator)
    else:
        address = ZERO_ADDRESS
    sender = None
    if key is not None and not settings.dry_run:
        sender = Sender(rpc, key, (shared or store).engine, settings.send)
    return Keeper(
        follower,
        rpc,
        Trial(rpc, address),
        sender,
        settings.plan,
        settings.native_market,
        settings.pace,
    )


def node_and_record(
    provider: Any, rpc: str | None, deployment: str | Path | None
) -> tuple[str, Record]:
    """The node's address and the deployment's record: those named, or the network's. Raises
    `BallastError`."""
    url = rpc or getattr(provider, "http_uri", None)
    if url is None:
        raise ConfigError("a node that answers by HTTP is needed: name a --network, or --rpc")
    network = f"{provider.network.ecosystem.name}:{provider.network.name}"
    return url, load(Path(deployment) if deployment else path_for(network))


def key_from_environment(name: str) -> LocalAccount:
    """The key in an environment variable. Raises `ConfigError`, which never shows it."""
    secret = os.environ.get(name)
    if not secret:
        raise ConfigError(f"the environment variable {name} is not set")
    return _key(secret, f"the environment variable {name} holds no private key")


def key_from_keystore(path: Path, passphrase: str) -> LocalAccount:
    """The key in an encrypted key file. Raises `ConfigError`."""
    try:
        secret = Account.decrypt(json.loads(path.read_text()), passphrase)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path.name} cannot be decrypted: {error}") from None
    return _key(secret, f"{path.name} holds no private key")


def _key(secret: str | bytes, otherwise: str) -> LocalAccount:
    try:
        found: LocalAccount = Account.from_key(secret)
    except Exception:
        raise ConfigError(otherwise) from None
    return found


def liquidator_of(text: str, key: LocalAccount | None) -> bytes:
    """An account: a subaccount's number of the signer's, or a whole id (32 bytes, hex; its owner
    has named the signer with `set_operator`). Raises `ConfigError`."""
    if text.startswith("0x"):
        try:
            account = bytes.fromhex(text[2:])
        except ValueError:
            account = b""
        if len(account) != _ACCOUNT_BYTES:
            raise ConfigError(f"--liquidator {text}: an account has 32 bytes")
        return account
    if not text.isdecimal():
        raise ConfigError(f"--liquidator {text}: a subaccount's number, or an account's id")
    if key is None:
        raise ConfigError("--liquidator: without a key, name the whole account (0x...)")
    return account_id(str(key.address), int(text))


def native_price(text: str | None, markets: Mapping[str, int]) -> tuple[int, int | None]:
    """What one native coin is worth: quote (WAD), or the market that tells. Without a word, the
    market ETH, where there is one. Raises `ConfigError`."""
    if text is None:
        if "ETH" not in markets:
            raise ConfigError("--native-price is needed: there is no market ETH to take it from")
        return 0, markets["ETH"]
    if text in markets:
        return 0, markets[text]
    try:
        return to_wad("--native-price", text), None
    except ConfigError:
        known = ", ".join(markets)
        raise ConfigError(f"--native-price {text}: a decimal, or one of {known}") from None


def whole_units(name: str, text: str, decimals: int) -> int:
    """A decimal of whole units in the smallest one, exactly. Raises `ConfigError`."""
    try:
        scaled = Decimal(text).scaleb(decimals)
        if scaled < 0 or scaled != int(scaled):
            raise ConfigError(f"{name}: {text} is no amount with {decimals} decimals")
    except (InvalidOperation, OverflowError, ValueError):
        raise ConfigError(f"{name}: {text!r} is no decimal") from None
    return int(scaled)


def log_as_json() -> None:
    """One JSON object a line on standard output, from now on."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(sort_keys=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=False,
    )
