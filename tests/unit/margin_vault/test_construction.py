"""What the vault is built from."""

import pytest

from ballast.build import artifact
from ballast.chain import ZERO_ADDRESS
from ballast.errors import Reverted


@pytest.mark.parametrize("decimals", [0, 6, 8, 18])
def test_scale_follows_the_decimals(make, decimals):
    s = make(decimals=decimals)
    assert s.vault.view.scale() == 10 ** (18 - decimals)


def test_wires_are_public(s):
    assert s.vault.view.asset() == s.token.address
    assert s.vault.view.clearinghouse() == s.clearinghouse.address
    assert s.vault.view.insurance_fund().lower() == s.fund


def test_nineteen_decimals_are_refused(make):
    with pytest.raises(Reverted, match=r"^vault: decimals above 18$"):
        make(decimals=19)


@pytest.mark.parametrize(
    ("place", "reason"),
    [(0, "zero asset"), (1, "zero clearinghouse"), (2, "zero insurance fund")],
)
def test_zero_addresses_are_refused(s, place, reason):
    wires = [s.token.address, s.clearinghouse.address, s.fund]
    wires[place] = ZERO_ADDRESS
    with pytest.raises(Reverted, match=f"^vault: {reason}$"):
        s.chain.deploy(artifact("MarginVault").deploy_code(*wires), sender=s.owner)
