"""Takes positions over from accounts below maintenance: `silverback run liquidator`."""

from __future__ import annotations

from ballast.keeper.actions import Kind
from ballast.keeper.bot import keeper_bot

bot = keeper_bot("liquidator", [Kind.LIQUIDATE, Kind.ALLOW])
