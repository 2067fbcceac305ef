"""The invariants that are looked at around single calls: S1, S2, S3, S4, S5, S6, S7."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ballast.fuzz.dust import WAD
from ballast.mirror import CLAIMS_KEY
from ballast.model import checks as exact_checks
from ballast.model.exact import QUOTE_ONE, SIZE_ONE

if TYPE_CHECKING:
    from ballast.fuzz.accounts import Account
    from ballast.fuzz.pair import Pair


def assert_every_call(
    pair: Pair,
    before: Mapping[bytes, int],
    after: Mapping[bytes, int],
    falls: set[bytes],
    limits: Mapping[bytes, int],
    credits: int,
) -> None:
    """S1, S2 at the prices now, S5: nobody's equity has fallen but of those in `falls` (and of
    those in `limits` by at most that much), roundings apart. Equities in wei of quote; `credits`:
    how often at most the call has credited one bucket."""
    held = pair.holdings
    total = held.ledger_sum()
    if total > held.storage.tokens_held() * pair.scale:
        raise pair.finding(f"S1: balances of {total} on {held.storage.tokens_held()} tokens")
    if total * QUOTE_ONE != pair.model.state.total:
        raise pair.finding(f"S1: balances sum to {total}, {pair.model.total()} went in")
    prices = {market: quote.price for market, quote in held.quotes.items()}
    legs = held.legs()
    bound = pair.dust.system(prices, legs)
    for group in pair.groups:
        dust = held.dust(group)
        if dust > bound or dust < 0:
            least = -pair.dust.unpaid_funding(prices) if pair.retires else 0
            if not least <= dust <= bound:
                raise pair.finding(f"S2: group {group}, dust {dust} of {bound}")
    for account, equity in after.items():
        lost = before.get(account, 0) - equity
        if lost > 0 and account not in falls:
            allowed = roundings(pair, held.accounts[account], credits) + limits.get(account, 0)
            if lost > allowed:
                invariant = "S3" if account in limits else "S5"
                raise pair.finding(
                    f"{invariant}: {account.hex()[:8]} lost {lost} of {before[account]} by"
                    f" somebody else's call, {allowed} allowed"
                )


def roundings(pair: Pair, account: Account, credits: int = 4) -> int:
    """What one call may cost an account by rounding alone, wei of quote: a wei of size at its
    price and its funding, credits, a new entry's wei of price, its claim."""
    worth = 0
    for market, leg in account.legs.items():
        quote = pair.holdings.quotes[market]
        worth += (
            3 * ((quote.price + pair.dust.funding[market]) // WAD + 1) + leg.recorded // WAD + 8
        )
        worth += credits * (pair.dust.credit_grain(market) + 1)
    return worth + 8 + credits * (pair.dust.credit_grain(CLAIMS_KEY + account.group) + 1)


def unpaid_profits(pair: Pair, bankrupt: bytes) -> dict[bytes, int]:
    """S3: what resolving an account may cost each of the others: its claim, and its open gain on
    the other side of the bankrupt's markets; wei of quote."""
    limits = {}
    sides = {m: leg.is_long for m, leg in pair.holdings.accounts[bankrupt].legs.items()}
    for account, held in pair.holdings.accounts.items():
        gain = held.waiting + held.allotted
        for market, leg in held.legs.items():
            if sides.get(market) == (not leg.is_long):
                open_result = leg.unrealised(pair.holdings.quotes[market].price)
                gain += max(0, open_result) + max(0, leg.result - open_result)
        limits[account] = gain
    return limits


def assert_waterfall(pair: Pair, closes: list[Any]) -> None:
    """S3, S4 and S6 of the exact record; the contract touched the same buckets in the same order,
    at the same prices."""
    record = pair.model.state.last_waterfall
    if record is None:
        return
    broken = exact_checks.s3(record) + exact_checks.s4(record) + exact_checks.s6(record)
    if broken:
        raise pair.finding("; ".join(broken))
    dust = pair.dust
    ours = [
        (close.market, close.bucket_id & 0x1FFFF, close.size, close.price)
        for close in closes
        if close.size > dust.sizes[close.market]
    ]
    its = [
        (t.market, t.is_long << 16 | t.tier << 13 | t.tick, t.size, t.price)
        for t in record.taken
        if t.size > dust.sizes[t.market] * SIZE_ONE
    ]
    if [part[:2] for part in ours] != [part[:2] for part in its]:
        raise pair.finding(f"S4: buckets {ours}, exactly {its}")
    for (market, _, size, price), (_, _, exact_size, exact_price) in zip(ours, its, strict=True):
        if abs(size * SIZE_ONE - exact_size) > (dust.sizes[market] + 1) * SIZE_ONE:
            raise pair.finding(f"S4: {size} taken, exactly {exact_size / SIZE_ONE}")
        if abs(price - exact_price) > 3 + 3 * dust.equity() * WAD // size:
            raise pair.finding(f"forced close of {size} at {price}, exactly {exact_price}")


@dataclass(frozen=True)
class Health:
    """E and MM of an account, wei of quote."""

    equity: int
    maintenance: int
    slack: int

    @classmethod
    def of(cls, pair: Pair, account: bytes) -> Health:
        """As it is now."""
        held = pair.holdings.accounts[account]
        maintenance = 0
        for market, leg in held.legs.items():
            notional = -(-leg.size * pair.holdings.quotes[market].price // WAD)
            bps = pair.model.state.markets[market].params.maintenance_margin_bps
            maintenance -= -notional * bps // 10_000
        return cls(held.equity, maintenance, roundings(pair, held))


def assert_s7(pair: Pair, account: bytes, before: Health) -> None:
    """S7: a liquidation with E >= 0 lowers neither E / MM nor E below zero; with E < 0 it does not
    lower E. Roundings apart."""
    after = Health.of(pair, account)
    slack = before.slack + after.slack
    if before.equity < 0:
        if after.equity < before.equity - slack:
            raise pair.finding(f"S7: E < 0 fell from {before.equity} to {after.equity}")
        return
    if after.equity < -slack:
        raise pair.finding(f"S7: E fell from {before.equity} to {after.equity}")
    if (after.equity + slack) * (before.maintenance + slack) < before.equity * after.maintenance:
        raise pair.finding(f"S7: health fell: {before} to {after}")
