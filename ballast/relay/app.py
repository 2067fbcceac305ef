"""The relay over HTTP and WebSocket (docs/RELAY.md). One shape for every error."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import structlog
from fastapi import FastAPI, Query, Request, WebSocket, WebSocketDisconnect
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BeforeValidator
from starlette.exceptions import HTTPException

from ballast.databases import StoreError
from ballast.relay import facts, history, shapes
from ballast.relay.check import check_listed
from ballast.relay.limits import Gate, Rate
from ballast.relay.refusal import STATUS, Refusal, database_fails
from ballast.relay.relay import Relay
from ballast.relay.stream import Listener

INTERVALS = Annotated[Literal[60, 300, 900, 3_600, 14_400, 86_400], BeforeValidator(int)]
"""A query's text is no number, and a literal takes no text."""
DEFAULT_CANDLES = 300
CUT_OFF = 1013
_TIME_LIMIT = 2**40
_log = structlog.get_logger("http")

MarketId = Annotated[int, InPath(ge=1, le=4_095)]
AccountId = Annotated[str, InPath(pattern=r"^0x[0-9a-f]{64}$")]
OrderHash = Annotated[str, InPath(pattern=r"^0x[0-9a-f]{64}$")]
Limit = Annotated[int, Query(ge=1, le=500)]
Before = Annotated[str | None, Query(pattern=r"^[0-9]{1,15}--?[0-9]{1,9}$")]
BeforeOrder = Annotated[str | None, Query(pattern=r"^[0-9]{1,18}$")]
Depth = Annotated[int, Query(ge=1, le=500)]
Time = Annotated[int | None, Query(ge=0, le=_TIME_LIMIT)]


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": shapes.ErrorAnswer} for status in (*statuses, 413, 422, 429, 503)}


READING = _errors(404)
WRITING = _errors(400, 404, 409, 415)


def make_app(relay: Relay, config: Callable[[], dict[str, Any]], static: Path | None) -> FastAPI:
    """The application; it serves `relay` between its start and its end. `config` is what
    `/api/config` answers."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await relay.serve()
        yield
        await relay.close()

    app = FastAPI(
        title="Ballast relay",
        description="Orders signed for the chain: docs/RELAY.md.",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(Gate, limits=relay.limits)
    _add_errors(app)
    _add_orders(app, relay)
    _add_markets(app, relay)
    _add_accounts(app, relay)
    _add_stream(app, relay)

    @app.get("/api/config", responses=READING)
    async def read_config() -> shapes.ConfigOut:
        """Addresses, the signing domain, markets and limits."""
        return shapes.ConfigOut(**config())

    @app.get("/health", responses={503: {"model": shapes.HealthOut}})
    async def read_health() -> shapes.HealthOut:
        """Where the relay stands; 503 while it does not follow the chain."""
        told = relay.health()
        if not told["ok"]:
            return JSONResponse(told, 503)  # type: ignore[return-value]
        return shapes.HealthOut(**told)

    if static is not None:
        app.mount("/", StaticFiles(directory=static, html=True))
    return app


def _add_orders(app: FastAPI, relay: Relay) -> None:
    @app.post(
        "/api/orders",
        status_code=201,
        response_model=shapes.OrderOut,
        responses={200: {"model": shapes.OrderOut}, **WRITING},
    )
    async def place_order(asked: shapes.SignedOrderIn) -> JSONResponse:
        """Take a signed order: 201 once it is committed, 200 where it had been."""
        try:
            signed = asked.signed()
        except ValueError as error:
            raise _bad_field(str(error)) from error
        kept, is_new = await relay.intake.place(signed)
        return JSONResponse(kept.told(), 201 if is_new else 200)

    @app.get("/api/orders/{order_hash}", responses=READING)
    async def read_order(order_hash: OrderHash) -> shapes.OrderOut:
        """An order and what has become of it."""
        kept = await relay.orders.find(bytes.fromhex(order_hash[2:]))
        return shapes.OrderOut(**kept.told())

    @app.delete("/api/orders/{order_hash}", responses=WRITING)
    async def cancel_order(order_hash: OrderHash, asked: shapes.CancelIn) -> shapes.OrderOut:
        """Take an order off the book. Only a cancel on chain is binding."""
        signature = bytes.fromhex(asked.signature[2:])
        kept = await relay.intake.cancel(bytes.fromhex(order_hash[2:]), signature)
        return shapes.OrderOut(**kept.told())


def _add_markets(app: FastAPI, relay: Relay) -> None:
    @app.get("/api/book/{market}", responses=READING)
    async def read_book(market: MarketId, depth: Depth = 50) -> shapes.BookOut:
        """A market's best levels."""
        check_listed(market, relay.terms)
        return shapes.BookOut(**relay.books.of(market).told(depth))

    @app.get("/api/trades/{market}", responses=READING)
    def read_trades(
        market: MarketId, limit: Limit = 100, before: Before = None
    ) -> shapes.TradesOut:
        """Fills on chain, newest first."""
        check_listed(market, relay.terms)
        found = relay.store.facts_of_market((facts.FILL,), market, limit, _position(before))
        trades = [shapes.Trade(**history.trade_of(fact)) for fact in found]
        return shapes.TradesOut(trades=trades, next=_next([f.id for f in found], limit))

    @app.get("/api/prices", responses=READING)
    async def read_prices() -> shapes.PricesOut:
        """The price the chain would use now, and funding, of every market."""
        return shapes.PricesOut(**relay.terms.told_prices())

    @app.get("/api/candles/{market}", responses=READING)
    def read_candles(
        market: MarketId,
        interval: Annotated[INTERVALS, Query()] = 60,
        of: Literal["trades", "oracle"] = "trades",
        from_: Annotated[int | None, Query(alias="from", ge=0, le=_TIME_LIMIT)] = None,
        to: Time = None,
    ) -> shapes.CandlesOut:
        """Open, high, low, close and volume of intervals, oldest first."""
        check_listed(market, relay.terms)
        last = relay.terms.now if to is None else to
        first = last - DEFAULT_CANDLES * interval if from_ is None else from_
        first = max(first, last - history.MOST_CANDLES * interval)
        made = history.candles(relay.store, market, interval, first, last, of)
        candles = [shapes.Candle(**candle) for candle in made]
        return shapes.CandlesOut(market=market, interval=interval, of=of, candles=candles)


