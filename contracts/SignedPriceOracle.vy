# pragma version 0.4.3
# pragma nonreentrancy on
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title SignedPriceOracle
@license AGPL-3.0-only
@notice A pull oracle: publishers sign prices off chain, anyone brings enough of them on chain.
@dev A report carries at least `threshold` of N publishers' signatures over their own price and time,
     `threshold > N / 2`. It is worth the lower median of the prices at the oldest of the times. With `f`
     dishonest publishers and `f < (signatures + 1) / 2`, the median lies between two honest prices.
     Signatures are sorted by signer, strictly ascending, so none counts twice.

     Replay. The digest names chain, contract (EIP-712 domain), market and time, and a report has to be newer
     than the newest one seen for its market, waiting ones included. So the same report, an older one, and one
     for another market, contract or chain are all refused.

     Breaker. A price beyond `step_bps` of the one in force does not take its place at once:

         in force |---- within the bound ----|           beyond
                  P                              a           b
         first report at a     waits (pending); P stays in force
         second, later block   beyond on the same side: the nearer of the two, at the second's time
                               within the bound: taken as usual, what waited is dropped
                               beyond on the other side: it waits in the first one's place
         second, same block    beyond on the same side: does not confirm; the nearer of the two goes on
                               waiting, from the first one's block, with the second one's time

     One bad print thus never becomes a far price by itself, nor two in one transaction, and what a step is
     confirmed at is a level that two reports agree has been passed. It is no defence against a quorum's keys,
     which can walk in steps within the bound. The first report of a market has nothing to be compared with and
     is taken.

     Time. No tolerance for clocks ahead of the block's: publishers sign the past. Ages count from the oldest
     signature. A batch is all or nothing: one bad report reverts it with that report's reason, and a batch
     sent twice is refused the second time (`oracle: not newer`).

     Storage. One slot a market, which holds its parameters too; a second is touched only around a breaker.
@custom:security The first report of a market, and whichever threshold of honest signatures a submitter picks
                 among those at hand, is the submitter's choice. The owner names the publishers.
