# pragma version 0.4.3
# pragma nonreentrancy on
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title InsuranceFund
@license AGPL-3.0-only
@notice Shares of the vault's insurance balance (ERC-4626). Stakers have the fund's part of fees and penalties,
        and stand first in line for losses.
@dev The fund holds no collateral: what is staked goes to the vault, and `A`, its assets, is the vault's
     insurance balance in whole token units. With `S` shares and `V = 1e9` virtual ones,

         price = (A + 1) / (S + V)     token units a share; 1 / V at the beginning

     Every conversion rounds for the fund: fewer shares for a deposit, fewer tokens for a share.

     Donations. A depositor of `a` loses by rounding less than one share's worth. For that to be `r a`, the
     price has to be `r a`, so `A + 1 = r a (S + V)`. Whoever donates to get there gives the part `V / (S + V)`
     of it to the virtual shares, `r a V`: 1e9 times what the depositor loses, however many shares the donor
     holds.

     Wiped out. Draws take assets and no shares, so a draw of all but a trifle lets the next deposit mint an
     enormous number: `a (S + V) / (A + 1)`. Left alone, supply would grow by a factor of up to `A` with every
     wipe-out, until it overflowed and the fund was stuck for good. So while the price is below 1e-9 of the
     initial one, that is while

         (A + 1) V 1e9 < S + V,

     deposits are refused. This bounds supply: a deposit leaves the price at least where it was, so right after
     one `S + V <= 1e9 V (A + 1) <= 1e18 * 2^104 < 2^164`, and only deposits raise `S`.
     It also protects either side of a deposit that follows a wipe-out. Old shares are worth `S (A + 1) / (S + V)`,
     and by a deposit they can only gain what it loses by rounding, less than one new share, which is worth
     `(A + 1) / (S + V)`: they cannot be raised from the dead by newcomers' money. What raises them is income
     and donations alone (`vault.donate`), which is also what opens the door again: the old shares are paid
     for in that gift before any newcomer stands beside them.

     Leaving. `request_redeem` puts shares into escrow; after the cooldown they can be redeemed during the
     window, at the price of the moment, and not in a block in which insurance was drawn. A request that was
     not used lapses and has to be made again: no one holds a standing option to leave ahead of a loss that is
     known. Shares in escrow go on earning and go on losing.

     snekmate's ERC-20 knows minters and an owner; the functions to use or change them are not exported.
