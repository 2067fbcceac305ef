"""Everybody else in a crash: a population with positions, and honest keepers who come late."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from ballast import population
from ballast.adversary.arena import BPS, KEEPER, RESERVE, STAKER, WAD, Arena
from ballast.errors import Reverted
from ballast.population import PopulationConfig

KEEPER_CASH = 50_000_000 * WAD
MAKER_CASH = 200_000_000 * WAD
SPARE = 0.02
PAY_EVERY = 4


@dataclass(frozen=True)
class CrowdConfig:
    """Who is there beside the adversary; whole quote."""

    traders: int = 20
    seed: int = 7
    median_notional: float = 1_000_000.0
    insurance: int = 2_000_000
    reserve: int = 20_000
    delay: int = 1


class Crowd:
    """Traders, a maker who takes any trade at the oracle price, and a keeper `delay` steps late."""

    def __init__(self, arena: Arena, coins: dict[str, int], config: CrowdConfig) -> None:
        self._arena, self._config = arena, config
        self._since: dict[bytes, int] = {}
        self.maker = arena.person("maker", MAKER_CASH)
        self._keeper = arena.person("keeper", KEEPER_CASH)
        arena.stake(STAKER, config.insurance * WAD)
        arena.donate(RESERVE, config.reserve * WAD)
        self._people(coins)

    def _people(self, coins: dict[str, int]) -> None:
        """Draw the traders and trade them into their positions at the first prices."""
        arena, config = self._arena, self._config
        if not config.traders:
            return
        wanted = PopulationConfig(
            traders=config.traders,
            seed=config.seed,
            median_notional_quote=config.median_notional,
            max_notional_quote=10 * config.median_notional,
        )
        names = sorted(coins)
        prices = {coin: arena.prices[coins[coin]] for coin in names}
        traders = population.draw(names, wanted)
        trades = population.plan_trades(traders, prices, wanted)
        thinnest = max(arena.params[m].initial_margin_bps for m in coins.values()) / BPS
        accounts = []
        for trader in traders:
            held = sum(
                t.size_base * t.price // WAD / WAD
                for t in trades
                if trader.index in (t.buyer, t.seller)
            )
            cash = held * (max(1 / trader.leverage, thinnest) + SPARE) + 1
            accounts.append(arena.person(trader.label, int(cash) * WAD))
        arena.next_block()
        for trade in trades:
            pair = accounts[trade.buyer], accounts[trade.seller]
            arena.fill(*pair, trade.size_base, coins[trade.coin])

    # The keeper

    def begin(self) -> None:
        """A new game: nobody has been in trouble yet."""
        self._since.clear()

    def act(self, step: int, own: Sequence[bytes]) -> None:
        """Resolve whoever has been in trouble for `delay` steps, the adversary's accounts that hold
        positions (`own`) included; now and then pay claims out of open losses."""
        arena = self._arena
        for account in (*arena.others, *own):
            equity = arena.equity(account)
            if equity >= arena.house.view.margin(account)[1]:
                self._since.pop(account, None)
                continue
            since = self._since.setdefault(account, step)
            if step - since >= self._config.delay:
                self._resolve(account)
        if step % PAY_EVERY == 0:
            self._pay_claims(own)

    def _resolve(self, account: bytes) -> None:
        arena = self._arena
        if account != self._keeper:
            for market in arena.house.view.markets_of(account):
                with suppress(Reverted):
                    arena.liquidate(account, market, self._keeper, KEEPER)
        arena.resolve(account)

    def _pay_claims(self, own: Sequence[bytes]) -> None:
        """Claims that wait are paid out of the open losses of whoever has some."""
        arena = self._arena
        for group in {arena.groups[m] for m in arena.markets}:
            if arena.house.view.claims(group):
                arena.settle(*arena.others, *own)
