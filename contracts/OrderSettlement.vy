# pragma version 0.4.3
# pragma nonreentrancy on
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title OrderSettlement
@license AGPL-3.0-only
@notice Turns signed orders into fills. Anyone may match; nobody can fill an order beyond what was signed.
@dev An order names its account, so a signature serves one account, one chain and one settlement contract
     (EIP-712 domain). It may be filled in parts; what is filled is kept under its hash, never under its
     signature, so a second signature of the same order buys nothing.

     Who may sign. The owner of the account with its key; a delegate of the account while its permission
     lasts (it may trade, and has no way to withdraw); or the owner as a contract wallet (EIP-1271). Keys are
     tried first: an owner whose key has delegated its code (EIP-7702) can go on signing with it.

     Cancelling. `cancel` names an order by its hash alone, so a cancellation is kept under its caller, and
     counts if the caller is the owner of the order's account or the delegate that signed it. Anyone else's
     only fills its own drawer. Few ever cancel by hash or by salt: two flags, under the owner, say whether the
     other two slots need to be read, so a plain order costs two reads (flags and what is filled).

     Trust. The venue moves no money and holds none: margin, price band and caps are the clearinghouse's. It
     is what stands between a trader's key and the clearinghouse's `fill_orders`, which asks for no signature.
@custom:security A contract wallet is called during matching (statically) and may burn gas or refuse: whoever
                 matches should simulate first.
