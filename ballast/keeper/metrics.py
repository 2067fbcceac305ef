"""What a keeper counts, in Prometheus' form. Amounts of coin are wei."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """One keeper's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self.registry, "namespace": "ballast_keeper"}
        self.head = Gauge("head", "Number of the block the mirror stands at", **own)
        self.head_time = Gauge("head_timestamp_seconds", "Time of that block", **own)
        self.lag = Gauge("lag_seconds", "Since the last new block was worked through", **own)
        self.accounts = Gauge("accounts", "Accounts in the mirror", **own)
        self.bankrupt = Gauge("bankrupt_accounts", "Accounts with E < 0", **own)
        self.liquidatable = Gauge("liquidatable_accounts", "Accounts with 0 <= E < MM", **own)
        self.waiting = Gauge("claims_waiting_quote", "Claims that wait, quote", ["group"], **own)
        self.planned = Counter("planned", "Actions planned", ["kind"], **own)
        self.sent = Counter("transactions", "Steps of transactions", ["kind", "what"], **own)
        self.not_sent = Counter("not_sent", "Actions not sent, and why", ["kind", "why"], **own)
        self.in_flight = Gauge("in_flight", "Transactions that are pending", **own)
        self.spent = Gauge("spent_wei", "Spent, or set aside", ["window"], **own)
        self.budget = Gauge("budget_wei", "What may be spent", ["window"], **own)
        self.balance = Gauge("balance_wei", "The signer's native coin", **own)
        self.errors = Counter("errors", "Looks at the chain that failed", ["error"], **own)
        self.reorganised = Counter("reorganisations", "Branches the mirror has left", **own)
        self.seconds = Histogram(
            "step_seconds", "From a new block to everything sent", buckets=SECONDS, **own
        )
