"""The model of a deployment as it stands (`ballast.fuzz.adopt`): it shows what the contracts show,
within the dust it names, and goes on as they do."""

from __future__ import annotations

from typing import Any

import pytest

from ballast.fuzz.adopt import Adopted, adopt
from ballast.fuzz.arena import Finding
from ballast.fuzz.dust import Dust
from ballast.fuzz.forked import assert_whole
from ballast.fuzz.history import follow
from ballast.fuzz.tape import TapedRevm
from ballast.model.exact import QUOTE_ONE, SIZE_ONE
from ballast.model.state import State
from ballast.node import TransactionLogs
from tests.integration.test_lazy_equals_eager import Walk
from tests.support.drain import Drain
from tests.support.twin import Twin
from tests.support.world import KEEPER, OWNER, WAD, account_id

LEVELS = (0.5, 0.8, 1, 1.25)


def adopted(twin: Twin) -> Adopted:
    """The contracts' state as a model, which takes the place of the twin's own."""
    world = twin.world
    accounts = [*twin.accounts, account_id(KEEPER)]
    new = adopt(world.chain, world.vault, world.clearing, world.token, accounts)
    assert new.clearing.violations([dict.fromkeys(world.markets, 10**9)]) == []
    twin.model.state, twin.dust = new.clearing.state, Dust(shares=twin.dust.shares)
    new.pass_on(twin.dust)
    twin.compare()
    twin.comparison.views()
    return new


def exact(state: State) -> dict[object, object]:
    """What is the same in contracts and model, to the unit."""
    found: dict[object, object] = {"adl": (state.adl_buckets_per_call, state.adl_reward_bps)}
    for number, market in state.markets.items():
        times = market.accrued_at, market.sampled_at, market.fixed_block
        found[number] = (*times, market.index, market.ema, market.fixed, market.oracle)
        found[number, "params"] = market.params
        for account, leg in market.legs.items():
            if abs(leg.size) > 1_000 * SIZE_ONE:
                found[account, number] = (leg.size > 0, leg.tier, leg.tick, leg.fee_cents)
    for account, its in state.accounts.items():
        if account != account_id(KEEPER):
            found[account] = (its.group, its.fresh_now(state.block), sorted(its.legs))
    return found


def test_random_state_goes_on() -> None:
    """Claims that wait, a shortfall, stale prices, emptied buckets: after each leg of a walk the
    model is adopted anew, and the walk goes on against it."""
    walk = Walk(13, traders=30, every=25, levels=LEVELS)
    waited, short, closed, empty, stale, drawn = (False,) * 6
    for step in range(600):
        walk.step()
        if step % 40:
            continue
        before, bound = walk.twin.model.state, 2 * walk.twin.dust.equity()
        new = adopted(walk.twin)
        state = new.clearing.state
        assert exact(state) == exact(before)
        for number, group in state.groups.items():
            left = before.groups[number].allowance.left(state.now)
            assert abs(group.allowance.left(state.now) - left) <= bound * QUOTE_ONE
            drawn |= left < group.allowance.cap_quote * QUOTE_ONE
        for number, market in state.markets.items():
            left = before.markets[number].allowance.left(state.now)
            assert abs(market.allowance.left(state.now) - left) <= bound * QUOTE_ONE
        assert all(0 <= left < 10**7 for left in new.left_over.values())
        legs = [leg for market in state.markets.values() for leg in market.legs.values()]
        waited |= any(group.waiting for group in state.groups.values())
        short |= any(group.shortfall for group in state.groups.values())
        closed |= any(leg.closed for leg in legs)
        empty |= any(leg.size == 0 for leg in legs)
        stale |= any(market.fixed.status for market in state.markets.values())
    assert (waited, short, closed, empty, stale, drawn) == (True,) * 6
    walk.twin.compare()


@pytest.mark.parametrize("premium", [0, 5, -5])
@pytest.mark.parametrize("is_long", [True, False], ids=["long", "short"])
def test_members_of_ended_epochs(is_long: bool, premium: int) -> None:
    book = Drain(is_long, 3, premium)
    book.twin.retires = True
    for round_ in range(3):
        book.join(5)
        book.drain(round_)
        adopted(book.twin)
    book.join(2)
    adopted(book.twin)
    for member in book.members:
        assert book.twin.settle(member)
    book.twin.compare()


def test_settled_within_a_block_and_paused() -> None:
    """Funding paid in advance of its index (`settle` fixes no price), cash of this block."""
    walk = Walk(2, traders=12)
    world = walk.twin.world
    walk.twin.new_block({}, 7_200)
    for account in walk.twin.accounts:
        walk.twin.settle(account)
    walk.twin.deposit(walk.people[0], 7 * WAD)
    world.clearing.send.pause(2, True, sender=OWNER)
    state = adopted(walk.twin).clearing.state
    assert any(leg.funding for market in state.markets.values() for leg in market.legs.values())
    assert state.accounts[walk.people[0]].fresh_now(state.block) > 0
    assert [market.paused for market in state.markets.values()] == [False, True, False, False]
    assert not state.all_paused
    for account in walk.twin.accounts:
        walk.twin.refresh(account)


def test_what_does_not_add_up_shows() -> None:
    """An account that is not named, and a pool that lacks money."""
    walk = Walk(5, traders=12)
    world, accounts = walk.twin.world, [*walk.twin.accounts, account_id(KEEPER)]

    def now(people: list[bytes]) -> Adopted:
        return adopt(world.chain, world.vault, world.clearing, world.token, people)

    absent = now(accounts[1:])
    assert any(text.startswith("S1") for text in absent.clearing.violations())
    right = now(accounts)
    vault = world.vault.address
    read = world.chain.watch(lambda: world.vault.view.pool_of(1))
    world.chain.put(
        vault, slots={slot: world.chain.storage(vault, slot) - 10**15 for slot in read[vault]}
    )
    poor = now(accounts)
    assert right.left_over[1] - poor.left_over[1] == 10**15
    assert poor.left_over[1] < 0


def test_what_is_left_over_is_dust_of_the_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound that the logs of all calls give (`ballast.fuzz.history`) holds, and is no more than
    a few millionths of a quote."""
    batches: list[TransactionLogs] = []
    send = TapedRevm.send

    def followed(self: TapedRevm, *args: Any, **options: Any) -> Any:
        receipt = send(self, *args, **options)
        batches.append((receipt.logs, self.block_number, self.timestamp))
        return receipt

    monkeypatch.setattr(TapedRevm, "send", followed)
    walk = Walk(3, traders=30, levels=LEVELS)
    for _ in range(400):
        walk.step()
    assert walk.twin.boundary == 0  # what such a call has logged was rolled back
    world = walk.twin.world
    history = follow(batches, world.vault.address, world.clearing.address)
    assert {*history.accounts} == {*walk.twin.accounts, account_id(KEEPER)}
    new = adopt(world.chain, world.vault, world.clearing, world.token, history.accounts)
    assert_whole(new, history)
    assert all(left > 0 for left in new.left_over.values())
    prices = {m: market.fixed.price for m, market in new.clearing.state.markets.items()}
    assert history.dust.system(prices, 100) < 10**13
    for group, left in new.left_over.items():
        for wrong in (-1, 10**13):
            new.left_over[group] = left + wrong - (left if wrong < 0 else 0)
            with pytest.raises(Finding, match=f"S2: group {group}, dust"):
                assert_whole(new, history)
        new.left_over[group] = left
