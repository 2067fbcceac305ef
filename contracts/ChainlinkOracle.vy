# pragma version 0.4.3
# pragma nonreentrancy on
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title ChainlinkOracle
@license AGPL-3.0-only
@notice Prices from Chainlink feeds (AggregatorV3), on L1 and on L2 with a sequencer-uptime feed.
@dev A round is usable if its answer is above zero and below 2^96 once scaled, it is complete, answered in
     itself, not from the future and not older than the feed's heartbeat. Set the heartbeat here with a margin
     over the feed's own (its updates come some seconds late), or on-time rounds look like outages.

     Scale. Up to 18 decimals the conversion to WAD is exact; above, it is rounded down, by less than 1 wei.

     Grace. Positions could not be defended while a feed or the sequencer was silent, so liquidation and
     deleveraging wait `grace_seconds` (at most an hour) after either:
     - feed: a round that came later than a heartbeat after the round before it. The latest round and its
       predecessor are compared here on every reading. Should another round follow within the grace, that
       comparison no longer shows the gap: hence `note_outage`, by which anyone can put it on record.
     - sequencer: the time it is up again. A price from before that time is stale for so long, since the
       market may have moved while nobody could report it.
     The feed's grace is never assumed: where the predecessor cannot be read (the first round of an aggregator,
     as round ids carry the aggregator's phase in their upper bits, or a feed without history) there is none.
     Otherwise such a feed would be in grace for ever, and nothing could be liquidated.

     Sequencer down, or its feed not yet started: stale.
@custom:security Feeds are chosen by the owner and trusted to be what they say. A call to a feed that reverts
                 passes its revert on; the clearinghouse takes that for stale.
