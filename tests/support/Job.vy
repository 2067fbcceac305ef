# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title Job
@notice Test double for what a keeper calls: work that is there once, for whoever is first, and that can become heavier.
"""

event Worked:
    number: uint256


done: public(HashMap[uint256, bool])
load: public(uint256)
scratch: HashMap[uint256, uint256]


@external
def set_load(load: uint256):
    self.load = load


@external
def work(number: uint256):
    assert not self.done[number], "waterfall: account solvent"
    for i: uint256 in range(self.load, bound=1_000):
        self.scratch[i] = block.number
    self.done[number] = True
    log Worked(number=number)


@external
def idle(number: uint256):
    pass


@external
def refuse(number: uint256):
    raise "margin: liquidator below initial"