"""

from snekmate.auth import ownable
from snekmate.auth import ownable_2step
from snekmate.utils import eip712_domain_separator as eip712

from interfaces import IPriceOracle
from interfaces import ISignedPriceOracle
from modules import signatures

initializes: ownable
initializes: ownable_2step[ownable := ownable]
initializes: eip712

implements: IPriceOracle
implements: ISignedPriceOracle

exports: (
    ownable_2step.owner,
    ownable_2step.pending_owner,
    ownable_2step.transfer_ownership,
    ownable_2step.accept_ownership,
    eip712.eip712Domain,
)


MAX_PUBLISHERS: constant(uint256) = 15
MAX_REPORTS: constant(uint256) = 16
MAX_MARKET: constant(uint256) = 4_095
PRICE_LIMIT: constant(uint256) = 2**96
MAX_SPREAD_SECONDS: constant(uint256) = 2
MAX_MAX_AGE_SECONDS: constant(uint256) = 86_400
# Above one half, halvings of a price would never wait.
MAX_STEP_BPS: constant(uint256) = 5_000
BPS: constant(uint256) = 10_000

STALE: constant(uint256) = 1
PENDING: constant(uint256) = 2

PRICE_REPORT_TYPE_HASH: constant(bytes32) = keccak256(
    "PriceReport(uint256 market,uint256 price,uint256 timestamp)"
)

# A market's slot: price 96 | timestamp 40 | max age 32 | step 16 | pending 1, lowest bits first. A market is
# known if its max age is not zero. A waiting report's slot: price 96 | timestamp 40 | block 40; what it holds
# is void without the pending bit.
TIME_SHIFT: constant(uint256) = 96
MAX_AGE_SHIFT: constant(uint256) = 136
BLOCK_SHIFT: constant(uint256) = 136
STEP_SHIFT: constant(uint256) = 168
PENDING_BIT: constant(uint256) = 2**184
PARAMETERS_MASK: constant(uint256) = (2**48 - 1) << 136
MASK_96: constant(uint256) = 2**96 - 1
MASK_40: constant(uint256) = 2**40 - 1
MASK_32: constant(uint256) = 2**32 - 1
MASK_16: constant(uint256) = 2**16 - 1

_markets: HashMap[uint256, uint256]
_waiting: HashMap[uint256, uint256]
_is_publisher: HashMap[address, bool]
_publishers: DynArray[address, MAX_PUBLISHERS]
_threshold: uint256


@deploy
def __init__(owner: address, publishers: DynArray[address, MAX_PUBLISHERS], threshold: uint256):
    """
    @notice Sets the owner and the first publishers.
    @param owner Meant to be a timelock or a Safe.
    @param publishers Their keys' addresses, strictly ascending.
    @param threshold Signatures a report needs at least: more than half of them, at most all.
    """
    assert owner != empty(address), "oracle: zero owner"
    ownable.__init__()
    ownable_2step.__init__()
    ownable._transfer_ownership(owner)
    eip712.__init__("Ballast", "1")
    self._set_publishers(publishers, threshold)


# Anyone


@external
def report_prices(reports: DynArray[ISignedPriceOracle.SignedReport, MAX_REPORTS]):
    """
    @notice Brings signed prices on chain. All or nothing.
    @param reports One a market (or several of one market, ascending in time); in each, one price, time and
           signature a publisher, sorted by publisher, strictly ascending.
    """
    threshold: uint256 = self._threshold
    for report: ISignedPriceOracle.SignedReport in reports:
        assert len(report.signatures) >= threshold, "oracle: below threshold"
        assert (
            len(report.prices) == len(report.signatures) and len(report.timestamps) == len(report.signatures)
        ), "oracle: length mismatch"
        entry: uint256 = self._market(report.market)
        price: uint256 = 0
        timestamp: uint256 = 0
        price, timestamp = self._verify(report)
        assert block.timestamp - timestamp <= self._max_age(entry), "oracle: too old"
        self._take(report.market, entry, price, timestamp)


# The owner


@external
def set_market(market: uint256, max_age_seconds: uint256, step_bps: uint256):
    """
    @notice Makes a market known, or changes how its prices are judged. Its price and what waits stay.
    @param market 1 to 4,095.
    @param max_age_seconds Oldest a report may be when submitted, and when used; 1 to 86,400.
    @param step_bps The step beyond which a report waits for a second; 1 to 5,000 bps of the price in force.
    """
    ownable._check_owner()
    assert market != 0 and market <= MAX_MARKET, "oracle: bad market"
    assert max_age_seconds != 0 and max_age_seconds <= MAX_MAX_AGE_SECONDS, "oracle: bad max age"
    assert step_bps != 0 and step_bps <= MAX_STEP_BPS, "oracle: bad step"
    entry: uint256 = self._markets[market]
    parameters: uint256 = (max_age_seconds << MAX_AGE_SHIFT) | (step_bps << STEP_SHIFT)
    assert parameters != entry & PARAMETERS_MASK, "oracle: no change"
    self._markets[market] = (entry & ~PARAMETERS_MASK) | parameters
    log ISignedPriceOracle.MarketSet(
        market=market,
        old_max_age_seconds=self._max_age(entry),
        old_step_bps=self._step(entry),
        max_age_seconds=max_age_seconds,
        step_bps=step_bps,
    )


@external
def set_publishers(publishers: DynArray[address, MAX_PUBLISHERS], threshold: uint256):
    """
    @notice Replaces the publishers. Signatures of those who leave count no more, also if made before.
    @param publishers Their keys' addresses, strictly ascending.
    @param threshold Signatures a report needs at least: more than half of them, at most all.
    """
    ownable._check_owner()
    self._set_publishers(publishers, threshold)


# Views


@view
@external
@reentrant
def price(market: uint256) -> (uint256, uint256):
    """
    @notice The price in force. While a report waits this is the one before it.
    @param market The market.
    @return WAD quote per base, in (0, 2^96); unix seconds, at most the market's max age ago.
    """
    entry: uint256 = self._priced_market(market)
    assert not self._is_stale(entry), "oracle: stale"
    return entry & MASK_96, self._timestamp(entry)


@view
@external
@reentrant
def observe(market: uint256) -> (uint256, uint256, uint256):
    """
    @notice The price in force, however old. A pull oracle knows no outage (silence is normal), so it never
            asks for a grace period.
    @param market The market.
    @return WAD quote per base, in (0, 2^96); unix seconds; status bits: 1 stale, 2 a report waits.
    """
    entry: uint256 = self._priced_market(market)
    status: uint256 = 0
    if self._is_stale(entry):
        status = STALE
    if entry & PENDING_BIT != 0:
        status |= PENDING
    return entry & MASK_96, self._timestamp(entry), status


@view
@external
@reentrant
def pending(market: uint256) -> (uint256, uint256):
    """
    @notice The report that waits for a second one.
    @param market The market.
    @return WAD quote per base; unix seconds; zeros if none waits.
    """
    if self._market(market) & PENDING_BIT == 0:
        return 0, 0
    waiting: uint256 = self._waiting[market]
    return waiting & MASK_96, self._timestamp(waiting)


@view
@external
@reentrant
def market_parameters(market: uint256) -> (uint256, uint256):
    """
    @notice How a market's prices are judged.
    @param market The market.
    @return Max age in seconds; step in bps.
    """
    entry: uint256 = self._market(market)
    return self._max_age(entry), self._step(entry)


@view
@external
@reentrant
def publishers() -> DynArray[address, MAX_PUBLISHERS]:
    """
    @notice Whose signatures count.
    @return Their addresses, strictly ascending.
    """
    return self._publishers


@view
@external
@reentrant
def threshold() -> uint256:
    """
    @notice How many signatures a report needs at least.
    @return More than half the publishers.
    """
    return self._threshold


@view
@external
@reentrant
def is_publisher(publisher: address) -> bool:
    """
    @notice Whether an address's signature counts.
    @param publisher The address.
    @return True if so.
    """
    return self._is_publisher[publisher]


@view
@external
@reentrant
def report_digest(market: uint256, price_wad: uint256, timestamp: uint256) -> bytes32:
    """
    @notice What a publisher signs.
    @param market The market.
    @param price_wad WAD quote per base.
    @param timestamp Unix seconds.
    @return The EIP-712 digest, for this chain and this contract.
    """
    return self._digest(market, price_wad, timestamp)


# Internal


@view
@internal
def _verify(report: ISignedPriceOracle.SignedReport) -> (uint256, uint256):
    """
    @dev Checks signers, prices and the spread of times; returns the lower median and the oldest time. The
         lengths are equal and above zero.
    """
    sorted_prices: DynArray[uint256, MAX_PUBLISHERS] = []
    oldest: uint256 = max_value(uint256)
    newest: uint256 = 0
    last_signer: address = empty(address)
    for i: uint256 in range(len(report.signatures), bound=MAX_PUBLISHERS):
        price: uint256 = report.prices[i]
        timestamp: uint256 = report.timestamps[i]
        assert price != 0 and price < PRICE_LIMIT, "oracle: price out of range"
        assert timestamp <= block.timestamp, "oracle: from the future"
        oldest = min(oldest, timestamp)
        newest = max(newest, timestamp)

        # A signature that does not recover yields zero, which is never a publisher.
        signer: address = signatures._recover(self._digest(report.market, price, timestamp), report.signatures[i])
        assert self._is_publisher[signer], "oracle: bad signature"
        assert convert(signer, uint160) > convert(last_signer, uint160), "oracle: signers not ascending"
        last_signer = signer

        # Insertion sort: at most fifteen, mostly close together.
        sorted_prices.append(price)
        j: uint256 = i
        for step: uint256 in range(i, bound=MAX_PUBLISHERS):
            if sorted_prices[j - 1] <= price:
                break
            sorted_prices[j] = sorted_prices[j - 1]
            j -= 1
        sorted_prices[j] = price
    assert newest - oldest <= MAX_SPREAD_SECONDS, "oracle: spread too wide"
    return sorted_prices[(len(sorted_prices) - 1) // 2], oldest


@internal
def _take(market: uint256, entry: uint256, price: uint256, timestamp: uint256):
    """
    @dev Puts a verified report in force, or makes it wait (see the picture above).
    """
    in_force: uint256 = entry & MASK_96
    waiting: uint256 = 0
    seen: uint256 = self._timestamp(entry)
    if entry & PENDING_BIT != 0:
        waiting = self._waiting[market]
        seen = self._timestamp(waiting)
    assert timestamp > seen, "oracle: not newer"

    taken: uint256 = price
    distance: uint256 = self._distance(in_force, price)
    if in_force != 0 and distance * BPS > in_force * self._step(entry):
        waiting_price: uint256 = waiting & MASK_96
        since: uint256 = block.number
        confirmed: bool = False
        if waiting != 0 and (waiting_price > in_force) == (price > in_force):
            since = waiting >> BLOCK_SHIFT
            confirmed = block.number > since
            if self._distance(in_force, waiting_price) < distance:
                taken = waiting_price
        if not confirmed:
            self._waiting[market] = taken | (timestamp << TIME_SHIFT) | (since << BLOCK_SHIFT)
            if waiting == 0:
                self._markets[market] = entry | PENDING_BIT
            log ISignedPriceOracle.PricePending(market=market, price_wad=taken, timestamp=timestamp)
            return

    self._markets[market] = (entry & PARAMETERS_MASK) | taken | (timestamp << TIME_SHIFT)
    log ISignedPriceOracle.PriceReported(market=market, price_wad=taken, timestamp=timestamp)


@internal
def _set_publishers(publishers: DynArray[address, MAX_PUBLISHERS], threshold: uint256):
    """
    @dev Ascending order makes the members distinct and none of them zero.
    """
    count: uint256 = len(publishers)
    assert threshold > count // 2 and threshold <= count, "oracle: bad threshold"
    old_publishers: DynArray[address, MAX_PUBLISHERS] = self._publishers
    for publisher: address in old_publishers:
        self._is_publisher[publisher] = False
    last: address = empty(address)
    for publisher: address in publishers:
        assert convert(publisher, uint160) > convert(last, uint160), "oracle: publishers not ascending"
        self._is_publisher[publisher] = True
        last = publisher
    log ISignedPriceOracle.PublishersSet(
        old_publishers=old_publishers,
        old_threshold=self._threshold,
        publishers=publishers,
        threshold=threshold,
    )
    self._publishers = publishers
    self._threshold = threshold


@view
@internal
def _market(market: uint256) -> uint256:
    """
    @dev A known market's slot.
    """
    entry: uint256 = self._markets[market]
    assert entry & PARAMETERS_MASK != 0, "oracle: unknown market"
    return entry


@view
@internal
def _priced_market(market: uint256) -> uint256:
    """
    @dev The slot of a known market that has had a price.
    """
    entry: uint256 = self._market(market)
    assert entry & MASK_96 != 0, "oracle: no price"
    return entry


@view
@internal
def _digest(market: uint256, price: uint256, timestamp: uint256) -> bytes32:
    """
    @dev The EIP-712 digest of one publisher's report.
    """
    return eip712._hash_typed_data_v4(keccak256(abi_encode(PRICE_REPORT_TYPE_HASH, market, price, timestamp)))


@view
@internal
def _is_stale(entry: uint256) -> bool:
    """
    @dev Whether a market's price is older than its max age; at exactly that age it is good.
    """
    return block.timestamp - self._timestamp(entry) > self._max_age(entry)


@pure
@internal
def _distance(a: uint256, b: uint256) -> uint256:
    """
    @dev The absolute difference of two prices.
    """
    return max(a, b) - min(a, b)


@pure
@internal
def _timestamp(entry: uint256) -> uint256:
    """
    @dev The time in a market's slot or a waiting report's.
    """
    return (entry >> TIME_SHIFT) & MASK_40


@pure
@internal
def _max_age(entry: uint256) -> uint256:
    """
    @dev The max age in a market's slot, seconds.
    """
    return (entry >> MAX_AGE_SHIFT) & MASK_32


@pure
@internal
def _step(entry: uint256) -> uint256:
    """
    @dev The step in a market's slot, bps.
    """
    return (entry >> STEP_SHIFT) & MASK_16
