"""Signs what a row is to do, gives it to the node, and replaces it where it does not get on.

A row's transaction has versions: the same nonce at higher fees, or spent on a transfer of nothing
to the signer itself. Each is recorded before it is handed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from eth_account.signers.local import LocalAccount
from eth_typing import HexStr

from ballast.errors import NodeRefused
from ballast.keeper.costs import Costs, Fees, NotSent, outbids
from ballast.keeper.history import History
from ballast.keeper.rpc import Head, Rpc
from ballast.keeper.sent import Sent, State

TRANSFER_GAS = 21_000
ENTERED = ("already known", "already imported", "known transaction", "already in mempool")
NONCE_USED = ("nonce too low", "nonce is too low", "old nonce")
FEE_TOO_LOW = ("underpriced", "less than block base fee", "fee too low", "below base fee")

_log = structlog.get_logger("sender")


@dataclass(frozen=True)
class _Asked:
    """The tip to offer (wei a gas) and the signer's next nonce, by the node, at a block (hash)."""

    block: str
    tip: int
    nonce: int


class Signer:
    """A key on one chain, which signs for the rows of its history. Methods that ask the node raise
    `NodeError` where it gives no answer."""

    def __init__(self, rpc: Rpc, key: LocalAccount, history: History, costs: Costs) -> None:
        self._rpc, self._key, self._history, self._costs = rpc, key, history, costs
        self._asked = _Asked("", 0, 0)

    # What the node says

    def gas_price(self, head: Head) -> int:
        """What a gas likely costs, wei."""
        return head.base_fee + self._at(head).tip

    def fees(self, head: Head) -> Fees:
        """What to offer now. Raises `NotSent` where that is more than allowed."""
        return self._costs.fees(head.base_fee, self._at(head).tip)

    def nonce(self, head: Head) -> int:
        """The first nonce that no transaction in the node's pool uses."""
        return self._at(head).nonce

    def _at(self, head: Head) -> _Asked:
        """What the node says at a head: asked once, not for every transaction."""
        if self._asked.block != head.hash:
            nonce = self._rpc.nonce(self._history.address, "pending")
            self._asked = _Asked(head.hash, self._costs.tip(self._rpc.tip()), nonce)
        return self._asked

    # A version

    def sign(self, row: Sent, fees: Fees, cancel: bool = False) -> None:
        """Make a new version of a row's transaction, `cancel`: one that only uses its nonce up. It
        is to be saved before it is handed in."""
        tip = min(fees.tip, fees.most)
        signed = self._key.sign_transaction(
            {
                "type": 2,
                "chainId": row.chain_id,
                "nonce": row.nonce,
                "to": HexStr(self._history.address if cancel else row.target),
                "data": HexStr("0x" if cancel else row.data),
                "value": 0,
                "gas": TRANSFER_GAS if cancel else row.gas,
                "maxFeePerGas": fees.most,
                "maxPriorityFeePerGas": tip,
            }
        )
        row.raw = "0x" + bytes(signed.raw_transaction).hex()
        row.hashes = [*row.hashes, "0x" + bytes(signed.hash).hex()]
        row.max_fee, row.tip, row.is_cancel = fees.most, tip, cancel

    def hand_in(self, row: Sent) -> None:
        """Give a row's transaction to the node. Raises `NodeRefused` where it does not take it."""
        try:
            self._rpc.send_raw(row.raw)
        except NodeRefused as error:
            if not _says(error, (*ENTERED, *NONCE_USED)):
                raise
        row.state = State.SENT
        self._history.save(row)

    def replace(self, row: Sent, head: Head, useless: str | None, is_pooled: bool = True) -> None:
        """Send the next version of a row, at higher fees; a transfer of nothing where the action
        has become useless. One that no pool has (`is_pooled`) need not be outbid, and later nonces
        wait for it: neither the highest fee nor the budget holds its transfer back."""
        fees = self._costs.raised(row, head.base_fee, self._at(head).tip)
        if is_pooled and not outbids(fees, row):
            _log.warning("stuck at the highest fee", nonce=row.nonce, max_fee=row.max_fee)
            return
        cancel = row.is_cancel or useless is not None
        if cancel and not is_pooled:
            fees = Fees(min(fees.most, row.set_aside // TRANSFER_GAS), fees.tip)
        more = fees.most * (TRANSFER_GAS if cancel else row.gas) - row.set_aside
        try:
            if more > 0:
                self._costs.afford(row.kind, more, self._costs.spent())
        except NotSent as error:
            _log.warning("stuck", nonce=row.nonce, why=str(error))
            return
        row.reason = useless or row.reason
        row.bumped_at, row.bumps = head.number, row.bumps + 1
        self.sign(row, fees, cancel)
        self._history.save(row)
        self._history.tell("cancelled" if cancel else "bumped", row)
        try:
            self.hand_in(row)
        except NodeRefused as error:
            # An older version may just have been mined; else the next check hands it in again.
            _log.warning("replacement refused", nonce=row.nonce, words=error.words)


def is_fee_too_low(error: NodeRefused) -> bool:
    """Whether the node would take the transaction at higher fees."""
    return _says(error, FEE_TOO_LOW)


def _says(error: NodeRefused, words: Sequence[str]) -> bool:
    said = error.words.lower()
    return any(known in said for known in words)
