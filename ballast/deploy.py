"""Deploys, wires and configures everything, hands it over, and reads it all back.

Every step looks at the chain before it sends, so a run that failed can be repeated: it picks up
where the last one stopped. The record is written before and after each creation; what it names and
the chain does not hold (blocks were lost) is struck off at the start.

The core contracts name each other, so their addresses are predicted from the deployer's nonce. A
foreign transaction of the deployer in between shifts them: it is noticed (nonce, or the address of
what was created), and the whole core is deployed again. A contract counts as deployed only if its
code is on chain at the recorded address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eth_utils import keccak

from ballast import build, contracts, record
from ballast.abi import checksum
from ballast.chain import ZERO_ADDRESS, Chain
from ballast.config import DeployConfig, GroupConfig, MarketConfig
from ballast.contract import Contract
from ballast.errors import AbiError, DeployError, Reverted
from ballast.record import Record
from ballast.verify import verify

MAX_CORE_ATTEMPTS = 5
DEPLOYMENT_GAS = 50_000_000
"""What a whole deployment of a few markets takes at most."""
FAUCET_CHAINS = frozenset({1_337, 31_337, 17_000, 84_532, 421_614, 560_048, 11_155_111, 11_155_420})
"""Local chains and testnets: where a test token may be deployed."""

LOST = "the chain has lost blocks: run the same command again, it makes them up"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Call:
    """One administrative call: made unless `done` says that the chain already shows it."""

    contract: str
    function: str
    args: tuple[Any, ...]
    done: Callable[[], bool]

    def describe(self) -> str:
        """The call in a line."""
        shown = ", ".join(_brief(arg) for arg in self.args)
        return f"{self.contract}.{self.function}({shown})"


def create_address(sender: str, nonce: int) -> str:
    """The address of what `sender` creates with transaction `nonce`."""
    if nonce == 0:
        number = b"\x80"
    elif nonce < 0x80:
        number = bytes([nonce])
    else:
        raw = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
        number = bytes([0x80 + len(raw)]) + raw
    payload = b"\x94" + bytes.fromhex(sender[2:]) + number
    return checksum("0x" + keccak(bytes([0xC0 + len(payload)]) + payload)[12:].hex())


def deploy(
    chain: Chain,
    config: DeployConfig,
    *,
    sender: str,
    collateral: str | None,
    decimals: int = 6,
    owner: str | None = None,
    path: Path | None = None,
    commit: str = "",
    progress: Progress = lambda line: None,
    settled: Callable[[], None] = lambda: None,
) -> Record:
    """Deploy (or finish deploying) and verify; returns the complete record.

    `sender` pays and owns everything until the end; `owner` (default: `sender`) is then offered
    ownership, to be accepted. `collateral` None deploys a `TestToken` of `decimals`, on chains
    whose money is worth nothing. `path` is the deployments file, None to keep no file. `settled`
    returns when what was sent is unlikely to be undone. Raises `DeployError` (another deployment is
    in the file, or the chain does not let it finish), `VerificationError` where the chain does not
    show in the end what was asked.
    """
    sender = checksum(sender)
    asked = record.Record(
        chain_id=chain.chain_id,
        block=chain.block_number,
        deployer=sender,
        parameters={
            "collateral": checksum(collateral) if collateral else "",
            "owner": checksum(owner or sender),
            **config.as_file(),
        },
        compiler=compiler(),
        commit=commit,
    )
    if collateral is None:
        check_faucet(chain.chain_id)
        asked.parameters["faucet"] = decimals
    elif not chain.code(collateral):
        raise DeployError(f"collateral {collateral} has no code on chain {chain.chain_id}")
    _check_feeds(chain, config)
    run = _Run(chain, config, _continued(asked, path), path, progress)
    run.strike_off()
    run.deploy_faucet()
    run.deploy_core()
    run.deploy_rest()
    run.configure()
    settled()
    verify(chain, run.record)
    run.record.status = record.COMPLETE
    run.record.save(path)
    return run.record


def _check_feeds(chain: Chain, config: DeployConfig) -> None:
    feeds = {f"market {m.symbol}: feed": m.feed for m in config.markets if m.oracle == "chainlink"}
    if config.chainlink.sequencer_feed != ZERO_ADDRESS:
        feeds["chainlink: sequencer_feed"] = config.chainlink.sequencer_feed
    for name, feed in feeds.items():
        if not chain.code(checksum(feed)):
            raise DeployError(f"{name} {feed} has no code on chain {chain.chain_id}")


def check_faucet(chain_id: int) -> None:
    """Raises `DeployError` where a token that anyone may mint has no business."""
    if chain_id not in FAUCET_CHAINS:
        raise DeployError(
            f"chain {chain_id} is no testnet known here: name its token by --collateral ADDRESS"
        )


def deploy_token(chain: Chain, sender: str, decimals: int = 6) -> str:
    """A test token that anyone may mint; its address. For local networks."""
    address, _ = chain.deploy(build.artifact(contracts.TOKEN).deploy_code(decimals), sender=sender)
    return address


def compiler() -> dict[str, Any]:
    """What the contracts are compiled with."""
    made = [build.artifact(name) for name in build.deployables()]
    return {
        "vyper": build.vyper_version(),
        "evm_version": made[0].evm_version,
        "optimize": {artifact.name: artifact.optimize for artifact in made},
    }


def _constructor_arguments(kept: Record, name: str) -> list[Any]:
    """What a contract of a record is created with: the values its constructor's parameters name."""
    config, address = kept.config, kept.contracts.get
    known: dict[str, Any] = {
        "decimals": kept.parameters.get("faucet"),
        "asset": kept.parameters["collateral"],
        "vault": address(contracts.VAULT),
        "clearinghouse": address(contracts.CLEARINGHOUSE),
        "insurance_fund": address(contracts.FUND),
        "owner": kept.deployer,
        "guardian": config.guardian,
        "name": config.fund.name,
        "symbol": config.fund.symbol,
        "cooldown_seconds": config.fund.cooldown_seconds,
        "window_seconds": config.fund.window_seconds,
        "publishers": list(config.signed_oracle.publishers),
        "threshold": config.signed_oracle.threshold,
        "sequencer_feed": config.chainlink.sequencer_feed,
        "grace_seconds": config.chainlink.grace_seconds,
        **{param: address(part) for param, part in contracts.parts().items()},
    }
    return [known[param["name"]] for param in build.artifact(name).constructor]


