"""EIP-712 orders and price reports, as the contracts verify them.

The digests are computed here (an order's members are all static, so its struct hash is one keccak)
and signed by eth-account; a test compares them with eth-account's own encoding of typed data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_keys import keys
from eth_keys.exceptions import BadSignature, ValidationError
from eth_typing import Hash32
from eth_utils import keccak

from ballast.abi import checksum
from ballast.errors import SigningError

DOMAIN_NAME = "Ballast"
DOMAIN_VERSION = "1"
ORDER_TYPE = (
    "Order(bytes32 account,uint256 market,bool is_buy,uint256 size,uint256 limit_price,"
    "bool reduce_only,bool post_only,uint256 expiry,uint256 salt)"
)
CANCEL_TYPE = "Cancel(bytes32 order_hash)"
"""Of relays alone: it takes an order off their books. The contracts cancel by transaction."""
PRICE_REPORT_TYPE = "PriceReport(uint256 market,uint256 price,uint256 timestamp)"

_DOMAIN_HASH = keccak(
    text="EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_NAME_HASH = keccak(text=DOMAIN_NAME)
_VERSION_HASH = keccak(text=DOMAIN_VERSION)
_ORDER_HASH = keccak(text=ORDER_TYPE)
_CANCEL_HASH = keccak(text=CANCEL_TYPE)
_PRICE_REPORT_HASH = keccak(text=PRICE_REPORT_TYPE)
_SUB_BITS = 96
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


@dataclass(frozen=True, slots=True)
class Domain:
    """The EIP-712 domain of one contract on one chain."""

    chain_id: int
    contract: str

    def typed(self) -> dict[str, Any]:
        """The domain as eth-account and wallets take it."""
        return {
            "name": DOMAIN_NAME,
            "version": DOMAIN_VERSION,
            "chainId": self.chain_id,
            "verifyingContract": self.contract,
        }


@dataclass(frozen=True, slots=True)
class Order:
    """A trader's order. `size` base WAD, `limit_price` quote per base WAD, `expiry` Unix seconds.

    `salt` tells orders of one account apart; `cancel_below` cancels all below one.
    """

    account: bytes
    market: int
    is_buy: bool
    size: int
    limit_price: int
    reduce_only: bool = False
    post_only: bool = False
    expiry: int = (1 << 64) - 1
    salt: int = 0

    def as_tuple(self) -> tuple[Any, ...]:
        """The order as the contract's struct."""
        return tuple(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True, slots=True)
class SignedOrder:
    """An order and its signature (r, s, v: 65 bytes)."""

    order: Order
    signature: bytes

    def as_tuple(self) -> tuple[Any, ...]:
        """The contract's struct."""
        return (self.order.as_tuple(), self.signature)


@dataclass(frozen=True, slots=True)
class SignedPrice:
    """One publisher's price (quote per base WAD) at a time (Unix seconds), signed."""

    publisher: str
    market: int
    price: int
    timestamp: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class SignedReport:
    """Several publishers' prices of one market, sorted by publisher: the contract's struct."""

    market: int
    prices: list[int]
    timestamps: list[int]
    signatures: list[bytes]

    def as_tuple(self) -> tuple[Any, ...]:
        """The contract's struct."""
        return (self.market, self.prices, self.timestamps, self.signatures)


def account_id(owner: str, sub: int = 0) -> bytes:
    """The account of an owner's subaccount `sub` (0 to 2^96 - 1)."""
    if not 0 <= sub < 1 << _SUB_BITS:
        raise SigningError(f"subaccount {sub} is not below 2^96")
    return bytes.fromhex(owner[2:]) + sub.to_bytes(12, "big")


def owner_of(account: bytes) -> str:
    """The address that owns an account."""
    return checksum("0x" + account[:20].hex())


def key_from_label(label: str) -> LocalAccount:
    """A key derived from a public label: for tests and demos, never for anything of value."""
    signer: LocalAccount = Account.from_key(keccak(text=f"ballast: {label}"))
    return signer


@lru_cache(maxsize=256)
def _separator(domain: Domain) -> bytes:
    return keccak(
        _DOMAIN_HASH
        + _NAME_HASH
        + _VERSION_HASH
        + _word(domain.chain_id)
        + bytes(12)
        + bytes.fromhex(domain.contract[2:])
    )


