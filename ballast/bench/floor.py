"""The least gas an operation can cost: what its change of state costs in the smallest state that
holds the facts.

One contract instead of several, every word packed full, the tightest encoding of the call, one
event a fact, no arithmetic, no memory, no second read of anything. A floor is not reachable: it is
what an operation is measured against. Where a fact could be held in less at the price of another
operation, the smaller figure counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ballast.bench.trace import BASE_GAS, BYTE_GAS

NEW_WORD = 22_100
CHANGED_WORD = 5_000
CLEARED_WORD = CHANGED_WORD - 4_800
READ_WORD = 2_100
COLD_CALL = 2_600
SIGNATURE = 3_000
EVENT = 375 + 3 * 375 + 8 * 32

_SELECTOR, _ACCOUNT, _MARKET, _AMOUNT, _ADDRESS = 4, 21, 2, 12, 20
# account, market, side and flags, size, limit price, expiry, salt, compact signature (EIP-2098)
_ORDER = _ACCOUNT + _MARKET + 1 + 2 * _AMOUNT + 5 + 4 + 64


KINDS = {
    "base": "base",
    "calldata": "calldata",
    "cold writes": "storage",
    "warm writes": "storage",
    "cold reads": "storage",
    "warm reads": "storage",
    "refund": "storage",
    "cold accounts": "calls",
    "calls": "calls",
    "signatures": "signatures",
    "events": "events",
}
"""The kind of gas by category of `ballast.bench.trace`; what is not here is `code`."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something an operation must change, read or check, and its gas by kind."""

    text: str
    storage: int = 0
    calls: int = 0
    events: int = 0
    signatures: int = 0
    calldata: int = 0
    base: int = 0
    code: int = 0

    @property
    def gas(self) -> int:
        """All of it."""
        return sum(self.part(kind) for kind in (*dict.fromkeys(KINDS.values()), "code"))

    def part(self, kind: str) -> int:
        """The gas of one kind."""
        return int(getattr(self, kind))


FACTS: dict[str, Fact] = {
    "transaction": Fact("the transaction itself", base=BASE_GAS),
    "byte": Fact("a byte of the call, tightly packed", calldata=BYTE_GAS),
    "signature": Fact("a signature recovered", signatures=SIGNATURE),
    "fill": Fact("how much of a fresh order is filled: a new word", storage=NEW_WORD),
    "position opened": Fact(
        "size, entry, rank, fees paid; share of the bucket, its index at entry: two new words",
        storage=2 * NEW_WORD,
    ),
    "position changed": Fact("the same two words", storage=2 * CHANGED_WORD),
    "position ended": Fact(
        "the same two words cleared, their refund taken off", storage=2 * CLEARED_WORD
    ),
    "position read": Fact(
        "the same two words, for the margin of the whole account", storage=2 * READ_WORD
    ),
    "markets of an account": Fact(
        "the list of its open markets, with one more or less: a word", storage=CHANGED_WORD
    ),
    "first market ever": Fact(
        "the same list made rather than changed: what that adds", storage=NEW_WORD - CHANGED_WORD
    ),
    "markets read": Fact("the same list, where it stays as it is", storage=READ_WORD),
    "cash": Fact("an account's cash: a word", storage=CHANGED_WORD),
    "first cash": Fact("cash where there was none: a new word", storage=NEW_WORD),
    "bucket": Fact(
        "size and shares; credit and funding index: two words", storage=2 * CHANGED_WORD
    ),
    "bucket made": Fact(
        "the same two words new: what that adds", storage=2 * (NEW_WORD - CHANGED_WORD)
    ),
    "bucket read": Fact("the same two words, to value a position", storage=2 * READ_WORD),
    "queue": Fact("the bit that says that a bucket holds anyone: a word", storage=CHANGED_WORD),
    "market": Fact(
        "price, its time and status, funding index and its times, premium average, open interest:"
        " 512 bits, two words",
        storage=2 * CHANGED_WORD,
    ),
    "market read": Fact("the same two words of a market that is not traded", storage=2 * READ_WORD),
    "parameters": Fact(
        "margins, band, fees, caps, funding limits, oracle: about 600 bits, three words",
        storage=3 * READ_WORD,
    ),
    "margin parameters": Fact("the margins of a market that is not traded", storage=READ_WORD),
    "fees": Fact("fee and insurance balances together: a word", storage=CHANGED_WORD),
    "pool": Fact("the pool that results pass through: a word", storage=CHANGED_WORD),
    "insurance limits": Fact(
        "what the market has drawn of its allowance: a word", storage=CHANGED_WORD
    ),
    "waterfall parameters": Fact("buckets a call, reward: a word", storage=READ_WORD),
    "oracle": Fact(
        "a call to the oracle, which reads one word", calls=COLD_CALL, storage=READ_WORD
    ),
    "further oracle word": Fact("the same of a further market", calls=100, storage=READ_WORD),
    "token out": Fact(
        "an ERC-20 transfer: call, two balances, its event",
        calls=COLD_CALL,
        storage=2 * CHANGED_WORD,
        events=EVENT,
    ),
    "token in": Fact(
        "transferFrom: call, two balances, a limited allowance, its event",
        calls=COLD_CALL,
        storage=3 * CHANGED_WORD,
        events=EVENT,
    ),
    "first tokens": Fact(
        "a token balance made rather than changed: what that adds", storage=NEW_WORD - CHANGED_WORD
    ),
    "event": Fact("a log with three topics and a word of data", events=EVENT),
    "report": Fact("a market's median price and time in the oracle: a word", storage=CHANGED_WORD),
    "publishers": Fact("who may sign and how many must: a word", storage=READ_WORD),
}

