"""What must be possible, tried in a copy that is rolled back: S8, S11, S12."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ballast.errors import Reverted
from ballast.fuzz.checks import roundings
from ballast.fuzz.dust import WAD
from ballast.model.market import PENDING, STALE
from ballast.signing import owner_of

if TYPE_CHECKING:
    from ballast.fuzz.twin import Twin

HELPERS = [bytes.fromhex(f"{n:040x}") + bytes(12) for n in (0xAAA1, 0xAAA2)]
"""Accounts that are on the other side of a trade, with as much cash as it takes."""
FORTUNE = 10**7 * WAD
MAX = 2**256 - 1


def assert_exits(twin: Twin) -> None:
    """S8: who meets IM can close every leg whose price is fresh; who has neither position nor debt
    can withdraw all its cash."""
    for account, held in twin.holdings.accounts.items():
        if not held.legs and not held.debt:
            with twin.chain.rolled_back():
                _withdraw_all(twin, account)
            continue
        initial = twin.clearing.view.margin(account)[0]
        if held.backing >= initial + roundings(twin, held):
            for market, leg in held.legs.items():
                if leg.size and not twin.model.state.quote(market).status & (STALE | PENDING):
                    with twin.chain.rolled_back():
                        _close(twin, account, market)


def _withdraw_all(twin: Twin, account: bytes) -> None:
    """In the next block, when nothing is fresh any more: what is allotted, too."""
    twin.chain.mine(12)
    twin.clearing.send.settle(account, sender=twin.keeper)
    units = twin.vault.view.balance_of(account) // twin.scale
    owner = owner_of(account)
    if not units:
        return
    try:
        twin.vault.send.withdraw(account, units, owner, sender=owner)
    except Reverted as refusal:
        raise twin.finding(f"S8: {account.hex()[:8]} cannot withdraw: {refusal.reason}") from None


def _close(twin: Twin, account: bytes, market: int) -> None:
    """The whole leg at the oracle price, against a newcomer who holds more of the other side. (Who
    holds the same side may leave the leg's own bucket by the fill, and so round it by a wei.)"""
    params, quote = twin.model.state.markets[market].params, twin.holdings.quotes[market]
    leg = twin.holdings.accounts[account].legs[market]
    # Joining can round a wei off the newcomer, whose rest must still be worth the minimum.
    least = 2 * params.min_notional_quote * WAD // quote.price + 1
    interest = twin.clearing.view.open_interest(market)[0]
    opened = leg.size + least
    if opened > params.position_cap_base or interest + opened > params.interest_cap_base:
        return
    house, venue, owner = twin.clearing.send, twin.arena.venue, twin.arena.owner
    for helper in HELPERS:
        twin.vault.send.deposit(helper, FORTUNE // twin.scale, sender=twin.payer)
    if twin.model.state.all_paused:
        house.pause(0, False, sender=owner)
    if twin.model.state.markets[market].paused:
        house.pause(market, False, sender=owner)
    newcomer, other = HELPERS
    pair = (other, newcomer) if leg.is_long else (newcomer, other)
    house.fill(market, *pair, opened, quote.price, sender=venue)
    sides = (newcomer, account) if leg.is_long else (account, newcomer)
    # The other one may have joined its bucket, which can round the leg by a wei.
    size = abs(twin.clearing.view.position(account, market)[0])
    try:
        house.fill(market, *sides, size, quote.price, sender=venue)
    except Reverted as refusal:
        who = f"{account.hex()[:8]}/{market}"
        raise twin.finding(f"S8: {who} cannot close {size}: {refusal.reason}") from None


def assert_round_trip(twin: Twin, market: int, price: int) -> None:
    """S11: opening and closing at one price with no time between profits nobody."""
    if price == 0:
        return
    params = twin.model.state.markets[market].params
    status = twin.model.state.quote(market).status & (STALE | PENDING)
    paused = twin.model.state.all_paused or twin.model.state.markets[market].paused
    size = 14 * params.min_notional_quote * WAD // price + 1
    interest = twin.clearing.view.open_interest(market)[0]
    if status or paused or interest + size > params.interest_cap_base:
        return
    with twin.chain.rolled_back():
        for helper in HELPERS:
            twin.vault.send.deposit(helper, FORTUNE // twin.scale, sender=twin.payer)
        before = [twin.clearing.view.equity(helper) for helper in HELPERS]
        house, venue = twin.clearing, twin.arena.venue
        house.send.fill(market, *HELPERS, size, price, sender=venue)
        # Joining a bucket may have rounded a wei off one side, and the other's wei alone would be
        # less than the minimum: then both keep a seventh.
        one, other = (abs(house.view.position(helper, market)[0]) for helper in HELPERS)
        closed = one if one == other else min(one, other) * 6 // 7 - 1
        house.send.fill(market, *HELPERS[::-1], closed, price, sender=venue)
        for helper, equity in zip(HELPERS, before, strict=True):
            gain = twin.clearing.view.equity(helper) - equity
            if gain > 0:
                raise twin.finding(f"S11: {gain} gained by {size} there and back at {price}")


def assert_idempotent(twin: Twin, account: bytes) -> None:
    """S12: settling or refreshing a second time writes nothing."""
    with twin.chain.rolled_back():
        for name in ("settle", "refresh"):
            call = getattr(twin.clearing.send, name)
            call(account, sender=twin.keeper)
            second = call(account, sender=twin.keeper)
            if second.logs:
                written = [event.name for event in twin.clearing.events(second)]
                raise twin.finding(f"S12: a second {name} of {account.hex()[:8]} writes {written}")


def assert_batch_is_one_by_one(
    twin: Twin, takeovers: list[tuple[bytes, int]], liquidator: bytes
) -> None:
    """Whole legs taken over in one transaction, or each in its own: the same sizes, the same money
    left; what is refused is passed over."""
    send, batch, owner = twin.clearing.send, twin.arena.batch, owner_of(liquidator)

    def sizes(receipt: Any) -> list[tuple[bytes, int, int]]:
        # From the events: a contract wallet that calls does not hand on what the call returned.
        events = [event for event in twin.clearing.events(receipt) if event.name == "Liquidated"]
        return [(event.account, event.market, event.size) for event in events]

    def each() -> list[tuple[bytes, int, int]]:
        taken = []
        for account, market in takeovers:
            try:
                taken += sizes(send.liquidate(account, market, MAX, liquidator, sender=owner))
            except Reverted:
                continue
        return taken

    def together() -> list[tuple[bytes, int, int]]:
        asked = [(account, market, MAX) for account, market in takeovers]
        send.set_operator(batch.address, MAX, sender=owner)
        try:
            return sizes(batch.send.liquidate_many(asked, liquidator, sender=owner))
        except Reverted as refusal:
            if refusal.reason != "batch: nothing taken":
                raise twin.finding(f"a batch is refused: {refusal.reason}") from None
            return []

    outcomes = []
    for take in (each, together):
        with twin.chain.rolled_back():
            taken, view = take(), twin.clearing.view
            involved = {liquidator, *(account for account, _ in takeovers)}
            equities = [view.equity(account) for account in sorted(involved)]
            outcomes.append((taken, twin.vault.view.insurance(), equities))
    if outcomes[0] != outcomes[1]:
        raise twin.finding(f"S4: liquidate_many {outcomes[1]}, one by one {outcomes[0]}")


def assert_many_is_one_by_one(twin: Twin, accounts: list[bytes]) -> None:
    """S4: one call for several bankrupt accounts does what a call for each of them does; whoever
    cannot be helped is passed over."""
    send = twin.clearing.send

    def each() -> int:
        done = 0
        for account in accounts:
            try:
                send.deleverage(account, sender=twin.keeper)
            except Reverted:
                continue
            done += 1
        return done

    def together() -> int:
        receipt = send.deleverage_many(accounts, sender=twin.keeper)
        return int(twin.clearing.returned(receipt, "deleverage_many", 1))

    outcomes = []
    for resolve in (each, together):
        with twin.chain.rolled_back():
            resolved = resolve()
            view = twin.clearing.view
            # Who is passed over is booked by a batch, which may round an equity.
            exact = resolved == len(accounts)
            outcomes.append(
                (
                    resolved,
                    twin.vault.view.insurance(),
                    [view.shortfall(group) for group in twin.groups],
                    [view.open_interest(market) for market in twin.markets],
                    [view.equity(account) for account in twin.accounts if exact],
                )
            )
    if outcomes[0] != outcomes[1]:
        raise twin.finding(f"S4: deleverage_many {outcomes[1]}, one by one {outcomes[0]}")
