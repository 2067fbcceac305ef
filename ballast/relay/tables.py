"""The relay's tables, and orders and facts as their rows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from ballast.databases import Amount
from ballast.relay.facts import Fact
from ballast.relay.kept import Kept, Status
from ballast.signing import Order, SignedOrder

metadata = MetaData()

orders = Table(
    "orders",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),
    Column("sequence", BigInteger, nullable=False, unique=True),
    Column("account", LargeBinary(32), nullable=False),
    Column("market", Integer, nullable=False),
    Column("is_buy", Boolean, nullable=False),
    Column("size", Amount, nullable=False),
    Column("limit_price", Amount, nullable=False),
    Column("reduce_only", Boolean, nullable=False),
    Column("post_only", Boolean, nullable=False),
    Column("expiry", Amount, nullable=False),
    Column("salt", Amount, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("signer", String(42), nullable=False),
    Column("status", String(10), nullable=False),
    Column("reason", Text, nullable=False),
    Column("filled", Amount, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Index("orders_of_account", "account", "sequence"),
    Index("orders_by_status", "status"),
)

facts = Table(
    "facts",
    metadata,
    Column("block", BigInteger, primary_key=True, autoincrement=False),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("transaction", String(66), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("market", Integer, nullable=False),
    Column("account", LargeBinary(32)),
    Column("other", LargeBinary(32)),
    Column("details", JSON, nullable=False),
    Index("facts_of_market", "kind", "market", "block", "place"),
    Index("facts_of_account", "account", "kind", "block", "place"),
    Index("facts_of_other", "other", "kind", "block", "place"),
)

heads = Table(
    "heads",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", String(66), nullable=False),
)


def order_row(order: Kept) -> dict[str, Any]:
    """An order's columns; what is in flight is not kept."""
    signed = order.order
    return {
        "hash": order.hash,
        "sequence": order.sequence,
        "account": signed.account,
        "market": signed.market,
        "is_buy": signed.is_buy,
        "size": signed.size,
        "limit_price": signed.limit_price,
        "reduce_only": signed.reduce_only,
        "post_only": signed.post_only,
        "expiry": signed.expiry,
        "salt": signed.salt,
        "signature": order.signed.signature,
        "signer": order.signer,
        "status": str(order.status),
        "reason": order.reason,
        "filled": order.filled,
        "created_ms": order.created_ms,
        "updated_ms": order.updated_ms,
    }


def order_of(row: Any) -> Kept:
    """The order of a row of `orders`."""
    order = Order(
        row.account,
        row.market,
        row.is_buy,
        row.size,
        row.limit_price,
        row.reduce_only,
        row.post_only,
        row.expiry,
        row.salt,
    )
    return Kept(
        row.hash,
        SignedOrder(order, row.signature),
        row.signer,
        row.sequence,
        row.created_ms,
        row.updated_ms,
        Status(row.status),
        row.reason,
        row.filled,
    )


def fact_row(fact: Fact) -> dict[str, Any]:
    """A fact's columns."""
    return {column.name: getattr(fact, column.name) for column in facts.columns}
