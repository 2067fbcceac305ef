"""A relay's client, for scripts, bots and notebooks (docs/RELAY.md has every answer's fields).

relay = RelayClient("http://127.0.0.1:8800")
order = Order(account_id(key.address), relay.markets()["BTC"], True, WAD // 100, 100_000 * WAD)
kept = relay.place(sign_order(relay.domain(), order, key))
relay.cancel(kept["hash"], key)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
from eth_account.signers.local import LocalAccount
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from ballast.errors import BallastError
from ballast.signing import Domain, SignedOrder, cancel_digest, sign_digest

ANSWER_SECONDS = 20.0
PAGE = 500
MOST_BYTES = 2**22

Answer = dict[str, Any]
"""JSON as the relay gives it: amounts are decimal strings of WAD integers."""


class RelayError(BallastError):
    """A relay does not answer (`code` "unreachable"), or refuses: `code` is docs/RELAY.md's."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(f"{message} ({hint})" if hint else message)
        self.code = code


class RelayClient:
    """Every call raises `RelayError`. Accounts are ids (32 bytes), hashes `0x` and hex digits."""

    def __init__(self, url: str, answer_seconds: float = ANSWER_SECONDS) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(base_url=self.url, timeout=answer_seconds)
        self._config: Answer | None = None

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    # What the relay serves

    def config(self) -> Answer:
        """The deployment, its markets and the relay's limits; asked for once."""
        if self._config is None:
            self._config = self._ask("GET", "/api/config")
        return self._config

    def domain(self) -> Domain:
        """What orders are signed for. Whoever does not trust the relay takes it from the deployment
        (`Ballast.order_domain`)."""
        told = self.config()["domain"]
        return Domain(told["chainId"], told["verifyingContract"])

    def markets(self) -> dict[str, int]:
        """Ids by symbol."""
        return {listed["symbol"]: listed["market"] for listed in self.config()["markets"]}

    def prices(self) -> list[Answer]:
        """The price of every market that the chain would use now, and whether it is good."""
        return list(self._ask("GET", "/api/prices")["prices"])

    def book(self, market: int, depth: int = 50) -> Answer:
        """`bids` and `asks`, best first: price, size, number of orders."""
        return self._ask("GET", f"/api/book/{market}", depth=depth)

    def trades(self, market: int, limit: int = 100) -> list[Answer]:
        """Fills on chain, newest first."""
        return list(self._ask("GET", f"/api/trades/{market}", limit=limit)["trades"])

    # Orders

    def place(self, signed: SignedOrder) -> Answer:
        """Hand an order in; what the relay keeps of it, safe once this returns."""
        return self._ask("POST", "/api/orders", json=wire(signed))

    def cancel(self, order_hash: str, signer: LocalAccount) -> Answer:
        """Take an order off the relay's book. Only a cancel on chain (`Ballast.cancel`) binds."""
        digest = cancel_digest(self.domain(), bytes.fromhex(order_hash[2:]))
        body = {"signature": "0x" + sign_digest(digest, signer).hex()}
        return self._ask("DELETE", f"/api/orders/{order_hash}", json=body)

    def order(self, order_hash: str) -> Answer:
        """What has become of an order."""
        return self._ask("GET", f"/api/orders/{order_hash}")

    # Accounts

    def account(self, account: bytes) -> Answer:
        """Money, margin and positions."""
        return self._ask("GET", f"/api/accounts/0x{account.hex()}")

    def orders(self, account: bytes, status: str = "open") -> list[Answer]:
        """An account's orders, `open` or `all`, newest first."""
        return self._pages(account, "orders", "orders", status=status)

    def fills(self, account: bytes) -> list[Answer]:
        """What has been filled, newest first."""
        return self._pages(account, "fills", "fills")

    def forced_closes(self, account: bytes) -> list[Answer]:
        """Liquidations and deleveragings, newest first."""
        return self._pages(account, "forced-closes", "forced_closes")

    def funding(self, account: bytes) -> list[Answer]:
        """Funding paid and received, newest first."""
        return self._pages(account, "funding", "funding")

    # The stream

    def stream(self, *channels: str) -> Iterator[Answer]:
        """Messages of channels (`book:1`, `trades:1`, `prices`, `account:0x...`) as they come."""
        address = self.url.replace("http", "ws", 1) + "/api/stream"
        try:
            with connect(address, max_size=MOST_BYTES) as socket:
                socket.send(json.dumps({"op": "subscribe", "channels": list(channels)}))
                for message in socket:
                    told: Answer = json.loads(message)
                    if "error" in told:
                        raise _refusal(told["error"])
                    if "channel" in told:
                        yield told
        except (OSError, WebSocketException) as error:
            raise RelayError("unreachable", f"the stream of {self.url} ended: {error}") from error

    def _pages(self, account: bytes, path: str, name: str, **asked: Any) -> list[Answer]:
        found: list[Answer] = []
        while True:
            told = self._ask("GET", f"/api/accounts/0x{account.hex()}/{path}", limit=PAGE, **asked)
            found += told[name]
            if told["next"] is None:
                return found
            asked["before"] = told["next"]

    def _ask(self, method: str, path: str, *, json: Any = None, **asked: Any) -> Answer:
        try:
            answer = self._http.request(method, path, json=json, params=asked or None)
            told = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            message = f"the relay at {self.url} does not answer: {error or type(error).__name__}"
            raise RelayError("unreachable", message, "is its address right?") from error
        if answer.is_success:
            return dict(told)
        raise _refusal(told["error"])


def wire(signed: SignedOrder) -> Answer:
    """An order as relays take it."""
    order = signed.order
    told: Answer = {"account": "0x" + order.account.hex(), "market": order.market}
    for name in ("is_buy", "reduce_only", "post_only"):
        told[name] = getattr(order, name)
    for name in ("size", "limit_price", "expiry", "salt"):
        told[name] = str(getattr(order, name))
    return {"order": told, "signature": "0x" + signed.signature.hex()}


def _refusal(told: Answer) -> RelayError:
    return RelayError(told["code"], told["message"], told.get("hint") or "")
