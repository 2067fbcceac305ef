"""The trace of a call names the slots that the journal names."""

from __future__ import annotations

from ballast import opcodes
from tests.support.world import KEEPER, WAD, World, account_id

PRICE = 100 * WAD


def test_trace_and_journal_agree_over_delegated_and_static_calls() -> None:
    world = World(prices=(PRICE,))
    buyer, seller = (world.trader(label, 1_000 * WAD) for label in ("buyer", "seller"))
    world.fill(buyer, seller, WAD, PRICE)
    world.next_block()
    house, chain = world.clearing, world.chain
    data = house.data.settle(buyer)
    seen = chain.watch(lambda: chain.send(house.address, data, sender=KEEPER))
    lines = opcodes.traced(
        chain._evm, lambda: chain._evm.message_call(KEEPER, house.address, data, 0)
    )
    traced = opcodes.reads(house.address, lines)
    assert {house.address, world.oracle.address} <= {*traced}
    assert {*seen} - {*traced} <= {KEEPER, "0x" + "00" * 20}
    assert {at: slots for at, slots in seen.items() if slots} == {
        at: slots for at, slots in traced.items() if slots
    }
    assert seen[house.address]
    # Nothing is traced afterwards.
    assert opcodes.traced(chain._evm, lambda: None) == []
    assert house.view.group_of(account_id(KEEPER)) == 0
