"""Reads a deployment back from the chain and compares it with what was asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ballast import build, contracts
from ballast.abi import checksum
from ballast.chain import ZERO_ADDRESS, Chain
from ballast.config import DeployConfig, MarketParams
from ballast.contract import Contract
from ballast.errors import AbiError, Reverted, VerificationError
from ballast.node import Node
from ballast.record import Record

Check = tuple[str, Any, Any]
"""What was compared, what was asked, and what the chain says."""


def verify(chain: Chain, kept: Record) -> int:
    """Compare code, wires, parameters and owners; returns how many figures agree.

    Raises `VerificationError` naming every difference.
    """
    found = list(checks(chain, kept))
    wrong = differences(found)
    if wrong:
        raise VerificationError(wrong)
    return len(found)


def differences(found: Iterable[Check]) -> list[str]:
    """What differs, a line each."""
    return [f"{what}: asked {asked}, found {seen}" for what, asked, seen in found if asked != seen]


def checks(chain: Chain, kept: Record) -> Iterator[Check]:
    """Everything that is compared; nothing more where code is missing or another's."""
    yield "chain id", kept.chain_id, chain.chain_id
    names = (*contracts.core(), *contracts.REST)
    if "faucet" in kept.parameters:
        names = (contracts.FAUCET, *names)
    missing = False
    for name in names:
        found = _code(chain, name, kept.contracts.get(name))
        missing = missing or found != "its code"
        yield f"{name} at {kept.contracts.get(name)}", "its code", found
    if missing:
        return
    at = {name: contracts.at(chain, name, kept.contracts[name]) for name in names}
    yield from _wires(at, kept)
    yield from _parameters(at, kept, kept.config)
    yield from _owners(at, kept)


def venues(node: Node, kept: Record, last: int) -> Check:
    """The venues by the clearinghouse's events up to block `last`: the settlement contract alone.

    Raises `NodeError`.
    """
    address = kept.contracts[contracts.CLEARINGHOUSE]
    interface = contracts.interface(contracts.CLEARINGHOUSE)
    topic = next(t for t, event in interface.events.items() if event.name == "VenueSet")
    allowed: dict[str, bool] = {}
    for logs, _, _ in node.logs([address], kept.block, last, topic):
        for event in interface.decode_logs(logs, address):
            allowed[event.venue] = event.allowed
    found = {venue for venue, is_allowed in allowed.items() if is_allowed}
    return "clearinghouse: venues", {kept.contracts[contracts.SETTLEMENT]}, found


def _code(chain: Chain, name: str, address: str | None) -> str:
    """What stands at an address, compared with the contract's code, immutables aside."""
    code = chain.code(address) if address is not None else b""
    made = build.artifact(name)
    if len(code) == made.runtime_size and code.startswith(made.runtime):
        return "its code"
    return "other code" if code else "no code"


def _ask(what: str, asked: Any, contract: Contract, function: str, *args: Any) -> Check:
    try:
        found = getattr(contract.view, function)(*args)
    except (Reverted, AbiError, AttributeError) as error:
        found = f"an error ({error})"
    return what, asked, found


def _wires(at: dict[str, Contract], kept: Record) -> Iterator[Check]:
    address = kept.contracts
    vault, house, fund = at[contracts.VAULT], at[contracts.CLEARINGHOUSE], at[contracts.FUND]
    collateral = kept.parameters["collateral"]
    if contracts.FAUCET in at:
        yield "collateral", address[contracts.FAUCET], collateral
        yield _ask("faucet: decimals", kept.parameters["faucet"], at[contracts.FAUCET], "decimals")
    yield _ask("vault: asset", collateral, vault, "asset")
    yield _ask("vault: clearinghouse", house.address, vault, "clearinghouse")
    yield _ask("vault: insurance fund", fund.address, vault, "insurance_fund")
    yield _ask("fund: vault", vault.address, fund, "vault")
    yield _ask("fund: asset", collateral, fund, "asset")
    for param, part in contracts.parts().items():
        yield _ask(f"clearinghouse: {param}", address[part], house, param.upper())
    settlement = at[contracts.SETTLEMENT]
    yield _ask("settlement: clearinghouse", house.address, settlement, "clearinghouse")
    batch = at[contracts.LIQUIDATION_BATCH]
    yield _ask("liquidation batch: clearinghouse", house.address, batch, "clearinghouse")
    yield _ask("clearinghouse: settlement is a venue", True, house, "venues", settlement.address)
    # The vault is an immutable of the clearinghouse and of its parts, without a view: it stands
    # behind their code.
    for name in (contracts.CLEARINGHOUSE, *contracts.parts().values()):
        code = house.chain.code(address[name])[len(build.artifact(name).runtime) :]
        words = [code[i : i + 32][12:].hex() for i in range(0, len(code), 32)]
        yield f"{name}: vault among its immutables", True, vault.address[2:].lower() in words