"""

from snekmate.auth import ownable
from snekmate.auth import ownable_2step

from interfaces import IAggregatorV3
from interfaces import IChainlinkOracle
from interfaces import IPriceOracle

initializes: ownable
initializes: ownable_2step[ownable := ownable]

implements: IChainlinkOracle
implements: IPriceOracle

exports: (
    ownable_2step.owner,
    ownable_2step.pending_owner,
    ownable_2step.transfer_ownership,
    ownable_2step.accept_ownership,
)


MAX_MARKET: constant(uint256) = 4_095
PRICE_LIMIT: constant(uint256) = 2**96
MAX_DECIMALS: constant(uint256) = 36
MAX_GRACE_SECONDS: constant(uint256) = 3_600
# Feeds of a day's heartbeat exist; twice that leaves a margin.
MAX_HEARTBEAT_SECONDS: constant(uint256) = 172_800

STALE: constant(uint256) = 1
GRACE: constant(uint256) = 4

# A market's slot: feed 160 | heartbeat 32 | decimals 8 | grace until 40, lowest bits first.
HEARTBEAT_SHIFT: constant(uint256) = 160
DECIMALS_SHIFT: constant(uint256) = 192
GRACE_SHIFT: constant(uint256) = 200
MASK_160: constant(uint256) = 2**160 - 1
MASK_32: constant(uint256) = 2**32 - 1
MASK_8: constant(uint256) = 2**8 - 1
CONFIG_MASK: constant(uint256) = 2**200 - 1

# The lower 64 bits of a proxy's round id count the rounds of its current aggregator, from 1.
ROUND_MASK: constant(uint80) = 2**64 - 1

SEQUENCER_FEED: immutable(IAggregatorV3)
GRACE_SECONDS: immutable(uint256)

_feeds: HashMap[uint256, uint256]


struct Round:
    round_id: uint80
    answer: int256
    updated_at: uint256
    is_complete: bool


@deploy
def __init__(owner: address, sequencer_feed: address, grace_seconds: uint256):
    """
    @notice Sets the owner and what cannot change.
    @param owner Meant to be a timelock or a Safe.
    @param sequencer_feed The L2's sequencer-uptime feed; zero on an L1.
    @param grace_seconds How long liquidation waits after an outage; at most 3,600.
    """
    assert owner != empty(address), "chainlink: zero owner"
    assert grace_seconds <= MAX_GRACE_SECONDS, "chainlink: bad grace"
    ownable.__init__()
    ownable_2step.__init__()
    ownable._transfer_ownership(owner)
    SEQUENCER_FEED = IAggregatorV3(sequencer_feed)
    GRACE_SECONDS = grace_seconds


# Anyone


@external
def note_outage(market: uint256, round_id: uint80):
    """
    @notice Puts on record that a round came after an outage of its feed, so that the grace lasts its time
            though other rounds have followed.
    @dev Both rounds are read from the feed: the caller can only point at a gap that was there.
    @param market The market.
    @param round_id The first round after the gap; its grace must outlast what is on record.
    """
    entry: uint256 = self._entry(market)
    updated_at: uint256 = self._updated_at(entry, round_id)
    assert updated_at != 0 and self._came_late(entry, round_id, updated_at), "chainlink: no outage"
    until: uint256 = updated_at + GRACE_SECONDS
    assert until > max(block.timestamp, entry >> GRACE_SHIFT), "chainlink: grace over"
    self._feeds[market] = (entry & CONFIG_MASK) | (until << GRACE_SHIFT)
    log IChainlinkOracle.OutageNoted(market=market, round_id=convert(round_id, uint256), grace_until=until)


# The owner


@external
def set_feed(market: uint256, feed: address, heartbeat_seconds: uint256):
    """
    @notice Makes a market known, or changes its feed. The feed's decimals are read here, once.
    @param market 1 to 4,095.
    @param feed An AggregatorV3 of the market's price; at most 36 decimals.
    @param heartbeat_seconds Oldest a round may be when used; 1 to 172,800.
    """
    ownable._check_owner()
    assert market != 0 and market <= MAX_MARKET, "chainlink: bad market"
    assert feed != empty(address), "chainlink: zero feed"
    assert heartbeat_seconds != 0 and heartbeat_seconds <= MAX_HEARTBEAT_SECONDS, "chainlink: bad heartbeat"
    decimals: uint256 = convert(staticcall IAggregatorV3(feed).decimals(), uint256)
    assert decimals <= MAX_DECIMALS, "chainlink: decimals above 36"
    old: uint256 = self._feeds[market]
    config: uint256 = (
        convert(feed, uint256) | (heartbeat_seconds << HEARTBEAT_SHIFT) | (decimals << DECIMALS_SHIFT)
    )
    assert config != old & CONFIG_MASK, "chainlink: no change"
    # A grace on record stays: it protects positions, whichever feed comes next.
    self._feeds[market] = (old & ~CONFIG_MASK) | config
    log IChainlinkOracle.FeedSet(
        market=market,
        old_feed=convert(old & MASK_160, address),
        old_heartbeat_seconds=self._heartbeat(old),
        feed=feed,
        heartbeat_seconds=heartbeat_seconds,
    )


# Views


@view
@external
@reentrant
def price(market: uint256) -> (uint256, uint256):
    """
    @notice The feed's price, if it may be traded at.
    @param market The market.
    @return WAD quote per base, in (0, 2^96), rounded down; unix seconds, at most the heartbeat ago.
    """
    entry: uint256 = self._entry(market)
    latest: Round = self._latest(entry)
    price_wad: uint256 = self._to_wad(entry, latest)
    assert latest.is_complete, "chainlink: incomplete round"
    assert block.timestamp - latest.updated_at <= self._heartbeat(entry), "chainlink: stale"
    is_up: bool = False
    up_since: uint256 = 0
    is_up, up_since = self._sequencer()
    assert is_up, "chainlink: sequencer down"
    assert not self._is_from_before(latest.updated_at, up_since), "chainlink: from before the restart"
    return price_wad, latest.updated_at


@view
@external
@reentrant
def observe(market: uint256) -> (uint256, uint256, uint256):
    """
    @notice The feed's price, however old, and whether liquidation has to wait.
    @param market The market.
    @return WAD quote per base, in (0, 2^96), rounded down; unix seconds; status bits: 1 stale (which includes
            a sequencer that is down), 4 grace after an outage.
    """
    entry: uint256 = self._entry(market)
    latest: Round = self._latest(entry)
    price_wad: uint256 = self._to_wad(entry, latest)
    is_up: bool = False
    up_since: uint256 = 0
    is_up, up_since = self._sequencer()

    status: uint256 = 0
    if (
        not latest.is_complete
        or block.timestamp - latest.updated_at > self._heartbeat(entry)
        or not is_up
        or self._is_from_before(latest.updated_at, up_since)
    ):
        status = STALE
    if up_since + GRACE_SECONDS > block.timestamp or self._grace_until(entry, latest) > block.timestamp:
        status |= GRACE
    return price_wad, latest.updated_at, status


@view
@external
@reentrant
def feed_of(market: uint256) -> (address, uint256):
    """
    @notice A market's feed.
    @param market The market.
    @return Its address; its heartbeat in seconds.
    """
    entry: uint256 = self._entry(market)
    return convert(entry & MASK_160, address), self._heartbeat(entry)


@view
@external
@reentrant
def grace_until(market: uint256) -> uint256:
    """
    @notice The end of the grace after the feed's last outage, as far as it is on record or to be seen in the
            latest round. The sequencer's is not counted.
    @param market The market.
    @return Unix seconds, that second no longer included; may be past, zero if there was no outage.
    """
    entry: uint256 = self._entry(market)
    return self._grace_until(entry, self._latest(entry))


@view
@external
@reentrant
def sequencer_feed() -> address:
    """
    @notice The L2's sequencer-uptime feed.
    @return Its address; zero on an L1.
    """
    return SEQUENCER_FEED.address


@view
@external
@reentrant
def grace_seconds() -> uint256:
    """
    @notice How long liquidation waits after an outage.
    @return Seconds, at most 3,600.
    """
    return GRACE_SECONDS


# Internal


@view
@internal
def _entry(market: uint256) -> uint256:
    """
    @dev A known market's slot.
    """
    entry: uint256 = self._feeds[market]
    assert entry & MASK_160 != 0, "chainlink: unknown market"
    return entry


@view
@internal
def _latest(entry: uint256) -> Round:
    """
    @dev The feed's latest round.
    """
    latest: Round = empty(Round)
    started_at: uint256 = 0
    answered_in: uint80 = 0
    latest.round_id, latest.answer, started_at, latest.updated_at, answered_in = (
        staticcall IAggregatorV3(convert(entry & MASK_160, address)).latestRoundData()
    )
    latest.is_complete = answered_in >= latest.round_id
    return latest


@view
@internal
def _updated_at(entry: uint256, round_id: uint80) -> uint256:
    """
    @dev The time of a round; zero if there is none. Feeds differ in how they say so (revert, or zeros), and
         some keep no history: a failing call must not take the price down with it.
    """
    success: bool = False
    answer: Bytes[160] = b""
    success, answer = raw_call(
        convert(entry & MASK_160, address),
        abi_encode(round_id, method_id=method_id("getRoundData(uint80)")),
        max_outsize=160,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success or len(answer) != 160:
        return 0
    # A time beyond the block's is nonsense, and could overflow what is done with it.
    updated_at: uint256 = extract32(answer, 96, output_type=uint256)
    if updated_at > block.timestamp:
        return 0
    return updated_at


@view
@internal
def _came_late(entry: uint256, round_id: uint80, updated_at: uint256) -> bool:
    """
    @dev Whether a round came later than a heartbeat after its predecessor, as far as that can be read.
    """
    if round_id & ROUND_MASK <= 1:
        return False
    previous: uint256 = self._updated_at(entry, round_id - 1)
    return previous != 0 and updated_at > previous + self._heartbeat(entry)


@view
@internal
def _grace_until(entry: uint256, latest: Round) -> uint256:
    """
    @dev The end of the feed's grace. The predecessor is not read where it could not matter any more.
    """
    recorded: uint256 = entry >> GRACE_SHIFT
    until: uint256 = latest.updated_at + GRACE_SECONDS
    if until > max(recorded, block.timestamp) and self._came_late(entry, latest.round_id, latest.updated_at):
        return until
    return recorded


@view
@internal
def _to_wad(entry: uint256, latest: Round) -> uint256:
    """
    @dev The round's answer in WAD, rounded down. Reverts where there is no price at all: nothing to fall
         back on is kept here.
    """
    assert latest.updated_at != 0, "chainlink: no price"
    assert latest.updated_at <= block.timestamp, "chainlink: from the future"
    assert latest.answer > 0, "chainlink: price out of range"
    price_wad: uint256 = convert(latest.answer, uint256)
    decimals: uint256 = (entry >> DECIMALS_SHIFT) & MASK_8
    if decimals > 18:
        price_wad //= 10 ** (decimals - 18)
    else:
        # Scaling up only enlarges it, so what is too large already is too large, and the rest cannot overflow.
        assert price_wad < PRICE_LIMIT, "chainlink: price out of range"
        price_wad *= 10 ** (18 - decimals)
    assert price_wad != 0 and price_wad < PRICE_LIMIT, "chainlink: price out of range"
    return price_wad


@view
@internal
def _sequencer() -> (bool, uint256):
    """
    @dev Whether the sequencer is up, and since when (zero on an L1, and while it is down). The feed's answer
         is 0 for up; a feed that has not been started yet says nothing.
    """
    if SEQUENCER_FEED.address == empty(address):
        return True, 0
    round_id: uint80 = 0
    answer: int256 = 0
    started_at: uint256 = 0
    updated_at: uint256 = 0
    answered_in: uint80 = 0
    round_id, answer, started_at, updated_at, answered_in = staticcall SEQUENCER_FEED.latestRoundData()
    if answer != 0 or started_at == 0:
        return False, 0
    return True, min(started_at, block.timestamp)


@view
@internal
def _is_from_before(updated_at: uint256, up_since: uint256) -> bool:
    """
    @dev Whether a price is older than the sequencer's restart and the grace after it has not passed. Later,
         a feed that is still silent has nothing to say: its price has not moved by its threshold.
    """
    return updated_at < up_since and up_since + GRACE_SECONDS > block.timestamp


@pure
@internal
def _heartbeat(entry: uint256) -> uint256:
    """
    @dev The heartbeat in a market's slot, seconds.
    """
    return (entry >> HEARTBEAT_SHIFT) & MASK_32
