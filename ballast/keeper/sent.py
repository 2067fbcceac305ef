"""Table `actions`: every transaction of a keeper, from before it is sent until it is final.

    signed ──> sent ──> mined ──> final          the usual way
       │         │ ^──────┘ a reorganisation     it is pending again
       │         └──> lost                       another transaction has its nonce
       └──> dropped                              the node refused it at its first sight

A row is written before its transaction leaves, so nothing is out there that is not here.
"""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import JSON, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from ballast.databases import Amount
from ballast.keeper.store import Base


class State(StrEnum):
    """Where a transaction is."""

    SIGNED = "signed"
    SENT = "sent"
    MINED = "mined"
    FINAL = "final"
    LOST = "lost"
    DROPPED = "dropped"


class Outcome(StrEnum):
    """What came of a transaction."""

    OPEN = ""
    DONE = "done"
    OUTRACED = "outraced"
    CANCELLED = "cancelled"
    OUT_OF_GAS = "out of gas"
    FAILED = "failed"
    LOST = "lost"
    REFUSED = "refused"


PENDING = (State.SIGNED, State.SENT)
WATCHED = (*PENDING, State.MINED)


_HOLDS_NONCE = "state NOT IN ('lost', 'dropped')"


class Sent(Base):
    """One nonce of one sender, and what it was used for. Fees are wei a gas, amounts quote WAD.

    `hashes` are those of every version signed, the present one last, which is `raw`;
    `is_cancel` says that this version only uses the nonce up. `planned_at` is the block whose state
    the action answers, `bumped_at` the one at whose head this version was first sent,
    `missing_since` the one at which its nonce was first seen to be used by something else. Times
    are Unix seconds.
    """

    __tablename__ = "actions"

    id: Mapped[int] = mapped_column(primary_key=True)
    chain_id: Mapped[int]
    sender: Mapped[str] = mapped_column(String(42))
    nonce: Mapped[int]
    key: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    accounts: Mapped[list[str]] = mapped_column(JSON)
    market: Mapped[int]
    target: Mapped[str] = mapped_column(String(42))
    data: Mapped[str] = mapped_column(Text)
    gas: Mapped[int]
    reward_quote: Mapped[int] = mapped_column(Amount)
    margin_quote: Mapped[int] = mapped_column(Amount)
    hashes: Mapped[list[str]] = mapped_column(JSON)
    raw: Mapped[str] = mapped_column(Text)
    max_fee: Mapped[int] = mapped_column(Amount)
    tip: Mapped[int] = mapped_column(Amount)
    is_cancel: Mapped[bool] = mapped_column(default=False)
    state: Mapped[str] = mapped_column(String(8))
    planned_at: Mapped[int]
    bumped_at: Mapped[int]
    bumps: Mapped[int] = mapped_column(default=0)
    missing_since: Mapped[int | None]
    block_number: Mapped[int | None]
    block_hash: Mapped[str | None] = mapped_column(String(66))
    gas_used: Mapped[int | None]
    gas_price: Mapped[int | None] = mapped_column(Amount)
    outcome: Mapped[str] = mapped_column(String(16), default=Outcome.OPEN)
    reason: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[float]
    updated_at: Mapped[float]

    @property
    def account_ids(self) -> list[bytes]:
        """Its accounts as the chain names them, 32 bytes each."""
        return [bytes.fromhex(name) for name in self.accounts]

    @property
    def set_aside(self) -> int:
        """Wei that are kept free for it while it is pending: all its gas at its highest fee."""
        return self.gas * self.max_fee

    __table_args__ = (
        Index(
            "one_nonce_once",
            "chain_id",
            "sender",
            "nonce",
            unique=True,
            sqlite_where=text(_HOLDS_NONCE),
            postgresql_where=text(_HOLDS_NONCE),
        ),
    )
