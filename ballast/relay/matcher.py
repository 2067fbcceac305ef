"""Sends matches as `match_orders`, and finds out whose fault it is where one cannot be filled.

    offered ──> tried ──> sent (seen through by the keeper's Sender) ──> mined
                  │                                                       │ failed
                  └───────── refused ──> whose fault? <───────────────────┘
                                           │ an order's: it is removed, the others go back
                                           │ the market's: the match waits
                                           └ nobody's: makers one by one, then the taker

What is on its way is known from the sender's rows alone, so it is known after a restart as well.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import structlog
from eth_utils import keccak

from ballast import contracts
from ballast.abi import Function
from ballast.errors import NodeRefused, Reverted
from ballast.keeper.actions import Action, Kind
from ballast.keeper.costs import NotSent
from ballast.keeper.rpc import Head
from ballast.keeper.sender import Sender
from ballast.keeper.sent import Sent, State
from ballast.keeper.trial import Trial
from ballast.relay.book import Match
from ballast.relay.kept import Kept, Status
from ballast.relay.terms import BAND, STALE, WAITS, Standing, Terms, in_band
from ballast.relay.wallets import Settlement
from ballast.signing import Domain, Order, SignedOrder, order_digest

ROUND_SECONDS = 1.0
WAIT_SECONDS = 2.0
TRIES = 3
"""How often a match that fails for no known reason, or for the market's, is tried."""
OF_MARKET = frozenset(
    {
        "market: paused",
        "market: stale price",
        "market: price pending",
        "market: no price",
        "clearing: interest cap",
    }
)
OVER_FILLED = "settlement: over-filled"
_WAITS = ("in flight", "budget", "fee")
_GAS = 400_000

_log = structlog.get_logger("matcher")


@dataclass
class Round:
    """What has become of matches: `taken` are no longer queued; `removed` orders with reasons;
    `halved` are matches in the place of one that was taken."""

    taken: list[Match] = field(default_factory=list)
    removed: list[tuple[Kept, str]] = field(default_factory=list)
    halved: list[Match] = field(default_factory=list)


