# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title ContractWallet
@license AGPL-3.0-only
@notice Test double, not for production: a contract wallet (EIP-1271) of one key. A signature of it is the key's
        65 bytes, with anything behind them.
"""

MAGIC: constant(bytes4) = 0x1626BA7E

owner: public(immutable(address))
is_broken: public(bool)


@deploy
def __init__(owner_: address):
    owner = owner_


@external
def set_broken(is_broken: bool):
    """
    @notice A broken wallet reverts when asked for a signature.
    @param is_broken Whether it is.
    """
    self.is_broken = is_broken


@external
def execute(target: address, data: Bytes[4_096]):
    """
    @notice Calls with the wallet as the caller; the owner alone may.
    @param target Who is called.
    @param data With what.
    """
    assert msg.sender == owner, "wallet: not the owner"
    raw_call(target, data)


@view
@external
def isValidSignature(digest: bytes32, signature: Bytes[520]) -> bytes4:
    assert not self.is_broken, "wallet: broken"
    if len(signature) < 65:
        return empty(bytes4)
    signer: address = ecrecover(
        digest,
        convert(slice(signature, 64, 1), uint256),
        extract32(signature, 0, output_type=uint256),
        extract32(signature, 32, output_type=uint256),
    )
    if signer != owner:
        return empty(bytes4)
    return MAGIC
