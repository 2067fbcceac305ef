"""Sends actions as one signer, and sees each of them through, whatever comes in between.

`send` writes a row (ballast/keeper/sent.py) before the transaction leaves; `check`, called at
every head and first of all after a start, compares every row that is not final with the chain:

- mined: the receipt says what came of it; a block that is no longer there makes it pending again;
- in no pool: handed in again;
- in the pool for too long: signed again with higher fees, or, where it would no longer do
  anything, replaced by a transfer of nothing to the sender itself, so that later nonces can go on.

A version that is signed is recorded before it is sent, so a process that is killed at any instant
goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from eth_account.signers.local import LocalAccount
from eth_typing import HexStr
from sqlalchemy import Engine

from ballast.errors import BallastError, NodeError, NodeRefused, Reverted
from ballast.keeper.actions import Action, Kind
from ballast.keeper.claims import Claims
from ballast.keeper.history import DAY, HOUR, History
from ballast.keeper.rpc import Head, Rpc
from ballast.keeper.sent import PENDING, WATCHED, Outcome, Sent, State
from ballast.keeper.trial import MAX_GAS, Outraced, Trial, did_something

TRANSFER_GAS = 21_000
GAS_MARGIN_PERCENT = 30
GAS_SPARE = 150_000
"""A call that meets another price or another bucket than when it was tried out needs more by whole
slots: gas that is left over costs nothing, gas that is short costs all of it."""
BUMP_PERCENT = 25
LEAST_BUMP_PERCENT = 13
"""What pools ask of a replacement is 10 to 12.5 % on both fees."""
ATTEMPTS = 3
"""Times in a row, within an hour, that the same action may come to nothing."""
MISSING_BLOCKS = 3
ALL_GAS_SHARE = 0.95
"""A failed transaction that used more than this of its gas ran out of it."""
MINOR = (Kind.SETTLE, Kind.REFRESH)
"""What may use up half of the budget only: a crash finds the other half."""
ENTERED = ("already known", "already imported", "known transaction", "already in mempool")
NONCE_USED = ("nonce too low", "nonce is too low", "old nonce")
FEE_TOO_LOW = ("underpriced", "less than block base fee", "fee too low", "below base fee")

_log = structlog.get_logger("sender")


class NotSent(BallastError):
    """An action is not sent; `why` is a word for the metrics: `busy`, `in flight`, `fee`,
    `budget`, `gas`, `in vain`, `claimed`, `refused`, `no answer`."""

    def __init__(self, why: str, text: str) -> None:
        super().__init__(text)
        self.why = why


@dataclass(frozen=True)
class SendSettings:
    """What a sender may do. Fees are wei a gas, `max_spend_*` wei. A first offer tips what the node
    suggests, `max_tip` at most: a node suggests what somebody has just paid, however much.

    `stuck_blocks` in the pool make a transaction stuck, `confirmations` blocks upon its own final.
    """

    max_fee: int = 100 * 10**9
    max_tip: int = 3 * 10**9
    max_spend_day: int = 10**17
    max_spend_hour: int = 10**17
    max_in_flight: int = 8
    stuck_blocks: int = 3
    confirmations: int = 12


@dataclass(frozen=True)
class Fees:
    """Wei a gas: the most that is paid in all, the builder's part, and what is likely paid."""

    most: int
    tip: int
    likely: int


@dataclass(frozen=True)
class Event:
    """Something that happened to a row, for the metrics: `sent`, `bumped`, `cancelled`, `resent`,
    `reorganised`, or an outcome."""

    what: str
    row: Sent


@dataclass(frozen=True)
class _Asked:
    """The tip to offer (wei a gas) and the signer's next nonce, by the node, at a block (hash)."""

    block: str
    tip: int
    nonce: int


@dataclass
class _Room:
    """What there is room for: keys and number of what is pending, wei spent in the last so many
    seconds (as `Sender.spent`), the next nonce."""

    keys: set[str]
    count: int
    spent: dict[int, int]
    nonce: int

    def take(self, row: Sent) -> None:
        """A row more is pending."""
        self.keys.add(row.key)
        self.count += 1
        self.nonce += 1
        self.spent = {time: wei + row.gas * row.max_fee for time, wei in self.spent.items()}


