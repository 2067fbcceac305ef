"""The keeper's loop: at every new block follow, look, act, and see through what was sent.

    Follower ──> Situation ──> planner ──> Turns ──> Trial (would it pass now?) ──> Sender ──> chain
       ^                                                                                        │
       └───────────────────────────────────── logs ─────────────────────────────────────────────┘

It keeps no state of its own: the mirror comes from the chain, what was sent from the store. A step
that fails, for whatever reason, is counted, told, and followed by the next one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import structlog

from ballast import contracts
from ballast.config import MarketParams
from ballast.errors import BallastError, NodeError
from ballast.keeper.actions import Action, Kind, forced_closes, halves
from ballast.keeper.blocks import Block
from ballast.keeper.costs import NotSent
from ballast.keeper.follower import Follower
from ballast.keeper.history import DAY, HOUR
from ballast.keeper.metrics import Metrics
from ballast.keeper.planner import Plan, plan
from ballast.keeper.rpc import Head, Rpc
from ballast.keeper.sender import Sender
from ballast.keeper.sent import PENDING, Sent
from ballast.keeper.situation import Batch, PlanSettings, Situation
from ballast.keeper.takeover import gas_quote
from ballast.keeper.trial import Outraced, Trial, Tried
from ballast.keeper.turns import Turns
from ballast.mirror import WAD
from ballast.model import grid
from ballast.signing import owner_of

_ENOUGH = ("in flight", "budget", "fee", "refused")
"""Why nothing more is tried at this block."""
_PARAMETERS = frozenset({"MarketSet", "AdlSet", "OperatorSet"})
_FORCED = frozenset({"Liquidated", "Deleveraged"})
WAVE = 16
"""Actions tried out at once; they are sent before the next ones are tried."""
SENDERS_OF = 16
"""Blocks whose transactions are read to see who else is a keeper, at one look at most."""
_log = structlog.get_logger("keeper")


@dataclass(frozen=True)
class Pace:
    """How often the keeper looks for a new block, and without one for how long it is well; how long
    one of its rivals' turns is."""

    poll_seconds: float = 1.0
    max_lag_seconds: float = 60.0
    turn_seconds: float = 0.5


