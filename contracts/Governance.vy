# pragma version 0.4.3
# pragma nonreentrancy off
# pragma optimize codesize
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Governance
@license AGPL-3.0-only
@author Ballast
@notice The clearinghouse's code for its owner and its guardian: listing, parameters, venues, pause, ownership.
@dev Runs by delegatecall from Clearinghouse.__default__, on its storage: call these at the clearinghouse's address. The modules
     that hold storage are initialised in the same order as there. It refuses to be called directly.
@custom:security The owner (meant to be a timelock or a Safe) acts inside the bounds of modules/listing.vy. Nothing here moves a
                 balance, and nothing can pause reducing, settling, liquidating, deleveraging or withdrawing.
"""

from snekmate.auth import ownable
from snekmate.auth import ownable_2step

from interfaces import IClearinghouse
from interfaces import IMarginVault
from modules import listing
from modules import pricing
from modules import records
from modules import roles

initializes: records
initializes: pricing[records := records]
initializes: listing[records := records]
initializes: ownable
initializes: ownable_2step[ownable := ownable]
initializes: roles

exports: (ownable_2step.transfer_ownership, ownable_2step.accept_ownership)

MARGIN_DELAY: constant(uint256) = 2 * 86400

SELF: immutable(address)


@deploy
def __init__(vault: IMarginVault):
    """
    @param vault The margin vault of the clearinghouse that will run this code.
    """
    records.__init__(vault)
    ownable.__init__()
    ownable_2step.__init__()
    SELF = self


@external
def list_market(params: IClearinghouse.MarketParams) -> uint256:
    """
    @notice Lists a market with the next free id.
    """
    self._check_owner()
    market: uint256 = roles._market_count + 1
    assert market <= records.MASK_12, "listing: too many markets"
    roles._market_count = market
    listing._set(market, params)
    return market


@external
def announce(market: uint256, params: IClearinghouse.MarketParams):
    """
    @notice Announces parameters that raise a margin requirement; `set_market` takes them MARGIN_DELAY later.
    """
    self._check_owner()
    assert market != 0 and market <= roles._market_count, "market: unknown"
    listing._check(params)
    effective_at: uint256 = block.timestamp + MARGIN_DELAY
    roles._announced[keccak256(abi_encode(market, params))] = effective_at
    log IClearinghouse.MarketAnnounced(market=market, params=params, effective_at=effective_at)


@external
def set_market(market: uint256, params: IClearinghouse.MarketParams):
    """
    @notice Changes a market's parameters; at once where no margin requirement rises.
    """
    self._check_owner()
    assert market != 0 and market <= roles._market_count, "market: unknown"
    if listing._raises_margin(market, params):
        digest: bytes32 = keccak256(abi_encode(market, params))
        effective_at: uint256 = roles._announced[digest]
        assert effective_at != 0 and block.timestamp >= effective_at, "listing: not announced"
        roles._announced[digest] = 0
    # Funding up to now runs at the old rates.
    pricing._fix(market)
    listing._set(market, params)


@external
def set_group(group: uint256, insurance_cap_quote: uint256, refill_seconds: uint256):
    """
    @notice Sets up a clearing group, or its insurance allowance for deficits that remain without a position.
    """
    self._check_owner()
    listing._set_group(group, insurance_cap_quote, refill_seconds)


@external
def set_adl(buckets_per_call: uint256, reward_bps: uint256):
    """
    @notice Sets how many buckets one `deleverage` takes at most, and its caller's reward in bps of the notional closed.
    """
    self._check_owner()
    listing._set_adl(buckets_per_call, reward_bps)


@external
def set_venue(venue: address, allowed: bool):
    """
    @notice Registers a venue: a contract that may call `fill`, and must have both sides' consent to do so.
    """
    self._check_owner()
    assert venue != empty(address), "listing: zero venue"
    assert roles._venues[venue] != allowed, "listing: no change"
    roles._venues[venue] = allowed
    log IClearinghouse.VenueSet(venue=venue, allowed=allowed)


@external
def set_guardian(guardian: address):
    """
    @notice Names the guardian (zero: none).
    """
    self._check_owner()
    assert guardian != roles._guardian, "listing: no change"
    log IClearinghouse.GuardianSet(old_guardian=roles._guardian, new_guardian=guardian)
    roles._guardian = guardian


@external
def pause(market: uint256, paused: bool):
    """
    @notice Stops (or allows again) what adds risk in a market (0: in all). The guardian may pause, the owner may do both.
    """
    self._check_context()
    if msg.sender != ownable.owner:
        assert msg.sender == roles._guardian and paused, "governance: not the guardian"
    if market == 0:
        roles._is_all_paused = paused
    else:
        listing._pause(market, paused)
    log IClearinghouse.Paused(market=market, paused=paused)


@internal
def _check_owner():
    self._check_context()
    ownable._check_owner()


@internal
@view
def _check_context():
    assert self != SELF, "governance: call the clearinghouse"
