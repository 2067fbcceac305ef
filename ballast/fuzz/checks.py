"""The invariants that are looked at around single calls: S1, S2, S3, S4, S5, S6, S7."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ballast.fuzz.dust import CLAIMS_KEY, WAD
from ballast.model import checks as exact_checks
from ballast.model.exact import QUOTE_ONE, SIZE_ONE

if TYPE_CHECKING:
    from ballast.fuzz.holdings import Account
    from ballast.fuzz.twin import Twin


def assert_every_call(
    twin: Twin,
    before: Mapping[bytes, int],
    after: Mapping[bytes, int],
    falls: set[bytes],
    limits: Mapping[bytes, int],
    credits: int,
) -> None:
    """S1, S2 at the prices now, S5: nobody's equity has fallen but of those in `falls` (and of
    those in `limits` by at most that much), roundings apart. Equities in wei of quote; `credits`:
    how often at most the call has credited one bucket."""
    held = twin.holdings
    total = held.ledger_sum()
    if total > held.storage.tokens_held() * twin.scale:
        raise twin.finding(f"S1: balances of {total} on {held.storage.tokens_held()} tokens")
    if total * QUOTE_ONE != twin.model.state.total:
        raise twin.finding(f"S1: balances sum to {total}, {twin.model.total()} went in")
    prices = {market: quote.price for market, quote in held.quotes.items()}
    legs = held.legs()
    bound = twin.dust.system(prices, legs)
    for group in twin.groups:
        dust = held.dust(group)
        if dust > bound or dust < 0:
            least = -twin.dust.unpaid_funding(prices) if twin.retires else 0
            if not least <= dust <= bound:
                raise twin.finding(f"S2: group {group}, dust {dust} of {bound}")
    for account, equity in after.items():
        lost = before.get(account, 0) - equity
        if lost > 0 and account not in falls:
            allowed = roundings(twin, held.accounts[account], credits) + limits.get(account, 0)
            if lost > allowed:
                invariant = "S3" if account in limits else "S5"
                raise twin.finding(
                    f"{invariant}: {account.hex()[:8]} lost {lost} of {before[account]} by"
                    f" somebody else's call, {allowed} allowed"
                )


def roundings(twin: Twin, account: Account, credits: int = 4) -> int:
    """What one call may cost an account by rounding alone, wei of quote: a wei of size at its
    price and its funding, credits, a new entry's wei of price, its claim."""
    worth = 0
    for market, leg in account.legs.items():
        quote = twin.holdings.quotes[market]
        worth += (
            3 * ((quote.price + twin.dust.funding[market]) // WAD + 1) + leg.recorded // WAD + 8
        )
        worth += credits * (twin.dust.credit_grain(market) + 1)
    return worth + 8 + credits * (twin.dust.credit_grain(CLAIMS_KEY + account.group) + 1)


def unpaid_profits(twin: Twin, bankrupt: bytes) -> dict[bytes, int]:
    """S3: what resolving an account may cost each of the others: its claim, and its open gain on
    the other side of the bankrupt's markets; wei of quote."""
    limits = {}
    sides = {m: leg.is_long for m, leg in twin.holdings.accounts[bankrupt].legs.items()}
    for account, held in twin.holdings.accounts.items():
        gain = held.waiting + held.allotted
        for market, leg in held.legs.items():
            if sides.get(market) == (not leg.is_long):
                open_result = leg.unrealised(twin.holdings.quotes[market].price)
                gain += max(0, open_result) + max(0, leg.result - open_result)
        limits[account] = gain
    return limits


def assert_waterfall(twin: Twin, closes: list[Any]) -> None:
    """S3, S4 and S6 of the exact record; the contract touched the same buckets in the same order,
    at the same prices."""
    record = twin.model.state.last_waterfall
    if record is None:
        return
    broken = exact_checks.s3(record) + exact_checks.s4(record) + exact_checks.s6(record)
    if broken:
        raise twin.finding("; ".join(broken))
    dust = twin.dust
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
        raise twin.finding(f"S4: buckets {ours}, exactly {its}")
    for (market, _, size, price), (_, _, exact_size, exact_price) in zip(ours, its, strict=True):
        if abs(size * SIZE_ONE - exact_size) > (dust.sizes[market] + 1) * SIZE_ONE:
            raise twin.finding(f"S4: {size} taken, exactly {exact_size / SIZE_ONE}")
        if abs(price - exact_price) > 3 + 3 * dust.equity() * WAD // size:
            raise twin.finding(f"forced close of {size} at {price}, exactly {exact_price}")


@dataclass(frozen=True)
class Health:
    """E and MM of an account, wei of quote."""

    equity: int
    maintenance: int
    slack: int

    @classmethod
    def of(cls, twin: Twin, account: bytes) -> Health:
        """As it is now."""
        held = twin.holdings.accounts[account]
        maintenance = 0
        for market, leg in held.legs.items():
            notional = -(-leg.size * twin.holdings.quotes[market].price // WAD)
            bps = twin.model.state.markets[market].params.maintenance_margin_bps
            maintenance -= -notional * bps // 10_000
        return cls(held.equity, maintenance, roundings(twin, held))


def assert_s7(twin: Twin, account: bytes, before: Health) -> None:
    """S7: a liquidation with E >= 0 lowers neither E / MM nor E below zero; with E < 0 it does not
    lower E. Roundings apart."""
    after = Health.of(twin, account)
    slack = before.slack + after.slack
    if before.equity < 0:
        if after.equity < before.equity - slack:
            raise twin.finding(f"S7: E < 0 fell from {before.equity} to {after.equity}")
        return
    if after.equity < -slack:
        raise twin.finding(f"S7: E fell from {before.equity} to {after.equity}")
    if (after.equity + slack) * (before.maintenance + slack) < before.equity * after.maintenance:
        raise twin.finding(f"S7: health fell: {before} to {after}")
