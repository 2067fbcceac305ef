# pragma version 0.4.3
# pragma nonreentrancy on
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title MarginVault
@license AGPL-3.0-only
@notice Holds the collateral of every account and keeps one double-entry ledger of who it belongs to.
@dev Keys. A ledger key is an account (owner's address in the upper 20 bytes, sub-account below), or with a
     zero owner one of the system's: 1 insurance, 2 protocol fees, 3 keeper reserve, 2^64 + group the group's
     pool. Accounts with a zero owner are refused at the door, so nobody can deposit into, or withdraw from,
     a system key by calling it an account.

     Custody (S1). `total` is the sum of all balances. Tokens that come in are credited after the vault has
     measured that they came, tokens that go out are debited before they go, and `move` changes no sum, so
     `total <= scale * tokens held` in every state a callback can see. What is sent to the vault without a
     call belongs to nobody.

     Bounds. Whatever is credited from outside keeps `total` below 2^104 (2e13 quote). A balance is never above the sum, so
     `move` cannot overflow one, nor `charge` carry from one balance of a slot into the next.

     Reentrancy. Vyper's lock covers every function that talks to the token. `move` is outside the lock, as
     the clearinghouse has to call it while `withdraw` waits for `release`; it makes no external call itself.
     The views are outside the lock too, for the same caller.
@custom:security The collateral must not rebase, and must not debit a sender more than it was asked to send.
                 A token that keeps a fee of what it transfers is noticed and refused on its way in.
"""

from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed

from interfaces import IClearinghouse
from interfaces import IMarginVault

implements: IMarginVault


INSURANCE: constant(bytes32) = 0x0000000000000000000000000000000000000000000000000000000000000001
PROTOCOL_FEES: constant(bytes32) = 0x0000000000000000000000000000000000000000000000000000000000000002
KEEPER_RESERVE: constant(bytes32) = 0x0000000000000000000000000000000000000000000000000000000000000003
POOLS: constant(uint256) = 2**64
MAX_GROUP: constant(uint256) = 4_095

# A ledger slot: cash in bits 0..103, fresh in 104..207, the block `fresh` belongs to in 208..255. Nothing is fresh with the
# system's keys: the insurance fund's slot has the keeper reserve there and the block of the last draw, as most fees, penalties
# and forced closes change more than one of the three.
BESIDE_SHIFT: constant(uint256) = 104
BLOCK_SHIFT: constant(uint256) = 208
CASH_MASK: constant(uint256) = 2**104 - 1
BALANCES_MASK: constant(uint256) = 2**208 - 1
TOTAL_LIMIT: constant(uint256) = 2**104

ASSET: immutable(IERC20)
SCALE: immutable(uint256)
CLEARINGHOUSE: immutable(IClearinghouse)
INSURANCE_FUND: immutable(address)

_ledger: HashMap[bytes32, uint256]
_total_quote: uint256


@deploy
def __init__(asset: address, clearinghouse: address, insurance_fund: address):
    """
    @notice Fixes the collateral and the two contracts the vault listens to. Their addresses are predicted
            from the deployer's nonce, so none of this can be changed later.
    @param asset The ERC-20 used as collateral; 0 to 18 decimals.
    @param clearinghouse The only caller of `move`.
    @param insurance_fund The only caller of `stake` and `unstake`.
    """
    assert asset != empty(address), "vault: zero asset"
    assert clearinghouse != empty(address), "vault: zero clearinghouse"
    assert insurance_fund != empty(address), "vault: zero insurance fund"
    decimals: uint256 = convert(staticcall IERC20Detailed(asset).decimals(), uint256)
    assert decimals <= 18, "vault: decimals above 18"
    ASSET = IERC20(asset)
    SCALE = 10 ** (18 - decimals)
    CLEARINGHOUSE = IClearinghouse(clearinghouse)
    INSURANCE_FUND = insurance_fund


# Anyone, and the accounts' owners


@external
def deposit(account: bytes32, amount: uint256):
    """
    @notice Pulls collateral from the caller and credits it to an account, its own or another's.
    @dev What is credited in a block is also noted as `fresh` for that block: it neither counts for the
         account's rank nor can be withdrawn before the next block. The note is an amount and not a timer,
         so a stranger's deposit of one unit blocks nothing that was there before.
    @param account The account to credit; its owner must not be zero.
    @param amount Token units, above zero; exact conversion to WAD.
    """
    assert self._owner_of(account) != empty(address), "vault: zero owner"
    amount_quote: uint256 = self._pull(amount)

    self._ledger[account] = self._freshened(self._ledger[account], amount_quote) + amount_quote
    log IMarginVault.Deposited(account=account, payer=msg.sender, amount_quote=amount_quote)


@external
def withdraw(account: bytes32, amount: uint256, receiver: address):
    """
    @notice Pays an account's own cash out, after its debts are paid and as far as its margin allows.
    @dev The clearinghouse speaks first: `release` books what the account owes (calling back `move`) and
         reverts if the margin does not allow the withdrawal. Cash is read only after it, since it may have
         fallen. The debit comes before the transfer, so a token that calls back finds it done.
    @param account The caller's account.
    @param amount Token units, above zero; exact conversion to WAD.
    @param receiver Where the tokens go; not zero and not the vault.
    """
    assert msg.sender == self._owner_of(account), "vault: not the owner"
    amount_quote: uint256 = self._to_quote(amount)
    extcall CLEARINGHOUSE.release(account, amount_quote)

    entry: uint256 = self._ledger[account]
    cash_quote: uint256 = 0
    fresh_quote: uint256 = 0
    cash_quote, fresh_quote = self._unpack(entry)
    assert amount_quote <= cash_quote - fresh_quote, "vault: insufficient cash"
    self._ledger[account] = entry - amount_quote
    self._push(amount_quote, amount, receiver)
    log IMarginVault.Withdrawn(account=account, receiver=receiver, amount_quote=amount_quote)


@external
def donate(key: bytes32, amount: uint256):
    """
    @notice Pulls collateral from the caller and gives it to insurance or to the keeper reserve, for good.
    @dev No other key: a pool's balance is part of an accounting identity (S2) that a gift would break.
    @param key 1 for insurance, 3 for the keeper reserve.
    @param amount Token units, above zero; exact conversion to WAD.
    """
    assert key == INSURANCE or key == KEEPER_RESERVE, "vault: key takes no gifts"
    amount_quote: uint256 = self._pull(amount)
    self._credit(key, amount_quote)
    log IMarginVault.Donated(key=key, payer=msg.sender, amount_quote=amount_quote)


# The clearinghouse, and its owner


@external
@reentrant
def move(from_: bytes32, to: bytes32, amount: uint256):
    """
    @notice Moves ledger balance between two keys; the clearinghouse alone may.
    @dev Insurance may only be moved to a pool: it pays for a deficit, and never into anyone's cash. The
         block of the move is noted, since nobody may leave the insurance fund in it.
    @param from_ The key debited.
    @param to The key credited.
    @param amount WAD quote, at most the balance of `from_`; zero does nothing.
    """
    assert msg.sender == CLEARINGHOUSE.address, "vault: not the clearinghouse"
    if amount == 0:
        return
    if from_ == INSURANCE:
        key: uint256 = convert(to, uint256)
        assert key > POOLS and key <= POOLS + MAX_GROUP, "vault: insurance pays pools only"
        self._ledger[INSURANCE] = (self._ledger[INSURANCE] & BALANCES_MASK) | (block.number << BLOCK_SHIFT)
    self._debit(from_, amount)
    self._credit(to, amount)
    log IMarginVault.Moved(source=from_, target=to, amount_quote=amount)


@external
@reentrant
def charge(
    account: bytes32, insurance_quote: uint256, protocol_quote: uint256, reserve_quote: uint256
):
    """
    @notice Takes a fee or a penalty from an account and shares it out; the clearinghouse alone may.
    @dev What three calls of `move` would do, at a third of their price.
    @param account The account; none of the system's keys.
    @param insurance_quote WAD quote for the insurance fund.
    @param protocol_quote WAD quote for the protocol.
    @param reserve_quote WAD quote for the keeper reserve.
    """
    assert msg.sender == CLEARINGHOUSE.address, "vault: not the clearinghouse"
    # Insurance pays pools alone (`move`): a system's key has no owner.
    assert self._owner_of(account) != empty(address), "vault: zero owner"
    self._debit(account, insurance_quote + protocol_quote + reserve_quote)
    if insurance_quote | reserve_quote != 0:
        # As in `_credit`, for both balances.
        self._ledger[INSURANCE] = unsafe_add(
            self._ledger[INSURANCE], insurance_quote | (reserve_quote << BESIDE_SHIFT)
        )
    if protocol_quote != 0:
        self._ledger[PROTOCOL_FEES] = unsafe_add(self._ledger[PROTOCOL_FEES], protocol_quote)
    log IMarginVault.Charged(
        account=account,
        insurance_quote=insurance_quote,
        protocol_quote=protocol_quote,
        reserve_quote=reserve_quote,
    )


@external
@reentrant
def mark_fresh(account: bytes32, amount: uint256):
    """
    @notice Notes cash of an account as credited in this block; the clearinghouse alone may.
    @dev For what another account handed over that had it from outside in this very block.
    @param account The account.
    @param amount WAD quote; the note saturates, and never counts for more than the cash that is there.
    """
    assert msg.sender == CLEARINGHOUSE.address, "vault: not the clearinghouse"
    # A system's key has no owner, and something else in its upper bits.
    assert self._owner_of(account) != empty(address), "vault: zero owner"
    self._ledger[account] = self._freshened(self._ledger[account], amount)


@external
def collect_fees(amount: uint256, receiver: address):
    """
    @notice Pays protocol fees out; only the clearinghouse's owner may.
    @param amount Token units, above zero; at most `fees()`, exact conversion to WAD.
    @param receiver Where the tokens go; not zero and not the vault.
    """
    assert msg.sender == staticcall CLEARINGHOUSE.owner(), "vault: not the protocol owner"
    amount_quote: uint256 = self._pay_from(PROTOCOL_FEES, amount, receiver)
    log IMarginVault.FeesCollected(receiver=receiver, amount_quote=amount_quote)


# The insurance fund


@external
def stake(amount: uint256):
    """
    @notice Pulls collateral from the insurance fund and credits it to insurance.
    @param amount Token units, above zero; exact conversion to WAD.
    """
    assert msg.sender == INSURANCE_FUND, "vault: not the insurance fund"
    amount_quote: uint256 = self._pull(amount)
    self._credit(INSURANCE, amount_quote)
    log IMarginVault.Staked(amount_quote=amount_quote)


@external
def unstake(amount: uint256, receiver: address):
    """
    @notice Pays a staker out of insurance; only the insurance fund may, which knows cooldowns and shares.
    @param amount Token units, above zero; exact conversion to WAD.
    @param receiver Where the tokens go; not zero and not the vault.
    """
    assert msg.sender == INSURANCE_FUND, "vault: not the insurance fund"
    amount_quote: uint256 = self._pay_from(INSURANCE, amount, receiver)
    log IMarginVault.Unstaked(receiver=receiver, amount_quote=amount_quote)


# Views


@view
@external
@reentrant
def asset() -> address:
    """
    @notice The collateral.
    @return The ERC-20's address.
    """
    return ASSET.address


@view
@external
@reentrant
def scale() -> uint256:
    """
    @notice What one token unit is in WAD quote.
    @return 10^(18 - decimals).
    """
    return SCALE


@view
@external
@reentrant
def clearinghouse() -> address:
    """
    @notice The only caller of `move`.
    @return Its address.
    """
    return CLEARINGHOUSE.address


@view
@external
@reentrant
def insurance_fund() -> address:
    """
    @notice The only caller of `stake` and `unstake`.
    @return Its address.
    """
    return INSURANCE_FUND


@view
@external
@reentrant
def balance_of(account: bytes32) -> uint256:
    """
    @notice The balance of any ledger key.
    @param account An account, or one of the system's keys.
    @return WAD quote.
    """
    return self._cash(account)


@view
@external
@reentrant
def cash_of(key: bytes32) -> (uint256, uint256):
    """
    @notice The balance of a ledger key, and how much of it was deposited in this block.
    @param key An account, or one of the system's keys.
    @return WAD quote; WAD quote, at most the first.
    """
    if self._owner_of(key) == empty(address):
        return self._cash(key), 0
    return self._unpack(self._ledger[key])


@view
@external
@reentrant
def ledger_words(keys: DynArray[bytes32, 256]) -> DynArray[uint256, 256]:
    """
    @notice Many ledger entries at once, for mirrors and pages.
    @param keys Accounts, or the system's keys.
    @return For each key: cash in bits 0..103; of accounts also fresh in 104..207, the block `fresh` belongs to in 208..255.
    """
    words: DynArray[uint256, 256] = []
    for key: bytes32 in keys:
        if self._owner_of(key) == empty(address):
            words.append(self._cash(key))
        else:
            words.append(self._ledger[key])
    return words


@view
@external
@reentrant
def pool_of(group: uint256) -> uint256:
    """
    @notice The balance of a clearing group's pool.
    @param group The group's id.
    @return WAD quote; zero for an id that does not exist.
    """
    if group > MAX_GROUP:
        return 0
    return self._cash(convert(POOLS + group, bytes32))


@view
@external
@reentrant
def insurance() -> uint256:
    """
    @notice The balance of the insurance fund.
    @return WAD quote.
    """
    return self._cash(INSURANCE)


@view
@external
@reentrant
def fees() -> uint256:
    """
    @notice Protocol fees not yet collected.
    @return WAD quote.
    """
    return self._cash(PROTOCOL_FEES)


@view
@external
@reentrant
def keeper_reserve() -> uint256:
    """
    @notice What keepers are rewarded from.
    @return WAD quote.
    """
    return self._cash(KEEPER_RESERVE)


@view
@external
@reentrant
def total() -> uint256:
    """
    @notice The sum of all ledger balances; at most `scale` times the tokens held (S1).
    @return WAD quote.
    """
    return self._total_quote


@view
@external
@reentrant
def last_draw_block() -> uint256:
    """
    @notice The last block in which insurance was drawn.
    @return The block's number; zero before the first draw.
    """
    return self._ledger[INSURANCE] >> BLOCK_SHIFT


# Internal


@internal
def _pull(amount: uint256) -> uint256:
    """
    @dev Takes `amount` from the caller into the sum of all balances; the caller of this function credits a
         key with what is returned. Lock held: a callback out of the token finds neither done.
    """
    amount_quote: uint256 = self._to_quote(amount)
    total_quote: uint256 = self._total_quote + amount_quote
    assert total_quote < TOTAL_LIMIT, "vault: total too large"
    before: uint256 = staticcall ASSET.balanceOf(self)
    assert extcall ASSET.transferFrom(msg.sender, self, amount, default_return_value=True), "vault: transfer failed"
    # A token that keeps a fee would leave the ledger above the tokens held. Nor is more than `amount` taken
    # for it: the surplus could be anyone's.
    assert staticcall ASSET.balanceOf(self) == before + amount, "vault: transfer fee"
    self._total_quote = total_quote
    return amount_quote


@internal
def _pay_from(key: bytes32, amount: uint256, receiver: address) -> uint256:
    """
    @dev Pays tokens out of one of the system's keys.
    """
    amount_quote: uint256 = self._to_quote(amount)
    self._debit(key, amount_quote)
    self._push(amount_quote, amount, receiver)
    return amount_quote


@internal
def _push(amount_quote: uint256, amount: uint256, receiver: address):
    """
    @dev Sends tokens that a key has already been debited for. Sending to the vault itself would take them
         out of the ledger and leave them here, belonging to nobody.
    """
    assert receiver != empty(address) and receiver != self, "vault: bad receiver"
    self._total_quote -= amount_quote
    assert extcall ASSET.transfer(receiver, amount, default_return_value=True), "vault: transfer failed"


@view
@internal
def _cash(key: bytes32) -> uint256:
    """
    @dev The balance of a ledger key, WAD quote.
    """
    if key == KEEPER_RESERVE:
        return (self._ledger[INSURANCE] >> BESIDE_SHIFT) & CASH_MASK
    return self._ledger[key] & CASH_MASK


@internal
def _debit(key: bytes32, amount: uint256):
    """
    @dev Takes cash from a ledger key; leaves the bits beside it alone as it is at most the cash.
    """
    if key == KEEPER_RESERVE:
        assert amount <= self._cash(key), "vault: insufficient balance"
        self._ledger[INSURANCE] = unsafe_sub(self._ledger[INSURANCE], amount << BESIDE_SHIFT)
        return
    entry: uint256 = self._ledger[key]
    assert amount <= entry & CASH_MASK, "vault: insufficient balance"
    self._ledger[key] = unsafe_sub(entry, amount)


@internal
def _credit(key: bytes32, amount: uint256):
    """
    @dev Adds cash to a ledger key; leaves the bits beside it alone as balances sum to under 2^104.
    """
    if key == KEEPER_RESERVE:
        self._ledger[INSURANCE] = unsafe_add(self._ledger[INSURANCE], amount << BESIDE_SHIFT)
    else:
        self._ledger[key] = unsafe_add(self._ledger[key], amount)


@view
@internal
def _unpack(entry: uint256) -> (uint256, uint256):
    """
    @dev Cash and fresh of a ledger slot. Fresh lapses with its block; a debt paid out of a deposit in the
         block of the deposit leaves less cash than fresh, hence the minimum.
    """
    cash_quote: uint256 = entry & CASH_MASK
    if entry >> BLOCK_SHIFT != block.number:
        return cash_quote, 0
    return cash_quote, min(cash_quote, (entry >> BESIDE_SHIFT) & CASH_MASK)


@view
@internal
def _freshened(entry: uint256, amount: uint256) -> uint256:
    """
    @dev An account's slot with `amount` more noted as credited in this block. The note saturates: it never counts for more
         than the cash that is there.
    """
    fresh_quote: uint256 = amount
    if entry >> BLOCK_SHIFT == block.number:
        fresh_quote += (entry >> BESIDE_SHIFT) & CASH_MASK
    return (
        (entry & CASH_MASK) | (min(fresh_quote, CASH_MASK) << BESIDE_SHIFT) | (block.number << BLOCK_SHIFT)
    )


@view
@internal
def _to_quote(amount: uint256) -> uint256:
    """
    @dev Token units to WAD quote, exact.
    """
    assert amount != 0, "vault: zero amount"
    assert amount < TOTAL_LIMIT, "vault: amount too large"
    return amount * SCALE


@pure
@internal
def _owner_of(account: bytes32) -> address:
    """
    @dev The upper 20 bytes of an account.
    """
    return convert(convert(account, uint256) >> 96, address)
