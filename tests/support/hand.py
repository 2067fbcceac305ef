"""A keeper that is moved by hand."""

from __future__ import annotations

from pathlib import Path

from eth_account.signers.local import LocalAccount

from ballast.keeper.costs import SendSettings
from ballast.keeper.keeper import Keeper, Pace
from ballast.keeper.sender import Sender
from ballast.keeper.sent import Sent
from ballast.keeper.settings import KeeperSettings, assemble
from ballast.keeper.situation import PlanSettings
from ballast.keeper.store import Store, open_store
from ballast.record import Record
from ballast.signing import account_id, key_from_label

WAD = 10**18
KEY, RIVAL = key_from_label("keeper"), key_from_label("rival keeper")


class Hand:
    """A keeper in a process of the test's, with a database of its own in a folder."""

    def __init__(
        self,
        url: str,
        record: Record,
        folder: Path,
        key: LocalAccount = KEY,
        send: SendSettings | None = None,
        pace: Pace | None = None,
        group: int | None = None,
        shared: str | None = None,
    ) -> None:
        """`shared` is the address of a database in common with others."""
        self.store: Store = open_store(f"sqlite:///{folder}/{key.address}-{group}.db")
        settings = KeeperSettings(
            url,
            record,
            group,
            plan=PlanSettings(liquidator=account_id(key.address), max_refresh=0),
            send=send or SendSettings(max_spend_day=WAD, max_spend_hour=WAD),
            native_market=2,
            pace=pace or Pace(),
        )
        common = open_store(shared) if shared else None
        self.keeper: Keeper = assemble(settings, key, self.store, common)

    @property
    def sender(self) -> Sender:
        sender = self.keeper._sender
        assert sender is not None
        return sender

    def rows(self) -> list[Sent]:
        return self.sender.history.rows()

    def outcomes(self, kind: str) -> list[str]:
        return [row.outcome for row in self.rows() if row.kind == kind]

    def count(self, name: str, **labels: str) -> float:
        return self.keeper.metrics.registry.get_sample_value(f"ballast_keeper_{name}", labels) or 0