"""

from snekmate.utils import eip712_domain_separator as eip712

from interfaces import IClearinghouse
from interfaces import IOrderSettlement
from modules import signatures

initializes: eip712

implements: IOrderSettlement

exports: eip712.eip712Domain


MAX_MAKERS: constant(uint256) = 20

ORDER_TYPE_HASH: constant(bytes32) = keccak256(
    "Order(bytes32 account,uint256 market,bool is_buy,uint256 size,uint256 limit_price,bool reduce_only,bool post_only,uint256 expiry,uint256 salt)"
)

# What an owner has ever used, and so what has to be looked up for its orders.
USED_CANCEL: constant(uint256) = 1
USED_FLOOR: constant(uint256) = 2

CLEARINGHOUSE: immutable(IClearinghouse)

_filled_base: HashMap[bytes32, uint256]
_flags: HashMap[address, uint256]
_is_cancelled: HashMap[address, HashMap[bytes32, bool]]
_salt_floor: HashMap[bytes32, uint256]
_delegate_expiry: HashMap[bytes32, HashMap[address, uint256]]


@deploy
def __init__(clearinghouse: address):
    """
    @notice Fixes the clearinghouse the fills go to.
    @param clearinghouse It must register this contract as a venue.
    """
    assert clearinghouse != empty(address), "settlement: zero clearinghouse"
    CLEARINGHOUSE = IClearinghouse(clearinghouse)
    eip712.__init__("Ballast", "1")


# Anyone


@external
def match_orders(
    taker: IOrderSettlement.SignedOrder,
    makers: DynArray[IOrderSettlement.SignedOrder, MAX_MAKERS],
    sizes: DynArray[uint256, MAX_MAKERS],
):
    """
    @notice Fills one order against up to twenty others, each at that other's limit price, all or nothing.
    @dev A reduce-only order is cut to what is left of its position, counting what this call has already
         filled for the account; an entry cut to nothing reverts. The position is read from the
         clearinghouse, which fixes one price a block and does not change between the reading and the fill.
         All fills are recorded before the clearinghouse is called.
    @param taker The order that takes; it must not be post-only.
    @param makers The orders that rest, on the other side of the same market; an order may be named twice.
    @param sizes Base to fill with each maker, above zero; not more than either order has left.
    """
    assert len(makers) != 0, "settlement: no makers"
    assert len(makers) == len(sizes), "settlement: length mismatch"
    assert not taker.order.post_only, "settlement: post only taker"
    taker_hash: bytes32 = self._check_order(taker)
    taker_filled: uint256 = self._filled_base[taker_hash]
    taker_left: uint256 = taker.order.size - taker_filled
    taker_reducible: uint256 = 0
    if taker.order.reduce_only:
        taker_reducible = self._reducible(taker.order)
    taken: uint256 = 0

    accounts: DynArray[bytes32, MAX_MAKERS] = []
    fills: DynArray[uint256, MAX_MAKERS] = []
    prices: DynArray[uint256, MAX_MAKERS] = []
    for i: uint256 in range(len(makers), bound=MAX_MAKERS):
        maker: IOrderSettlement.SignedOrder = makers[i]
        assert maker.order.market == taker.order.market, "settlement: market mismatch"
        assert maker.order.is_buy != taker.order.is_buy, "settlement: same side"
        assert maker.order.account != taker.order.account, "settlement: self fill"
        if taker.order.is_buy:
            assert maker.order.limit_price <= taker.order.limit_price, "settlement: prices do not cross"
        else:
            assert maker.order.limit_price >= taker.order.limit_price, "settlement: prices do not cross"
        maker_hash: bytes32 = self._check_order(maker)
        maker_filled: uint256 = self._filled_base[maker_hash]

        size: uint256 = sizes[i]
        assert size != 0, "settlement: zero size"
        if taker.order.reduce_only:
            size = min(size, taker_reducible - taken)
        if maker.order.reduce_only:
            # A batch may name one account several times; the clearinghouse has not seen its earlier fills yet.
            reducible: uint256 = self._reducible(maker.order)
            for j: uint256 in range(i, bound=MAX_MAKERS):
                if accounts[j] == maker.order.account:
                    reducible -= min(reducible, fills[j])
            size = min(size, reducible)
        assert size != 0, "settlement: nothing to reduce"
        assert size <= taker_left - taken, "settlement: over-filled"
        assert size <= maker.order.size - maker_filled, "settlement: over-filled"

        taken += size
        self._filled_base[maker_hash] = maker_filled + size
        accounts.append(maker.order.account)
        fills.append(size)
        prices.append(maker.order.limit_price)
        log IOrderSettlement.OrderFilled(
            order_hash=maker_hash,
            account=maker.order.account,
            market=maker.order.market,
            size_base=size,
            filled_base=maker_filled + size,
        )

    self._filled_base[taker_hash] = taker_filled + taken
    log IOrderSettlement.OrderFilled(
        order_hash=taker_hash,
        account=taker.order.account,
        market=taker.order.market,
        size_base=taken,
        filled_base=taker_filled + taken,
    )
    extcall CLEARINGHOUSE.fill_orders(
        taker.order.market, taker.order.account, taker.order.is_buy, accounts, fills, prices
    )


# Owners (and delegates, for `cancel`)


@external
def cancel(order_hash: bytes32):
    """
    @notice Cancels what is left of an order, for good. Counts for orders of the caller's accounts, and for
            orders the caller signed as a delegate.
    @param order_hash As `order_hash(order)` gives it; it need not have been seen here before.
    """
    assert not self._is_cancelled[msg.sender][order_hash], "settlement: already cancelled"
    self._is_cancelled[msg.sender][order_hash] = True
    self._flags[msg.sender] |= USED_CANCEL
    log IOrderSettlement.OrderCancelled(canceller=msg.sender, order_hash=order_hash)


@external
def cancel_below(account: bytes32, salt: uint256):
    """
    @notice Cancels every order of an account with a salt below a floor, those not yet signed included. The
            floor only rises. The owner alone: a delegate could end the account's trading by it.
    @param account The caller's account.
    @param salt The lowest salt that is still good.
    """
    assert msg.sender == self._owner_of(account), "settlement: not the owner"
    assert salt > self._salt_floor[account], "settlement: floor not raised"
    self._salt_floor[account] = salt
    self._flags[msg.sender] |= USED_FLOOR
    log IOrderSettlement.SaltFloorRaised(account=account, salt=salt)


@external
def set_delegate(account: bytes32, delegate: address, expiry: uint256):
    """
    @notice Lets a key sign orders for an account, until a time. It may trade and not withdraw. Whoever
            should no longer is set to zero, and then none of its signed orders can be filled any more.
    @param account The caller's account.
    @param delegate A key's address; contract wallets sign for their own accounts only.
    @param expiry The last second in which its orders can be filled.
    """
    assert msg.sender == self._owner_of(account), "settlement: not the owner"
    # A signature that does not recover yields zero.
    assert delegate != empty(address), "settlement: zero delegate"
    assert expiry != self._delegate_expiry[account][delegate], "settlement: no change"
    self._delegate_expiry[account][delegate] = expiry
    log IOrderSettlement.DelegateSet(account=account, delegate=delegate, expiry=expiry)


# Views


@view
@external
@reentrant
def order_hash(order: IOrderSettlement.Order) -> bytes32:
    """
    @notice The EIP-712 digest of an order: what is signed, and what fills and cancellations are kept under.
    @param order The order.
    @return The digest, for this chain and this contract.
    """
    return self._digest(order)


@view
@external
@reentrant
def filled(order_hash: bytes32) -> uint256:
    """
    @notice How much of an order has been filled.
    @param order_hash The order's digest.
    @return Base, at most the order's size.
    """
    return self._filled_base[order_hash]


@view
@external
@reentrant
def is_cancelled(canceller: address, order_hash: bytes32) -> bool:
    """
    @notice Whether an address has cancelled an order by its hash.
    @param canceller The owner of the order's account, or the delegate that signed it, for it to count.
    @param order_hash The order's digest.
    @return True if so.
    """
    return self._is_cancelled[canceller][order_hash]


@view
@external
@reentrant
def salt_floor(account: bytes32) -> uint256:
    """
    @notice The lowest salt an order of the account may have.
    @param account The account.
    @return The salt; zero if none was ever set.
    """
    return self._salt_floor[account]


@view
@external
@reentrant
def delegate_expiry(account: bytes32, delegate: address) -> uint256:
    """
    @notice Until when a delegate's orders can be filled.
    @param account The account.
    @param delegate The key's address.
    @return Unix seconds, that second included; zero if it is no delegate.
    """
    return self._delegate_expiry[account][delegate]


@view
@external
@reentrant
def clearinghouse() -> address:
    """
    @notice Where the fills go.
    @return The clearinghouse's address.
    """
    return CLEARINGHOUSE.address


# Internal


@view
@internal
def _check_order(signed: IOrderSettlement.SignedOrder) -> bytes32:
    """
    @dev Reverts unless the order is in force and signed by someone who may. Returns its digest.
    """
    assert block.timestamp <= signed.order.expiry, "settlement: expired"
    owner: address = self._owner_of(signed.order.account)
    digest: bytes32 = self._digest(signed.order)
    flags: uint256 = self._flags[owner]
    if flags & USED_CANCEL != 0:
        assert not self._is_cancelled[owner][digest], "settlement: cancelled"
    if flags & USED_FLOOR != 0:
        assert signed.order.salt >= self._salt_floor[signed.order.account], "settlement: below salt floor"

    # Zero is both what a bad signature recovers to and the owner of an account nobody can hold.
    assert owner != empty(address), "settlement: bad signature"
    signer: address = signatures._recover(digest, signed.signature)
    if signer == owner:
        return digest
    if block.timestamp <= self._delegate_expiry[signed.order.account][signer]:
        assert not self._is_cancelled[signer][digest], "settlement: cancelled"
        return digest
    assert signatures._wallet_accepts(owner, digest, signed.signature), "settlement: bad signature"
    return digest


@view
@internal
def _reducible(order: IOrderSettlement.Order) -> uint256:
    """
    @dev How much base a reduce-only order may fill without growing or flipping its account's position: all of
         the position if the order is against it, else nothing.
    """
    size: int256 = 0
    entry_price: uint256 = 0
    unrealised: int256 = 0
    size, entry_price, unrealised = staticcall CLEARINGHOUSE.position(order.account, order.market)
    if order.is_buy:
        size = -size
    return convert(max(size, 0), uint256)


@view
@internal
def _digest(order: IOrderSettlement.Order) -> bytes32:
    """
    @dev The EIP-712 digest. All members are static, so the struct encodes as its members in a row.
    """
    return eip712._hash_typed_data_v4(keccak256(abi_encode(ORDER_TYPE_HASH, order)))


@pure
@internal
def _owner_of(account: bytes32) -> address:
    """
    @dev The upper 20 bytes of an account.
    """
    return convert(convert(account, uint256) >> 96, address)
