# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Signatures
@license AGPL-3.0-only
@notice Who signed a digest: key or contract wallet. Shared by order settlement and the signed oracle.
@dev Stateless. Nothing here reverts on a bad signature: the caller has its own reason for it, and a wallet's
     own signature may have any shape. (snekmate's `ecdsa` reverts with its own reasons and takes the compact
     64-byte form as well, hence not used.)
"""

# Longest signature read: an EIP-1271 wallet with several owners concatenates theirs (8 x 65).
MAX_SIGNATURE: constant(uint256) = 520

# Half the order of secp256k1. (r, s) and (r, order - s) recover alike; only the lower is taken, so that a
# third party cannot make a second signature out of one it has seen.
_S_MAX: constant(uint256) = (
    57_896_044_618_658_097_711_785_492_504_343_953_926_418_782_139_537_452_191_302_581_570_759_080_747_168
)

# `bytes4(keccak256("isValidSignature(bytes32,bytes)"))`, the call's selector and its answer (EIP-1271).
_EIP1271_MAGIC: constant(bytes4) = 0x1626BA7E


@pure
@internal
def _recover(digest: bytes32, signature: Bytes[MAX_SIGNATURE]) -> address:
    """
    @dev The key's address of a 65-byte signature r, s, v (v 27 or 28, as the precompile demands); zero if
         it is not a valid one. A caller that compares with an address must refuse zero.
    """
    if len(signature) != 65:
        return empty(address)
    s: uint256 = extract32(signature, 32, output_type=uint256)
    if s > _S_MAX:
        return empty(address)
    return ecrecover(
        digest, convert(slice(signature, 64, 1), uint256), extract32(signature, 0, output_type=uint256), s
    )


@view
@internal
def _wallet_accepts(wallet: address, digest: bytes32, signature: Bytes[MAX_SIGNATURE]) -> bool:
    """
    @dev Whether a contract wallet takes the signature for its own (EIP-1271). The call is static and at most
         32 bytes of the answer are copied; an address without code answers nothing, which is not the magic.
    """
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        wallet,
        abi_encode(digest, signature, method_id=_EIP1271_MAGIC),
        max_outsize=32,
        is_static_call=True,
        revert_on_failure=False,
    )
    return success and len(answer) == 32 and convert(answer, bytes32) == convert(_EIP1271_MAGIC, bytes32)
