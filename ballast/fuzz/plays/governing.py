"""Owner and guardian: parameters, listings, pauses, venues, ownership; operators of traders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from ballast.config import MarketParams
from ballast.fuzz.dice import Dice
from ballast.fuzz.dust import WAD
from ballast.fuzz.plays.staking import DAY, Staking
from ballast.fuzz.plays.trading import Action
from ballast.fuzz.twin import Twin
from ballast.model import MarketParams as ExactParams
from ballast.signing import account_id, owner_of

ZERO = "0x" + "00" * 20
NOT_OWNER = "ownable: caller is not the owner"
MOST_MARKETS = 8
OUT_OF_BOUNDS: tuple[tuple[str, dict[str, int]], ...] = (
    ("listing: margin", {"maintenance_margin_bps": 50}),
    ("listing: margin", {"initial_margin_bps": 10_001}),
    ("listing: fee", {"taker_fee_bps": 101}),
    ("listing: shares", {"fee_insurance_share_bps": 10_001}),
    ("listing: shares", {"liquidator_share_bps": 10_001}),
    ("listing: penalty", {"liquidation_penalty_bps": 10_000}),
    ("listing: target", {"liquidation_target_bps": 9_999}),
    ("listing: band", {"price_band_bps": 2_001}),
    ("listing: caps", {"position_cap_base": 0}),
    ("listing: minimum", {"min_notional_quote": 0}),
    ("listing: reward", {"min_reward_quote": 1}),
    ("listing: insurance cap", {"insurance_cap_quote": 2**96}),
    ("listing: refill", {"insurance_refill_seconds": 3_599}),
    ("listing: premium cap", {"premium_cap_bps": 1_001}),
    ("listing: funding cap", {"funding_cap_bps": 401}),
    ("listing: window", {"premium_window_seconds": 0}),
)


class Governing(Staking):
    """What the owner may change he changes, inside the bounds; what raises margins waits."""

    def __init__(
        self,
        twin: Twin,
        people: Sequence[bytes],
        drained: Sequence[bytes],
        stakers: Sequence[str],
        heir: str,
    ) -> None:
        """`heir` is the other one of two owners, who hand ownership to and fro."""
        super().__init__(twin, people, drained, stakers)
        self.heir = heir
        self.announced: dict[tuple[int, MarketParams], int] = {}
        self.operators: dict[tuple[str, str], int] = {}

    def scenes(self) -> dict[str, list[Action]]:
        """As `Staking`, and the owner's and the guardian's days."""
        return {
            **super().scenes(),
            "govern": [
                *[self.change_market] * 4,
                self.raise_margin,
                self.raise_margin,
                self.out_of_bounds,
                self.list_market,
                self.change_group,
                self.change_adl,
                self.pause,
                self.pause,
                self.change_guardian,
                self.change_venue,
                self.hand_over,
                self.collect_fees,
                self.operate,
                self.operate,
                self.wait,
                self.fill,
            ],
        }

    # Markets

    def change_market(self, dice: Dice) -> None:
        """Anything that raises no requirement."""
        market = self.market(dice)
        old = self.listed(market)
        changes: tuple[dict[str, int], ...] = (
            {"initial_margin_bps": max(old.maintenance_margin_bps + 1, old.initial_margin_bps - 7)},
            {"taker_fee_bps": dice.pick((0, 5, 20)), "maker_fee_bps": 0},
            {"fee_insurance_share_bps": dice.pick((0, 3_000, 7_000))},
            {"liquidation_penalty_bps": dice.below(old.maintenance_margin_bps + 1)},
            {"liquidator_share_bps": dice.pick((0, 5_000, 6_000))},
            {"liquidation_target_bps": dice.pick((10_000, 12_000, 30_000))},
            {"price_band_bps": dice.pick((100, 1_000, 2_000))},
            {"min_notional_quote": dice.pick((1, 5, 50)) * WAD},
            {"min_reward_quote": dice.pick((0, 1, 20)) * WAD},
            {"insurance_cap_quote": dice.pick((0, 10, 1_000, 10**6)) * WAD},
            {"insurance_refill_seconds": dice.pick((3_600, DAY, 30 * DAY))},
            {"premium_cap_bps": dice.pick((0, 200, 1_000))},
            {"funding_cap_bps": dice.pick((0, 75, 400))},
            {"premium_window_seconds": dice.pick((60, 3_600))},
            {"position_cap_base": dice.pick((old.interest_cap_base, old.interest_cap_base // 7))},
        )
        changed = replace(old, **dice.pick(changes))  # type: ignore[arg-type]
        self._set_market(market, changed)

    def raise_margin(self, dice: Dice) -> None:
        """Announced, and taken two days later; before that, or unannounced, refused."""
        if self.announced and dice.chance(70):
            market, params = dice.pick(list(self.announced))
            if params.initial_margin_bps > self.listed(market).initial_margin_bps:
                return self._set_market(market, params)
            del self.announced[market, params]
            return None
        market = self.market(dice)
        old = self.listed(market)
        raised = replace(
            old,
            initial_margin_bps=min(2_000, old.initial_margin_bps + 1 + dice.below(200)),
            maintenance_margin_bps=min(900, old.maintenance_margin_bps + dice.below(60)),
        )
        if raised.initial_margin_bps <= max(old.initial_margin_bps, raised.maintenance_margin_bps):
            return None
        if dice.chance(15):
            return self._set_market(market, raised)
        effective_at = self.twin.chain.timestamp + 2 * DAY
        house, owner = self.twin.clearing.send, self.twin.arena.owner
        self.twin.must(
            "clearinghouse.announce",
            lambda: house.announce(market, raised.as_tuple(), sender=owner),
        )
        self.announced[market, raised] = effective_at
        self.twin.checked(())
        return None

    def _set_market(self, market: int, params: MarketParams) -> None:
        old, twin = self.listed(market), self.twin

        def send() -> Any:
            return twin.clearing.send.set_market(market, params.as_tuple(), sender=twin.arena.owner)

        raises = (
            params.initial_margin_bps > old.initial_margin_bps
            or params.maintenance_margin_bps > old.maintenance_margin_bps
        )
        effective_at = self.announced.get((market, params))
        if raises and (effective_at is None or twin.chain.timestamp < effective_at):
            twin.must_refuse("clearinghouse.set_market", send, "listing: not announced")
            return
        if raises:
            del self.announced[market, params]
        twin.governed(
            "clearinghouse.set_market",
            send,
            lambda exact: exact.set_market(market, exactly(params)),
        )

    def out_of_bounds(self, dice: Dice) -> None:
        """A parameter outside its hard bounds."""
        market, (reason, change) = self.market(dice), dice.pick(OUT_OF_BOUNDS)
        params = replace(self.listed(market), **change)  # type: ignore[arg-type]
        twin = self.twin
        twin.must_refuse(
            "clearinghouse.set_market",
            lambda: twin.clearing.send.announce(market, params.as_tuple(), sender=twin.arena.owner),
            reason,
        )

    def list_market(self, dice: Dice) -> None:
        """Another market, like one that is there."""
        twin = self.twin
        if len(twin.markets) >= MOST_MARKETS:
            return self.change_market(dice)
        like = self.market(dice)
        params, price = self.listed(like), self.first_prices[like]
        market = len(twin.markets) + 1

        def listed(exact: Any) -> None:
            exact.list_market(exactly(params))

        twin.governed(
            "clearinghouse.list_market",
            lambda: twin.clearing.send.list_market(params.as_tuple(), sender=twin.arena.owner),
            listed,
        )
        self.first_prices[market] = price
        twin.arena.oracles.set_price(market, price, 0)
        twin.observed([(market, price, twin.chain.timestamp, 0)])
        return None

    def listed(self, market: int) -> MarketParams:
        """Parameters as the contract has them."""
        shown = self.twin.clearing.view.market_params(market)
        return MarketParams(*(getattr(shown, field.name) for field in fields(MarketParams)))

    # Groups, queue, pauses

    def change_group(self, dice: Dice) -> None:
        """Its insurance allowance."""
        twin, group = self.twin, dice.pick(self.twin.groups)
        cap, refill = dice.pick((0, 20, 500, 10**5)) * WAD, dice.pick((3_600, DAY, 30 * DAY))
        twin.governed(
            "clearinghouse.set_group",
            lambda: twin.clearing.send.set_group(group, cap, refill, sender=twin.arena.owner),
            lambda exact: exact.set_group(group, cap, refill),
        )

    def change_adl(self, dice: Dice) -> None:
        """Buckets a call, reward; hardly ever out of bounds."""
        twin, buckets, reward = self.twin, 1 + dice.below(8), dice.pick((0, 2, 50))
        house, owner = twin.clearing.send, twin.arena.owner
        if dice.chance(10):
            twin.must_refuse(
                "clearinghouse.set_adl",
                lambda: house.set_adl(201, reward, sender=owner),
                "listing: buckets",
            )
            return
        twin.governed(
            "clearinghouse.set_adl",
            lambda: house.set_adl(buckets, reward, sender=owner),
            lambda exact: exact.set_adl(buckets, reward),
        )

    def pause(self, dice: Dice) -> None:
        """By the guardian or the owner; the owner alone ends it."""
        twin = self.twin
        state = twin.model.state
        now_paused = [m for m, market in state.markets.items() if market.paused]
        market = 0 if state.all_paused or dice.chance(20) else self.market(dice)
        if now_paused and dice.chance(70):
            market = now_paused[0]
        paused = state.all_paused if market == 0 else state.markets[market].paused
        caller = dice.pick((twin.arena.guardian, twin.arena.owner))

        def send() -> Any:
            return twin.clearing.send.pause(market, not paused, sender=caller)

        if paused and caller == twin.arena.guardian:
            twin.must_refuse("clearinghouse.pause", send, "governance: not the guardian")
            caller = twin.arena.owner
        twin.governed("clearinghouse.pause", send, lambda exact: exact.pause(market, not paused))

    # Roles

    def change_guardian(self, dice: Dice) -> None:
        """One guardian for another."""
        twin, arena = self.twin, self.twin.arena
        other = owner_of(dice.pick(self.people))
        if other == arena.guardian:
            return
        twin.governed(
            "clearinghouse.set_guardian",
            lambda: twin.clearing.send.set_guardian(other, sender=arena.owner),
            lambda exact: None,
        )
        arena.guardian = other

    def change_venue(self, dice: Dice) -> None:
        """The venue goes, is refused, and comes back; seldom without it."""
        twin, house, arena = self.twin, self.twin.clearing.send, self.twin.arena
        self._owners("set_venue", arena.venue, False)
        twin.must_refuse(
            "clearinghouse.fill",
            lambda: house.fill(
                1, self.people[0], self.people[1], WAD, 100 * WAD, sender=arena.venue
            ),
            "clearing: not a venue",
        )
        self._owners("set_venue", arena.venue, True)
        twin.must_refuse(
            "clearinghouse.set_venue",
            lambda: house.set_venue(ZERO, dice.chance(50), sender=arena.owner),
            "listing: zero venue",
        )

    def hand_over(self, dice: Dice) -> None:
        """Ownership in two steps, between two owners; nobody else can take it."""
        twin, house, arena = self.twin, self.twin.clearing.send, self.twin.arena
        thief = owner_of(dice.pick(self.people))
        self._owners("transfer_ownership", self.heir)
        if thief != self.heir:
            twin.must_refuse(
                "clearinghouse.accept_ownership",
                lambda: house.accept_ownership(sender=thief),
                "ownable_2step: caller is not the new owner",
            )
        heir = self.heir
        twin.governed(
            "clearinghouse.accept_ownership",
            lambda: house.accept_ownership(sender=heir),
            lambda exact: None,
        )
        self.heir, arena.owner = arena.owner, heir
        former = self.heir
        twin.must_refuse(
            "clearinghouse.set_adl",
            lambda: house.set_adl(8, 0, sender=former),
            NOT_OWNER,
        )

    def collect_fees(self, dice: Dice) -> None:
        """The protocol's fees, as far as there are any."""
        twin = self.twin
        fees = twin.holdings.fees // twin.scale
        units = int(fees * dice.between(0, 1))
        if dice.chance(20):
            units = fees + 1
        owner = twin.arena.owner

        def send() -> Any:
            return twin.vault.send.collect_fees(units, owner, sender=owner)

        if units == 0:
            twin.must_refuse("vault.collect_fees", send, "vault: zero amount")
        elif units > fees:
            twin.must_refuse("vault.collect_fees", send, "vault: insufficient balance")
        else:
            twin.governed(
                "vault.collect_fees",
                send,
                lambda exact: exact.collect_fees(units * twin.scale),
            )

    def operate(self, dice: Dice) -> None:
        """A trader lets somebody liquidate into his account, or not any more; who tries does it
        for somebody below maintenance, if there is anybody."""
        twin, house = self.twin, self.twin.clearing.send
        owner = owner_of(dice.pick(self.people))
        operator = owner_of(dice.pick(self.people))
        if dice.chance(60) or owner == operator:
            expiry = dice.pick((0, 1, twin.chain.timestamp + 3_600, 2**255))
            self.operators[owner, operator] = expiry
            twin.governed(
                "clearinghouse.set_operator",
                lambda: house.set_operator(operator, expiry, sender=owner),
                lambda exact: None,
            )
            return
        if (owner, operator) not in self.operators:  # given before the run, if at all
            expiry = twin.clearing.view.operator_expiry(owner, operator)
            self.operators[owner, operator] = int(expiry)
        may = self.operators[owner, operator] > twin.chain.timestamp
        liquidator = account_id(owner)
        weak = [who for who in self.weak() if who != liquidator and twin.markets_of(who)]
        if not may:
            twin.must_refuse(
                "clearinghouse.liquidate",
                lambda: house.liquidate(self.people[0], 1, 1, liquidator, sender=operator),
                "liquidation: not the operator",
            )
        elif weak:
            who = dice.pick(weak)
            twin.liquidate(who, dice.pick(twin.markets_of(who)), liquidator, 1.0, operator)

    def _owners(self, name: str, *args: Any) -> None:
        """A call of the owner's that changes nothing the model knows; refused to anybody else."""
        twin, arena = self.twin, self.twin.arena
        call: Callable[..., Any] = getattr(twin.clearing.send, name)
        stranger = self.stakers[0]
        twin.must_refuse(f"clearinghouse.{name}", lambda: call(*args, sender=stranger), NOT_OWNER)
        twin.governed(
            f"clearinghouse.{name}",
            lambda: call(*args, sender=arena.owner),
            lambda exact: None,
        )


def exactly(params: MarketParams) -> ExactParams:
    """The same for the model, which knows no oracle's address."""
    known = {field.name for field in fields(ExactParams)}
    return ExactParams(**{k: v for k, v in asdict(params).items() if k in known})
