"""The testnets' collateral: bounded per receiver and day, and a whole ERC-20 with permits."""

from __future__ import annotations

import pytest
from eth_account.messages import encode_typed_data

from ballast.build import artifact
from ballast.contract import Contract
from ballast.errors import Reverted
from ballast.evm import Revm
from ballast.signing import key_from_label

DAY = 86_400
HOLDER = key_from_label("holder")
VISITOR = key_from_label("visitor").address
STRANGER = key_from_label("stranger").address
CAP = 1_000_000 * 10**6


@pytest.fixture
def chain() -> Revm:
    return Revm()


@pytest.fixture
def token(chain: Revm) -> Contract:
    made = artifact("TestToken")
    address, _ = chain.deploy(made.deploy_code(6), sender=STRANGER)
    return Contract(chain, address, made.abi)


def test_it_says_what_it_is(token: Contract) -> None:
    view = token.view
    assert (view.name(), view.symbol(), view.decimals()) == ("Ballast Test Dollar", "tUSD", 6)
    assert view.totalSupply() == 0


def test_anyone_mints_up_to_the_days_cap(chain: Revm, token: Contract) -> None:
    assert token.view.mintable(VISITOR) == CAP
    receipt = token.send.mint(VISITOR, CAP - 1, sender=STRANGER)
    event = token.event(receipt, "Transfer")
    assert (event.receiver, event.value) == (VISITOR, CAP - 1)
    with pytest.raises(Reverted, match=r"^faucet: daily cap$"):
        token.send.mint(VISITOR, 2, sender=STRANGER)
    token.send.mint(VISITOR, 1, sender=STRANGER)
    assert (token.view.balanceOf(VISITOR), token.view.mintable(VISITOR)) == (CAP, 0)
    assert token.view.mintable(STRANGER) == CAP
    chain.mine(DAY)
    token.send.mint(VISITOR, CAP, sender=VISITOR)
    assert token.view.totalSupply() == 2 * CAP


def test_too_many_decimals_are_refused(chain: Revm) -> None:
    with pytest.raises(Reverted, match=r"^faucet: too many decimals$"):
        chain.deploy(artifact("TestToken").deploy_code(19), sender=STRANGER)


def test_nobody_owns_it(token: Contract) -> None:
    names = set(token.interface.functions)
    assert not names & {"owner", "set_minter", "transfer_ownership", "burn", "is_minter"}


def test_permit_approves_by_signature(chain: Revm, token: Contract) -> None:
    token.send.mint(HOLDER.address, 50, sender=STRANGER)
    deadline = chain.timestamp + 60
    domain = {
        "name": "Ballast Test Dollar",
        "version": "1",
        "chainId": chain.chain_id,
        "verifyingContract": token.address,
    }
    fields = ("owner", "spender", "value", "nonce", "deadline")
    kinds = ("address", "address", "uint256", "uint256", "uint256")
    types = {"Permit": [{"name": n, "type": t} for n, t in zip(fields, kinds, strict=True)]}
    message = dict(zip(fields, (HOLDER.address, VISITOR, 30, 0, deadline), strict=True))
    signed = HOLDER.sign_message(encode_typed_data(domain, types, message))
    parts = (signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big"))
    token.send.permit(HOLDER.address, VISITOR, 30, deadline, *parts, sender=STRANGER)
    token.send.transferFrom(HOLDER.address, STRANGER, 30, sender=VISITOR)
    assert token.view.balanceOf(STRANGER) == 30
    with pytest.raises(Reverted):
        token.send.permit(HOLDER.address, VISITOR, 30, deadline, *parts, sender=STRANGER)
