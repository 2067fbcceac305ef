"""What a run does: actions of traders, keepers, stakers, publishers, owner and guardian.

Each play adds to the one before it:

    Trading -> Keeping -> Staking -> Governing -> Publishing -> Feeding -> Ordering -> Wired
"""

from ballast.fuzz.plays.governing import Governing
from ballast.fuzz.plays.keeping import Keeping
from ballast.fuzz.plays.staking import Staking
from ballast.fuzz.plays.trading import Trading
from ballast.fuzz.plays.wired import Wired

__all__ = ["Governing", "Keeping", "Staking", "Trading", "Wired"]
