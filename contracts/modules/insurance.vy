# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Insurance draws
@license AGPL-3.0-only
@notice How much of the insurance fund a market (or the residue of a group) may use now, and the draw itself.
@dev An allowance is a leaky bucket (allowances.vy). A draw goes into the group's pool, as a payment on the bankrupt account's debt: never into anybody's cash, and only together with the size
     (or the residue) it pays for.
"""

from interfaces import IClearinghouse
from modules import allowances
from modules import ledger
from modules import records

uses: ledger
uses: records


@internal
@view
def _left_for_market(market: uint256) -> uint256:
    """
    @return Quote the fund may pay for this market now.
    """
    rates: records.Rates = records._rates(market)
    used: uint256 = allowances._used(
        records._market_allowance(market), rates.insurance_cap_quote, rates.insurance_refill_seconds
    )
    return self._at_most_balance(rates.insurance_cap_quote, used)


@internal
@view
def _left_for_group(group: uint256) -> uint256:
    """
    @return Quote the fund may pay now for deficits that are left without a position.
    """
    cap: uint256 = 0
    refill: uint256 = 0
    cap, refill = records._group_cap(group)
    return self._at_most_balance(cap, allowances._used(records._group_allowance(group), cap, refill))


@internal
@view
def _at_most_balance(cap_quote: uint256, used_quote: uint256) -> uint256:
    allowance: uint256 = cap_quote - min(cap_quote, used_quote)
    return min(allowance, staticcall records.VAULT.balance_of(ledger.INSURANCE))


@internal
def _draw_for_market(account: bytes32, group: uint256, market: uint256, amount_quote: uint256):
    """
    @notice Pays `amount_quote` from the fund into the group's pool, against the market's allowance.
    """
    if amount_quote == 0:
        return
    rates: records.Rates = records._rates(market)
    used: uint256 = allowances._used(
        records._market_allowance(market), rates.insurance_cap_quote, rates.insurance_refill_seconds
    )
    records._set_market_allowance(
        market, records.Allowance(used_quote=used + amount_quote, used_at=block.timestamp)
    )
    self._draw(account, group, market, amount_quote)


@internal
def _draw_for_group(account: bytes32, group: uint256, amount_quote: uint256):
    """
    @notice The same, against the group's allowance.
    """
    if amount_quote == 0:
        return
    cap: uint256 = 0
    refill: uint256 = 0
    cap, refill = records._group_cap(group)
    used: uint256 = allowances._used(records._group_allowance(group), cap, refill)
    records._set_group_allowance(
        group, records.Allowance(used_quote=used + amount_quote, used_at=block.timestamp)
    )
    self._draw(account, group, 0, amount_quote)


@internal
def _draw(account: bytes32, group: uint256, market: uint256, amount_quote: uint256):
    ledger._move(ledger.INSURANCE, ledger._pool(group), amount_quote)
    log IClearinghouse.InsuranceDrawn(
        group=group, market=market, account=account, amount_quote=amount_quote
    )
