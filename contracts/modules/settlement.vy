# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Settlement
@license AGPL-3.0-only
@notice Lazy booking of an account, by anyone: what is due to it, what it owes, and its rank.
@dev Settling never creates a debt and never realises an open profit. Where claims wait that the pool cannot pay, it draws on
     the account's open loss: cash moves to the pool, and the leg's entry price moves towards the oracle price by
     `dp = floor(x / size)`. The cash paid is the change of the (rounded) cost basis, so equity is unchanged to
     the last unit.
"""

from interfaces import IClearinghouse
from modules import fixed_point
from modules import grid
from modules import ledger
from modules import account_margin
from modules import adl_queue
from modules import positions
from modules import pricing
from modules import records

uses: ledger
uses: account_margin
uses: positions
uses: pricing
uses: records

# A draw leaves less than a wei of price times the size, and the roundings of proceeds and cost: drawing on that again would
# make a repeated call write (S12).
CRUMB_QUOTE: constant(uint256) = 3


@internal
def _book_all(account: bytes32):
    """
    @notice Touches each leg, books the sum, pays debt, collects claims. Writes nothing where nothing has changed.
    """
    realised: int256 = 0
    markets: DynArray[uint256, 16] = records._markets_in(records._accounts[account])
    for market: uint256 in markets:
        funding_index: int256 = pricing._peek(market).funding_index
        leg: positions.Leg = positions._leg(account, market, funding_index)
        # Nothing has happened to its bucket since its last touch. What joining it rounded off the leg's size is not booked
        # for its own sake: a repeated call would write (S12).
        last: records.Position = records._position(account, market)
        if leg.credit_index == last.credit_index and leg.bucket_id == last.bucket_id:
            continue
        realised += leg.realised_quote
        if leg.size == 0:
            # Its bucket is left, which pays the bucket's funding: the index must be the block's.
            pricing._fix(market)
        positions._touch(account, leg, funding_index)
    ledger._post(account, realised)


@internal
def _draw_on_losses(account: bytes32):
    """
    @notice Lets open losses pay claims that wait, leg by leg in ascending market id.
    """
    word: uint256 = records._accounts[account]
    group: uint256 = records._group_in(word)
    markets: DynArray[uint256, 16] = records._markets_in(word)
    for market: uint256 in markets:
        waiting: uint256 = ledger._waiting(group)
        if waiting == 0:
            break
        quote: pricing.Quote = pricing._peek(market)
        if quote.status & pricing.STALE != 0:
            continue
        leg: positions.Leg = positions._leg(account, market, quote.funding_index)
        loss: int256 = positions._unrealised(leg, quote.price)
        if loss >= 0:
            continue
        # Its own claim pays first (ledger.vy): what is left of it counts, or a second call would draw again.
        purse: ledger.Purse = ledger._purse(account)
        means: uint256 = min(waiting, purse.cash_quote + purse.claim_quote)
        if min(convert(-loss, uint256), means) <= leg.size // fixed_point.WAD + CRUMB_QUOTE:
            continue
        # What the leg has not booked yet is posted together with the draw: the two come to `means`.
        draw: int256 = min(-loss, convert(means, int256) + leg.realised_quote)
        if draw <= 0:
            continue
        step: uint256 = convert(draw, uint256) * fixed_point.WAD // leg.size
        after: positions.Leg = leg
        if leg.is_long:
            step = min(step, leg.entry_price - min(leg.entry_price, grid.MIN_PRICE))
            after.entry_price -= step
        else:
            step = min(step, grid.MAX_PRICE - min(leg.entry_price, grid.MAX_PRICE))
            after.entry_price += step
        drawn: int256 = (
            positions._cost_basis(leg.is_long, leg.size, leg.entry_price)
            - positions._cost_basis(leg.is_long, leg.size, after.entry_price)
        )
        if drawn <= 0:
            continue
        account_margin._fix_prices(account)
        realised: int256 = leg.realised_quote - drawn
        # The money moves first: the rank is that of what the account has afterwards.
        ledger._post(account, realised)
        positions._replace(
            account, leg, after, realised, self._tier_now(account, drawn), quote.funding_index
        )
        log IClearinghouse.LossDrawn(
            account=account, market=market, amount_quote=convert(drawn, uint256)
        )


@internal
@view
def _tier_now(account: bytes32, paid_quote: int256) -> uint256:
    """
    @param paid_quote Open losses already paid that the legs still show.
    @return The account's leverage tier at the prices of this block.
    """
    totals: account_margin.Totals = account_margin._totals(account)
    totals.result_quote += paid_quote
    return grid._tier_of(
        totals.notional_quote, account_margin._ranked_equity(ledger._purse(account), totals)
    )


@internal
def _settle(account: bytes32):
    """
    @notice Books what is due, then draws on open losses if claims still wait.
    """
    self._book_all(account)
    self._draw_on_losses(account)


@internal
def _refresh(account: bytes32):
    """
    @notice Books what is due, and puts each leg into the bucket of the account's leverage now. Writes nothing where all stand
            right.
    """
    self._book_all(account)
    tier: uint256 = self._tier_now(account, 0)
    markets: DynArray[uint256, 16] = records._markets_in(records._accounts[account])
    for market: uint256 in markets:
        leg: positions.Leg = positions._leg(account, market, pricing._peek(market).funding_index)
        if adl_queue._tier(leg.bucket_id) != tier:
            account_margin._fix_prices(account)
            # What joining has rounded is not booked for its own sake, but the size is about to be recorded anew: unbooked it
            # would be forgotten, and the account gain a wei's entry price.
            if leg.realised_quote != 0:
                ledger._post(account, leg.realised_quote)
            positions._replace(
                account, leg, leg, leg.realised_quote, tier, pricing._peek(market).funding_index
            )


@internal
def _release(account: bytes32, amount_quote: uint256):
    """
    @notice Asked by the vault before a withdrawal: books the account, and refuses what backs its risk.
    @custom:reverts margin: debt, market: stale price, market: price pending, margin: below initial
    """
    self._book_all(account)
    purse: ledger.Purse = ledger._purse(account)
    assert purse.debt_quote == 0, "margin: debt"
    if records._accounts[account] >> 64 == 0:
        return
    account_margin._fix_prices(account)
    totals: account_margin.Totals = account_margin._totals(account)
    assert totals.status & pricing.STALE == 0, "market: stale price"
    assert totals.status & pricing.PENDING == 0, "market: price pending"
    assert (
        account_margin._backing(purse, totals) - convert(amount_quote, int256)
        >= convert(totals.initial_quote, int256)
    ), "margin: below initial"