def plan(
    chain: Chain, config: DeployConfig, sender: str, owner: str, new_token: bool = False
) -> list[tuple[str, str]]:
    """What a fresh `deploy` would do: (address or "", step) in order. Sends nothing.

    `new_token`: a test token is deployed first.
    """
    nonce = chain.nonce(sender)
    steps = []
    if new_token:
        steps.append((create_address(sender, nonce), "deploy a test token"))
        nonce += 1
    for offset, name in enumerate(contracts.core()):
        steps.append((create_address(sender, nonce + offset), f"deploy {name}"))
    steps += [("", f"deploy {name}") for name in contracts.REST]
    steps.append(("", "register OrderSettlement as a venue"))
    steps += [("", f"set up group {group.group}") for group in config.groups]
    steps.append(("", f"deleveraging: {config.adl.buckets_per_call} buckets a call"))
    for number, market in enumerate(config.markets, 1):
        steps.append(("", f"list {market.symbol} as market {number} in group {market.group}"))
        steps.append(("", f"price it by {oracle_of(market)}"))
    if checksum(owner) != checksum(sender):
        steps += [("", f"offer ownership of {name} to {owner}") for name in contracts.OWNED]
    steps.append(("", "read back every wire and every parameter"))
    return steps


def oracle_of(market: MarketConfig) -> str:
    """The oracle contract that prices a market."""
    signed = market.oracle == "signed"
    return contracts.SIGNED_ORACLE if signed else contracts.CHAINLINK_ORACLE


def _brief(value: Any) -> str:
    return "..." if isinstance(value, tuple) else str(value)


def _continued(asked: Record, path: Path | None) -> Record:
    """The record to go on with: the file's where it was asked for the same, else a new one."""
    if path is None or not path.exists():
        return asked
    known = record.load(path)
    parameters = dict(known.parameters)
    if "faucet" in parameters:
        parameters["collateral"] = ""
    same = {
        "chain_id": known.chain_id == asked.chain_id,
        "deployer": known.deployer == asked.deployer,
        "parameters": parameters == asked.parameters,
    }
    for name, is_same in same.items():
        if not is_same:
            raise DeployError(
                f"{path.name} holds a deployment with another {name}: move it away, or ask the same"
            )
    known.compiler, known.commit = asked.compiler, asked.commit
    known.status = record.UNFINISHED
    return known


