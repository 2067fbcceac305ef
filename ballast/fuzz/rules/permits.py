"""Allowances of the fund's shares by signature (EIP-2612), apart from snekmate's `erc20`."""

from __future__ import annotations

from dataclasses import dataclass

from eth_utils import keccak

_DOMAIN_HASH = keccak(
    text="EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_PERMIT_HASH = keccak(
    text="Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)


@dataclass(frozen=True)
class Permit:
    """What an owner signs."""

    owner: str
    spender: str
    amount: int
    nonce: int
    deadline: int

    def digest(self, name: str, chain_id: int, contract: str) -> bytes:
        """For the token of a name, at an address, on a chain."""
        domain = keccak(
            _DOMAIN_HASH
            + keccak(text=name)
            + keccak(text="1")
            + _word(chain_id)
            + _word(int(contract, 16))
        )
        struct = _PERMIT_HASH + b"".join(
            _word(value)
            for value in (
                int(self.owner, 16),
                int(self.spender, 16),
                self.amount,
                self.nonce,
                self.deadline,
            )
        )
        return keccak(b"\x19\x01" + domain + keccak(struct))


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")
