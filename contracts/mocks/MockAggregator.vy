# pragma version 0.4.3
# SPDX-License-Identifier: AGPL-3.0-only
"""
@title MockAggregator
@license AGPL-3.0-only
@notice Test double, not for production: a Chainlink feed (or sequencer-uptime feed) whose rounds are set at
        will. A round never set answers zeros; the latest round and the history can each be made to revert.
"""

from interfaces import IAggregatorV3

implements: IAggregatorV3


struct Round:
    answer: int256
    started_at: uint256
    updated_at: uint256
    answered_in: uint80


decimals: public(uint8)
latest_round: public(uint80)
is_latest_broken: public(bool)
is_history_broken: public(bool)
_rounds: HashMap[uint80, Round]


@deploy
def __init__(decimals_: uint8):
    self.decimals = decimals_


@external
def set_decimals(decimals_: uint8):
    self.decimals = decimals_


@external
def set_round(round_id: uint80, answer: int256, started_at: uint256, updated_at: uint256, answered_in: uint80):
    """
    @notice Sets a round and makes it the latest.
    """
    self._rounds[round_id] = Round(
        answer=answer, started_at=started_at, updated_at=updated_at, answered_in=answered_in
    )
    self.latest_round = round_id


@external
def set_broken(is_latest_broken: bool, is_history_broken: bool):
    self.is_latest_broken = is_latest_broken
    self.is_history_broken = is_history_broken


@view
@external
def latestRoundData() -> (uint80, int256, uint256, uint256, uint80):
    assert not self.is_latest_broken, "aggregator: broken"
    return self._data(self.latest_round)


@view
@external
def getRoundData(round_id: uint80) -> (uint80, int256, uint256, uint256, uint80):
    assert not self.is_history_broken, "aggregator: no data present"
    return self._data(round_id)


@view
@internal
def _data(round_id: uint80) -> (uint80, int256, uint256, uint256, uint80):
    r: Round = self._rounds[round_id]
    return round_id, r.answer, r.started_at, r.updated_at, r.answered_in
