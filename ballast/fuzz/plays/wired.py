"""Everything as it is deployed: signed orders, real oracles, and strangers at every door."""

from __future__ import annotations

from typing import Any

from ballast.fuzz.dice import Dice
from ballast.fuzz.plays.bad_reports import STRANGER
from ballast.fuzz.plays.ordering import Ordering
from ballast.fuzz.plays.strangers import Strangers
from ballast.fuzz.plays.trading import Action
from ballast.fuzz.twin import Twin


class Wired(Ordering):
    """Needs an arena of `ballast.fuzz.wiring`."""

    stranger: str = STRANGER.address
    thief: str = STRANGER.address
    """Who knocks, and would have what is behind the door."""

    def __init__(self, twin: Twin, *cast: Any) -> None:
        super().__init__(twin, *cast)
        self._strangers = Strangers(self)

    def scenes(self) -> dict[str, list[Action]]:
        """As `Ordering`, and intruders."""
        return {**super().scenes(), "intrude": [*[self.intrude] * 5, self.fill_orders]}

    def intrude(self, dice: Dice) -> None:
        """Somebody tries a door that is not for everybody."""
        self._strangers.knock(dice)
