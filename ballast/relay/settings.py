"""A relay from what its operator says."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from eth_account.signers.local import LocalAccount

from ballast import contracts
from ballast.errors import ConfigError
from ballast.keeper.costs import SendSettings
from ballast.keeper.follower import Follower
from ballast.keeper.rpc import Rpc
from ballast.keeper.sender import Sender
from ballast.keeper.store import open_store
from ballast.keeper.trial import Trial
from ballast.node import Node
from ballast.record import Record
from ballast.relay.app import make_app
from ballast.relay.book import MAX_MAKERS
from ballast.relay.feed import Feed
from ballast.relay.limits import BODY_BYTES, MESSAGE_BYTES, Limits
from ballast.relay.matcher import Matcher
from ballast.relay.orders import OpenOrders
from ballast.relay.relay import Relay
from ballast.relay.store import open_relay_store
from ballast.relay.wallets import Settlement
from ballast.signing import CANCEL_TYPE, ORDER_TYPE, Domain

DATABASE = "sqlite:///relay.db"
RPC_SECONDS = 5
BACKLOG = 2_048


@dataclass(frozen=True)
class RelaySettings:
    """All of a relay's settings but its key. `chain_db` holds the mirror and what was sent; without
    a word it lies beside `db`."""

    url: str
    record: Record
    db: str = DATABASE
    chain_db: str | None = None
    send: SendSettings = field(default_factory=SendSettings)
    limits: Limits = field(default_factory=Limits)
    poll_seconds: float = 0.5
    static: Path | None = None


def assemble(settings: RelaySettings, key: LocalAccount | None, stack: ExitStack) -> uvicorn.Config:
    """A relay up to the chain's head, as a server's configuration; what it opens is closed by
    `stack`. Without a key it takes orders and matches nothing. Raises `BallastError`."""
    record = settings.record
    if settings.static is not None and not settings.static.is_dir():
        raise ConfigError(f"--static {settings.static}: no such folder")
    rpc = Rpc(settings.url, RPC_SECONDS)
    chain_store = open_store(settings.chain_db or beside(settings.db))
    stack.callback(chain_store.close)
    store = open_relay_store(settings.db)
    stack.callback(store.close)
    address = record.contracts[contracts.SETTLEMENT]
    domain = Domain(record.chain_id, address)
    settlement = Settlement(rpc, address)
    follower = Follower(Node(settings.url), chain_store, record, also=[contracts.SETTLEMENT])
    orders = OpenOrders(store)
    matcher = None
    if key is not None:
        sender = Sender(rpc, key, chain_store.engine, settings.send)
        trial = Trial(rpc, sender.address)
        matcher = Matcher(trial, sender, settlement, domain, orders.lookup)
    symbols = {number: symbol for symbol, number in record.markets.items()}
    feed = Feed(follower, chain_store, rpc, matcher, store, symbols, settings.poll_seconds)
    # Contract wallets are asked from threads of their own, which share no connection.
    wallets = Settlement(Rpc(settings.url, RPC_SECONDS, attempts=1), address)
    relay = Relay(store, feed, wallets, domain, settings.limits, orders)
    relay.load()
    config = config_of(relay, record, rpc, None if key is None else str(key.address))
    app = make_app(relay, config, settings.static)
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        ws_max_size=MESSAGE_BYTES,
        # Every message goes to many: compressing it for each would cost more than all the rest.
        ws_per_message_deflate=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=5,
    )


def config_of(
    relay: Relay, record: Record, rpc: Rpc, sender: str | None
) -> Callable[[], dict[str, Any]]:
    """What `/api/config` answers; what of it cannot change is read once. Raises `NodeError`."""
    token = record.parameters["collateral"]
    interface = contracts.interface(contracts.TOKEN)

    def view(name: str) -> Any:
        function = interface.function(name, 0)
        data = "0x" + function.encode(()).hex()
        return function.decode(rpc.call({"to": token, "data": data}))

    limits = {name: value for name, value in asdict(relay.limits).items() if name != "queued"}
    fixed = {
        "chain_id": record.chain_id,
        "block": record.block,
        "contracts": dict(record.contracts),
        "collateral": {
            "address": token,
            "decimals": view("decimals"),
            "symbol": view("symbol"),
            "is_faucet": "faucet" in record.parameters,
        },
        "domain": relay.domain.typed(),
        "types": {"Order": _members(ORDER_TYPE), "Cancel": _members(CANCEL_TYPE)},
        "limits": {
            "max_makers": MAX_MAKERS,
            "body_bytes": BODY_BYTES,
            "message_bytes": MESSAGE_BYTES,
            "max_open_orders": limits.pop("open_orders"),
            **limits,
        },
        "sender": sender,
    }
    return lambda: {
        **fixed,
        "markets": [listed.told() for _, listed in sorted(relay.terms.markets.items())],
    }


def beside(url: str) -> str:
    """The address of the chain's database beside a SQLite one; other databases hold both."""
    if not url.startswith("sqlite") or not url.endswith(".db"):
        return url
    return url.removesuffix(".db") + "-chain.db"


def _members(kind: str) -> list[dict[str, str]]:
    inner = kind[kind.index("(") + 1 : -1]
    pairs = (part.split() for part in inner.split(","))
    return [{"name": name, "type": type_} for type_, name in pairs]