class Keeper:
    """One keeper: of one deployment or one clearing group, with one signer.

    Without a `sender` it only says what it would do. Not for several threads, `health` aside.
    """

    def __init__(
        self,
        follower: Follower,
        rpc: Rpc,
        trial: Trial,
        sender: Sender | None,
        settings: PlanSettings,
        native_market: int | None = None,
        pace: Pace | None = None,
    ) -> None:
        """`native_market`: the market whose price is that of the native coin, instead of
        `settings.native_quote`."""
        self.metrics = Metrics()
        self._follower, self._rpc, self._trial, self._sender = follower, rpc, trial, sender
        self._settings, self._native_market = settings, native_market
        self._pace = pace or Pace()
        self._turns = Turns(trial.address)
        self._left: set[bytes] = set()
        self._params: dict[int, MarketParams] = {}
        self._adl_params = 0, 0
        self._batch: Batch | None = None
        self._seen = ""
        self._seen_at = time.monotonic()
        self._last_action: dict[str, Any] | None = None
        self._last_error: str | None = None
        grid.edges()  # a second's work, which the first crash need not wait for
        self.metrics.lag.set_function(lambda: time.monotonic() - self._seen_at)
        if sender is not None:
            self.metrics.budget.labels("day").set(sender.settings.max_spend_day)
            self.metrics.budget.labels("hour").set(sender.settings.max_spend_hour)

    # Health

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether a block was worked through lately; and where the keeper stands."""
        lag = time.monotonic() - self._seen_at
        well = bool(self._seen) and lag <= self._pace.max_lag_seconds
        head = self._follower.head
        return well, {
            "ok": well,
            "head": head.number,
            "head_timestamp": head.timestamp,
            "lag_seconds": round(lag, 3),
            "last_action": self._last_action,
            "last_error": self._last_error,
        }

    # The loop

    def run(self, stop: threading.Event) -> None:
        """Go on until `stop` is set; the step in hand is finished."""
        while not stop.is_set():
            self.look()
            stop.wait(self._pace.poll_seconds)

    def look(self) -> Plan | None:
        """`step`, with whatever goes wrong counted and told."""
        made = None
        try:
            made = self.step()
            self._last_error = None
        except Exception as error:
            self._last_error = f"{type(error).__name__}: {error}"
            self.metrics.errors.labels(type(error).__name__).inc()
            unknown = not isinstance(error, BallastError)
            _log.error("step failed", error=self._last_error, exc_info=unknown)
        return made

    def step(self) -> Plan | None:
        """Work the chain's latest block through; None where it has been already.

        Raises whatever goes wrong: what was sent stays sent, and the next step begins anew.
        """
        began = time.monotonic()
        blocks = self._follower.catch_up()
        self._learn(blocks)
        self._see_rivals(blocks)
        at = self._follower.head
        if at.hash == self._seen:
            return None
        head = self._rpc.head(at.number)
        if head is None or head.hash != at.hash:
            raise NodeError(f"block {at.number} is no longer there")
        if self._sender is not None:
            self._sender.check(head)
            self._count(self._sender)
        made = self._act(head)
        self._seen, self._seen_at = at.hash, time.monotonic()
        self.metrics.seconds.observe(self._seen_at - began)
        return made

    def _act(self, head: Head) -> Plan:
        now, settings = self._situation(head)
        made = plan(now, settings, self._follower.clearinghouse)
        self._show(now, made)
        for action in made.actions:
            self.metrics.planned.labels(action.kind).inc()
        self._left = set()
        try:
            self._take_turns(made.actions, head, now, settings)
        except NotSent as error:
            _log.warning("no more at this block", why=error.why, text=str(error))
        self._turns.leave(self._left)
        if self._sender is not None:
            self._count(self._sender)
        return made

    def _situation(self, head: Head) -> tuple[Situation, PlanSettings]:
        quotes = self._follower.quotes()
        prices = {market: quote.price for market, quote in quotes.items() if quote.price}
        settings = self._settings
        if self._native_market is not None:
            native = prices.get(self._native_market, 0)
            settings = replace(settings, native_quote=native)
        busy: frozenset[bytes] = frozenset()
        bound = 0
        if self._sender is None:
            gas_price = head.base_fee + self._rpc.tip()
        else:
            gas_price = self._sender.gas_price(head)
            rows = self._sender.history.busy(head.number)
            own = frozenset(account for row in rows for account in row.account_ids)
            busy = own | self._sender.claimed(head)
            self._turns.begin(head.number, head.hash, *self._sender.history.lately())
            bound = sum(row.margin_quote for row in rows)
        now = Situation(
            columns=self._follower.columns,
            timestamp=head.timestamp,
            prices=prices,
            statuses={market: quote.status for market, quote in quotes.items()},
            params=self._params,
            adl_params=self._adl_params,
            gas_price=gas_price,
            busy=busy,
            bound_quote=bound,
            batch=self._batch,
        )
        return (now if self._sender is None else replace(now, wait=self._turns.wait)), settings

    def _take_turns(
        self, planned: Sequence[Action], head: Head, now: Situation, settings: PlanSettings
    ) -> None:
        """Each action when its turn has come; those left at a new block are planned anew."""
        began = time.monotonic()
        for turns, due in groupby(planned, key=lambda action: action.wait):
            if turns:
                time.sleep(max(0.0, began + turns * self._pace.turn_seconds - time.monotonic()))
                latest = self._rpc.head()
                if latest is None or latest.hash != head.hash:
                    later = [action for action in planned if action.wait >= turns]
                    self._left.update(name for action in later for name in action.accounts)
                    return
            self._do(due, head, now, settings)

    def _do(
        self, due: Iterable[Action], head: Head, now: Situation, settings: PlanSettings
    ) -> None:
        """Try actions out and send them; a batch that does not pass, half by half. Raises `NotSent`
        where nothing more is to be tried at this block."""
        waiting = deque(due)
        while waiting:
            wave = [waiting.popleft() for _ in range(min(WAVE, len(waiting)))]
            waiting.extendleft(reversed(self._send(wave, head, now, settings)))

    def _tried(self, wave: Sequence[Action]) -> list[Tried | BallastError]:
        """What is in the pool counted in; but not for what others only seem to be at."""
        overdue = {a.key for a in wave if any(map(self._turns.is_overdue, a.accounts))}
        found = dict[str, Tried | BallastError]()
        for at, some in (
            ("pending", [a for a in wave if a.key not in overdue]),
            ("latest", [a for a in wave if a.key in overdue]),
        ):
            found |= zip((a.key for a in some), self._trial.each(some, at), strict=True)
        return [found[action.key] for action in wave]

    def _send(
        self, wave: Sequence[Action], head: Head, now: Situation, settings: PlanSettings
    ) -> list[Action]:
        """Try actions out, and send those that pass; the halves of the others. Raises `NotSent`
        where nothing more is to be tried at this block."""
        tried = self._tried(wave)
        found = [self._checked(*pair, now, settings) for pair in zip(wave, tried, strict=True)]
        passed = [(one.action, one.gas) for one in found if isinstance(one, Tried)]
        if self._sender is None:
            for action, gas in passed:
                _log.info("would send", **_told(action), gas=gas)
            answers: Iterator[Sent | NotSent | None] = iter([None] * len(passed))
        else:
            answers = iter(self._sender.send_all(passed, head))
        again: list[Action] = []
        enough: NotSent | None = None
        for action, one in zip(wave, found, strict=True):
            answer = next(answers) if isinstance(one, Tried) else one
            if isinstance(answer, Sent):
                sent = {"hash": answer.hashes[-1], "block": head.number}
                self._last_action = _told(action) | sent
            elif answer is not None:
                again += self._leave(action, answer)
                if isinstance(answer, NotSent) and answer.why in _ENOUGH:
                    enough = enough or answer
        if enough is not None:
            raise enough
        return again

    def _checked(
        self, action: Action, tried: Tried | BallastError, now: Situation, settings: PlanSettings
    ) -> Tried | BallastError:
        """What was tried out, unless it does not pay; what others are at is noted."""
        if not isinstance(tried, Tried):
            if isinstance(tried, Outraced):
                self._left.update(action.accounts)
            return tried
        self._left |= set(action.accounts) - set(tried.action.accounts)
        if tried.action.kind is not Kind.LIQUIDATE:
            return tried
        reward = tried.action.reward_quote
        cost = gas_quote(tried.gas, now.gas_price, settings.native_quote)
        if reward - cost > settings.min_profit_quote:
            return tried
        return NotSent("unprofitable", f"brings {reward / WAD:.4f} quote, costs {cost / WAD:.4f}")

    def _leave(self, action: Action, error: BallastError) -> list[Action]:
        """Count and tell what is not sent; its halves where they may be."""
        why = "would fail"
        if isinstance(error, NotSent):
            why = error.why
        elif isinstance(error, Outraced):
            why = "outraced"
        self.metrics.not_sent.labels(action.kind, why).inc()
        _log.info("not sent", **_told(action), why=why, text=str(error))
        return halves(action) if why in ("gas", "would fail") else []

    # What it knows beside the mirror

    def _learn(self, blocks: Iterable[Block]) -> None:
        """Read parameters (again) where they may have changed."""
        known = bool(self._params)
        for block in blocks:
            if block.is_rewind:
                self.metrics.reorganised.inc()
            names = {event.name for found in block.transactions for event in found.events}
            known &= not block.is_rewind and not names & _PARAMETERS
        if known:
            return
        self._params = {}
        house = contracts.interface(contracts.CLEARINGHOUSE)

        def view(name: str, *args: Any) -> Any:
            function = house.function(name, len(args))
            data = "0x" + function.encode(args).hex()
            return function.decode(
                self._rpc.call({"to": self._follower.clearinghouse, "data": data})
            )

        markets = self._follower.indexer.maintenance_bps
        self._params = {market: MarketParams(*view("market_params", market)) for market in markets}
        self._adl_params = tuple(view("adl_params"))
        if self._settings.liquidator is not None:
            target = self._follower.record.contracts[contracts.LIQUIDATION_BATCH]
            owner = owner_of(self._settings.liquidator)
            is_allowed = view("operator_expiry", owner, target) > self._follower.head.timestamp
            can_allow = self._sender is not None and self._sender.address == owner
            self._batch = Batch(target, is_allowed) if is_allowed or can_allow else None

    def _see_rivals(self, blocks: Iterable[Block]) -> None:
        """Who closes whose positions, by what these blocks hold."""
        forced: list[int] = []
        for block in blocks:
            events = [event for found in block.transactions for event in found.events]
            closed = {event.account for event in events if event.name in _FORCED}
            if closed:
                self._turns.moved(closed)
                forced.append(block.number)
        record = self._follower.record.contracts
        places = contracts.CLEARINGHOUSE, contracts.LIQUIDATION_BATCH
        targets = {record[place].lower() for place in places if place in record}
        for number in forced[-SENDERS_OF:] if self._sender is not None else ():
            self._turns.saw(self._rpc.senders(number, targets, forced_closes()), number)

    def _show(self, now: Situation, made: Plan) -> None:
        at, metrics = self._follower.head, self.metrics
        metrics.head.set(at.number)
        metrics.head_time.set(at.timestamp)
        metrics.accounts.set(len(now.columns.names))
        metrics.bankrupt.set(made.bankrupt)
        metrics.liquidatable.set(made.liquidatable)
        for group, waiting in made.waiting.items():
            metrics.waiting.labels(group).set(waiting / WAD)
        _log.info(
            "block",
            number=at.number,
            block_timestamp=at.timestamp,
            accounts=len(now.columns.names),
            bankrupt=made.bankrupt,
            liquidatable=made.liquidatable,
            planned=len(made.actions),
        )

    def _count(self, sender: Sender) -> None:
        for event in sender.history.events():
            self.metrics.sent.labels(event.row.kind, str(event.what)).inc()
        self.metrics.in_flight.set(len(sender.history.rows(*PENDING)))
        self.metrics.spent.labels("day").set(sender.history.spent(DAY))
        self.metrics.spent.labels("hour").set(sender.history.spent(HOUR))
        self.metrics.balance.set(self._rpc.balance(sender.address))


def _told(action: Action) -> dict[str, Any]:
    return {
        "kind": str(action.kind),
        "accounts": [account.hex() for account in action.accounts],
        "market": action.market,
        "size": action.size / WAD,
        "reward_quote": action.reward_quote / WAD,
    }