class Matcher:
    """The chain's side of matching; one thread's, `offer` and `queued` aside."""

    def __init__(
        self,
        trial: Trial,
        sender: Sender,
        settlement: Settlement,
        domain: Domain,
        lookup: Callable[[bytes], Kept | None],
    ) -> None:
        """`lookup` gives the order of a hash, for what was on its way at the start."""
        self._trial, self._sender = trial, sender
        self._settlement, self._domain, self._lookup = settlement, domain, lookup
        self._queue: deque[Match] = deque()
        self._parked: list[Match] = []
        self._parked_at = 0.0
        self._seen = ""
        self._sent: dict[int, Match] = {}
        self._tries: dict[int, int] = {}

    @property
    def queued(self) -> int:
        """Matches that are not sent yet."""
        return len(self._queue) + len(self._parked)

    def offer(self, match: Match) -> None:
        """Queue a match."""
        self._queue.append(match)

    # Seeing through

    def check(self, head: Head, standing: Callable[[bytes], Standing], made: Round) -> None:
        """Compare what was sent with the chain; judge what has failed, into `made`."""
        self._sender.check(head)
        for happened in self._sender.history.events():
            row = happened.row
            failed = row.state == State.LOST or (
                row.state == State.MINED and row.outcome not in ("", "done")
            )
            if failed and happened.what == row.outcome:
                self._judge(self._match(row), row.reason, standing, made, is_sent=True)

    def busy(self, seen_block: int) -> list[Match]:
        """What is on its way, as seen from a mirror at a block."""
        rows = [row for row in self._sender.history.busy(seen_block) if row.kind == Kind.MATCH]
        self._sent = {row.id: self._match(row) for row in rows}
        return [self._sent[row.id] for row in rows if not row.is_cancel]

    def _match(self, row: Sent) -> Match:
        if row.id not in self._sent:
            data = bytes.fromhex(row.data[2:])
            taker, makers, sizes = match_orders().inputs.decode(data[4:])
            found = [self._known(signed) for signed in (taker, *makers)]
            self._sent[row.id] = Match(found[0], found[1:], list(sizes))
        return self._sent[row.id]

    def _known(self, signed: Any) -> Kept:
        order = SignedOrder(Order(*signed.order), signed.signature)
        order_hash = order_digest(self._domain, order.order)
        return self._lookup(order_hash) or Kept(
            order_hash, order, "", 0, 0, 0, Status.REMOVED, "unknown"
        )

    # Sending

    def round(
        self, head: Head, standing: Callable[[bytes], Standing], terms: Terms, made: Round
    ) -> bool:
        """Try what is queued, for a second at most, into `made`; whether time ran out first. Raises
        `NodeError`; what was not sent stays queued."""
        self._unpark(head)
        deadline = time.monotonic() + ROUND_SECONDS
        while self._queue:
            if time.monotonic() > deadline:
                return True
            match = self._queue[0]
            if any(kept.status != Status.OPEN for kept, _ in match.parts):
                made.taken.append(self._queue.popleft())
                self._tries.pop(id(match), None)
            elif _must_wait(match, terms):
                self._parked.append(self._queue.popleft())
            elif not self._send(match, head, standing, made):
                break
        return False

    def _unpark(self, head: Head) -> None:
        if head.hash != self._seen or time.monotonic() - self._parked_at > WAIT_SECONDS:
            self._queue.extendleft(reversed(self._parked))
            self._parked.clear()
            self._seen, self._parked_at = head.hash, time.monotonic()

    def _send(
        self, match: Match, head: Head, standing: Callable[[bytes], Standing], made: Round
    ) -> bool:
        """Whether more can be tried in this round."""
        action = self._action(match)
        try:
            row = self._sender.send(action, self._trial.needed(action), head)
        except NotSent as error:
            if error.why in _WAITS:
                _log.info("no more now", why=error.why, text=str(error))
                return False
            if error.why in ("no answer", "busy"):
                made.taken.append(match)
            else:
                self._judge(match, str(error), standing, made)
        except Reverted as error:
            self._judge(match, error.reason, standing, made)
        except NodeRefused as error:
            self._judge(match, error.words, standing, made)
        else:
            made.taken.append(match)
            self._sent[row.id] = match
        self._queue.popleft()  # not before: what raises is tried again
        return True

    def _action(self, match: Match) -> Action:
        taker, makers = match.taker.signed, [maker.signed for maker in match.makers]
        data = match_orders().encode(
            (taker.as_tuple(), [maker.as_tuple() for maker in makers], match.sizes)
        )
        accounts = tuple(signed.order.account for signed in (taker, *makers))
        return Action(
            Kind.MATCH,
            self._settlement.address,
            data,
            accounts,
            f"match:{keccak(data)[:16].hex()}",
            _GAS,
            market=taker.order.market,
        )

    # Whose fault

    def _judge(
        self,
        match: Match,
        reason: str,
        standing: Callable[[bytes], Standing],
        made: Round,
        is_sent: bool = False,
    ) -> None:
        """Find whom to remove; else let the match wait, divide it, or remove its taker."""
        if reason == OVER_FILLED:
            # Somebody else has matched it: its log tells how much is left.
            if not is_sent:
                made.taken.append(match)
            return
        faults = self._faults(match, reason, standing)
        _log.info("refused", reason=reason, faults=[why for _, why in faults])
        tries = self._tries.get(id(match), 0) + 1
        if faults:
            made.removed += faults
        elif is_sent:
            if reason not in OF_MARKET:
                made.removed.append((match.taker, reason))
        elif tries < TRIES:
            self._tries[id(match)] = tries
            self._parked.append(match)
            return
        elif len(match.makers) > 1:
            made.halved += [
                Match(match.taker, [maker], [size])
                for maker, size in zip(match.makers, match.sizes, strict=True)
            ]
        else:
            made.removed.append((match.taker, reason))
        self._tries.pop(id(match), None)
        if not is_sent:
            made.taken.append(match)

    def _faults(
        self, match: Match, reason: str, standing: Callable[[bytes], Standing]
    ) -> list[tuple[Kept, str]]:
        if reason in OF_MARKET:
            return []
        terms = standing(match.taker.order.account).terms
        market = match.taker.order.market
        fees = terms.markets[market].params
        if reason == BAND:
            off = [m for m in match.makers if not in_band(terms, market, m.order.limit_price)]
            return [(maker, BAND) for maker in off]
        found: list[tuple[Kept, str]] = []
        worst = match.makers[-1].order.limit_price
        for kept, size in match.parts:
            is_taker = kept is match.taker
            price = worst if is_taker else kept.order.limit_price
            fee = fees.taker_fee_bps if is_taker else fees.maker_fee_bps
            fault = self._settlement.fault(kept, terms.head.timestamp)
            own = standing(kept.order.account)
            if fault is None and kept.order.reduce_only and not own.reducible(kept.order):
                fault = "settlement: nothing to reduce"
            if fault is None:
                fault = own.after(kept.order, size, price, fee)
            if fault is not None:
                found.append((kept, fault))
        return found


def _must_wait(match: Match, terms: Terms) -> bool:
    market = match.taker.order.market
    quote = terms.quotes.get(market)
    status = quote.status if quote else STALE
    return terms.markets[market].paused or bool(status & (STALE | WAITS))


@cache
def match_orders() -> Function:
    """`OrderSettlement.match_orders`."""
    return contracts.interface(contracts.SETTLEMENT).function("match_orders", 3)
