# pragma version 0.4.3
# pragma nonreentrancy on
# pragma optimize codesize
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Clearinghouse
@license AGPL-3.0-only
@author Ballast
@notice Accounts, markets and the deleveraging queue: trading, settlement, and the doors to liquidation and deleveraging.
@dev Rules live in modules (the queue's in modules/adl_queue.vy). `liquidate` runs LiquidationEngine's code, `deleverage` WaterfallEngine's, the
     long views Lens's, each by delegatecall on this contract's storage: the split is one of code size, fixed at construction.
@custom:security No function moves a user's balance for the owner. Nothing can pause reducing, settling, liquidating,
                 deleveraging or withdrawing. The oracle and the vault's ledger are the only contracts called.
"""

from snekmate.auth import ownable
from snekmate.auth import ownable_2step

from interfaces import IClearinghouse
from interfaces import IMarginVault
from modules import records
from modules import roles
from modules import account_margin
from modules import adl_queue
from modules import ledger
from modules import positions
from modules import pricing
from modules import share_buckets
from modules import trading

initializes: records
initializes: share_buckets[records := records]
initializes: pricing[records := records]
initializes: adl_queue[records := records, share_buckets := share_buckets]
initializes: positions[adl_queue := adl_queue, records := records, share_buckets := share_buckets]
initializes: ledger[records := records, share_buckets := share_buckets]
initializes: account_margin[positions := positions, pricing := pricing, records := records]
initializes: trading[ledger := ledger, account_margin := account_margin, positions := positions, pricing := pricing, records := records]
initializes: ownable
initializes: ownable_2step[ownable := ownable]
initializes: roles

DEFAULT_BUCKETS_PER_CALL: constant(uint256) = 8
# What the owner and the guardian call, in Governance.vy.
GOVERNANCE_CALLS: constant(bytes4[10]) = [
    0x2fab632f,  # list_market
    0x706554bc,  # announce
    0x59cd71c0,  # set_market
    0xb0679aa4,  # set_group
    0xc9e12387,  # set_adl
    0x40b51170,  # set_venue
    0x75c29a3f,  # set_guardian
    0x93578b04,  # pause
    0xf0350c04,  # transfer_ownership
    0xa67c2dcb,  # accept_ownership
]

GOVERNANCE: public(immutable(address))
SETTLEMENT: public(immutable(address))
LIQUIDATION: public(immutable(address))
WATERFALL: public(immutable(address))
LENS: public(immutable(address))


@deploy
def __init__(
    vault: IMarginVault,
    governance: address,
    settlement: address,
    liquidation: address,
    waterfall: address,
    lens: address,
    owner: address,
    guardian: address,
):
    """
    @param vault The margin vault, which must name this contract as its clearinghouse.
    @param governance Code of the owner's and the guardian's calls.
    @param settlement Code of `settle`, `refresh` and `release`.
    @param liquidation Code of `liquidate`.
    @param waterfall Code of `deleverage`.
    @param lens Code of the long views.
    @param owner Lists markets, sets parameters inside hard bounds (meant to be a timelock or a Safe).
    @param guardian May pause what adds risk.
    """
    assert owner != empty(address), "clearing: zero owner"
    records.__init__(vault)
    ownable.__init__()
    ownable_2step.__init__()
    ownable._transfer_ownership(owner)
    GOVERNANCE = governance
    SETTLEMENT = settlement
    LIQUIDATION = liquidation
    WATERFALL = waterfall
    LENS = lens
    roles._guardian = guardian
    records._set_adl_params(DEFAULT_BUCKETS_PER_CALL, 0)
    log IClearinghouse.GuardianSet(old_guardian=empty(address), new_guardian=guardian)


# Venues.


@external
def fill(market: uint256, buyer: bytes32, seller: bytes32, size: uint256, price: uint256):
    """
    @notice Opens, grows, shrinks or flips two positions; both sides pay the taker fee. Registered venues only.
    @param size Base, WAD.
    @param price Quote per base, WAD, inside the band around the oracle price.
    """
    assert roles._venues[msg.sender], "clearing: not a venue"
    trading._fill(market, buyer, True, [seller], [size], [price], False, roles._is_all_paused)


@external
def fill_orders(
    market: uint256,
    taker: bytes32,
    taker_is_buyer: bool,
    makers: DynArray[bytes32, trading.MAX_MAKERS],
    sizes: DynArray[uint256, trading.MAX_MAKERS],
    prices: DynArray[uint256, trading.MAX_MAKERS],
):
    """
    @notice One taker against several makers, each at its own price. Registered venues only.
    """
    assert roles._venues[msg.sender], "clearing: not a venue"
    assert len(sizes) == len(makers) and len(prices) == len(makers), "clearing: length mismatch"
    if len(makers) != 0:
        trading._fill(market, taker, taker_is_buyer, makers, sizes, prices, True, roles._is_all_paused)


# Anyone.


@external
def settle(account: bytes32):
    """
    @notice Books what is due to the account, pays its debt, hands it its part of the pool; while claims wait, lets its open
            losses pay them. Equity changes by rounding alone.
    """
    raw_call(SETTLEMENT, msg.data, is_delegate_call=True)


@external
def refresh(account: bytes32):
    """
    @notice Re-ranks the account's legs by its leverage at the present prices.
    """
    raw_call(SETTLEMENT, msg.data, is_delegate_call=True)


@external
def liquidate(account: bytes32, market: uint256, size: uint256, liquidator: bytes32) -> uint256:
    """
    @notice Takes over up to `size` base of a leg of an account below maintenance (modules/liquidation.vy).
    @param size Base, WAD; max_value for as much as is allowed.
    @param liquidator Account that takes over; the caller owns or operates it.
    @return Base taken.
    """
    return abi_decode(
        raw_call(LIQUIDATION, msg.data, max_outsize=32, is_delegate_call=True), uint256
    )


@external
def deleverage(account: bytes32) -> (uint256, uint256):
    """
    @notice Closes a bankrupt account against the deleveraging queue (modules/waterfall.vy).
    @return Notional still open and deficit left, quote; call again while the account is bankrupt.
    """
    return abi_decode(
        raw_call(WATERFALL, msg.data, max_outsize=64, is_delegate_call=True), (uint256, uint256)
    )


@external
def deleverage_many(accounts: DynArray[bytes32, 32]) -> uint256:
    """
    @notice The same for several accounts, one after another; those that are solvent by then, or that nothing can be done for,
            are passed over.
    @return How many were not.
    """
    return abi_decode(
        raw_call(WATERFALL, msg.data, max_outsize=32, is_delegate_call=True), uint256
    )


@external
def set_operator(operator: address, expiry: uint256):
    """
    @notice Lets `operator` liquidate into the caller's accounts until `expiry` (0 ends it).
    """
    assert operator != empty(address), "account: zero operator"
    records._operators[msg.sender][operator] = expiry
    log IClearinghouse.OperatorSet(owner=msg.sender, operator=operator, expiry=expiry)


# The vault.


@external
def release(account: bytes32, amount_quote: uint256):
    """
    @notice Asked by the vault alone, before a withdrawal: books the account and refuses what backs its risk.
    """
    raw_call(SETTLEMENT, msg.data, is_delegate_call=True)


# Everything else.


@external
@reentrant
@raw_return
def __default__() -> Bytes[65536]:
    """
    @notice The owner's calls run Governance's code; every other name of the design is a view of Lens.
    """
    target: address = LENS
    if convert(slice(msg.data, 0, 4), bytes4) in GOVERNANCE_CALLS:
        target = GOVERNANCE
    return raw_call(target, msg.data, max_outsize=65536, is_delegate_call=True)