def _add_accounts(app: FastAPI, relay: Relay) -> None:
    @app.get("/api/accounts/{account}", responses=READING)
    async def read_account(account: AccountId) -> shapes.AccountOut:
        """An account's money, margin and positions."""
        name = bytes.fromhex(account[2:])
        await relay.accounts.ask(name)
        return shapes.AccountOut(**relay.accounts.told(name))

    @app.get("/api/accounts/{account}/orders", responses=READING)
    def read_orders(
        account: AccountId,
        status: Literal["open", "all"] = "open",
        limit: Limit = 100,
        before: BeforeOrder = None,
    ) -> shapes.OrdersOut:
        """An account's orders, newest first."""
        name = bytes.fromhex(account[2:])
        sequence = None if before is None else int(before)
        found = relay.store.orders_of(name, status == "open", limit, sequence)
        told = [relay.orders.latest(kept).told() for kept in found]
        orders = [shapes.OrderOut(**order) for order in told]
        return shapes.OrdersOut(
            orders=orders, next=_next([str(kept.sequence) for kept in found], limit)
        )

    @app.get("/api/accounts/{account}/fills", responses=READING)
    def read_fills(
        account: AccountId, limit: Limit = 100, before: Before = None
    ) -> shapes.FillsOut:
        """An account's fills, newest first."""
        name = bytes.fromhex(account[2:])
        found = relay.store.facts_of_account((facts.FILL,), name, limit, _position(before))
        fills = [shapes.Fill(**history.fill_of(fact, name)) for fact in found]
        return shapes.FillsOut(fills=fills, next=_next([f.id for f in found], limit))

    @app.get("/api/accounts/{account}/forced-closes", responses=READING)
    async def read_forced_closes(
        account: AccountId, limit: Limit = 100, before: Before = None
    ) -> shapes.ForcedClosesOut:
        """What was closed of an account against its will, newest first."""
        name = bytes.fromhex(account[2:])
        now = await relay.accounts.ask(name)
        rows = await asyncio.to_thread(history.forced_closes, relay.store, name, now)
        page = _after(rows, before, limit)
        closes = [shapes.ForcedClose(**row) for row in page]
        return shapes.ForcedClosesOut(
            forced_closes=closes, next=_next([row["id"] for row in page], limit)
        )

    @app.get("/api/accounts/{account}/funding", responses=READING)
    async def read_funding(
        account: AccountId, limit: Limit = 100, before: Before = None
    ) -> shapes.FundingOut:
        """What an account paid or got for holding its positions, newest first."""
        name = bytes.fromhex(account[2:])
        now = await relay.accounts.ask(name)
        rows = await asyncio.to_thread(history.funding, relay.store, name, now, relay.terms)
        page = _after(rows, before, limit)
        paid = [shapes.Funding(**row) for row in page]
        return shapes.FundingOut(funding=paid, next=_next([row["id"] for row in page], limit))


