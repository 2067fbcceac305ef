# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title MockClearinghouse
@license AGPL-3.0-only
@notice Test double, not for production: what the vault and the settlement need of a clearinghouse. It moves
        ledger balances on request, releases withdrawals as told, and keeps the last fill it was asked for.
"""

from interfaces import IMarginVault

vault: public(address)
owner: public(address)

# What `release` does: books a debt (from the account to a pool), calls something, or refuses.
debt_key: public(bytes32)
debt_quote: public(uint256)
is_refusing: public(bool)
released_account: public(bytes32)
released_quote: public(uint256)
release_target: public(address)
release_data: public(Bytes[1_024])
release_succeeded: public(bool)
release_answer: public(Bytes[1_024])

sizes: HashMap[bytes32, HashMap[uint256, int256]]

is_refusing_fills: public(bool)
fill_target: public(address)
fill_data: public(Bytes[4_096])
fill_succeeded: public(bool)
fill_answer: public(Bytes[1_024])
fill_count: public(uint256)
fill_market: public(uint256)
fill_taker: public(bytes32)
fill_taker_is_buyer: public(bool)
_fill_makers: DynArray[bytes32, 20]
_fill_sizes: DynArray[uint256, 20]
_fill_prices: DynArray[uint256, 20]


@deploy
def __init__(owner_: address):
    self.owner = owner_


@external
def set_vault(vault: address):
    self.vault = vault


@external
def move(from_: bytes32, to: bytes32, amount: uint256):
    extcall IMarginVault(self.vault).move(from_, to, amount)


@external
def charge(
    account: bytes32, insurance_quote: uint256, protocol_quote: uint256, reserve_quote: uint256
):
    """
    @notice Has the vault charge an account.
    """
    extcall IMarginVault(self.vault).charge(account, insurance_quote, protocol_quote, reserve_quote)


# Release


@external
def set_debt(debt_key: bytes32, debt_quote: uint256):
    self.debt_key = debt_key
    self.debt_quote = debt_quote


@external
def set_refusing(is_refusing: bool):
    self.is_refusing = is_refusing


@external
def set_release_call(target: address, data: Bytes[1_024]):
    self.release_target = target
    self.release_data = data


@external
def release(account: bytes32, amount_quote: uint256):
    assert not self.is_refusing, "margin: below initial"
    self.released_account = account
    self.released_quote = amount_quote
    if self.debt_quote != 0:
        extcall IMarginVault(self.vault).move(account, self.debt_key, self.debt_quote)
    if self.release_target != empty(address):
        self.release_succeeded, self.release_answer = raw_call(
            self.release_target, self.release_data, max_outsize=1_024, revert_on_failure=False
        )


# Fills


@external
def set_position(account: bytes32, market: uint256, size: int256):
    self.sizes[account][market] = size


@external
def set_refusing_fills(is_refusing_fills: bool):
    self.is_refusing_fills = is_refusing_fills


@external
def set_fill_call(target: address, data: Bytes[4_096]):
    self.fill_target = target
    self.fill_data = data


@external
def fill_orders(
    market: uint256,
    taker: bytes32,
    taker_is_buyer: bool,
    makers: DynArray[bytes32, 20],
    sizes: DynArray[uint256, 20],
    prices: DynArray[uint256, 20],
):
    assert not self.is_refusing_fills, "fill: refused"
    self.fill_count += 1
    self.fill_market = market
    self.fill_taker = taker
    self.fill_taker_is_buyer = taker_is_buyer
    self._fill_makers = makers
    self._fill_sizes = sizes
    self._fill_prices = prices
    if self.fill_target != empty(address):
        self.fill_succeeded, self.fill_answer = raw_call(
            self.fill_target, self.fill_data, max_outsize=1_024, revert_on_failure=False
        )


@view
@external
def last_fill() -> (DynArray[bytes32, 20], DynArray[uint256, 20], DynArray[uint256, 20]):
    return self._fill_makers, self._fill_sizes, self._fill_prices


@view
@external
def position(account: bytes32, market: uint256) -> (int256, uint256, int256):
    return self.sizes[account][market], 10**18, 0
