# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Positions
@license AGPL-3.0-only
@notice One account's leg in one market: what it is now, what it is worth, and its place in the queue.
@dev A record holds the size and the bucket's credit index at the last touch. What forced closes and funding did since
     then follows from the bucket (share_buckets.vy). With s0 the recorded size, s1 the size now, e the entry price:

         long    realised = credits - (ceil(s0 e) - ceil(s1 e))         V = floor(s1 P) - ceil(s1 e)
         short   realised = credits + (floor(s0 e) - floor(s1 e))       V = floor(s1 e) - ceil(s1 P)

     `realised` becomes money at the next touch; until then it is part of the account's open result. Costs are rounded
     up and proceeds down, so an account never gains by being touched, and the sum of all views never exceeds
     what the system holds (S2).
"""

from interfaces import IClearinghouse
from modules import fixed_point
from modules import grid
from modules import adl_queue
from modules import records
from modules import share_buckets

uses: adl_queue
uses: records
uses: share_buckets


struct Leg:
    market: uint256
    is_long: bool
    size: uint256  # now
    recorded_size: uint256
    entry_price: uint256
    bucket_id: uint256  # with the bucket's present epoch
    fees_cents: uint256
    shares: uint256
    credit_index: int256
    realised_quote: int256  # not booked yet


@internal
@view
def _leg(account: bytes32, market: uint256, funding_index: int256) -> Leg:
    """
    @notice The account's leg as it stands now; all zero where it has none.
    """
    p: records.Position = records._position(account, market)
    if p.size == 0:
        return empty(Leg)
    is_long: bool = adl_queue._is_long(p.bucket_id)
    b: records.Bucket = adl_queue._load(market, p.bucket_id, funding_index)
    m: share_buckets.Member = share_buckets._member(
        adl_queue._key(market, p.bucket_id), b, p.bucket_id >> 17, p.shares, p.credit_index, not is_long
    )
    realised: int256 = m.credit_quote
    if m.size != p.size:
        realised += self._cost_basis(is_long, m.size, p.entry_price) - self._cost_basis(
            is_long, p.size, p.entry_price
        )
    return Leg(
        market=market,
        is_long=is_long,
        size=m.size,
        recorded_size=p.size,
        entry_price=p.entry_price,
        bucket_id=adl_queue._at_epoch(p.bucket_id, b.epoch),
        fees_cents=p.fees_cents,
        shares=m.shares,
        credit_index=b.credit_index,
        realised_quote=realised,
    )


@internal
@pure
def _cost_basis(is_long: bool, size: uint256, entry_price: uint256) -> int256:
    """
    @return What `size` was entered for, as a cost: a long's positive and rounded up, a short's negative (proceeds),
            rounded down in amount.
    """
    if is_long:
        return convert(fixed_point._mul_div_up(size, entry_price, fixed_point.WAD), int256)
    return -convert(fixed_point._mul_div_down(size, entry_price, fixed_point.WAD), int256)


@internal
@pure
def _proceeds(is_long: bool, size: uint256, price: uint256) -> int256:
    """
    @return What closing `size` at `price` brings: a long's sale, rounded down; a short's buying back, negative, rounded up.
    """
    if is_long:
        return convert(fixed_point._mul_div_down(size, price, fixed_point.WAD), int256)
    return -convert(fixed_point._mul_div_up(size, price, fixed_point.WAD), int256)


@internal
@pure
def _unrealised(leg: Leg, price: uint256) -> int256:
    """
    @return PnL of the size still open, quote, rounded against the account.
    """
    return self._proceeds(leg.is_long, leg.size, price) - self._cost_basis(
        leg.is_long, leg.size, leg.entry_price
    )


@internal
@pure
def _open_result(leg: Leg, price: uint256) -> int256:
    """
    @return V: what the account would book, closing at `price` now.
    """
    return leg.realised_quote + self._unrealised(leg, price)


@internal
@pure
def _booked(touched: Leg) -> Leg:
    """
    @return The leg as a touch would write it.
    """
    leg: Leg = touched
    leg.recorded_size = leg.size
    leg.realised_quote = 0
    return leg


@internal
@pure
def _signed_size(leg: Leg) -> int256:
    return fixed_point._signed(leg.size, not leg.is_long)


@internal
def _touch(account: bytes32, leg: Leg, funding_index: int256):
    """
    @notice Writes the leg as it stands now, in its bucket; clears it where nothing is left. The caller books `realised_quote`.
    """
    if leg.size == 0:
        self._replace(account, leg, leg, leg.realised_quote, 0, funding_index)
        return
    self._write(account, leg, 0, 0, leg.realised_quote)


@internal
def _write(
    account: bytes32, leg: Leg, left_base: uint256, joined_base: uint256, realised_quote: int256
):
    """
    @notice Keeps a leg that stands in its bucket (or is in none, where its size is zero).
    """
    if leg.size == 0:
        records._clear_position(account, leg.market)
    else:
        records._set_position(
            account,
            leg.market,
            records.Position(
                size=leg.size,
                entry_price=leg.entry_price,
                bucket_id=leg.bucket_id,
                fees_cents=leg.fees_cents,
                shares=leg.shares,
                credit_index=leg.credit_index,
            ),
        )
    log IClearinghouse.PositionChanged(
        account=account,
        market=leg.market,
        size=self._signed_size(leg),
        entry_price=leg.entry_price,
        bucket_id=leg.bucket_id,
        shares=leg.shares,
        credit_index=leg.credit_index,
        left_base=left_base,
        joined_base=joined_base,
        realised_quote=realised_quote,
    )


@internal
def _replace(
    account: bytes32, old: Leg, new: Leg, realised_quote: int256, tier: uint256, funding_index: int256
):
    """
    @notice Takes the old leg out of its bucket and puts the new one into the queue.
    """
    self._leave_queue(old, funding_index)
    self._place(account, old.size, new, realised_quote, tier, funding_index)


@internal
def _leave_queue(leg: Leg, funding_index: int256):
    """
    @notice Takes a leg out of its bucket. To be called before any other change of the bucket since the leg was read: its
            shares and size are those of that moment.
    """
    if leg.shares != 0:
        adl_queue._leave(leg.market, leg.bucket_id, leg.shares, leg.size, funding_index)


@internal
def _place(
    account: bytes32, left_base: uint256, new: Leg, realised_quote: int256, tier: uint256, funding_index: int256
):
    """
    @notice Puts a leg that is in no bucket (market, side, size, entry, fees) into the bucket of its entry price and tier;
            keeps the account's list of markets.
    """
    leg: Leg = new
    leg.bucket_id = 0
    leg.shares = 0
    leg.credit_index = 0
    word: uint256 = records._accounts[account]
    after: uint256 = 0
    if leg.size == 0:
        after = records._without_market(word, leg.market)
    else:
        leg.bucket_id, leg.shares, leg.credit_index = adl_queue._join(
            leg.market, leg.is_long, tier, grid._tick_of(leg.entry_price), leg.size, funding_index
        )
        after = records._with_market(word, leg.market)
    if after != word:
        records._accounts[account] = after
    self._write(account, leg, left_base, leg.size, realised_quote)
