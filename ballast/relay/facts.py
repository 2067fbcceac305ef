"""The chain's logs as facts the relay keeps and answers with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ballast.abi import Event
from ballast.keeper.blocks import Block, Transaction
from ballast.mirror import PLACE_MASK
from ballast.relay.kept import hexed

FILL = "fill"
ORDER = "order"
CANCEL = "cancel"
FLOOR = "floor"
DELEGATE = "delegate"
POSITION = "position"
FORCED = "forced"
LIQUIDATED = "liquidated"
BANKRUPT = "bankrupt"
FIXING = "fixing"
PRICE = "price"


@dataclass(frozen=True, slots=True)
class Fact:
    """Something the chain's logs say. `place` orders what is of one block; `account` and `other`
    are whom it concerns; amounts in `details` are decimal strings, as they are answered."""

    block: int
    place: int
    timestamp: int
    transaction: str
    kind: str
    market: int
    account: bytes | None
    other: bytes | None
    details: dict[str, Any]

    @property
    def id(self) -> str:
        """Its name in pages."""
        return f"{self.block}-{self.place}"

    @property
    def position(self) -> tuple[int, int]:
        """Its place in time."""
        return self.block, self.place


Written = tuple[str, int, bytes | None, bytes | None, dict[str, Any]]
"""Kind, market, account, other, details."""


def facts_of(block: Block) -> list[Fact]:
    """What a block's logs say, in order."""
    found: list[Fact] = []
    for transaction in block.transactions:
        for kind, market, account, other, details in _written(transaction):
            place = len(found)
            found.append(
                Fact(
                    block.number,
                    place,
                    block.timestamp,
                    transaction.hash,
                    kind,
                    market,
                    account,
                    other,
                    details,
                )
            )
    return found


def _written(transaction: Transaction) -> list[Written]:
    found: list[Written] = []
    waiting: list[Event] = []  # `match_orders` tells its makers, its taker, then one fill a maker
    for event in transaction.events:
        if event.name == "OrderFilled":
            waiting.append(event)
            details = {"size": str(event.size_base), "filled": str(event.filled_base)}
            found.append((ORDER, event.market, event.account, event.order_hash, details))
        elif event.name == "Fill":
            found.append(_fill(event, waiting))
        elif (write := _WRITERS.get(event.name)) is not None:
            found.append(write(event))
    return found


def _fill(event: Event, waiting: list[Event]) -> Written:
    details: dict[str, Any] = {
        "price": str(event.price),
        "size": str(event.size),
        "buyer_fee": str(event.buyer_fee_quote),
        "seller_fee": str(event.seller_fee_quote),
        "taker_is_buy": None,
        "buyer_order": None,
        "seller_order": None,
    }
    if len(waiting) > 1:
        maker, taker = waiting.pop(0), waiting[-1]
        if len(waiting) == 1:
            waiting.clear()
        is_buy = bool(taker.account == event.buyer)
        buyer, seller = (taker, maker) if is_buy else (maker, taker)
        details["taker_is_buy"] = is_buy
        details["buyer_order"] = hexed(buyer.order_hash)
        details["seller_order"] = hexed(seller.order_hash)
    return FILL, event.market, event.buyer, event.seller, details


def _cancel(event: Event) -> Written:
    return CANCEL, 0, None, event.order_hash, {"canceller": event.canceller}


def _floor(event: Event) -> Written:
    return FLOOR, 0, event.account, None, {"salt": str(event.salt)}


def _delegate(event: Event) -> Written:
    details = {"delegate": event.delegate, "expiry": str(event.expiry)}
    return DELEGATE, 0, event.account, None, details


def _position(event: Event) -> Written:
    details = {
        "size": str(event.size),
        "entry_price": str(event.entry_price),
        "bucket": event.bucket_id & PLACE_MASK,
        "left": str(event.left_base),
        "joined": str(event.joined_base),
    }
    return POSITION, event.market, event.account, None, details


def _forced(event: Event) -> Written:
    details = {
        "bucket": event.bucket_id & PLACE_MASK,
        "size": str(event.size),
        "price": str(event.price),
        "oracle_price": str(event.oracle_price),
    }
    return FORCED, event.market, None, None, details


def _liquidated(event: Event) -> Written:
    details = {"size": str(event.size), "price": str(event.price)}
    return LIQUIDATED, event.market, event.account, None, details


def _bankrupt(event: Event) -> Written:
    details = {"size": str(event.size), "price": str(event.oracle_price)}
    return BANKRUPT, event.market, event.account, None, details


def _fixing(event: Event) -> Written:
    details = {"price": str(event.price), "index": str(event.funding_index)}
    return FIXING, event.market, None, None, details


_WRITERS: dict[str, Callable[[Event], Written]] = {
    "OrderCancelled": _cancel,
    "SaltFloorRaised": _floor,
    "DelegateSet": _delegate,
    "PositionChanged": _position,
    "ForcedClose": _forced,
    "Liquidated": _liquidated,
    "Deleveraged": _bankrupt,
    "PriceFixed": _fixing,
}
