# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Fixed-point arithmetic
@license AGPL-3.0-only
@notice Integer division with its rounding in the name, and the signed floor that Vyper's `//` is not.
@dev Stateless. Operands are bounded by the callers (records below 2^96 or 2^128), so that no product passes
     2^256; where one did, the checked multiplication would revert.
"""

WAD: constant(uint256) = 10**18
BPS: constant(uint256) = 10_000


@internal
@pure
def _mul_div_down(a: uint256, b: uint256, denominator: uint256) -> uint256:
    """
    @return floor(a b / denominator).
    """
    return a * b // denominator


@internal
@pure
def _mul_div_up(a: uint256, b: uint256, denominator: uint256) -> uint256:
    """
    @return ceil(a b / denominator).
    """
    product: uint256 = a * b
    quotient: uint256 = product // denominator
    # At most the product.
    return unsafe_add(quotient, convert(unsafe_mul(quotient, denominator) != product, uint256))


@internal
@pure
def _floor_div(numerator: int256, denominator: uint256) -> int256:
    """
    @notice Signed division towards minus infinity (`-7 // 2` is -3 in Vyper, -4 here).
    @return floor(numerator / denominator), denominator below 2^255.
    """
    divisor: int256 = convert(denominator, int256)
    quotient: int256 = numerator // divisor
    if numerator < 0 and unsafe_mul(quotient, divisor) != numerator:
        return unsafe_sub(quotient, 1)
    return quotient


@internal
@pure
def _signed(word: uint256, negative: bool) -> int256:
    """
    @return word with a sign.
    """
    if negative:
        return -convert(word, int256)
    return convert(word, int256)


@internal
@pure
def _highest_bit(word: uint256) -> uint256:
    """
    @return Index (0 to 255) of the highest set bit; 0 for word 0.
    """
    rest: uint256 = word
    index: uint256 = 0
    if rest >> 128 != 0:
        rest >>= 128
        index = 128
    if rest >> 64 != 0:
        rest >>= 64
        index |= 64
    if rest >> 32 != 0:
        rest >>= 32
        index |= 32
    if rest >> 16 != 0:
        rest >>= 16
        index |= 16
    if rest >> 8 != 0:
        rest >>= 8
        index |= 8
    if rest >> 4 != 0:
        rest >>= 4
        index |= 4
    if rest >> 2 != 0:
        rest >>= 2
        index |= 2
    if rest >> 1 != 0:
        index |= 1
    return index


@internal
@pure
def _lowest_bit(word: uint256) -> uint256:
    """
    @return Index (0 to 255) of the lowest set bit; 0 for word 0.
    """
    return self._highest_bit(word & unsafe_sub(0, word))
