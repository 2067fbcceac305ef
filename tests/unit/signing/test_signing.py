"""EIP-712: the digests are those of wallets, and a signature serves one contract and chain."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from ballast import signing
from ballast.errors import SigningError
from ballast.signing import Domain, Order

TRADER = signing.key_from_label("trader")
PUBLISHERS = [signing.key_from_label(f"publisher {i}") for i in range(5)]
DOMAIN = Domain(31_337, signing.key_from_label("contract").address)
ORDER = Order(
    account=signing.account_id(TRADER.address, 3),
    market=2,
    is_buy=True,
    size=10**18,
    limit_price=5 * 10**21,
    reduce_only=True,
    post_only=False,
    expiry=1_760_000_000,
    salt=7,
)
CHANGES = {
    "account": signing.account_id(TRADER.address, 4),
    "market": 3,
    "is_buy": False,
    "size": 10**18 + 1,
    "limit_price": 1,
    "reduce_only": False,
    "post_only": True,
    "expiry": 1_760_000_001,
    "salt": 8,
}


def test_order_is_signed_as_wallets_sign_it() -> None:
    signed = signing.sign_order(DOMAIN, ORDER, TRADER)
    message = encode_typed_data(full_message=signing.typed_order(DOMAIN, ORDER))
    assert Account.recover_message(message, signature=signed.signature) == TRADER.address
    assert len(signed.signature) == 65
    assert signed.signature[-1] in (27, 28)


def test_report_is_signed_as_wallets_sign_it() -> None:
    signed = signing.sign_price(DOMAIN, 1, 10**20, 1_760_000_000, PUBLISHERS[0])
    typed = signing.typed_report(DOMAIN, 1, 10**20, 1_760_000_000)
    message = encode_typed_data(full_message=typed)
    recovered = Account.recover_message(message, signature=signed.signature)
    assert recovered == PUBLISHERS[0].address == signed.publisher


@pytest.mark.parametrize("field", sorted(CHANGES))
def test_every_member_of_an_order_counts(field: str) -> None:
    changed = replace(ORDER, **{field: CHANGES[field]})
    assert signing.order_digest(DOMAIN, changed) != signing.order_digest(DOMAIN, ORDER)


@pytest.mark.parametrize(
    "domain", [replace(DOMAIN, chain_id=1), replace(DOMAIN, contract=TRADER.address)]
)
def test_chain_and_contract_count(domain: Domain) -> None:
    assert signing.order_digest(domain, ORDER) != signing.order_digest(DOMAIN, ORDER)
    ours = signing.report_digest(DOMAIN, 1, 2, 3)
    assert signing.report_digest(domain, 1, 2, 3) != ours


def test_account_is_owner_and_subaccount() -> None:
    account = signing.account_id(TRADER.address, 5)
    assert account.hex() == TRADER.address[2:].lower() + "0" * 23 + "5"
    assert signing.owner_of(account) == TRADER.address


@pytest.mark.parametrize("sub", [-1, 2**96])
def test_subaccount_out_of_range_is_refused(sub: int) -> None:
    with pytest.raises(SigningError, match="subaccount"):
        signing.account_id(TRADER.address, sub)


@pytest.mark.parametrize("bad", [{"account": b"short"}, {"size": -1}, {"size": 2**256}])
def test_order_that_does_not_fit_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(SigningError):
        signing.order_digest(DOMAIN, replace(ORDER, **bad))  # type: ignore[arg-type]


def test_report_is_sorted_by_publisher() -> None:
    prices = [signing.sign_price(DOMAIN, 1, 100 + i, 50 + i, p) for i, p in enumerate(PUBLISHERS)]
    report = signing.combine(prices)
    by_address = sorted(prices, key=lambda price: int(price.publisher, 16))
    assert report.prices == [price.price for price in by_address]
    assert report.timestamps == [price.timestamp for price in by_address]
    assert report.signatures == [price.signature for price in by_address]
    assert report.prices != sorted(report.prices)


def test_reports_of_two_markets_do_not_mix() -> None:
    mixed = [signing.sign_price(DOMAIN, m, 100, 50, PUBLISHERS[m]) for m in (1, 2)]
    with pytest.raises(SigningError, match="one market"):
        signing.combine(mixed)
    with pytest.raises(SigningError, match="one market"):
        signing.combine([])


def test_publisher_signs_once() -> None:
    twice = [signing.sign_price(DOMAIN, 1, price, 50, PUBLISHERS[0]) for price in (1, 2)]
    with pytest.raises(SigningError, match="twice"):
        signing.combine(twice)