@custom:security Shares sent to this contract itself other than by `request_redeem` are lost.
"""

from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed
from ethereum.ercs import IERC4626
from snekmate.auth import ownable
from snekmate.tokens import erc20
from snekmate.utils import math

from interfaces import IInsuranceFund
from interfaces import IMarginVault

initializes: ownable
initializes: erc20[ownable := ownable]

implements: IERC20
implements: IERC20Detailed
implements: IERC4626
implements: IInsuranceFund

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


VIRTUAL_SHARES: constant(uint256) = 10**9
DECIMALS_OFFSET: constant(uint8) = 9
# The initial price is this many times the one below which the fund counts as wiped out.
WIPED_OUT_FACTOR: constant(uint256) = 10**9
TOTAL_LIMIT: constant(uint256) = 2**104
MAX_PERIOD_SECONDS: constant(uint256) = 30 * 86_400

VAULT: immutable(IMarginVault)
ASSET: immutable(IERC20)
SCALE: immutable(uint256)
COOLDOWN_SECONDS: immutable(uint256)
WINDOW_SECONDS: immutable(uint256)

_escrowed_shares: HashMap[address, uint256]
_ready_at: HashMap[address, uint256]


@deploy
def __init__(vault: address, name: String[25], symbol: String[5], cooldown_seconds: uint256, window_seconds: uint256):
    """
    @notice Fixes vault and times. The vault must have been deployed, with this contract's address.
    @param vault The margin vault.
    @param name The share token's name.
    @param symbol The share token's symbol.
    @param cooldown_seconds From request to the first redemption; 1 second to 30 days.
    @param window_seconds How long the request then stands; 1 second to 30 days.
    """
    assert cooldown_seconds != 0 and cooldown_seconds <= MAX_PERIOD_SECONDS, "fund: bad cooldown"
    assert window_seconds != 0 and window_seconds <= MAX_PERIOD_SECONDS, "fund: bad window"
    # Neither side's wire can be changed later: a fund the vault does not know would be stillborn.
    assert staticcall IMarginVault(vault).insurance_fund() == self, "fund: not the vault's fund"
    VAULT = IMarginVault(vault)
    ASSET = IERC20(staticcall IMarginVault(vault).asset())
    SCALE = staticcall IMarginVault(vault).scale()
    COOLDOWN_SECONDS = cooldown_seconds
    WINDOW_SECONDS = window_seconds
    ownable.__init__()
    erc20.__init__(
        name, symbol, staticcall IERC20Detailed(ASSET.address).decimals() + DECIMALS_OFFSET, name, "1"
    )


# Stakers


@external
def deposit(assets: uint256, receiver: address) -> uint256:
    """
    @notice Stakes tokens of the caller.
    @param assets Token units, above zero.
    @param receiver Who gets the shares.
    @return Shares, rounded down.
    """
    shares: uint256 = self._to_shares_down(assets)
    self._stake(assets, shares, receiver)
    return shares


@external
def mint(shares: uint256, receiver: address) -> uint256:
    """
    @notice Stakes what a number of shares costs.
    @param shares Shares, above zero.
    @param receiver Who gets the shares.
    @return Token units taken from the caller, rounded up.
    """
    assets: uint256 = self._to_assets_up(shares)
    self._stake(assets, shares, receiver)
    return assets


@external
def request_redeem(shares: uint256):
    """
    @notice Puts the caller's shares into escrow and starts the cooldown. A request stands for `shares` in all:
            what is in escrow already is used again, and what is too much there is handed back.
    @param shares Shares to redeem, above zero.
    """
    assert shares != 0, "fund: zero shares"
    held: uint256 = self._escrowed_shares[msg.sender]
    if shares > held:
        assert erc20.balanceOf[msg.sender] >= shares - held, "fund: insufficient shares"
        erc20._transfer(msg.sender, self, shares - held)
    elif shares < held:
        erc20._transfer(self, msg.sender, held - shares)
    ready_at: uint256 = block.timestamp + COOLDOWN_SECONDS
    self._escrowed_shares[msg.sender] = shares
    self._ready_at[msg.sender] = ready_at
    log IInsuranceFund.RedeemRequested(
        owner=msg.sender, shares=shares, ready_at=ready_at, lapses_at=ready_at + WINDOW_SECONDS
    )


@external
def cancel_redeem():
    """
    @notice Takes all of the caller's shares out of escrow, whatever has become of the request.
    """
    shares: uint256 = self._escrowed_shares[msg.sender]
    assert shares != 0, "fund: no request"
    self._escrowed_shares[msg.sender] = 0
    self._ready_at[msg.sender] = 0
    erc20._transfer(self, msg.sender, shares)
    log IInsuranceFund.RedeemCancelled(owner=msg.sender, shares=shares)


@external
def redeem(shares: uint256, receiver: address, owner: address) -> uint256:
    """
    @notice Redeems shares in escrow, during the window, at the price of the moment.
    @param shares Shares, at most those in escrow.
    @param receiver Who gets the tokens.
    @param owner Whose shares; if not the caller's, the caller needs an allowance for them.
    @return Token units paid, rounded down; zero is refused.
    """
    assets: uint256 = self._to_assets_down(shares)
    self._leave(assets, shares, receiver, owner)
    return assets


@external
def withdraw(assets: uint256, receiver: address, owner: address) -> uint256:
    """
    @notice Redeems as many shares in escrow as pay an amount, during the window, at the price of the moment.
    @param assets Token units, above zero.
    @param receiver Who gets the tokens.
    @param owner Whose shares; if not the caller's, the caller needs an allowance for them.
    @return Shares redeemed, rounded up.
    """
    shares: uint256 = self._to_shares_up(assets)
    self._leave(assets, shares, receiver, owner)
    return shares


# Views


@view
@external
def redeem_ready_at(owner: address) -> uint256:
    """
    @notice From when an owner's shares in escrow can be redeemed.
    @param owner The staker.
    @return Unix seconds; zero without a request. It may have lapsed since: see `redeem_lapses_at`.
    """
    return self._ready_at[owner]


@view
@external
def redeem_lapses_at(owner: address) -> uint256:
    """
    @notice From when an owner's shares in escrow can no longer be redeemed, but by a new request.
    @param owner The staker.
    @return Unix seconds; zero without a request.
    """
    if self._ready_at[owner] == 0:
        return 0
    return self._ready_at[owner] + WINDOW_SECONDS


@view
@external
def escrowed(owner: address) -> uint256:
    """
    @notice An owner's shares in escrow; `balanceOf` does not count them.
    @param owner The staker.
    @return Shares.
    """
    return self._escrowed_shares[owner]


@view
@external
def is_wiped_out() -> bool:
    """
    @notice Whether losses have taken so much that deposits are refused.
    @return True below 1e-9 of the initial price.
    """
    return self._is_wiped_out()


@view
@external
def asset() -> address:
    """
    @notice The collateral.
    @return The ERC-20's address.
    """
    return ASSET.address


@view
@external
def totalAssets() -> uint256:
    """
    @notice The vault's insurance balance.
    @return Token units, rounded down.
    """
    return self._total_assets()


@view
@external
def convertToShares(assets: uint256) -> uint256:
    """
    @notice What tokens are worth in shares.
    @param assets Token units.
    @return Shares, rounded down.
    """
    return self._to_shares_down(assets)


@view
@external
def convertToAssets(shares: uint256) -> uint256:
    """
    @notice What shares are worth in tokens.
    @param shares Shares.
    @return Token units, rounded down.
    """
    return self._to_assets_down(shares)


@view
@external
def maxDeposit(receiver: address) -> uint256:
    """
    @notice How much can be staked.
    @param receiver Not considered.
    @return Token units; zero if wiped out, else as much as the vault's ledger can hold.
    """
    return self._max_deposit()


@view
@external
def maxMint(receiver: address) -> uint256:
    """
    @notice How many shares can be minted.
    @param receiver Not considered.
    @return Shares, rounded down; zero if wiped out.
    """
    return self._to_shares_down(self._max_deposit())


@view
@external
def maxRedeem(owner: address) -> uint256:
    """
    @notice How many of an owner's shares can be redeemed in this block.
    @param owner The staker.
    @return Shares in escrow; zero before and after the window, and in a block with a draw.
    """
    return self._max_redeem(owner)


@view
@external
def maxWithdraw(owner: address) -> uint256:
    """
    @notice What an owner can withdraw in this block.
    @param owner The staker.
    @return Token units, rounded down; zero before and after the window, and in a block with a draw.
    """
    return self._to_assets_down(self._max_redeem(owner))


@view
@external
def previewDeposit(assets: uint256) -> uint256:
    """
    @notice What a deposit would mint. Whether one is refused is `maxDeposit`'s to say.
    @param assets Token units.
    @return Shares, rounded down.
    """
    return self._to_shares_down(assets)


@view
@external
def previewMint(shares: uint256) -> uint256:
    """
    @notice What minting would cost. Whether it is refused is `maxMint`'s to say.
    @param shares Shares.
    @return Token units, rounded up.
    """
    return self._to_assets_up(shares)


@view
@external
def previewRedeem(shares: uint256) -> uint256:
    """
    @notice What redeeming would pay now, as if escrow, cooldown and window were fulfilled (ERC-4626 leaves
            limits to `maxRedeem`). The price may have changed when they are.
    @param shares Shares.
    @return Token units, rounded down.
    """
    return self._to_assets_down(shares)


@view
@external
def previewWithdraw(assets: uint256) -> uint256:
    """
    @notice What a withdrawal would cost now, as if escrow, cooldown and window were fulfilled.
    @param assets Token units.
    @return Shares, rounded up.
    """
    return self._to_shares_up(assets)


@view
@external
def cooldown_seconds() -> uint256:
    """
    @notice From request to the first redemption.
    @return Seconds.
    """
    return COOLDOWN_SECONDS


@view
@external
def window_seconds() -> uint256:
    """
    @notice How long a request stands after its cooldown.
    @return Seconds.
    """
    return WINDOW_SECONDS


@view
@external
def vault() -> address:
    """
    @notice The margin vault.
    @return Its address.
    """
    return VAULT.address


# Internal


@internal
def _stake(assets: uint256, shares: uint256, receiver: address):
    """
    @dev Takes tokens from the caller to the vault and mints. The price was read before the token was called;
         the vault refuses a token that keeps a fee, on its way from here.
    """
    assert not self._is_wiped_out(), "fund: wiped out"
    assert assets != 0, "fund: zero assets"
    assert shares != 0, "fund: zero shares"
    assert extcall ASSET.transferFrom(msg.sender, self, assets, default_return_value=True), "fund: transfer failed"
    assert extcall ASSET.approve(VAULT.address, assets, default_return_value=True), "fund: approval failed"
    extcall VAULT.stake(assets)
    erc20._mint(receiver, shares)
    log IERC4626.Deposit(sender=msg.sender, owner=receiver, assets=assets, shares=shares)


@internal
def _leave(assets: uint256, shares: uint256, receiver: address, owner: address):
    """
    @dev Burns shares out of escrow, then has the vault pay. The last share redeemed ends the request.
    """
    held: uint256 = self._escrowed_shares[owner]
    assert held != 0, "fund: no request"
    assert shares <= held, "fund: more than requested"
    ready_at: uint256 = self._ready_at[owner]
    assert block.timestamp >= ready_at, "fund: cooling down"
    assert block.timestamp < ready_at + WINDOW_SECONDS, "fund: request lapsed"
    assert not self._drawn_in_this_block(), "fund: draw in this block"
    assert assets != 0, "fund: zero assets"
    if msg.sender != owner:
        erc20._spend_allowance(owner, msg.sender, shares)
    self._escrowed_shares[owner] = held - shares
    if shares == held:
        self._ready_at[owner] = 0
    erc20._burn(self, shares)
    extcall VAULT.unstake(assets, receiver)
    log IERC4626.Withdraw(sender=msg.sender, receiver=receiver, owner=owner, assets=assets, shares=shares)


@view
@internal
def _max_deposit() -> uint256:
    """
    @dev What the vault's ledger can still hold, token units rounded down; zero if wiped out.
    """
    if self._is_wiped_out():
        return 0
    return (TOTAL_LIMIT - 1 - staticcall VAULT.total()) // SCALE


@view
@internal
def _max_redeem(owner: address) -> uint256:
    """
    @dev Shares that `_leave` would not refuse.
    """
    ready_at: uint256 = self._ready_at[owner]
    if block.timestamp < ready_at or block.timestamp >= ready_at + WINDOW_SECONDS:
        return 0
    if self._drawn_in_this_block():
        return 0
    return self._escrowed_shares[owner]


@view
@internal
def _drawn_in_this_block() -> bool:
    """
    @dev A liquidation or deleveraging may take several calls in a block; nobody leaves between them.
    """
    return staticcall VAULT.last_draw_block() == block.number


@view
@internal
def _is_wiped_out() -> bool:
    """
    @dev The rule of the opening docstring.
    """
    return (
        (self._total_assets() + 1) * VIRTUAL_SHARES * WIPED_OUT_FACTOR < erc20.totalSupply + VIRTUAL_SHARES
    )


@view
@internal
def _total_assets() -> uint256:
    """
    @dev The insurance balance in token units, rounded down: the vault pays out whole units only.
    """
    return staticcall VAULT.insurance() // SCALE


@view
@internal
def _to_shares_down(assets: uint256) -> uint256:
    """
    @dev floor(assets / price).
    """
    return math._mul_div(assets, erc20.totalSupply + VIRTUAL_SHARES, self._total_assets() + 1, False)


@view
@internal
def _to_shares_up(assets: uint256) -> uint256:
    """
    @dev ceil(assets / price).
    """
    return math._mul_div(assets, erc20.totalSupply + VIRTUAL_SHARES, self._total_assets() + 1, True)


@view
@internal
def _to_assets_down(shares: uint256) -> uint256:
    """
    @dev floor(shares * price).
    """
    return math._mul_div(shares, self._total_assets() + 1, erc20.totalSupply + VIRTUAL_SHARES, False)


@view
@internal
def _to_assets_up(shares: uint256) -> uint256:
    """
    @dev ceil(shares * price).
    """
    return math._mul_div(shares, self._total_assets() + 1, erc20.totalSupply + VIRTUAL_SHARES, True)
