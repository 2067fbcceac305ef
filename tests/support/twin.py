"""The fuzzer's twin (ballast.fuzz.twin) on a `World` of its own, for scripted and random walks."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ballast import model
from ballast.fuzz import twin
from ballast.fuzz.arena import Arena
from ballast.fuzz.pair import Observation
from ballast.fuzz.tape import TapedRevm
from tests.support.oracles import MockOracles
from tests.support.world import DONOR, GUARDIAN, KEEPER, OWNER, VENUE, World


class Twin(twin.Twin):
    """`World` and model side by side. Calls return whether they were accepted."""

    def __init__(self, every: int = 50, retires: bool = False, **options: Any) -> None:
        """`retires`: epochs of buckets will end with members in them."""
        self.world = World(chain=TapedRevm(), **options)
        self.world.mint(DONOR, 2**90)
        super().__init__(arena_of(self.world), model_of(self.world), DONOR, KEEPER, every)
        self.retires = retires

    def new_block(self, prices: dict[int, int], seconds: int = 12) -> None:  # type: ignore[override]
        """The next block, with these prices; the other markets' are renewed."""
        said = {m: prices.get(m) or self.world.oracle.view.price(m)[0] for m in self.world.markets}
        super().new_block(seconds, lambda: [self._report(m, said[m]) for m in said])

    def set_oracle(self, market: int, price: int, status: int = 0) -> None:
        """What the oracle says from now on."""
        self.observed([self._report(market, price, status)])

    def _report(self, market: int, price: int, status: int = 0) -> Observation:
        self.arena.oracles.set_price(market, price, status)
        return market, price, self.chain.timestamp, status

    def set_adl(self, buckets: int) -> None:
        """Buckets a call takes."""
        reward = self.model.state.adl_reward_bps
        self.clearing.send.set_adl(buckets, reward, sender=OWNER)
        self.apply(lambda exact: exact.set_adl(buckets, reward))

    def report(self) -> str:
        """Largest dust of each kind against its bound, and calls run."""
        largest = sorted(self.comparison.largest.items())
        rows = [f"{kind} {off:.4g} of {bound}" for kind, (off, bound) in largest]
        counts = (
            f"{self.calls} calls, {self.refused} refused by both, {self.boundary} on a boundary,"
            f" {self.dust_slices} slices of dust, least S2 dust {self.comparison.least_dust}"
        )
        return "; ".join([f"{counts} {dict(self.actions)}", *rows])


def arena_of(world: World) -> Arena:
    """A world as the fuzzer sees it."""
    return Arena(
        world.chain,  # type: ignore[arg-type]
        world.token,
        world.vault,
        world.clearing,
        world.fund,
        world.batch,
        OWNER,
        GUARDIAN,
        VENUE,
        MockOracles(world.oracle),
    )


def model_of(world: World) -> model.Clearing:
    """The exact model of a world in which nothing has happened yet."""
    view, chain = world.clearing.view, world.chain
    exact = model.Clearing(*view.adl_params(), chain.timestamp, chain.block_number)
    names = [item.name for item in fields(model.MarketParams)]
    for market in world.markets:
        params = view.market_params(market)
        exact.list_market(model.MarketParams(*(getattr(params, name) for name in names)))
        exact.set_price(market, *world.oracle.view.price(market))
    for group in sorted(exact.state.groups):
        exact.set_group(group, *view.group_params(group))
    return exact
