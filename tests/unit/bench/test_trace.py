"""Every unit of gas has a category, and both EVMs agree on the sum."""

from __future__ import annotations

import pytest

from ballast.bench import rows, trace
from ballast.bench.exchange import KEEPER, Exchange
from ballast.bench.trace import Account, Block, BreakdownError, Transaction, replay

AT = "0x" + "11" * 20
BLOCK = Block(7, 1_760_000_000, 31_337)


def run(code: str, data: bytes = b"", slots: dict[int, int] | None = None) -> trace.Breakdown:
    """Run hand-written code as the code of an account."""
    account = Account(bytes.fromhex(code), slots or {})
    return replay(Transaction(AT, data, KEEPER), {AT: account}, BLOCK)


def test_slots_are_told_apart_by_what_they_cost() -> None:
    # sload(0) twice, sstore(1, 1), sstore(0, 2), sstore(0, 2)
    made = run("5f545f5450506001600155600260005560026000" + "55", slots={0: 5})
    assert made.gas["cold reads"] == 2_100
    assert made.gas["warm reads"] == 100
    assert made.gas["cold writes"] == 22_100
    assert made.gas["warm writes"] == 2_900 + 100
    assert made.counts["slots made"] == 1
    assert made.counts["slots changed"] == 1
    assert made.counts["writes without effect"] == 1
    assert sum(made.gas.values()) == made.gas_used


def test_a_cleared_slot_gives_a_refund() -> None:
    made = run("5f5f55", slots={0: 5})
    assert made.gas["cold writes"] == 5_000
    assert made.gas["refund"] == -4_800
    assert sum(made.gas.values()) == made.gas_used == 21_000 + 4 + 5_000 - 4_800


def test_the_refund_is_at_most_a_fifth() -> None:
    made = run("5f5f555f6001555f6002555f600355", slots=dict.fromkeys(range(4), 5))
    charged = made.gas_used - made.gas["refund"]
    assert made.gas["refund"] == -(charged // 5)


def test_calls_memory_hashing_and_events() -> None:
    # keccak(0, 64), log0(0, 0), staticcall of ecrecover with nothing, of a cold account, again
    precompile = "5f5f5f5f60015afa50"
    stranger = "5f5f5f5f60225afa50"
    made = run("60405f2050" + "5f5fa0" + precompile + stranger * 2)
    assert made.gas["memory"] == 6
    assert made.gas["hashing"] == 30 + 6 * 2
    assert made.gas["events"] == 375
    assert made.gas["signatures"] == 3_000
    assert made.gas["cold accounts"] == 2_500
    assert made.gas["calls"] == 300
    assert made.counts["calls"] == 3
    assert sum(made.gas.values()) == made.gas_used


def test_call_data_is_counted_by_byte() -> None:
    made = run("00", bytes([0, 0, 1, 2, 3]))
    assert made.gas["calldata"] == 2 * 4 + 3 * 16
    assert made.gas_used == 21_000 + 56


def test_a_failed_transaction_is_refused() -> None:
    with pytest.raises(BreakdownError, match="failed"):
        run("5f5ffd")


def test_both_evms_agree_on_a_trade() -> None:
    exchange = Exchange()
    for label in ("taker", "maker"):
        exchange.trader(label)
    transaction = exchange.trade("taker", ["maker"], rows.SIZE, rows.PRICE)
    receipt, made = trace.measure(exchange.chain, transaction)
    assert receipt.gas_used == made.gas_used == sum(made.gas.values())
    assert made.gas["signatures"] == 6_000
    assert made.counts["signatures"] == 2
    assert made.counts["events"] == len(receipt.logs)
    assert {name for name, gas in made.gas.items() if gas < 0} <= {"refund"}


def test_a_disagreement_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = Exchange()
    exchange.mint("donor", 2)
    monkeypatch.setattr(trace, "BASE_GAS", 21_001)
    with pytest.raises(BreakdownError, match="revm charged"):
        trace.measure(exchange.chain, exchange.deposit("donor", 1))
