# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Results, claims and debts
@license AGPL-3.0-only
@notice Turns realised results into money: losers pay the group's pool, winners are paid from it, and who cannot be paid
        yet waits for it pro rata.
@dev Every movement is one `move` in the vault's double-entry ledger, so no line here can create money.

                     debt paid                      claim paid at once, if nobody waits
           account ------------> pool of the group ------------------------------------> account
                                      |
                                      | while claims wait: allotted to all of them, pro rata
                                      v
                                  allotted (still in the pool) ------ at its next touch -----> account

     u(account) = its part of what waits + its part of what is allotted - its debt; never claim and debt at once.
     A result r makes u + r of it: a loss first uses up the account's own claim, then cash, then stays as debt;
     a gain first cancels own debt. Money that enters the pool while claims wait is allotted in the same
     call, so `waiting > 0` implies that the pool holds nothing free, and a latecomer is never served first.

     Rounding. Claims are a share bucket (share_buckets.vy) of the long kind: parts are rounded down, so what claimants
     can collect never exceeds what is allotted, nor what is allotted the pool. Each joining and leaving costs the
     claimant at most 1 wei, each allotment at most 1 wei + waiting / 2^72 in all; fees are rounded down.
     A fraction of waiting that its last holder's rounding left behind is struck out: it was nobody's.
