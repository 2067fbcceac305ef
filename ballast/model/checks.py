"""Invariants of the exact state. Each check returns its violations as text; none is good news."""

from collections.abc import Mapping

from ballast.model.exact import div_up, size_to_wei, to_wei
from ballast.model.grid import tick_of
from ballast.model.records import Waterfall
from ballast.model.state import State


def s1(state: State) -> list[str]:
    """S1: the ledger's balances sum to the total."""
    cash = sum(account.cash for account in state.accounts.values())
    pools = sum(group.pool for group in state.groups.values())
    held = cash + pools + state.insurance + state.fees + state.reserve
    if held == state.total:
        return []
    return [f"S1: balances {float(to_wei(held))} != total {float(to_wei(state.total))}"]


def s2(state: State, prices: Mapping[int, int]) -> list[str]:
    """S2 at a vector of prices: pool + shortfall = sum(u) + sum(V) + residue, exactly, in every
    group; long and short sizes are equal, exactly. Markets left out count at their fixed price."""
    found = []
    for group_id, group in state.groups.items():
        owed = sum(group.waiting.values()) + sum(group.allotted.values())
        owed -= sum(acc.debt for acc in state.accounts.values() if acc.group == group_id)
        for market_id, market in state.markets.items():
            if market.params.group == group_id:
                price = prices.get(market_id, market.fixed.price)
                owed += sum(leg.result(price) for leg in market.legs.values())
                owed += market.residue.result(price)
        if group.pool + group.shortfall != owed:
            gap = float(to_wei(group.pool + group.shortfall - owed))
            found.append(f"S2: group {group_id} is off by {gap} wei")
    for market_id, market in state.markets.items():
        net = market.residue.size + sum(leg.size for leg in market.legs.values())
        if net != 0:
            found.append(f"S2: market {market_id} sizes net to {float(size_to_wei(net))} wei")
    return found


def s3(record: Waterfall) -> list[str]:
    """S3: a forced close takes at most the unpaid profit of the account it hits."""
    return [
        f"S3: {loss.account!r} in market {loss.market} lost {float(to_wei(loss.lost))}"
        f" of {float(to_wei(loss.unpaid_profit))}"
        for loss in record.losses
        if loss.lost > loss.unpaid_profit
    ]


def s4(record: Waterfall) -> list[str]:
    """S4: within a leg scores do not rise, and every bucket but the last is taken whole."""
    found = []
    for first, second in zip(record.taken, record.taken[1:], strict=False):
        if first.market == second.market:
            if second.score > first.score:
                found.append(f"S4: score rises in market {first.market}")
            if first.left != 0:
                found.append(f"S4: bucket {first.tier}/{first.tick} left before it is empty")
    return found


def s5(state: State) -> list[str]:
    """S5: no balance is negative."""
    balances = {"insurance": state.insurance, "fees": state.fees, "reserve": state.reserve}
    for account_id, account in state.accounts.items():
        balances[f"cash of {account_id!r}"] = account.cash
        balances[f"debt of {account_id!r}"] = account.debt
    for group_id, group in state.groups.items():
        balances[f"pool {group_id}"] = group.pool
        balances[f"free pool {group_id}"] = group.free()
        balances[f"shortfall {group_id}"] = group.shortfall
    return [f"S5: {name} is negative" for name, balance in balances.items() if balance < 0]


def s6(record: Waterfall) -> list[str]:
    """S6: deleveraging only below zero, and insurance drawn to its caps before anybody pays."""
    found = [] if record.equity_before < 0 else ["S6: account was not bankrupt"]
    for leg in record.legs:
        limit = min(*leg.insurance_caps, leg.deficit)
        if leg.insurance != limit or leg.drawn != div_up(limit * leg.size, abs(leg.leg_size)):
            found.append(f"S6: insurance short of its caps in market {leg.market}")
        if leg.distance > 0 and limit >= leg.deficit > 0:
            found.append(f"S6: market {leg.market} deleveraged though insurance covers it")
    return found


def structure(state: State) -> list[str]:
    """The model's own bookkeeping: indexes agree, ticks fit entries, money only waits when the
    pool has none to give."""
    found = []
    for account_id, account in state.accounts.items():
        for market_id, leg in account.legs.items():
            if state.markets[market_id].legs.get(account_id) is not leg:
                found.append(f"model: leg {account_id!r}/{market_id} is not indexed")
            if leg.size != 0 and leg.tick != tick_of(leg.entry):
                found.append(f"model: leg {account_id!r}/{market_id} is in the wrong tick")
        if account.cash > 0 and account.debt > 0 and account.fresh == 0:
            found.append(f"model: {account_id!r} has cash and debt")
    for group_id, group in state.groups.items():
        if group.waiting and group.free() > 0:
            found.append(f"model: claims wait in group {group_id} beside a free pool")
    return found