def _add_stream(app: FastAPI, relay: Relay) -> None:
    rate = Rate(relay.limits.reads_per_second)

    @app.websocket("/api/stream")
    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        try:
            listener = relay.hub.join(_client(socket))
        except Refusal as refusal:
            await socket.send_text(json.dumps(refusal.body))
            await socket.close(CUT_OFF)
            return
        sending = asyncio.create_task(_send_all(socket, listener))
        try:
            await _listen(socket, relay, listener, rate)
        except (WebSocketDisconnect, RuntimeError):
            pass  # the connection is closed, by either side
        finally:
            sending.cancel()
            relay.hub.leave(listener)


async def _listen(socket: WebSocket, relay: Relay, listener: Listener, rate: Rate) -> None:
    while True:
        text = await socket.receive_text()
        try:
            rate.take(listener.client)
            listener.send(json.dumps(await _obey(relay, listener, text)))
        except Refusal as refusal:
            listener.send(json.dumps(refusal.body))


async def _obey(relay: Relay, listener: Listener, text: str) -> dict[str, Any]:
    """Do what a message asks for; the answer. Raises `Refusal`."""
    try:
        asked = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refusal("bad_json", "the message is no JSON", "see docs/RELAY.md") from error
    operation = asked.get("op") if isinstance(asked, dict) else None
    if operation == "ping":
        return {"op": "pong"}
    channels = asked.get("channels") if isinstance(asked, dict) else None
    if operation not in ("subscribe", "unsubscribe") or not isinstance(channels, list):
        raise _bad_field("op: subscribe, unsubscribe (with channels) or ping")
    for channel in channels:
        if not isinstance(channel, str):
            raise _bad_field("channels: strings")
        if operation == "subscribe":
            await relay.channels.listen(listener, channel)
        else:
            relay.hub.unsubscribe(listener, channel)
    return {"op": "subscribed", "channels": sorted(listener.channels)}


async def _send_all(socket: WebSocket, listener: Listener) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):
        while (text := await listener.outbox.get()) is not None:
            await socket.send_text(text)
        await socket.close(CUT_OFF)


# Errors


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(Refusal)
    async def refused(_: Request, refusal: Refusal) -> JSONResponse:
        return _answer(refusal)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return _answer(_invalid(request, error))

    @app.exception_handler(HTTPException)
    async def plain(_: Request, error: HTTPException) -> JSONResponse:
        code = {404: "no_such_page", 405: "method_not_allowed", 400: "bad_json"}
        refusal = Refusal(
            code.get(error.status_code, "internal"), str(error.detail), "see /openapi.json"
        )
        return _answer(refusal, error.headers)

    @app.exception_handler(StoreError)
    async def no_database(_: Request, error: StoreError) -> JSONResponse:
        _log.error("database", error=str(error))
        return _answer(database_fails())

    @app.exception_handler(Exception)
    async def internal(_: Request, error: Exception) -> JSONResponse:
        _log.error("request failed", error=repr(error), exc_info=error)
        return _answer(Refusal("internal", "the relay failed", "try again; tell its operator"))


def _invalid(request: Request, error: RequestValidationError) -> Refusal:
    first = error.errors()[0]
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if request.method in ("POST", "DELETE") and kind != "application/json":
        return Refusal("bad_type", f"the body is {kind or 'of no type'}", "send application/json")
    if first["type"] == "json_invalid":
        return Refusal("bad_json", "the body is no JSON", "see docs/RELAY.md")
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    return _bad_field(f"{where}: {first['msg']}")


def _bad_field(message: str) -> Refusal:
    return Refusal("bad_field", message, "see docs/RELAY.md or /openapi.json")


def _answer(refusal: Refusal, headers: Any = None) -> JSONResponse:
    told = dict(headers or {})
    if refusal.retry_after is not None:
        told["Retry-After"] = str(refusal.retry_after)
    return JSONResponse(refusal.body, STATUS[refusal.code], told)


# Pages


def _client(connection: Request | WebSocket) -> str:
    return connection.client.host if connection.client else "unknown"


def _position(before: str | None) -> tuple[int, int] | None:
    if before is None:
        return None
    block, _, place = before.partition("-")
    return int(block), int(place)


def _next(ids: list[str], limit: int) -> str | None:
    return ids[-1] if len(ids) == limit else None


def _after(rows: list[dict[str, Any]], before: str | None, limit: int) -> list[dict[str, Any]]:
    bound = _position(before)
    older = rows if bound is None else [r for r in rows if (_position(r["id"]) or bound) < bound]
    return older[:limit]