"""

from interfaces import IClearinghouse
from modules import fixed_point
from modules import records
from modules import share_buckets

uses: records
uses: share_buckets

INSURANCE: constant(bytes32) = 0x0000000000000000000000000000000000000000000000000000000000000001
PROTOCOL_FEES: constant(bytes32) = 0x0000000000000000000000000000000000000000000000000000000000000002
KEEPER_RESERVE: constant(bytes32) = 0x0000000000000000000000000000000000000000000000000000000000000003


struct Purse:
    cash_quote: uint256
    fresh_quote: uint256  # deposited in this block
    claim_quote: uint256  # waiting and allotted
    debt_quote: uint256


@internal
@pure
def _pool(group: uint256) -> bytes32:
    return convert(records._group_key(group), bytes32)


@internal
@view
def _purse(account: bytes32) -> Purse:
    """
    @notice The account's money, without its positions.
    """
    p: Purse = empty(Purse)
    p.cash_quote, p.fresh_quote = staticcall records.VAULT.cash_of(account)
    word: uint256 = records._accounts[account]
    if word & records.UNSETTLED != 0:
        u: records.Unsettled = records._unsettled_of(account)
        p.debt_quote = u.debt_quote
        m: share_buckets.Member = self._claim(records._group_in(word), u)
        p.claim_quote = m.size + convert(m.credit_quote, uint256)
    return p


@internal
@pure
def _net(p: Purse) -> int256:
    """
    @return u.
    """
    return convert(p.claim_quote, int256) - convert(p.debt_quote, int256)


@internal
@view
def _claim(group: uint256, u: records.Unsettled) -> share_buckets.Member:
    """
    @return The account's claim: `size` waiting, `credit_quote` allotted and not collected.
    """
    if u.shares == 0:
        return empty(share_buckets.Member)
    key: uint256 = records._group_key(group)
    return share_buckets._member(
        key, records._bucket(key), u.epoch, u.shares, u.credit_index, False
    )


@internal
@view
def _cash(key: bytes32) -> uint256:
    """
    @return The ledger's balance of an account or of one of the system's keys.
    """
    return staticcall records.VAULT.balance_of(key)


@internal
@view
def _free_pool(group: uint256) -> uint256:
    """
    @return What the pool holds and nobody has been allotted.
    """
    return self._cash(self._pool(group)) - records._allotted(group)


@internal
def _move(source: bytes32, target: bytes32, amount_quote: uint256):
    """
    @notice One entry in the vault's ledger; reverts where the source has too little.
    """
    if amount_quote != 0:
        extcall records.VAULT.move(source, target, amount_quote)


@internal
def _post(account: bytes32, result_quote: int256):
    """
    @notice Adds a realised result to the account's u and moves what can move: its allotted claim, its debt, its gain.
    """
    word: uint256 = records._accounts[account]
    known: bool = word & records.UNSETTLED != 0
    if not known and result_quote == 0:
        return
    group: uint256 = records._group_in(word)
    u: records.Unsettled = empty(records.Unsettled)
    m: share_buckets.Member = empty(share_buckets.Member)
    if known:
        u = records._unsettled_of(account)
        m = self._claim(group, u)
        if m.credit_quote > 0:
            self._collect(account, group, convert(m.credit_quote, uint256))
        elif result_quote == 0 and (
            u.debt_quote == 0 or self._cash(account) == 0
        ):
            return
    net: int256 = (
        convert(m.size, int256) - convert(u.debt_quote, int256) + result_quote
    )
    key: uint256 = records._group_key(group)
    claims: records.Bucket = empty(records.Bucket)
    if known or records._do_claims_wait(group):
        claims = records._bucket(key)
    had_claim: bool = m.shares != 0
    if had_claim:
        claims = share_buckets._leave(claims, m.shares, m.size)
        if claims.shares == 0:
            claims.size = 0
    after: records.Unsettled = empty(records.Unsettled)
    paid_in: bool = False
    if net < 0:
        owed: uint256 = convert(-net, uint256)
        paid: uint256 = min(owed, self._cash(account))
        self._move(account, self._pool(group), paid)
        paid_in = paid != 0
        after.debt_quote = owed - paid
    elif net > 0:
        claim: uint256 = convert(net, uint256)
        if claims.size == 0:
            paid: uint256 = min(claim, self._free_pool(group))
            self._move(self._pool(group), account, paid)
            claim -= paid
        if claim != 0:
            if not known:
                # Where nobody waits it was not read yet, and its epoch and index go on.
                claims = records._bucket(key)
            claims, after.shares = share_buckets._join(key, claims, claim, False)
            after.epoch = claims.epoch
            after.credit_index = claims.credit_index
    if had_claim or after.shares != 0 or m.credit_quote > 0:
        self._set_claims(group, claims)
    if paid_in:
        self._allot(group)
    self._set_unsettled(account, group, word, known, after)


@internal
def _collect(account: bytes32, group: uint256, amount_quote: uint256):
    records._set_allotted(group, records._allotted(group) - amount_quote)
    self._move(self._pool(group), account, amount_quote)


@internal
def _set_unsettled(
    account: bytes32, group: uint256, word: uint256, known: bool, u: records.Unsettled
):
    is_open: bool = u.shares != 0 or u.debt_quote != 0
    if not known and not is_open:
        return
    records._set_unsettled(account, u)
    if is_open != known:
        records._accounts[account] = word ^ records.UNSETTLED
    log IClearinghouse.UnsettledChanged(
        account=account,
        group=group,
        claim_shares=u.shares,
        epoch=u.epoch,
        credit_index=u.credit_index,
        debt_quote=u.debt_quote,
    )


@internal
def _allot(group: uint256):
    """
    @notice Allots what entered the pool to the claims that wait. Called after every inflow.
    """
    if not records._do_claims_wait(group):
        return
    claims: records.Bucket = records._bucket(records._group_key(group))
    if claims.shares == 0:
        return
    amount: uint256 = min(self._free_pool(group), claims.size)
    if amount == 0:
        return
    claims.size -= amount
    claims = share_buckets._credit(claims, convert(amount, int256))
    records._set_allotted(group, records._allotted(group) + amount)
    self._set_claims(group, claims)


@internal
def _set_claims(group: uint256, claims: records.Bucket):
    records._set_bucket(records._group_key(group), claims)
    records._set_claims_wait(group, claims.size != 0)
    log IClearinghouse.ClaimsChanged(
        group=group,
        waiting_quote=claims.size,
        shares=claims.shares,
        epoch=claims.epoch,
        credit_index=claims.credit_index,
        allotted_quote=records._allotted(group),
    )


@internal
@view
def _waiting(group: uint256) -> uint256:
    """
    @return Claims that the pool has not paid for yet.
    """
    if not records._do_claims_wait(group):
        return 0
    waiting: uint256 = 0
    epoch: uint256 = 0
    waiting, epoch = records._bucket_size(records._group_key(group))
    return waiting


@internal
def _income(
    account: bytes32, group: uint256, insurance_quote: uint256, protocol_quote: uint256, reserve_quote: uint256
):
    """
    @notice Takes fees or a penalty from the account's cash. While the group has a shortfall, the insurance fund's and
            the protocol's part pay it down first.
    """
    to_insurance: uint256 = insurance_quote
    to_protocol: uint256 = protocol_quote
    shortfall: uint256 = records._shortfall(group)
    if shortfall != 0:
        to_pool: uint256 = min(shortfall, to_insurance + to_protocol)
        from_protocol: uint256 = min(to_protocol, to_pool)
        to_protocol -= from_protocol
        to_insurance -= to_pool - from_protocol
        if to_pool != 0:
            records._set_shortfall(group, shortfall - to_pool)
            self._move(account, self._pool(group), to_pool)
            log IClearinghouse.ShortfallChanged(
                group=group, account=account, shortfall_quote=shortfall - to_pool
            )
            self._allot(group)
    if to_insurance + to_protocol + reserve_quote != 0:
        extcall records.VAULT.charge(account, to_insurance, to_protocol, reserve_quote)


@internal
def _reward(receiver: bytes32, amount_quote: uint256) -> uint256:
    """
    @notice Pays a keeper from the keeper reserve, as far as it reaches.
    @return What was paid.
    """
    if amount_quote == 0:
        return 0
    paid: uint256 = min(amount_quote, self._cash(KEEPER_RESERVE))
    self._move(KEEPER_RESERVE, receiver, paid)
    return paid