class Sender(History):
    """One signer on one chain. Not for several threads.

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
        super().__init__(store, rpc.chain_id(), str(key.address), now)
        self.settings = settings
        self._rpc, self._key = rpc, key
        self._trial = Trial(rpc, self.address)
        self._claims = Claims(store, self._chain_id, self.address)
        self._events: list[Event] = []
        self._asked = _Asked("", 0, 0)

    # What there is

    def events(self) -> list[Event]:
        """What has happened since the last call of this method."""
        found, self._events = self._events, []
        return found

    def claimed(self, head: Head) -> frozenset[bytes]:
        """Accounts that another keeper with the same database is at, for a mirror at a head."""
        return self._claims.others(head)

    def gas_price(self, head: Head) -> int:
        """What a gas likely costs, wei."""
        return head.base_fee + self._at(head).tip

    def fees(self, head: Head) -> Fees:
        """What to offer now. Raises `NotSent` where that is more than allowed."""
        if head.base_fee >= self.settings.max_fee:
            raise NotSent("fee", f"a gas costs {head.base_fee} wei and a tip: see --max-fee")
        tip = min(self._at(head).tip, self.settings.max_fee - head.base_fee)
        most = min(2 * head.base_fee + tip, self.settings.max_fee)
        return Fees(most, tip, head.base_fee + tip)

    def _at(self, head: Head) -> _Asked:
        """What the node says at a head: asked once, not for every transaction."""
        if self._asked.block != head.hash:
            nonce = self._rpc.nonce(self.address, "pending")
            tip = min(max(self._rpc.tip(), 1), self.settings.max_tip)
            self._asked = _Asked(head.hash, tip, nonce)
        return self._asked

    # Sending

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
        self.save(*rows)
        for row, refusal in zip(rows, self._hand_in_all(rows, head), strict=True):
            if refusal is None:
                self._tell("sent", row)
            else:
                found[found.index(row)] = refusal
        return found

    def _room(self, head: Head) -> _Room:
        """What there is room for now."""
        watched = self.rows(*WATCHED)
        pending = [row for row in watched if row.state in PENDING]
        return _Room(
            keys={row.key for row in pending},
            count=len(pending),
            spent={seconds: self.spent(seconds) for seconds in (HOUR, DAY)},
            nonce=max([self._at(head).nonce, *(row.nonce + 1 for row in watched)]),
        )

    def _row(self, action: Action, needed: int, head: Head, room: _Room) -> Sent:
        """A new transaction, signed, which takes its part of the room. Raises `NotSent`."""
        if action.key in room.keys:
            raise NotSent("busy", "the same is under way")
        if room.count >= self.settings.max_in_flight:
            raise NotSent("in flight", f"{room.count} transactions are under way")
        gas = self._gas_limit(action, needed)
        fees = self.fees(head)
        self._afford(action.kind, gas * fees.most, room.spent)
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
        self._sign(row, fees.most, fees.tip)
        room.take(row)
        return row

    def _hand_in_all(self, rows: Sequence[Sent], head: Head) -> list[NotSent | None]:
        """Give new transactions to the node together, and those it did not take at once (or one
        that is alone) by themselves; why they are not sent."""
        if len(rows) < 2:
            return [self._hand_in_alone(row, head, is_last=True) for row in rows]
        try:
            answers = self._rpc.send_all([row.raw for row in rows])
        except NodeError as error:
            return [NotSent("no answer", f"handed in, without an answer: {error}")] * len(rows)
        taken = [row for row, answer in zip(rows, answers, strict=True) if answer is None]
        for row in taken:
            row.state = State.SENT
        self.save(*taken)
        found: list[NotSent | None] = []
        # The last first: a nonce is free again only if none after it is used.
        for row, answer in zip(reversed(rows), reversed(answers), strict=True):
            last = all(error is not None and error.why == "refused" for error in found)
            found.append(None if answer is None else self._hand_in_alone(row, head, last))
        return found[::-1]

    def _hand_in_alone(self, row: Sent, head: Head, is_last: bool) -> NotSent | None:
        try:
            self._hand_in(row)
        except NodeRefused as error:
            if _says(error, FEE_TOO_LOW):
                return None
            refused = NotSent("refused", f"the node refuses it: {error.words}")
            if is_last:
                # Nobody has this transaction: its nonce is free again.
                row.state, row.outcome, row.reason = State.DROPPED, Outcome.REFUSED, error.words
                self.save(row)
                self._claims.release(_accounts(row))
            else:
                self._replace(row, head, str(refused), is_pooled=False)
            return refused
        except NodeError as error:
            return NotSent("no answer", f"handed in, without an answer: {error}")
        return None

    def _gas_limit(self, action: Action, needed: int) -> int:
        """Some more than it needs now, and half as much again for each time that it ran out."""
        if needed > MAX_GAS:
            raise NotSent("gas", f"{needed} gas is more than one transaction may use")
        vain = self.in_vain(action.key)
        if len(vain) >= ATTEMPTS:
            raise NotSent("in vain", f"it came to nothing {len(vain)} times: {', '.join(vain)}")
        short = vain.count(Outcome.OUT_OF_GAS)
        for _ in range(short):
            needed += needed // 2
        return min(needed * (100 + GAS_MARGIN_PERCENT) // 100 + GAS_SPARE, MAX_GAS)

    def _afford(self, kind: str, more: int, spent_in: Mapping[int, int]) -> None:
        """Raises `NotSent` where so much more (wei) is beyond what may be spent, after what was
        spent in so many seconds."""
        part = 2 if kind in MINOR else 1
        limits = (DAY, self.settings.max_spend_day), (HOUR, self.settings.max_spend_hour)
        for seconds, limit in limits:
            spent = spent_in[seconds]
            if spent + more > limit // part:
                text = f"{spent} of {limit // part} wei are spent in {seconds} s, this costs {more}"
                raise NotSent("budget", f"{text}: see --max-spend")

    def _sign(self, row: Sent, most: int, tip: int, cancel: bool = False) -> None:
        """A new version of a row's transaction; it is to be saved before it is handed in."""
        signed = self._key.sign_transaction(
            {
                "type": 2,
                "chainId": row.chain_id,
                "nonce": row.nonce,
                "to": HexStr(self.address if cancel else row.target),
                "data": HexStr("0x" if cancel else row.data),
                "value": 0,
                "gas": TRANSFER_GAS if cancel else row.gas,
                "maxFeePerGas": most,
                "maxPriorityFeePerGas": min(tip, most),
            }
        )
        row.raw = "0x" + bytes(signed.raw_transaction).hex()
        row.hashes = [*row.hashes, "0x" + bytes(signed.hash).hex()]
        row.max_fee, row.tip, row.is_cancel = most, min(tip, most), cancel

    def _hand_in(self, row: Sent) -> None:
        """Give a row's transaction to the node. Raises `NodeRefused` where it does not take it."""
        try:
            self._rpc.send_raw(row.raw)
        except NodeRefused as error:
            if not _says(error, (*ENTERED, *NONCE_USED)):
                raise
        row.state = State.SENT
        self.save(row)

    # Seeing through

    def check(self, head: Head) -> None:
        """Compare every row that is not final with the chain, as of a head."""
        rows = self.rows(*WATCHED)
        if not rows:
            return
        used = self._rpc.nonce(self.address)
        hashes: dict[int, str | None] = {}
        standing = {
            row.id for row in rows if row.state == State.MINED and self._stands(row, hashes)
        }
        open_hashes = [name for row in rows if row.id not in standing for name in row.hashes]
        receipts = self._rpc.receipts(open_hashes)
        for row in rows:
            if row.id in standing:
                if head.number - (row.block_number or 0) >= self.settings.confirmations:
                    row.state = State.FINAL
                    self.save(row)
                continue
            mined = [receipts[name] for name in row.hashes if name in receipts]
            if mined:
                self._mined(row, mined[-1])
                continue
            if row.state == State.MINED:
                self._undo(row, head)
            if row.nonce < used:
                self._missing(row, head)
            else:
                self._pending(row, head)
        pending = self.rows(*PENDING)
        self._claims.renew([account for row in pending for account in _accounts(row)], head)

    def _stands(self, row: Sent, hashes: dict[int, str | None]) -> bool:
        number = row.block_number or 0
        if number not in hashes:
            block = self._rpc.head(number)
            hashes[number] = block.hash if block else None
        return hashes[number] == row.block_hash

    def _mined(self, row: Sent, receipt: dict[str, Any]) -> None:
        before = row.outcome
        row.state, row.missing_since = State.MINED, None
        row.block_number = int(receipt["blockNumber"], 16)
        row.block_hash = str(receipt["blockHash"])
        row.gas_used = int(receipt["gasUsed"], 16)
        row.gas_price = int(receipt["effectiveGasPrice"], 16)
        row.outcome, row.reason = self._outcome(row, receipt)
        self.save(row)
        self._claims.done(_accounts(row), row.block_number)
        if row.outcome != before:
            self._tell(row.outcome, row)

    def _outcome(self, row: Sent, receipt: dict[str, Any]) -> tuple[str, str]:
        cancelled = str(receipt.get("to", "")).lower() == self.address.lower()
        if cancelled:
            return Outcome.CANCELLED, row.reason
        if int(receipt["status"], 16) == 1:
            if did_something(receipt["logs"]):
                return Outcome.DONE, ""
            return Outcome.OUTRACED, "it found nothing to do"
        if (row.gas_used or 0) >= row.gas * ALL_GAS_SHARE:
            return Outcome.OUT_OF_GAS, f"{row.gas} gas were not enough"
        try:
            self._trial.call(Kind(row.kind), row.target, row.data, hex(row.block_number or 0))
        except Outraced as error:
            return Outcome.OUTRACED, str(error)
        except BallastError as error:
            return Outcome.FAILED, str(error)
        return Outcome.FAILED, "it failed, but would pass at the end of its block"

    def _undo(self, row: Sent, head: Head) -> None:
        """A block that is no longer there: what it mined is pending again."""
        row.state, row.outcome, row.reason = State.SENT, Outcome.OPEN, ""
        row.block_number = row.block_hash = row.gas_used = row.gas_price = None
        row.bumped_at = head.number
        self.save(row)
        self._tell("reorganised", row)

    def _missing(self, row: Sent, head: Head) -> None:
        """Its nonce is used, by a transaction that is none of its versions; or the node that told
        so is ahead of the one that has the receipts."""
        if row.missing_since is None:
            row.missing_since = head.number
        elif head.number - row.missing_since >= MISSING_BLOCKS:
            row.state, row.outcome = State.LOST, Outcome.LOST
            row.reason = f"another transaction has nonce {row.nonce}"
            self._claims.release(_accounts(row))
            self._tell(row.outcome, row)
        self.save(row)

    def _pending(self, row: Sent, head: Head) -> None:
        if row.missing_since is not None:
            row.missing_since = None
            self.save(row)
        if not self._rpc.knows(row.hashes[-1]):
            useless = self._useless(row)
            if useless is None:
                try:
                    self._hand_in(row)
                except NodeRefused as error:
                    _log.warning("refused", nonce=row.nonce, words=error.words)
                    if not _says(error, FEE_TOO_LOW):
                        return
                    self._replace(row, head, None)
                else:
                    self._tell("resent", row)
            else:
                self._replace(row, head, useless, is_pooled=False)
            return
        if head.number - row.bumped_at >= self.settings.stuck_blocks:
            self._replace(row, head, self._useless(row))

    def _useless(self, row: Sent) -> str | None:
        """Why a row's transaction would no longer do anything; None where it would."""
        if row.is_cancel:
            return None
        try:
            self._trial.call(Kind(row.kind), row.target, row.data, "latest")
        except (Outraced, Reverted) as error:
            return str(error)
        return None

    def _replace(self, row: Sent, head: Head, useless: str | None, is_pooled: bool = True) -> None:
        """Send the next version of a row, at higher fees; a transfer of nothing where the action
        has become useless. One that no pool has (`is_pooled`) need not be outbid, and later nonces
        wait for it: neither the highest fee nor the budget holds its transfer back."""
        tip = max(_raised(row.tip, BUMP_PERCENT), self._at(head).tip)
        most = max(_raised(row.max_fee, BUMP_PERCENT), 2 * head.base_fee + tip)
        most = min(most, self.settings.max_fee)
        if is_pooled and most < _raised(row.max_fee, LEAST_BUMP_PERCENT):
            _log.warning("stuck at the highest fee", nonce=row.nonce, max_fee=row.max_fee)
            return
        cancel = row.is_cancel or useless is not None
        set_aside = row.max_fee * row.gas
        if cancel and not is_pooled:
            most = min(most, set_aside // TRANSFER_GAS)
        more = most * (TRANSFER_GAS if cancel else row.gas) - set_aside
        try:
            if more > 0:
                self._afford(row.kind, more, {time: self.spent(time) for time in (HOUR, DAY)})
        except NotSent as error:
            _log.warning("stuck", nonce=row.nonce, why=str(error))
            return
        row.reason = useless or row.reason
        row.bumped_at, row.bumps = head.number, row.bumps + 1
        self._sign(row, most, tip, cancel)
        self.save(row)
        self._tell("cancelled" if cancel else "bumped", row)
        try:
            self._hand_in(row)
        except NodeRefused as error:
            # An older version may just have been mined; else the next check hands it in again.
            _log.warning("replacement refused", nonce=row.nonce, words=error.words)

    def _tell(self, what: str, row: Sent) -> None:
        self._events.append(Event(what, row))
        _log.info(
            what,
            kind=row.kind,
            nonce=row.nonce,
            hash=row.hashes[-1],
            accounts=row.accounts,
            gas_used=row.gas_used,
            max_fee=row.max_fee,
            reason=row.reason,
        )


def _accounts(row: Sent) -> list[bytes]:
    return [bytes.fromhex(name) for name in row.accounts]


def _says(error: NodeRefused, words: Sequence[str]) -> bool:
    said = error.words.lower()
    return any(known in said for known in words)


def _raised(fee: int, percent: int) -> int:
    return -(-fee * (100 + percent) // 100)
