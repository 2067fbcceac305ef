"""`deleverage` on both sides. It goes through a queue bucket by bucket, so one side may meet
buckets that hold dust alone where the other has none."""

from __future__ import annotations

import pickle
from functools import partial
from typing import TYPE_CHECKING

from ballast import model
from ballast.errors import Reverted
from ballast.fuzz import checks, refusals
from ballast.model.exact import SIZE_ONE
from ballast.signing import account_id

if TYPE_CHECKING:
    from ballast.fuzz.pair import Pair

NAME = "clearinghouse.deleverage"


def deleverage(pair: Pair, account: bytes) -> bool:
    """One call, by the pair's keeper; whether it was accepted. Slices of dust alone are passed over
    in the comparison of what was closed (S4)."""
    caller = account_id(pair.keeper)
    _foresee(pair, account)
    limits = checks.unpaid_profits(pair, account)
    equity = pair.holdings.accounts[account].equity
    on_edge = abs(pair.model.equity(account)) <= pair.dust.equity()
    turned = on_edge or pair.crumbs.turned(account)
    try:
        receipt = pair.clearing.send.deleverage(account, sender=pair.keeper)
    except Reverted as refusal:
        refusals.by_contracts(
            pair,
            NAME,
            refusal.reason,
            lambda exact: exact.deleverage(account, caller),
            [account],
        )
        return False
    if equity >= pair.dust.equity():
        raise pair.finding(f"S6: deleveraged at E = {equity}")
    if turned:
        pair.follow(NAME, [account, caller], {account}, limits)
        return True
    events = pair.clearing.events(receipt)
    closes = [event for event in events if event.name == "ForcedClose"]
    dusty = sum(close.size <= pair.dust.sizes[close.market] for close in closes)
    pair.dust_slices += dusty
    pair.model.state.last_waterfall = None
    pair.apply(partial(_exactly, pair, account, caller, dusty, len(closes)))
    pair.follow_prices(events)
    checks.assert_waterfall(pair, closes)
    pair.branches.deleveraged(pair, account)
    pair.counted(NAME)
    _finish(pair, account)
    pair.checked([account, caller], {account}, limits)
    return True


def _foresee(pair: Pair, account: bytes) -> None:
    """What the call may round."""
    pair.book([account])
    positions = [pair.model.position(account, m) for m in pair.model.markets_of(account)]
    losses = [-its.result for its in positions if its is not None and its.result < 0]
    deficit = -pair.model.equity(account)
    if len(losses) > 1 and deficit > sum(losses):
        pair.dust.share_of_losses(deficit / sum(losses))
    for market in pair.markets_of(account):
        buckets = pair.model.state.adl_buckets_per_call
        pair.dust.take(market, pair.size(account, market), buckets)


def _exactly(
    pair: Pair, account: bytes, caller: bytes, dusty: int, slices: int, exact: model.Clearing
) -> None:
    """The model's call. Buckets of dust alone, which one side has and the other has not, do not
    count: the contract has closed `slices`, `dusty` of them of dust alone."""
    before = pickle.dumps(exact.state, pickle.HIGHEST_PROTOCOL)
    buckets, its_dusty = exact.state.adl_buckets_per_call, 0
    while True:
        exact.state.adl_buckets_per_call = buckets - dusty + its_dusty
        try:
            exact.deleverage(account, caller)
        except model.ModelError as refusal:
            if dusty != slices or dusty == 0:
                raise pair.finding(f"deleverage: model refuses ({refusal})") from refusal
        finally:
            exact.state.adl_buckets_per_call = buckets
        record = exact.state.last_waterfall
        taken = record.taken if record else []
        found = sum(t.size <= pair.dust.sizes[t.market] * SIZE_ONE for t in taken)
        if found <= its_dusty:
            return
        its_dusty = found
        exact.state = pickle.loads(before)


def _finish(pair: Pair, account: bytes) -> None:
    """Where the model has closed everything and the contract holds on to a few wei, one more call
    closes these."""
    if pair.model.markets_of(account):
        return
    while True:
        pair.holdings.touch([account])
        held = pair.holdings.accounts[account]
        if not held.legs or held.equity >= 0 or not pair.crumbs.are_all(account):
            return
        try:
            pair.clearing.send.deleverage(account, sender=pair.keeper)
        except Reverted:
            return
