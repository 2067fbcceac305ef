"""Sends actions as one signer.

`send` writes a row (ballast/keeper/sent.py) before the transaction leaves, so a process that is
killed at any instant goes on where it was; `check`, called at every head and first of all after a
start, sees every row through (ballast/keeper/tracker.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eth_account.signers.local import LocalAccount
from sqlalchemy import Engine

from ballast.errors import NodeError, NodeRefused
from ballast.keeper.actions import Action
from ballast.keeper.claims import Claims
from ballast.keeper.costs import Costs, Fees, NotSent, SendSettings
from ballast.keeper.history import History
from ballast.keeper.rpc import Head, Rpc
from ballast.keeper.sent import PENDING, WATCHED, Outcome, Sent, State
from ballast.keeper.signer import Signer, is_fee_too_low
from ballast.keeper.tracker import Tracker


@dataclass
class _Room:
    """What there is room for: keys and number of what is pending, wei spent (as `Costs.spent`), the
    next nonce."""

    keys: set[str]
    count: int
    spent: dict[int, int]
    nonce: int

    def take(self, row: Sent) -> None:
        """A row more is pending."""
        self.keys.add(row.key)
        self.count += 1
        self.nonce += 1
        self.spent = {seconds: wei + row.set_aside for seconds, wei in self.spent.items()}


class Sender:
    """One signer on one chain, at `address`; `history` is what it has sent. Not for several
    threads.

    `now` gives Unix seconds. The chain's id is asked once. Raises `NodeError` where the node gives
    no answer.
    """

    def __init__(
        self,
        rpc: Rpc,
        key: LocalAccount,
        store: Engine,
        settings: SendSettings,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.address = str(key.address)
        self._rpc, self._now, self._chain_id = rpc, now, rpc.chain_id()
        self.history = History(store, self._chain_id, self.address, now)
        self._claims = Claims(store, self._chain_id, self.address)
        self._costs = Costs(self.history, settings)
        self._signer = Signer(rpc, key, self.history, self._costs)
        self._tracker = Tracker(rpc, self.history, self._claims, self._signer, settings)

    def claimed(self, head: Head) -> frozenset[bytes]:
        """Accounts that another keeper with the same database is at, for a mirror at a head."""
        return self._claims.others(head)

    def gas_price(self, head: Head) -> int:
        """What a gas likely costs, wei."""
        return self._signer.gas_price(head)

    def fees(self, head: Head) -> Fees:
        """What to offer now. Raises `NotSent` where that is more than allowed."""
        return self._signer.fees(head)

    def check(self, head: Head) -> None:
        """Compare every row that is not final with the chain, as of a head, and do what it
        needs."""
        self._tracker.check(head)

    def send(self, action: Action, needed: int, head: Head) -> Sent:
        """Send an action that needs so much gas (`Trial.needed`). Raises `NotSent`; what was handed
        in without an answer is seen through by `check`."""
        (found,) = self.send_all([(action, needed)], head)
        if isinstance(found, NotSent):
            raise found
        return found

    def send_all(self, wanted: Sequence[tuple[Action, int]], head: Head) -> list[Sent | NotSent]:
        """`send` of several, in their order: written down together, and handed in together."""
        room = self._room(head)
        found: list[Sent | NotSent] = []
        for action, needed in wanted:
            try:
                found.append(self._row(action, needed, head, room))
            except NotSent as error:
                found.append(error)
        rows = [row for row in found if isinstance(row, Sent)]
        self.history.save(*rows)
        for row, refusal in zip(rows, self._hand_in_all(rows, head), strict=True):
            if refusal is None:
                self.history.tell("sent", row)
            else:
                found[found.index(row)] = refusal
        return found

    # New rows

    def _room(self, head: Head) -> _Room:
        """What there is room for now."""
        watched = self.history.rows(*WATCHED)
        pending = [row for row in watched if row.state in PENDING]
        return _Room(
            keys={row.key for row in pending},
            count=len(pending),
            spent=self._costs.spent(),
            nonce=max([self._signer.nonce(head), *(row.nonce + 1 for row in watched)]),
        )

    def _row(self, action: Action, needed: int, head: Head, room: _Room) -> Sent:
        """A new transaction, signed, which takes its part of the room. Raises `NotSent`."""
        if action.key in room.keys:
            raise NotSent("busy", "the same is under way")
        if room.count >= self.settings.max_in_flight:
            raise NotSent("in flight", f"{room.count} transactions are under way")
        gas = self._costs.gas_limit(action, needed)
        fees = self._signer.fees(head)
        self._costs.afford(action.kind, gas * fees.most, room.spent)
        if not self._claims.take(action.accounts, head):
            raise NotSent("claimed", "another keeper is at one of its accounts")
        row = Sent(
            chain_id=self._chain_id,
            sender=self.address,
            nonce=room.nonce,
            key=action.key,
            kind=action.kind,
            accounts=[account.hex() for account in action.accounts],
            market=action.market,
            target=action.target,
            data="0x" + action.data.hex(),
            gas=gas,
            reward_quote=action.reward_quote,
            margin_quote=action.margin_quote,
            hashes=[],
            state=State.SIGNED,
            is_cancel=False,
            planned_at=head.number,
            bumped_at=head.number,
            bumps=0,
            outcome=Outcome.OPEN,
            reason="",
            created_at=self._now(),
        )
        self._signer.sign(row, fees)
        room.take(row)
        return row

    # Handing in

    def _hand_in_all(self, rows: Sequence[Sent], head: Head) -> list[NotSent | None]:
        """Give new transactions to the node together, and those it did not take at once (or one
        that is alone) by themselves; why they are not sent."""
        if len(rows) < 2:
            return [self._hand_in_alone(row, head, is_last=True) for row in rows]
        try:
            answers = self._rpc.send_all([row.raw for row in rows])
        except NodeError as error:
            return [_no_answer(error)] * len(rows)
        taken = [row for row, answer in zip(rows, answers, strict=True) if answer is None]
        for row in taken:
            row.state = State.SENT
        self.history.save(*taken)
        found: list[NotSent | None] = []
        # The last first: a nonce is free again only if none after it is used.
        for row, answer in zip(reversed(rows), reversed(answers), strict=True):
            last = all(error is not None and error.why == "refused" for error in found)
            found.append(None if answer is None else self._hand_in_alone(row, head, last))
        return found[::-1]

    def _hand_in_alone(self, row: Sent, head: Head, is_last: bool) -> NotSent | None:
        """Give a new transaction to the node; why it is not sent. One at too low a fee by now is
        left to `check`."""
        try:
            self._signer.hand_in(row)
        except NodeRefused as error:
            if is_fee_too_low(error):
                return None
            refused = NotSent("refused", f"the node refuses it: {error.words}")
            if is_last:
                # Nobody has this transaction: its nonce is free again.
                row.state, row.outcome, row.reason = State.DROPPED, Outcome.REFUSED, error.words
                self.history.save(row)
                self._claims.release(row.account_ids)
            else:
                self._signer.replace(row, head, str(refused), is_pooled=False)
            return refused
        except NodeError as error:
            return _no_answer(error)
        return None


def _no_answer(error: NodeError) -> NotSent:
    return NotSent("no answer", f"handed in, without an answer: {error}")