class _Run:
    """One run of `deploy`."""

    def __init__(
        self,
        chain: Chain,
        config: DeployConfig,
        kept: Record,
        path: Path | None,
        progress: Progress,
    ) -> None:
        self.chain, self.config, self.record = chain, config, kept
        self.sender = kept.deployer
        self._path, self._progress = path, progress
        self._nonce = 0
        self._note()

    def _note(self) -> None:
        """Save the record, and how far the deployer's transactions have come."""
        self._nonce = max(self._nonce, self.chain.nonce(self.sender))
        self.record.save(self._path)

    def _check_nonce(self) -> None:
        """Raises `DeployError` where a transaction seen earlier is gone: the next one would take
        its place (a market would get another's id)."""
        if self.chain.nonce(self.sender) < self._nonce:
            raise DeployError(LOST)

    # Contracts

    def _is_deployed(self, name: str, address: str | None) -> bool:
        """Whether the contract's code (immutables aside) is on chain at an address."""
        if address is None:
            return False
        artifact = build.artifact(name)
        code = self.chain.code(address)
        return len(code) == artifact.runtime_size and code.startswith(artifact.runtime)

    def strike_off(self) -> None:
        """Take from the record what the chain does not hold (any more)."""
        kept = self.record
        gone = [n for n, address in kept.contracts.items() if not self._is_deployed(n, address)]
        for name in gone:
            self._progress(f"{name} at {kept.contracts.pop(name)} is not on chain")
        if gone:
            kept.markets.clear()
        if not kept.contracts:
            kept.block = min(kept.block, self.chain.block_number)
        self._note()

    def deploy_faucet(self) -> None:
        """The collateral, where none was named."""
        kept, name = self.record, contracts.FAUCET
        if "faucet" not in kept.parameters or name in kept.contracts:
            return
        self._progress(f"deploy {name}")
        code = self._deploy_code(name, {})
        self._check_nonce()
        kept.parameters["collateral"], _ = self.chain.deploy(code, sender=self.sender)
        kept.contracts[name] = kept.parameters["collateral"]
        kept.core_nonce = None  # what was there has another collateral
        self._note()

    def deploy_core(self) -> None:
        """The contracts that name each other."""
        names = contracts.core()
        for _ in range(MAX_CORE_ATTEMPTS):
            start = self.record.core_nonce
            if start is None or self.chain.nonce(self.sender) < start:
                start = self._restart_core()
            addresses = {n: create_address(self.sender, start + i) for i, n in enumerate(names)}
            if all(self._place(n, start + i, addresses) for i, n in enumerate(names)):
                return
            standing = [n for n in names if self._is_deployed(n, addresses[n])]
            if self.chain.nonce(self.sender) == start + len(standing):
                raise DeployError(LOST)
            self._progress("a foreign transaction of the deployer: the core is deployed again")
            self.record.core_nonce = None
        raise DeployError(f"foreign transactions of {self.sender} in {MAX_CORE_ATTEMPTS} attempts")

    def _restart_core(self) -> int:
        for name in (*contracts.core(), contracts.SETTLEMENT, contracts.LIQUIDATION_BATCH):
            self.record.contracts.pop(name, None)
        self.record.markets.clear()
        self.record.core_nonce = self.chain.nonce(self.sender)
        self._note()
        return self.record.core_nonce

    def _place(self, name: str, nonce: int, addresses: dict[str, str]) -> bool:
        """Have contract `name` at its predicted address; False if it cannot be there any more."""
        address = addresses[name]
        if not self._is_deployed(name, address):
            self._progress(f"deploy {name}")
            code = self._deploy_code(name, addresses)
            if self.chain.nonce(self.sender) != nonce:
                return False
            try:
                made, _ = self.chain.deploy(code, sender=self.sender)
            except Reverted as error:
                # A constructor may itself notice that it is at another address: then a foreign
                # transaction had this nonce, and the failed creation at most the next one.
                if self.chain.nonce(self.sender) <= nonce + 1:
                    raise DeployError(f"creating {name} reverted: {error}") from error
                return False
            if made != address:
                return False
        self.record.contracts[name] = address
        self._note()
        return True

    def deploy_rest(self) -> None:
        """The contracts that nothing else has to know in advance."""
        for name in contracts.REST:
            if self._is_deployed(name, self.record.contracts.get(name)):
                continue
            self._progress(f"deploy {name}")
            code = self._deploy_code(name, self.record.contracts)
            self._check_nonce()
            self.record.contracts[name], _ = self.chain.deploy(code, sender=self.sender)
            self._note()

    def _deploy_code(self, name: str, addresses: dict[str, str]) -> bytes:
        kept = replace(self.record, contracts={**self.record.contracts, **addresses})
        made = build.artifact(name)
        code = made.deploy_code(*_constructor_arguments(kept, name))
        self.record.arguments[name] = code[len(made.initcode) :].hex()
        self._note()
        return code

    # Configuration

    def _at(self, name: str) -> Contract:
        return contracts.at(self.chain, name, self.record.contracts[name])

    def configure(self) -> None:
        """Venue, groups, deleveraging, markets, oracles; then ownership is offered."""
        for call in self.calls():
            if self._is_done(call):
                continue
            self._progress(call.describe())
            self._check_nonce()
            try:
                send = getattr(self._at(call.contract).send, call.function)
                send(*call.args, sender=self.sender)
            except Reverted as error:
                raise DeployError(f"{call.describe()} reverted: {error}") from error
            self._note()
            if not self._is_done(call):
                raise DeployError(f"{call.describe()} had no effect")
        for number, market in enumerate(self.config.markets, 1):
            self.record.markets[market.symbol] = number
        self._note()

    def _is_done(self, call: Call) -> bool:
        try:
            return call.done()
        except (AbiError, Reverted) as error:
            raise DeployError(LOST) from error

    def calls(self) -> Iterator[Call]:
        """The administrative calls, in order."""
        house = self._at(contracts.CLEARINGHOUSE).view
        venue = self.record.contracts[contracts.SETTLEMENT]
        name = contracts.CLEARINGHOUSE
        yield Call(name, "set_venue", (venue, True), lambda: bool(house.venues(venue)))
        for group in self.config.groups:
            yield group_call(self.chain, self.record, group)
        adl = (self.config.adl.buckets_per_call, self.config.adl.reward_bps)
        yield Call(name, "set_adl", adl, lambda: tuple(house.adl_params()) == adl)
        for number, market in enumerate(self.config.markets, 1):
            yield from market_calls(self.chain, self.record, number, market)
        yield from self._ownership_calls()

    def _ownership_calls(self) -> Iterator[Call]:
        owner = self.record.owner
        for name in contracts.OWNED:
            view = self._at(name).view
            yield Call(
                name,
                "transfer_ownership",
                (owner,),
                lambda v=view: owner in (v.owner(), v.pending_owner()),  # type: ignore[misc]
            )


