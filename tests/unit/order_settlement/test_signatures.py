"""Who may sign, and which signatures are none (peers 21, 39)."""

import dataclasses

import pyrevm
import pytest

from ballast.errors import Reverted
from ballast.signing import Domain, SignedOrder, account_id, sign_digest, sign_order

WAD = 10**18
ORDER_OF_THE_CURVE = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def refused(s, maker):
    with pytest.raises(Reverted, match=r"^settlement: bad signature$"):
        s.match(s.sign(s.taker, True), [maker], [WAD])


def test_somebody_elses_key(s):
    refused(s, s.sign(s.maker, False, by=s.second))


def test_the_takers_signature_counts_too(s):
    with pytest.raises(Reverted, match=r"^settlement: bad signature$"):
        s.match(s.sign(s.taker, True, by=s.second), [s.sign(s.maker, False)], [WAD])


@pytest.mark.parametrize(
    "change",
    [
        {"account": "sub"},
        {"size": 11 * WAD},
        {"limit_price": 99 * WAD},
        {"reduce_only": True},
        {"post_only": True},
        {"expiry": 2**64},
        {"salt": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_field_is_signed(s, change):
    signed = s.sign(s.maker, False)
    if "account" in change:
        change = {"account": account_id(s.maker.address, 1)}
    refused(s, SignedOrder(dataclasses.replace(signed.order, **change), signed.signature))


def test_market_and_side_are_signed(s):
    signed = s.sign(s.maker, True, market=2)
    refused(
        s, SignedOrder(dataclasses.replace(signed.order, market=1, is_buy=False), signed.signature)
    )
    refused(s, SignedOrder(dataclasses.replace(s.order(s.maker, False)), signed.signature))


def test_another_chain_or_contract(s):
    order = s.order(s.maker, False)
    for domain in (
        Domain(s.chain.chain_id + 1, s.settlement.address),
        Domain(s.chain.chain_id, s.clearinghouse.address),
    ):
        refused(s, sign_order(domain, order, s.maker))


def test_malleable_twin(s):
    """The high-s twin recovers to the same key; it is refused."""
    signed = s.sign(s.maker, False)
    r, twin_s = signed.signature[:32], ORDER_OF_THE_CURVE - int.from_bytes(signed.signature[32:64])
    v = 55 - signed.signature[64]
    refused(s, SignedOrder(signed.order, r + twin_s.to_bytes(32, "big") + bytes([v])))


def test_malformed_signatures(s):
    signed = s.sign(s.maker, False)
    compact = bytearray(signed.signature[:64])
    compact[32] |= (signed.signature[64] - 27) << 7
    for signature in (
        b"",
        bytes(65),
        signed.signature[:64],
        bytes(compact),
        signed.signature + b"\x00",
        signed.signature[:64] + bytes([signed.signature[64] - 27]),
    ):
        refused(s, SignedOrder(signed.order, signature))


def test_nobody_trades_for_the_zero_owner(s):
    """A signature that recovers to nothing is not the zero owner's."""
    for account in (bytes(32), (1).to_bytes(32, "big"), bytes(31) + b"\x03"):
        refused(s, SignedOrder(s.order(s.maker, False, account=account), bytes(65)))
        refused(s, s.sign(s.maker, False, account=account))


def test_an_owner_with_code_still_signs_with_its_key(s):
    """EIP-7702: the key has delegated its code."""
    wallet = s.deploy("ContractWallet", s.second.address)
    info = pyrevm.AccountInfo(code=s.chain.code(wallet.address), nonce=1)
    s.chain._evm.insert_account_info(s.maker.address, info)
    s.match(s.sign(s.taker, True), [s.sign(s.maker, False)], [WAD])


class TestDelegates:
    """A key the owner lets trade for an account."""

    def allow(self, s, expiry=None, account=None):
        expiry = s.chain.timestamp + 60 if expiry is None else expiry
        account = account or account_id(s.maker.address)
        return s.settlement.send.set_delegate(
            account, s.delegate.address, expiry, sender=s.maker.address
        )

    def test_set(self, s):
        receipt = self.allow(s, 2_000_000_000)
        account = account_id(s.maker.address)
        assert s.settlement.event(receipt, "DelegateSet").args == {
            "account": account,
            "delegate": s.delegate.address,
            "expiry": 2_000_000_000,
        }
        expiry = s.settlement.view.delegate_expiry(account, s.delegate.address)
        assert expiry == 2_000_000_000

    def test_trades_until_its_last_second(self, s):
        self.allow(s)
        signed = s.sign(s.maker, False, by=s.delegate)
        s.chain.mine(60)
        s.match(s.sign(s.taker, True), [signed], [WAD])
        s.chain.mine(1)
        refused(s, signed)

    def test_as_a_taker(self, s):
        self.allow(s)
        s.match(s.sign(s.maker, True, by=s.delegate), [s.sign(s.second, False)], [WAD])

    def test_revoked(self, s):
        self.allow(s)
        signed = s.sign(s.maker, False, by=s.delegate)
        self.allow(s, 0)
        refused(s, signed)

    def test_of_one_account_only(self, s):
        self.allow(s)
        refused(s, s.sign(s.maker, False, by=s.delegate, account=account_id(s.maker.address, 1)))
        refused(s, s.sign(s.second, False, by=s.delegate))

    def test_set_by_the_owner_only(self, s):
        self.allow(s)
        account = account_id(s.maker.address)
        for sender in (s.matcher, s.delegate.address):
            with pytest.raises(Reverted, match=r"^settlement: not the owner$"):
                s.settlement.send.set_delegate(account, s.second.address, 2**40, sender=sender)

    def test_zero_is_no_delegate(self, s):
        """Else every signature that recovers to nothing would be one."""
        with pytest.raises(Reverted, match=r"^settlement: zero delegate$"):
            s.settlement.send.set_delegate(
                account_id(s.maker.address), "0x" + "00" * 20, 2**40, sender=s.maker.address
            )

    def test_no_change(self, s):
        self.allow(s, 2**40)
        with pytest.raises(Reverted, match=r"^settlement: no change$"):
            self.allow(s, 2**40)


class TestContractWallets:
    """EIP-1271."""

    @pytest.fixture
    def wallet(self, s):
        return s.deploy("ContractWallet", s.second.address)

    def order(self, s, wallet):
        return s.order(s.maker, False, account=account_id(wallet.address))

    def test_signs(self, s, wallet):
        order = self.order(s, wallet)
        s.match(s.sign(s.taker, True), [sign_order(s.domain, order, s.second)], [WAD])
        assert s.clearinghouse.view.last_fill()[0] == [account_id(wallet.address)]

    def test_long_signatures(self, s, wallet):
        signed = sign_order(s.domain, self.order(s, wallet), s.second)
        long = SignedOrder(signed.order, signed.signature + b"\xff" * 455)
        s.match(s.sign(s.taker, True), [long], [WAD])

    def test_refuses(self, s, wallet):
        refused(s, sign_order(s.domain, self.order(s, wallet), s.maker))

    def test_reverts(self, s, wallet):
        signed = sign_order(s.domain, self.order(s, wallet), s.second)
        wallet.send.set_broken(True, sender=s.matcher)
        refused(s, signed)

    def test_contract_that_is_no_wallet(self, s):
        order = s.order(s.maker, False, account=account_id(s.clearinghouse.address))
        refused(s, sign_order(s.domain, order, s.second))

    def test_its_delegate(self, s, wallet):
        account = account_id(wallet.address)
        data = s.settlement.data.set_delegate(account, s.delegate.address, 2**40)
        wallet.send.execute(s.settlement.address, data, sender=s.second.address)
        signed = sign_order(s.domain, self.order(s, wallet), s.delegate)
        s.match(s.sign(s.taker, True), [signed], [WAD])

    def test_its_cancellation(self, s, wallet):
        signed = sign_order(s.domain, self.order(s, wallet), s.second)
        data = s.settlement.data.cancel(s.settlement.view.order_hash(signed.order))
        wallet.send.execute(s.settlement.address, data, sender=s.second.address)
        with pytest.raises(Reverted, match=r"^settlement: cancelled$"):
            s.match(s.sign(s.taker, True), [signed], [WAD])

    def test_a_key_cannot_sign_for_a_digest_of_its_choice(self, s, wallet):
        refused(s, SignedOrder(self.order(s, wallet), sign_digest(bytes(32), s.second)))
