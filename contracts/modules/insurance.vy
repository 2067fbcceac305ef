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
    return self._left(market)


@internal
@view
def _left_for_group(group: uint256) -> uint256:
    """
    @return Quote the fund may pay now for deficits that are left without a position.
    """
    return self._left(records._group_key(group))


@internal
@view
def _left(key: uint256) -> uint256:
    a: records.Allowance = records._allowance(key)
    allowance: uint256 = a.cap_quote - min(a.cap_quote, allowances._used(a))
    return min(allowance, staticcall records.VAULT.balance_of(ledger.INSURANCE))


@internal
def _draw_for_market(account: bytes32, group: uint256, market: uint256, amount_quote: uint256):
    """
    @notice Pays `amount_quote` from the fund into the group's pool, against the market's allowance.
    """
    self._draw(market, account, group, market, amount_quote)


@internal
def _draw_for_group(account: bytes32, group: uint256, amount_quote: uint256):
    """
    @notice The same, against the group's allowance.
    """
    self._draw(records._group_key(group), account, group, 0, amount_quote)


@internal
def _draw(key: uint256, account: bytes32, group: uint256, market: uint256, amount_quote: uint256):
    if amount_quote == 0:
        return
    a: records.Allowance = records._allowance(key)
    a.used_quote = allowances._used(a) + amount_quote
    a.used_at = block.timestamp
    records._set_allowance(key, a)
    ledger._move(ledger.INSURANCE, ledger._pool(group), amount_quote)
    log IClearinghouse.InsuranceDrawn(
        group=group, market=market, account=account, amount_quote=amount_quote
    )