def _word(value: int) -> bytes:
    try:
        return int(value).to_bytes(32, "big")
    except OverflowError:
        raise SigningError(f"{value} is no uint256") from None


def digest_of(domain: Domain, struct_hash: bytes) -> bytes:
    """What is signed for a struct of a domain."""
    return keccak(b"\x19\x01" + _separator(domain) + struct_hash)


def order_digest(domain: Domain, order: Order) -> bytes:
    """What is signed for an order; its hash on chain. Raises `SigningError`."""
    account, *rest = order.as_tuple()
    if len(account) != 32:
        raise SigningError("an account has 32 bytes")
    struct = _ORDER_HASH + account + b"".join(map(_word, rest))
    return digest_of(domain, keccak(struct))


def cancel_digest(domain: Domain, order_hash: bytes) -> bytes:
    """What is signed to take an order off a relay's book."""
    return digest_of(domain, keccak(_CANCEL_HASH + order_hash))


def report_digest(domain: Domain, market: int, price: int, timestamp: int) -> bytes:
    """What a publisher signs. Raises `SigningError`."""
    struct = _PRICE_REPORT_HASH + b"".join(map(_word, (market, price, timestamp)))
    return digest_of(domain, keccak(struct))


def typed_order(domain: Domain, order: Order) -> dict[str, Any]:
    """The order as a full EIP-712 message, for wallets."""
    names = [field.name for field in fields(Order)]
    message = dict(zip(names, order.as_tuple(), strict=True))
    return _typed(domain, "Order", ORDER_TYPE, message)


def typed_report(domain: Domain, market: int, price: int, timestamp: int) -> dict[str, Any]:
    """The price report as a full EIP-712 message, for wallets."""
    message = {"market": market, "price": price, "timestamp": timestamp}
    return _typed(domain, "PriceReport", PRICE_REPORT_TYPE, message)


def _typed(domain: Domain, name: str, kind: str, message: Mapping[str, Any]) -> dict[str, Any]:
    members = [part.split() for part in kind[kind.index("(") + 1 : -1].split(",")]
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            name: [{"name": field, "type": type_} for type_, field in members],
        },
        "primaryType": name,
        "domain": domain.typed(),
        "message": dict(message),
    }


def sign_order(domain: Domain, order: Order, signer: LocalAccount) -> SignedOrder:
    """Sign an order. Raises `SigningError`."""
    return SignedOrder(order, sign_digest(order_digest(domain, order), signer))


def sign_price(
    domain: Domain, market: int, price: int, timestamp: int, signer: LocalAccount
) -> SignedPrice:
    """Sign a price report as a publisher. Raises `SigningError`."""
    signature = sign_digest(report_digest(domain, market, price, timestamp), signer)
    return SignedPrice(signer.address, market, price, timestamp, signature)


def sign_digest(digest: bytes, signer: LocalAccount) -> bytes:
    """The signature r, s, v of a digest (65 bytes, low s)."""
    return bytes(signer.unsafe_sign_hash(Hash32(digest)).signature)


def signer_of(digest: bytes, signature: bytes) -> str:
    """Who signed a digest with r, s, v (65 bytes, low s, v 27 or 28). Raises `SigningError`."""
    r, s, v = (
        int.from_bytes(part, "big") for part in (signature[:32], signature[32:64], signature[64:])
    )
    if len(signature) != 65 or v not in (27, 28) or s > _HALF_ORDER:
        raise SigningError("not a signature r, s, v of 65 bytes with a low s")
    try:
        signed = keys.Signature(vrs=(v - 27, r, s))
        return str(signed.recover_public_key_from_msg_hash(digest).to_checksum_address())
    except (BadSignature, ValidationError) as error:
        raise SigningError(f"a signature of nobody: {error}") from error


def combine(prices: Sequence[SignedPrice]) -> SignedReport:
    """One market's report out of several publishers' prices. Raises `SigningError`."""
    markets = {price.market for price in prices}
    if len(markets) != 1:
        raise SigningError(f"one market expected, got {sorted(markets)}")
    ordered = sorted(prices, key=lambda price: int(price.publisher, 16))
    if len({price.publisher for price in ordered}) != len(ordered):
        raise SigningError("a publisher signed twice")
    return SignedReport(
        market=markets.pop(),
        prices=[price.price for price in ordered],
        timestamps=[price.timestamp for price in ordered],
        signatures=[price.signature for price in ordered],
    )
