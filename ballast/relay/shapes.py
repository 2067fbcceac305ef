"""What the relay reads and answers, as OpenAPI describes it. Amounts are decimal strings, WAD."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from ballast.signing import Order, SignedOrder

UINT256 = 2**256

Amount = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,77})$", examples=["1000000000000000000"])]
Signed = Annotated[str, Field(pattern=r"^-?[0-9]+$")]
Word = Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$", examples=["0x" + "ab" * 32])]
Signature = Annotated[str, Field(pattern=r"^0x([0-9a-f]{2}){1,520}$")]
Market = Annotated[int, Field(ge=1, le=4_095, strict=True)]


Level = Annotated[list[Amount | int], Field(min_length=3, max_length=3)]
"""Price, size, number of orders."""


class Shape(BaseModel):
    """What is read: nothing beside what is described."""

    model_config = ConfigDict(extra="forbid")


class ErrorBody(BaseModel):
    """What was wrong, and what to do next."""

    code: str
    message: str
    hint: str


class ErrorAnswer(BaseModel):
    """Every answer that is not 2xx."""

    error: ErrorBody


class OrderIn(Shape):
    """An order as it is signed (EIP-712 `Order`)."""

    account: Word
    market: Market
    is_buy: StrictBool
    size: Amount
    limit_price: Amount
    reduce_only: StrictBool
    post_only: StrictBool
    expiry: Amount
    salt: Amount


class SignedOrderIn(Shape):
    """An order and its signature."""

    order: OrderIn
    signature: Signature

    def signed(self) -> SignedOrder:
        """As the package has it. Raises `ValueError` where a number is no uint256 or zero."""
        given = self.order
        numbers = {
            name: _uint256(name, getattr(given, name))
            for name in ("size", "limit_price", "expiry", "salt")
        }
        for name in ("size", "limit_price"):
            if not numbers[name]:
                raise ValueError(f"order.{name}: more than 0 is needed")
        order = Order(
            bytes.fromhex(given.account[2:]),
            given.market,
            given.is_buy,
            numbers["size"],
            numbers["limit_price"],
            given.reduce_only,
            given.post_only,
            numbers["expiry"],
            numbers["salt"],
        )
        return SignedOrder(order, bytes.fromhex(self.signature[2:]))


class CancelIn(Shape):
    """The signature of EIP-712 `Cancel`."""

    signature: Signature


class OrderOut(BaseModel):
    """An order and what has become of it."""

    hash: Word
    account: Word
    market: int
    is_buy: bool
    size: Amount
    limit_price: Amount
    reduce_only: bool
    post_only: bool
    expiry: Amount
    salt: Amount
    signer: str
    status: Literal["open", "filled", "cancelled", "expired", "removed"]
    reason: str
    filled: Amount
    in_flight: Amount
    created_ms: int
    updated_ms: int


class BookOut(BaseModel):
    """The best levels: price, size, number of orders."""

    market: int
    seq: int
    bids: list[Level]
    asks: list[Level]


class Trade(BaseModel):
    """A fill on chain."""

    id: str
    market: int
    price: Amount
    size: Amount
    taker_side: Literal["buy", "sell"] | None
    timestamp: int
    block: int
    transaction: str


class Fill(BaseModel):
    """A fill of one account's."""

    id: str
    market: int
    side: Literal["buy", "sell"]
    is_maker: bool | None
    price: Amount
    size: Amount
    fee: Amount
    order: Word | None
    timestamp: int
    block: int
    transaction: str


class ForcedClose(BaseModel):
    """What was closed of an account against its will."""

    id: str
    kind: Literal["deleveraged", "liquidated", "bankrupt"]
    market: int
    side: Literal["long", "short"]
    size: Amount
    price: Amount
    oracle_price: Amount
    timestamp: int
    block: int
    transaction: str


class Funding(BaseModel):
    """What holding a size for a time has brought (negative: cost)."""

    id: str
    market: int
    size: Signed
    amount: Signed
    from_: int = Field(alias="from")
    to: int
    index_from: Signed
    index_to: Signed


class OrdersOut(BaseModel):
    """A page."""

    orders: list[OrderOut]
    next: str | None


class TradesOut(BaseModel):
    """A page."""

    trades: list[Trade]
    next: str | None


class FillsOut(BaseModel):
    """A page."""

    fills: list[Fill]
    next: str | None


class ForcedClosesOut(BaseModel):
    """A page."""

    forced_closes: list[ForcedClose]
    next: str | None


class FundingOut(BaseModel):
    """A page."""

    funding: list[Funding]
    next: str | None


class PriceOut(BaseModel):
    """A market's price and funding."""

    market: int
    symbol: str
    price: Amount
    stale: bool
    pending: bool
    grace: bool
    funding_rate: Signed
    funding_index: Signed
    open_interest: Amount


class PricesOut(BaseModel):
    """All markets, as of a block."""

    block: int
    timestamp: int
    prices: list[PriceOut]


class Candle(BaseModel):
    """One interval."""

    time: int
    open: Amount
    high: Amount
    low: Amount
    close: Amount
    volume: Amount


class CandlesOut(BaseModel):
    """Intervals with something in them, oldest first."""

    market: int
    interval: int
    of: Literal["trades", "oracle"]
    candles: list[Candle]


class Position(BaseModel):
    """A leg of an account."""

    market: int
    size: Signed
    entry_price: Amount
    result: Signed
    price: Amount


class AccountOut(BaseModel):
    """An account by the mirror, with what the relay sets aside for its orders."""

    account: Word
    owner: str
    group: int
    cash: Signed
    claim: Signed
    debt: Signed
    equity: Signed
    backing: Signed
    initial_margin: Signed
    maintenance_margin: Signed
    reserved_margin: Signed
    free_margin: Signed
    salt_floor: Amount
    block: int
    positions: list[Position]


class ConfigOut(BaseModel):
    """What a client needs to sign and to show."""

    chain_id: int
    block: int
    contracts: dict[str, str]
    collateral: dict[str, Any]
    domain: dict[str, Any]
    types: dict[str, list[dict[str, str]]]
    markets: list[dict[str, Any]]
    limits: dict[str, float]
    sender: str | None


class HealthOut(BaseModel):
    """Where the relay stands."""

    ok: bool
    head: int
    head_timestamp: int
    lag_seconds: float
    open_orders: int
    in_flight: int
    queued: int
    streams: int
    last_error: str | None


def _uint256(name: str, text: str) -> int:
    value = int(text)
    if value >= UINT256:
        raise ValueError(f"order.{name}: {text} is no uint256")
    return value
