"""Closes bankrupt accounts against the queue, lets losers pay the claims that wait, and keeps the
queue in order: `silverback run deleverager`."""

from __future__ import annotations

from ballast.keeper.actions import Kind
from ballast.keeper.bot import keeper_bot

bot = keeper_bot("deleverager", [Kind.DELEVERAGE, Kind.SETTLE, Kind.REFRESH])
