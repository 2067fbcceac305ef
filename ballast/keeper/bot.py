"""A keeper as a silverback bot: silverback tells of blocks, the keeper does the rest.

    runner ──(a task a block)──> broker ──> one of the workers: Keeper.look

Each worker process has one keeper, with a mirror and a signer of its own; it catches up with the
chain whenever a block falls to it. Which worker gets which block does not matter: what each is at
is in the shared database (ballast/keeper/claims.py).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

import click
from ape import chain
from silverback import SilverbackBot
from silverback.main import SharedState
from silverback.settings import Settings

from ballast.errors import BallastError
from ballast.keeper import command
from ballast.keeper.actions import Kind
from ballast.keeper.keeper import Keeper
from ballast.keeper.settings import log_as_json


class Worker:
    """The keeper of a worker process, which does one thing at a time."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self._kinds = tuple(kind.value for kind in kinds)
        self._keeper: Keeper | None = None
        self._held = ExitStack()
        self._turn = asyncio.Lock()

    def start(self, provider: Any) -> None:
        """Open the keeper that the environment asks for. Raises `BallastError`."""
        if self._keeper is not None:
            return  # another of this process's workers has
        asked = command.from_environment()
        asked["do"] = asked["do"] or self._kinds
        host, port = asked.pop("host"), asked.pop("port")
        keeper = self._held.enter_context(command.opened(provider, **asked))
        self._held.enter_context(command.served(keeper, host, port))
        self._keeper = keeper

    async def look(self) -> dict[str, int]:
        """Work the chain's latest block through; what was seen of it, nothing where it is not new
        or the step has failed."""
        assert self._keeper is not None
        async with self._turn:
            made = await asyncio.to_thread(self._keeper.look)
        if made is None:
            return {}
        return {
            "bankrupt": made.bankrupt,
            "liquidatable": made.liquidatable,
            "planned": len(made.actions),
        }

    async def stop(self) -> None:
        """Let go of everything, after the step in hand."""
        async with self._turn:
            self._held.close()


def keeper_bot(name: str, kinds: Iterable[Kind]) -> SilverbackBot:
    """A bot with the options of `ape run keeper`, from the environment. It does `kinds` of actions
    where `BALLAST_KEEPER_DO` names no others; `name` is that of its folder in
    `.silverback-sessions`."""
    bot = SilverbackBot(Settings(BOT_NAME=os.environ.get("SILVERBACK_BOT_NAME", name)))
    worker = Worker(kinds)

    @bot.on_worker_startup()
    def start(state: Any) -> None:
        log_as_json()
        if not hasattr(bot, "state"):
            # The runner has it made by one worker alone, and every task writes to it.
            bot.state = SharedState()
        try:
            worker.start(bot.provider)
        except BallastError as error:
            raise click.ClickException(str(error)) from error

    @bot.on_(chain.blocks)
    async def on_block(block: Any) -> dict[str, int]:
        return await worker.look()

    @bot.on_worker_shutdown()
    async def stop(state: Any) -> None:
        await worker.stop()

    return bot