def group_call(chain: Chain, kept: Record, group: GroupConfig) -> Call:
    """The call that sets up a clearing group, or changes it."""
    house = contracts.at(chain, contracts.CLEARINGHOUSE, kept.contracts[contracts.CLEARINGHOUSE])
    limits = (group.insurance_cap_quote, group.refill_seconds)
    return Call(
        contracts.CLEARINGHOUSE,
        "set_group",
        (group.group, *limits),
        lambda: tuple(house.view.group_params(group.group)) == limits,
    )


def market_calls(
    chain: Chain, kept: Record, number: int, market: MarketConfig, *, listed: bool = False
) -> Iterator[Call]:
    """The calls that list a market under the next free `number`, or change it where it is `listed`,
    and those that have it priced."""
    house = contracts.at(chain, contracts.CLEARINGHOUSE, kept.contracts[contracts.CLEARINGHOUSE])
    oracle = oracle_of(market)
    params = market.params(kept.contracts[oracle]).as_tuple()
    yield Call(
        contracts.CLEARINGHOUSE,
        "set_market" if listed else "list_market",
        (number, params) if listed else (params,),
        lambda: tuple(house.view.market_params(number)) == params,
    )
    view = contracts.at(chain, oracle, kept.contracts[oracle]).view
    if market.oracle == "signed":
        judged = (market.max_age_seconds, market.step_bps)
        yield Call(
            oracle,
            "set_market",
            (number, *judged),
            lambda: _read(view.market_parameters, number) == judged,
        )
    else:
        feed = (checksum(market.feed), market.heartbeat_seconds)
        yield Call(
            oracle,
            "set_feed",
            (number, *feed),
            lambda: _read(view.feed_of, number) == feed,
        )


def _read(view: Callable[..., Any], number: int) -> tuple[Any, ...] | None:
    """What a view says of a market; None where it does not know it yet."""
    try:
        return tuple(view(number))
    except Reverted:
        return None