def _parameters(at: dict[str, Contract], kept: Record, config: DeployConfig) -> Iterator[Check]:
    house, fund = at[contracts.CLEARINGHOUSE], at[contracts.FUND]
    signed, chainlink = at[contracts.SIGNED_ORACLE], at[contracts.CHAINLINK_ORACLE]
    yield _ask("fund: name", config.fund.name, fund, "name")
    yield _ask("fund: symbol", config.fund.symbol, fund, "symbol")
    yield _ask("fund: cooldown", config.fund.cooldown_seconds, fund, "cooldown_seconds")
    yield _ask("fund: window", config.fund.window_seconds, fund, "window_seconds")
    publishers = list(config.signed_oracle.publishers)
    yield _ask("signed oracle: publishers", publishers, signed, "publishers")
    yield _ask("signed oracle: threshold", config.signed_oracle.threshold, signed, "threshold")
    feed, grace = config.chainlink.sequencer_feed, config.chainlink.grace_seconds
    yield _ask("chainlink oracle: sequencer feed", feed, chainlink, "sequencer_feed")
    yield _ask("chainlink oracle: grace", grace, chainlink, "grace_seconds")
    yield _ask("guardian", config.guardian, house, "guardian")
    adl = (config.adl.buckets_per_call, config.adl.reward_bps)
    yield _ask("deleveraging", adl, house, "adl_params")
    for group in config.groups:
        limits = (group.insurance_cap_quote, group.refill_seconds)
        yield _ask(f"group {group.group}", limits, house, "group_params", group.group)
    symbols = {market.symbol: number for number, market in enumerate(config.markets, 1)}
    yield "market ids", symbols, kept.markets
    for market in config.markets:
        number = symbols[market.symbol]
        oracle = signed if market.oracle == "signed" else chainlink
        yield from _struct(market.symbol, market.params(oracle.address), house, number)
        if oracle is signed:
            judged = (market.max_age_seconds, market.step_bps)
            yield _ask(f"{market.symbol}: report", judged, signed, "market_parameters", number)
        else:
            wanted = (checksum(market.feed), market.heartbeat_seconds)
            yield _ask(f"{market.symbol}: feed", wanted, chainlink, "feed_of", number)
    beyond = len(config.markets) + 1
    what, _, found = _ask(f"market {beyond}: group", 0, house, "market_params", beyond)
    yield what, 0, getattr(found, "group", found)


def _struct(symbol: str, asked: MarketParams, house: Contract, number: int) -> Iterator[Check]:
    what, _, found = _ask(f"{symbol}: parameters", None, house, "market_params", number)
    if not isinstance(found, tuple):
        yield what, asked, found
        return
    for field, value in zip(asked.__dataclass_fields__, asked.as_tuple(), strict=True):
        yield f"{symbol}: {field}", value, getattr(found, field, None)


def _owners(at: dict[str, Contract], kept: Record) -> Iterator[Check]:
    for name in contracts.OWNED:
        owner, pending = at[name].view.owner(), at[name].view.pending_owner()
        yield f"{name}: {kept.owner} owns it or is offered it", True, kept.owner in (owner, pending)
        strangers = {owner, pending} - {kept.owner, kept.deployer, ZERO_ADDRESS}
        yield f"{name}: strangers among its owners", set(), strangers
