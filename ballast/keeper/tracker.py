"""Sees every transaction through, whatever comes in between.

`check` compares each row that is not final with the chain:

- mined: the receipt says what came of it; a block that is no longer there makes it pending again;
- in no pool: handed in again;
- in the pool for too long: signed again with higher fees, or, where it would no longer do
  anything, replaced by a transfer of nothing to the sender itself, so that later nonces can go on.
"""

from __future__ import annotations

from typing import Any

import structlog

from ballast.errors import BallastError, NodeRefused, Reverted
from ballast.keeper.actions import Kind
from ballast.keeper.claims import Claims
from ballast.keeper.costs import SendSettings
from ballast.keeper.history import History
from ballast.keeper.rpc import Head, Rpc
from ballast.keeper.sent import PENDING, WATCHED, Outcome, Sent, State
from ballast.keeper.signer import Signer, is_fee_too_low
from ballast.keeper.trial import Outraced, Trial, did_something

MISSING_BLOCKS = 3
ALL_GAS_SHARE = 0.95
"""A failed transaction that used more than this of its gas ran out of it."""

_log = structlog.get_logger("sender")


class Tracker:
    """What becomes of one signer's transactions. Raises `NodeError` where the node gives no
    answer."""

    def __init__(
        self, rpc: Rpc, history: History, claims: Claims, signer: Signer, settings: SendSettings
    ) -> None:
        self._rpc, self._history, self._claims = rpc, history, claims
        self._signer, self._settings = signer, settings
        self._trial = Trial(rpc, history.address)

    def check(self, head: Head) -> None:
        """Compare every row that is not final with the chain, as of a head."""
        rows = self._history.rows(*WATCHED)
        if not rows:
            return
        used = self._rpc.nonce(self._history.address)
        hashes: dict[int, str | None] = {}
        standing = {
            row.id for row in rows if row.state == State.MINED and self._stands(row, hashes)
        }
        open_hashes = [name for row in rows if row.id not in standing for name in row.hashes]
        receipts = self._rpc.receipts(open_hashes)
        for row in rows:
            if row.id in standing:
                if head.number - (row.block_number or 0) >= self._settings.confirmations:
                    row.state = State.FINAL
                    self._history.save(row)
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
        pending = self._history.rows(*PENDING)
        self._claims.renew([account for row in pending for account in row.account_ids], head)

    # In the chain

    def _stands(self, row: Sent, hashes: dict[int, str | None]) -> bool:
        """Whether the block that mined a row is there yet; `hashes` are blocks' known by now."""
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
        self._history.save(row)
        self._claims.done(row.account_ids, row.block_number)
        if row.outcome != before:
            self._history.tell(row.outcome, row)

    def _outcome(self, row: Sent, receipt: dict[str, Any]) -> tuple[str, str]:
        """What came of a row by its receipt, and why."""
        cancelled = str(receipt.get("to", "")).lower() == self._history.address.lower()
        if cancelled:
            return Outcome.CANCELLED, row.reason
        if int(receipt["status"], 16) == 1:
            if did_something(receipt["logs"]):
                return Outcome.DONE, ""
            return Outcome.OUTRACED, "it found nothing to do"
        if (row.gas_used or 0) >= row.gas * ALL_GAS_SHARE:
            return Outcome.OUT_OF_GAS, f"{row.gas} gas were not enough"
        try:
            self._try(row, hex(row.block_number or 0))
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
        self._history.save(row)
        self._history.tell("reorganised", row)

    # Not in the chain

    def _missing(self, row: Sent, head: Head) -> None:
        """Its nonce is used, by a transaction that is none of its versions; or the node that told
        so is ahead of the one that has the receipts."""
        if row.missing_since is None:
            row.missing_since = head.number
        elif head.number - row.missing_since >= MISSING_BLOCKS:
            row.state, row.outcome = State.LOST, Outcome.LOST
            row.reason = f"another transaction has nonce {row.nonce}"
            self._claims.release(row.account_ids)
            self._history.tell(row.outcome, row)
        self._history.save(row)

    def _pending(self, row: Sent, head: Head) -> None:
        if row.missing_since is not None:
            row.missing_since = None
            self._history.save(row)
        if not self._rpc.knows(row.hashes[-1]):
            self._resend(row, head)
        elif head.number - row.bumped_at >= self._settings.stuck_blocks:
            self._signer.replace(row, head, self._useless(row))

    def _resend(self, row: Sent, head: Head) -> None:
        """Hand a row in again that is in no pool; what has become useless makes room instead."""
        useless = self._useless(row)
        if useless is not None:
            self._signer.replace(row, head, useless, is_pooled=False)
            return
        try:
            self._signer.hand_in(row)
        except NodeRefused as error:
            _log.warning("refused", nonce=row.nonce, words=error.words)
            if is_fee_too_low(error):
                self._signer.replace(row, head, None)
        else:
            self._history.tell("resent", row)

    def _useless(self, row: Sent) -> str | None:
        """Why a row's transaction would no longer do anything; None where it would."""
        if row.is_cancel:
            return None
        try:
            self._try(row, "latest")
        except (Outraced, Reverted) as error:
            return str(error)
        return None

    def _try(self, row: Sent, at: str) -> None:
        self._trial.call(Kind(row.kind), row.target, row.data, at)
