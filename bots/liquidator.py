"""`silverback run liquidator --network ...`: the keeper of `ape run keeper` as a silverback bot.

Its options are the same, read from the environment alone (`BALLAST_KEEPER_MAX_SPEND` for
`--max-spend`); the signer is `BALLAST_KEEPER_KEY_ENV`'s. Silverback brings the blocks: one that
comes while another is worked through is left out, the next one shows all there is.
"""

from __future__ import annotations

import threading
from typing import Annotated, Any

from ape import chain
from silverback import SilverbackBot
from taskiq import Context, TaskiqDepends

from ballast.keeper import settings

bot = SilverbackBot()
_turn = threading.Lock()


@bot.on_worker_startup()
def begin(state: Any) -> None:
    """Read the mirror as far as the store goes."""
    settings.log_as_json()
    state.keeper = settings.from_environment(bot.provider)


@bot.on_(chain.blocks)
def look(block: Any, context: Annotated[Context, TaskiqDepends()]) -> dict[str, int] | None:
    """Work the latest block through; what was seen, as silverback's metrics."""
    if not _turn.acquire(blocking=False):
        return None
    try:
        made = context.state.keeper.look()
    finally:
        _turn.release()
    if made is None:
        return None
    return {
        "bankrupt": made.bankrupt,
        "liquidatable": made.liquidatable,
        "planned": len(made.actions),
    }
