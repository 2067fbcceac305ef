"""The exact reference model of the protocol: eager, per account, in exact arithmetic.

Written from `design.md` and `docs/SPEC.md`, independent of the contracts. It is eager in sizes and
results: a forced close changes every member of a bucket at once. It books money only where the
protocol does, at touches, because backing, debts and the order of claims depend on it.
"""

from ballast.model import checks
from ballast.model.clearing import Clearing
from ballast.model.exact import BPS, WAD, AccountId, ModelError, size_to_wei, to_wei
from ballast.model.market import GRACE, PENDING, STALE, MarketParams
from ballast.model.records import LegClosed, Loss, Taken, Waterfall
from ballast.model.views import Position, QueueEntry

__all__ = [
    "BPS",
    "GRACE",
    "PENDING",
    "STALE",
    "WAD",
    "AccountId",
    "Clearing",
    "LegClosed",
    "Loss",
    "MarketParams",
    "ModelError",
    "Position",
    "QueueEntry",
    "Taken",
    "Waterfall",
    "checks",
    "size_to_wei",
    "to_wei",
]
