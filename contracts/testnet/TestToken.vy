# pragma version 0.4.3
# pragma nonreentrancy off
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title TestToken
@license AGPL-3.0-only
@author Ballast
@notice Collateral for testnets, worth nothing: an ERC-20 with permits that anyone may mint, up to a bound per receiver and day.
@dev The bound keeps one visitor from drowning a testnet's markets; many addresses have many bounds. snekmate's ERC-20 knows
     minters and an owner; the functions to use or change them are not exported.
@custom:security Never on a chain whose money is worth something: the deploy script refuses it there.
"""

from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed
from snekmate.auth import ownable
from snekmate.tokens import erc20

initializes: ownable
initializes: erc20[ownable := ownable]

implements: IERC20
implements: IERC20Detailed

exports: (
    erc20.name,
    erc20.symbol,
    erc20.decimals,
    erc20.totalSupply,
    erc20.balanceOf,
    erc20.allowance,
    erc20.transfer,
    erc20.transferFrom,
    erc20.approve,
    erc20.permit,
    erc20.nonces,
    erc20.DOMAIN_SEPARATOR,
    erc20.eip712Domain,
)

DAY: constant(uint256) = 86_400
TOKENS_PER_DAY: constant(uint256) = 1_000_000

DAILY_CAP: immutable(uint256)

_minted: HashMap[address, HashMap[uint256, uint256]]


@deploy
def __init__(decimals: uint8):
    """
    @param decimals The token's decimals, at most 18.
    """
    assert decimals <= 18, "faucet: too many decimals"
    ownable.__init__()
    erc20.__init__("Ballast Test Dollar", "tUSD", decimals, "Ballast Test Dollar", "1")
    DAILY_CAP = TOKENS_PER_DAY * 10**convert(decimals, uint256)


@external
def mint(to: address, amount: uint256):
    """
    @notice Makes tokens out of nothing.
    @param to Who gets them.
    @param amount Token units, at most `mintable(to)`.
    """
    assert amount <= self._mintable(to), "faucet: daily cap"
    self._minted[to][block.timestamp // DAY] += amount
    erc20._mint(to, amount)


@external
@view
def mintable(to: address) -> uint256:
    """
    @param to A receiver.
    @return Token units that may still be minted to it today (UTC).
    """
    return self._mintable(to)


@internal
@view
def _mintable(to: address) -> uint256:
    return DAILY_CAP - self._minted[to][block.timestamp // DAY]
