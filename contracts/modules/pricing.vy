# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Price and funding of a market
@license AGPL-3.0-only
@notice One price a block, and the funding index that runs on it.
@dev Price. The first use of a market in a block asks its oracle and stores the answer; until the block ends that
     is the price, for everything. Trading, reporting and trading back in one transaction gains nothing. An oracle
     that fails leaves the last price, marked stale, and stops this market alone. (A caller who starves the
     oracle of gas cannot fake this: 63/64 of what is left goes to the call, and the 1/64 that stays would not
     carry the rest of the transaction.)

     Funding. The index F (quote per base, WAD) is what one base of a long has paid since the beginning:

         F(t2) = F(t1) + P x rate x (t2 - t1) / 8 h        P, rate: as fixed at t1; truncated towards zero
         rate  = clamp(average premium, +- funding cap)
         average += (clamp(p / P - 1, +- premium cap) - average) x dt / (window + dt)     at a fill at p
         dt = (time since the last sample) x min(1, 64 x fill size / open interest)

     Both sides use the same F and hold the same size, so funding is zero-sum whatever the rounding of F; the
     rounding of each bucket's share of it (adl_queue.vy) is towards minus infinity and so only ever adds dust.
     F depends on prices and fills, not on how often anybody touches it: touches in one block add nothing, and
     between two of them P and rate are constant. A fill uses up the time since the last sample in proportion to its size,
     all of it from 1/64 of the open interest on, so that dust neither sets the rate nor silences the fills after it;
     time that is used up weighs nothing for a second fill, so the average cannot be pushed within a block.
"""

from interfaces import IClearinghouse
from modules import fixed_point
from modules import records

uses: records

STALE: constant(uint256) = 1
PENDING: constant(uint256) = 2
GRACE: constant(uint256) = 4
FUNDING_PERIOD_SECONDS: constant(uint256) = 8 * 3600
FULL_SAMPLE_SHARE: constant(uint256) = 64


struct Quote:
    price: uint256  # 0: never had one
    timestamp: uint256
    status: uint256
    funding_index: int256


@internal
@view
def _ask(oracle: address, market: uint256) -> (bool, uint256, uint256, uint256):
    """
    @return Whether the oracle gave a price that can be used or kept, and price, timestamp, status.
    """
    success: bool = False
    response: Bytes[96] = b""
    success, response = raw_call(
        oracle,
        abi_encode(market, method_id=method_id("observe(uint256)")),
        max_outsize=96,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success or len(response) != 96:
        return False, 0, 0, 0
    price: uint256 = 0
    timestamp: uint256 = 0
    status: uint256 = 0
    price, timestamp, status = abi_decode(response, (uint256, uint256, uint256))
    if price == 0 or price > records.MASK_96 or timestamp > block.timestamp or status > 7:
        return False, 0, 0, 0
    return True, price, timestamp, status


@internal
@view
def _accrued(market: uint256, last: records.PriceRecord, f: records.Flow) -> int256:
    """
    @return The funding index now, WAD.
    """
    elapsed: uint256 = block.timestamp - last.fixed_at
    if elapsed == 0 or last.premium_wad == 0 or last.price == 0:
        return f.funding_index
    cap: int256 = convert(records._funding_limits(market).funding_cap_bps * 10**14, int256)
    rate: int256 = min(max(last.premium_wad, -cap), cap)
    return f.funding_index + rate * convert(last.price * elapsed, int256) // convert(
        FUNDING_PERIOD_SECONDS * fixed_point.WAD, int256
    )


@internal
@view
def _quote(market: uint256, last: records.PriceRecord, f: records.Flow) -> Quote:
    if last.block_number == block.number:
        return Quote(
            price=last.price, timestamp=last.timestamp, status=last.status, funding_index=f.funding_index
        )
    quote: Quote = Quote(
        price=last.price,
        timestamp=last.timestamp,
        status=last.status | STALE,
        funding_index=self._accrued(market, last, f),
    )
    success: bool = False
    price: uint256 = 0
    timestamp: uint256 = 0
    status: uint256 = 0
    success, price, timestamp, status = self._ask(records._oracle(market), market)
    if success:
        quote.price = price
        quote.timestamp = timestamp
        quote.status = status
    return quote


@internal
@view
def _peek(market: uint256) -> Quote:
    """
    @notice The market's price and funding as they are, or would be fixed, in this block.
    """
    return self._quote(market, records._price_record(market), records._flow(market))


@internal
def _fix(market: uint256) -> Quote:
    """
    @notice The market's price and funding, fixed until this block ends.
    """
    last: records.PriceRecord = records._price_record(market)
    f: records.Flow = records._flow(market)
    quote: Quote = self._quote(market, last, f)
    if last.block_number == block.number:
        return quote
    if quote.funding_index != f.funding_index:
        f.funding_index = quote.funding_index
        records._set_flow(market, f)
    records._set_price_record(
        market,
        records.PriceRecord(
            price=quote.price,
            timestamp=quote.timestamp,
            fixed_at=block.timestamp,
            block_number=block.number,
            status=quote.status,
            premium_wad=last.premium_wad,
        ),
    )
    log IClearinghouse.PriceFixed(
        market=market,
        price=quote.price,
        timestamp=quote.timestamp,
        status=quote.status,
        funding_index=quote.funding_index,
    )
    return quote


@internal
@view
def _sample(
    premium_wad: int256, sampled_at: uint256, limits: records.FundingLimits,
    size: uint256, fill_price: uint256, oracle_price: uint256, interest: uint256,
) -> (int256, uint256):
    """
    @notice Takes a fill into the average premium.
    @param interest Open interest after the fill, base.
    @return The average, and up to when it has used up the time.
    """
    elapsed: uint256 = block.timestamp - sampled_at
    if size * FULL_SAMPLE_SHARE < interest:
        elapsed = elapsed * size * FULL_SAMPLE_SHARE // interest
    if elapsed == 0 or limits.funding_cap_bps == 0:
        return premium_wad, sampled_at
    cap: int256 = convert(limits.premium_cap_bps * 10**14, int256)
    premium: int256 = (
        convert(fill_price * fixed_point.WAD // oracle_price, int256)
        - convert(fixed_point.WAD, int256)
    )
    premium = min(max(premium, -cap), cap)
    moved: int256 = (premium - premium_wad) * convert(elapsed, int256) // convert(
        limits.premium_window_seconds + elapsed, int256
    )
    return premium_wad + moved, sampled_at + elapsed
