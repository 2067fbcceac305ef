"""What the chain says of a run: who was resolved, who should be and is not, and whether S1 and S2
hold. Nothing is taken from a keeper."""

from __future__ import annotations

from dataclasses import dataclass, field

from ballast.contracts import CLEARINGHOUSE, VAULT, interface
from ballast.fuzz.arena import Finding
from ballast.fuzz.forked import assert_whole, fork
from ballast.mirror import WAD
from ballast.node import Node
from ballast.record import Record


@dataclass
class Audit:
    """As it is after one block. Money is quote, WAD."""

    block: int
    accounts: int = 0
    """With anything ever in them."""
    liquidated: set[bytes] = field(default_factory=set)
    deleveraged: set[bytes] = field(default_factory=set)
    """Bankrupt accounts that were closed against the queue."""
    bankrupt: list[bytes] = field(default_factory=list)
    weak: list[bytes] = field(default_factory=list)
    """0 <= E < MM."""
    violations: list[str] = field(default_factory=list)
    insurance_paid: int = 0
    closed_by_queue: int = 0
    """Notional at the oracle price."""

    @property
    def resolved(self) -> int:
        """Accounts that a keeper has closed something of."""
        return len(self.liquidated | self.deleveraged)

    @property
    def unresolved(self) -> int:
        """Accounts that a keeper could close something of now."""
        return len(self.bankrupt) + len(self.weak)


def audit(url: str, kept: Record) -> Audit:
    """Copy the deployment off its node, read its logs, and look at everybody. Raises `NodeError`,
    `IndexerError` where logs are missing."""
    copy = fork(url, kept)
    block = copy.arena.chain.block_number - 1
    found = Audit(block, len(copy.history.accounts))
    house = kept.contracts[CLEARINGHOUSE]
    known = interface(CLEARINGHOUSE)
    for logs, _, _ in Node(url).logs([kept.contracts[VAULT], house], kept.block, block):
        for event in known.decode_logs(logs, house):
            if event.name == "Liquidated":
                found.liquidated.add(event.account)
            elif event.name == "Deleveraged":
                found.deleveraged.add(event.account)
                found.closed_by_queue += event.size * event.oracle_price // WAD
            elif event.name == "InsuranceDrawn":
                found.insurance_paid += event.amount_quote
    view = copy.arena.clearing.view
    for account in copy.history.accounts:
        equity = view.equity(account)
        if equity < 0:
            found.bankrupt.append(account)
        elif equity < view.margin(account)[1]:
            found.weak.append(account)
    try:
        assert_whole(copy.adopted(), copy.history)
    except Finding as finding:
        found.violations.append(finding.message)
    return found
