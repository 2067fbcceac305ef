"""Every door that is not for everybody, and what somebody who has no business there is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eth_utils import keccak

from ballast import build
from ballast.contract import Contract
from ballast.fuzz.desk import PUBLISHERS
from ballast.fuzz.dice import Dice
from ballast.fuzz.dust import WAD
from ballast.fuzz.plays.governing import NOT_OWNER

if TYPE_CHECKING:
    from ballast.fuzz.plays.wired import Wired

PAST_IT = "governance: call the clearinghouse"
NOT_HEIR = "ownable_2step: caller is not the new owner"
FEES, POOL = (2).to_bytes(32, "big"), (2**64 + 1).to_bytes(32, "big")
ZERO_ACCOUNT = bytes(31) + b"\x07"
PARTS = {
    "governance": ("GOVERNANCE", "Governance"),
    "settlement_engine": ("SETTLEMENT", "SettlementEngine"),
    "liquidation_engine": ("LIQUIDATION", "LiquidationEngine"),
    "waterfall_engine": ("WATERFALL", "WaterfallEngine"),
    "lens": ("LENS", "Lens"),
}
"""Contracts whose code the clearinghouse runs: the view of their address, and their build."""


@dataclass(frozen=True)
class Door:
    """A call that the caller has no right to. `args` are worked out from the play at hand."""

    contract: str
    function: str
    args: Callable[[Wired], tuple[Any, ...]]
    reason: str

    @property
    def name(self) -> str:
        """As it is counted."""
        return f"{self.contract}.{self.function}"


def _plain(*args: Any) -> Callable[[Wired], tuple[Any, ...]]:
    return lambda play: args


def _params(*before: Any) -> Callable[[Wired], tuple[Any, ...]]:
    return lambda play: (*before, play.listed(1).as_tuple())


def _with_account(*after: Any) -> Callable[[Wired], tuple[Any, ...]]:
    return lambda play: (play.people[0], *after)


def _self_dealing(play: Wired) -> tuple[Any, ...]:
    return play.people[0], play.people[1], WAD


DOORS: tuple[Door, ...] = (
    # The vault
    Door("vault", "move", _self_dealing, "vault: not the clearinghouse"),
    Door("vault", "charge", _with_account(WAD, 0, 0), "vault: not the clearinghouse"),
    Door("vault", "mark_fresh", _with_account(WAD), "vault: not the clearinghouse"),
    Door("vault", "stake", _plain(1), "vault: not the insurance fund"),
    Door("vault", "unstake", lambda p: (1, p.thief), "vault: not the insurance fund"),
    Door("vault", "collect_fees", lambda p: (1, p.thief), "vault: not the protocol owner"),
    Door("vault", "withdraw", lambda p: (p.people[0], 1, p.thief), "vault: not the owner"),
    Door("vault", "donate", _plain(FEES, 1), "vault: key takes no gifts"),
    Door(
        "vault", "donate", _plain((2**64 + 1).to_bytes(32, "big"), 1), "vault: key takes no gifts"
    ),
    Door("vault", "deposit", _plain(ZERO_ACCOUNT, 1), "vault: zero owner"),
    # The clearinghouse
    Door("clearinghouse", "fill", lambda p: (1, *p.people[:2], WAD, WAD), "clearing: not a venue"),
    Door(
        "clearinghouse",
        "fill_orders",
        lambda p: (1, p.people[0], True, p.people[1:2], [WAD], [WAD]),
        "clearing: not a venue",
    ),
    Door("clearinghouse", "release", _with_account(1), "clearing: not the vault"),
    Door(
        "clearinghouse",
        "liquidate",
        lambda p: (p.people[0], 1, WAD, p.people[1]),
        "liquidation: not the operator",
    ),
    Door("clearinghouse", "list_market", _params(), NOT_OWNER),
    Door("clearinghouse", "announce", _params(1), NOT_OWNER),
    Door("clearinghouse", "set_market", _params(1), NOT_OWNER),
    Door("clearinghouse", "set_group", _plain(1, 0, 86_400), NOT_OWNER),
    Door("clearinghouse", "set_adl", _plain(1, 100), NOT_OWNER),
    Door("clearinghouse", "set_venue", lambda p: (p.thief, True), NOT_OWNER),
    Door("clearinghouse", "set_guardian", lambda p: (p.thief,), NOT_OWNER),
    Door("clearinghouse", "pause", _plain(0, True), "governance: not the guardian"),
    Door("clearinghouse", "pause", _plain(1, False), "governance: not the guardian"),
    Door("clearinghouse", "transfer_ownership", lambda p: (p.thief,), NOT_OWNER),
    Door("clearinghouse", "accept_ownership", _plain(), NOT_HEIR),
    # Its parts, past its storage
    Door("governance", "list_market", _params(), PAST_IT),
    Door("governance", "announce", _params(1), PAST_IT),
    Door("governance", "set_market", _params(1), PAST_IT),
    Door("governance", "set_group", _plain(1, 0, 86_400), PAST_IT),
    Door("governance", "set_adl", _plain(1, 0), PAST_IT),
    Door("governance", "set_venue", lambda p: (p.thief, True), PAST_IT),
    Door("governance", "set_guardian", lambda p: (p.thief,), PAST_IT),
    Door("governance", "pause", _plain(0, True), PAST_IT),
    Door("governance", "transfer_ownership", lambda p: (p.thief,), NOT_OWNER),
    Door("governance", "accept_ownership", _plain(), NOT_HEIR),
    Door("settlement_engine", "settle", _with_account(), "settlement: call the clearinghouse"),
    Door("settlement_engine", "refresh", _with_account(), "settlement: call the clearinghouse"),
    Door("settlement_engine", "release", _with_account(1), "settlement: call the clearinghouse"),
    Door(
        "liquidation_engine",
        "liquidate",
        lambda p: (p.people[0], 1, WAD, p.people[1]),
        "liquidation: call the clearinghouse",
    ),
    Door("waterfall_engine", "deleverage", _with_account(), "waterfall: call the clearinghouse"),
    Door("waterfall_engine", "deleverage_many", _plain([]), "waterfall: call the clearinghouse"),
    Door("lens", "equity", _with_account(), "lens: call the clearinghouse"),
    Door("lens", "market_params", _plain(1), "lens: call the clearinghouse"),
    Door(
        "batch",
        "liquidate_many",
        lambda p: ([(p.people[0], 1, WAD)], p.people[1]),
        "batch: not the operator",
    ),
    # Orders
    Door("orders", "cancel_below", _with_account(2**255), "settlement: not the owner"),
    Door(
        "orders",
        "set_delegate",
        lambda p: (p.people[0], p.thief, 2**255),
        "settlement: not the owner",
    ),
    # The fund
    Door(
        "fund",
        "transferFrom",
        lambda p: (p.stakers[0], p.thief, 1),
        "erc20: insufficient allowance",
    ),
    Door("fund", "request_redeem", _plain(1), "fund: insufficient shares"),
    Door("fund", "cancel_redeem", _plain(), "fund: no request"),
    # Oracles
    Door("oracle", "set_market", _plain(1, 86_400, 5_000), NOT_OWNER),
    Door("oracle", "set_publishers", lambda p: ([p.thief], 1), NOT_OWNER),
    Door("oracle", "transfer_ownership", lambda p: (p.thief,), NOT_OWNER),
    Door("oracle", "accept_ownership", _plain(), NOT_HEIR),
    Door("chainlink", "set_feed", lambda p: (1, p.thief, 3_600), NOT_OWNER),
    Door("chainlink", "transfer_ownership", lambda p: (p.thief,), NOT_OWNER),
    Door("chainlink", "accept_ownership", _plain(), NOT_HEIR),
)
UNKNOWN = ("renounce_ownership()", "initialize()", "upgradeTo(address)", "set_owner(address)")
"""Names that the clearinghouse must not answer to."""


class Strangers:
    """People without any role, at each of the doors."""

    def __init__(self, play: Wired) -> None:
        self._play = play
        arena = play.wiring
        self._contracts: dict[str, Contract] = {
            "vault": arena.vault,
            "clearinghouse": arena.clearing,
            "orders": arena.settlement,
            "fund": arena.fund,
            "oracle": play.desk.oracle,
            "chainlink": play.desk.chainlink,
            "batch": arena.batch,
        }
        for name, (view, built) in PARTS.items():
            address = getattr(arena.clearing.view, view)()
            self._contracts[name] = Contract(arena.chain, address, build.artifact(built).abi)

    def knock(self, dice: Dice) -> None:
        """At one of them."""
        play, which = self._play, dice.below(len(DOORS) + 1)
        play.thief = caller = dice.pick(
            (
                play.stranger,
                play.twin.keeper,
                PUBLISHERS[0].address,
                play.wiring.delegates[0].address,
            )
        )
        twin = play.twin
        if which == len(DOORS):
            data, house = keccak(text=dice.pick(UNKNOWN))[:4] + bytes(32), twin.clearing.address
            twin.must_refuse(
                "clearinghouse.unknown", lambda: twin.chain.send(house, data, sender=caller), ""
            )
            return
        door = DOORS[which]
        call = getattr(self._contracts[door.contract].send, door.function)
        args = door.args(play)
        twin.must_refuse(door.name, lambda: call(*args, sender=caller), door.reason)