Needs = Mapping[str, int]


def of(needs: Needs) -> int:
    """The sum of what is needed, by fact and count."""
    return sum(FACTS[fact].gas * count for fact, count in needs.items())


def _call(*widths: int) -> dict[str, int]:
    return {"transaction": 1, "byte": _SELECTOR + sum(widths)}


def _trade(makers: int, per_side: Needs, **rest: int) -> dict[str, int]:
    """One taker and so many makers. Makers at one price and one leverage share a bucket."""
    sides = makers + 1
    needs = _call(sides * _ORDER + makers * _AMOUNT)
    needs |= {"signature": sides, "fill": sides, "cash": sides, "event": makers}
    needs |= {name: count * sides for name, count in per_side.items()}
    needs |= {"bucket": 2, "market": 1, "parameters": 1, "fees": 1, "oracle": 1}
    return needs | rest


_OPENED = {"position opened": 1, "markets of an account": 1}
_CHANGED = {"position changed": 1, "markets read": 1}
_ENDED = {"position ended": 1, "markets of an account": 1}
_WITHDRAWN = _call(_ACCOUNT, _AMOUNT, _ADDRESS) | {"cash": 1, "markets read": 1, "event": 1}


def _cross(markets: int) -> dict[str, int]:
    others = markets - 1
    return _trade(1, _CHANGED) | {
        "position read": 2 * others,
        "bucket read": 2 * others,
        "market read": others,
        "margin parameters": others,
        "further oracle word": others,
    }


NEEDS: dict[str, Needs] = {
    "deposit_fresh": _call(_ACCOUNT, _AMOUNT) | {"token in": 1, "first cash": 1, "event": 1},
    "deposit": _call(_ACCOUNT, _AMOUNT) | {"token in": 1, "cash": 1, "event": 1},
    "trade": _trade(1, _OPENED),
    "increase": _trade(1, _CHANGED),
    "partial_close": _trade(1, _CHANGED) | {"pool": 1},
    "close": _trade(1, _ENDED) | {"pool": 1},
    "trade_5_makers": _trade(5, _OPENED),
    "withdraw": _WITHDRAWN | {"token out": 1},
    "liquidate": _call(_ACCOUNT, _MARKET, _AMOUNT, _ACCOUNT)
    | {
        "position ended": 1,
        "position opened": 1,
        "markets of an account": 2,
        "cash": 2,
        "bucket": 2,
        "market": 1,
        "parameters": 1,
        "fees": 1,
        "pool": 1,
        "oracle": 1,
        "event": 1,
    },
    "deleverage": _call(_ACCOUNT)
    | {
        "position ended": 1,
        "markets of an account": 1,
        "cash": 2,
        "bucket": 2,
        "market": 1,
        "parameters": 1,
        "waterfall parameters": 1,
        "fees": 1,
        "insurance limits": 1,
        "pool": 1,
        "oracle": 1,
        "event": 1,
    },
    "deposit_first": _call(_ACCOUNT, _AMOUNT)
    | {"token in": 1, "first cash": 1, "first tokens": 1, "event": 1},
    "trade_never_traded": _trade(1, _OPENED | {"first market ever": 1}),
    "trade_empty_buckets": _trade(1, _OPENED) | {"bucket made": 2, "queue": 2},
    "trade_20_makers": _trade(20, _OPENED),
    "increase_elsewhere": _trade(1, _CHANGED) | {"bucket": 4, "bucket made": 2, "queue": 2},
    "close_at_a_profit": _trade(1, _ENDED) | {"pool": 1},
    "withdraw_to_a_stranger": _WITHDRAWN | {"token out": 1, "first tokens": 1},
    "withdraw_with_position": _WITHDRAWN
    | {
        "token out": 1,
        "position read": 1,
        "bucket read": 1,
        "market": 1,
        "parameters": 1,
        "oracle": 1,
    },
    "settle": _call(_ACCOUNT)
    | {
        "markets read": 1,
        "position read": 1,
        "bucket read": 1,
        "market": 1,
        "parameters": 1,
        "oracle": 1,
    },
    "price_report": _call(_MARKET, 3 * (_AMOUNT + 5 + 64))
    | {"signature": 3, "publishers": 1, "report": 1, "event": 1},
    **{f"cross_{count}_markets": _cross(count) for count in (1, 4, 16)},
}


def floor(row: str) -> int:
    """The floor of a row."""
    return of(NEEDS[row])


def above(row: str, gas: Mapping[str, int]) -> dict[str, int]:
    """What a row's gas (by category) has above its floor, by kind; `code` is arithmetic, memory,
    hashing and locks. A kind may be below its part of the floor, never the sum."""
    found = dict.fromkeys((*dict.fromkeys(KINDS.values()), "code"), 0)
    for category, spent in gas.items():
        found[KINDS.get(category, "code")] += spent
    for fact, count in NEEDS[row].items():
        for kind in found:
            found[kind] -= FACTS[fact].part(kind) * count
    return found
