"""An arena on a fork: a recorded deployment, copied off its node and made ready to be acted on.

On a private copy anybody can be impersonated. Owners and guardians send without a key, once they
have no code (a Safe, a timelock). The traders that are there become contract wallets of keys of
ours, so that they sign orders as well. Tokens are written where the token keeps balances. All other
state is the deployment's own, and what `wiring.wire` does is done by its owner's hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from ballast import record
from ballast.build import artifact
from ballast.chain import ZERO_ADDRESS
from ballast.client import Ballast
from ballast.contract import Contract
from ballast.errors import DeployError
from ballast.fuzz.adopt import Adopted, adopt
from ballast.fuzz.arena import Finding
from ballast.fuzz.found import SHRINK_SECONDS, case_of
from ballast.fuzz.history import History, read
from ballast.fuzz.replay import Case, Cast
from ballast.fuzz.signer import Signer
from ballast.fuzz.wiring import WalletRevm, Wiring, wire
from ballast.node import Node
from ballast.record import Record
from ballast.signing import owner_of

FIRST_PRICE = 1_000 * 10**18
"""Of a market that never had a price."""
HIRED = 8
"""Accounts of ours beside those that are there."""


@dataclass
class Fork:
    """A deployment on a chain of our own."""

    arena: Wiring
    history: History
    cast: Cast
    start: int
    """A snapshot of it as it is made ready."""
    taped: int
    """Steps on the chain's tape by then."""

    def adopted(self) -> Adopted:
        """The exact model of it as it stands."""
        its = self.arena
        return adopt(its.chain, its.vault, its.clearing, its.token, its.accounts)

    def case_of(
        self,
        finding: Finding,
        seconds: float = SHRINK_SECONDS,
        progress: Callable[[int], None] = lambda steps: None,
    ) -> Case:
        """The case of what was found here (see `found.case_of`). The fork is as it began then."""
        chain = self.arena.chain
        chain.revert(self.start)
        self.start = chain.snapshot(exact_gas=True)
        own = Finding(finding.message, finding.trace[self.taped :])
        return case_of(chain, self.cast, own, seconds, progress)


def fork(url: str, kept: Record, block: int | None = None) -> Fork:
    """Copy a deployment off the node at `url`, as it is after a block (default: the latest).

    Raises `NodeError`, `ConfigError` where the node is on another chain, `DeployError` where the
    record is of something else than what this project builds.
    """
    chain = WalletRevm.fork(url, block)
    if kept.status != record.COMPLETE:
        raise DeployError("the recorded deployment is not complete")
    client = Ballast.from_deployment(chain, kept)
    _check_code(chain, kept)
    history = read(Node(url), kept, chain.block_number - 1)
    managed = (client.clearinghouse, client.oracle, client.chainlink)
    view = client.clearinghouse.view
    for address in {*(str(its.view.owner()) for its in managed), str(view.guardian())}:
        if chain.code(address):
            chain.put(address, code=b"")
    arena = wire(client, chain, HIRED)
    for owner in dict.fromkeys(owner_of(account) for account in history.accounts):
        arena.keys[owner] = _impersonate(chain, owner)
    arena.people = list(dict.fromkeys([*history.accounts, *arena.people]))
    arena.accounts = [*arena.people, *arena.drained]
    if arena.guardian == ZERO_ADDRESS:
        arena.guardian = Signer("fuzz guardian").address
        arena.clearing.send.set_guardian(arena.guardian, sender=arena.owner)
    for market in _markets(client):
        if not view.price(market)[0]:
            arena.oracles.set_price(market, FIRST_PRICE)
    cast = Cast(
        contracts=dict(kept.contracts),
        collateral=client.token.address,
        venue=arena.venue,
        payer=arena.payer,
        keeper=arena.keeper,
        accounts=tuple(account.hex() for account in arena.accounts),
    )
    return Fork(arena, history, cast, chain.snapshot(exact_gas=True), len(chain.tape))


def _impersonate(chain: WalletRevm, owner: str) -> Signer:
    """Make a trader a contract wallet that listens to a key of ours; the key."""
    key, made = Signer(f"fuzz stand-in of {owner}"), artifact("ContractWallet")
    listens = bytes(12) + bytes.fromhex(key.address[2:])
    broken = int(made.storage_layout["storage_layout"]["is_broken"]["slot"])
    chain.put(owner, code=made.runtime + listens, slots={broken: 0})
    chain.wallets[owner] = key.address, Contract(chain, owner, made.abi)
    return key


def assert_whole(adopted: Adopted, history: History) -> None:
    """S1 and S2 of a deployment before anything is done to it: the ledger's balances sum to what
    came in, and what no account can claim is what roundings have left over. Raises `Finding`."""
    for text in adopted.broken():
        raise Finding(text)
    state, dust = adopted.clearing.state, history.dust
    for group, left in adopted.left_over.items():
        prices = {
            number: state.quote(number).price
            for number, market in state.markets.items()
            if market.params.group == group
        }
        legs = sum(len(state.markets[number].legs) for number in prices)
        most = dust.system(prices, legs)
        if not -dust.unpaid_funding(prices) <= left <= most:
            raise Finding(f"S2: group {group}, dust {_brief(left)} of {most}")


def _check_code(chain: WalletRevm, kept: Record) -> None:
    for name, address in kept.contracts.items():
        code, made = chain.code(address), artifact(name)
        if not code:
            raise DeployError(f"{name}: no code at {address} after block {chain.block_number - 1}")
        if len(code) != made.runtime_size or not code.startswith(made.runtime):
            of = f"commit {kept.commit}" if kept.commit else "another commit"
            raise DeployError(
                f"{name} at {address} is not what this project builds: {of} deployed it"
            )


def _markets(client: Ballast) -> list[int]:
    found: list[int] = []
    while client.clearinghouse.view.market_params(len(found) + 1).group:
        found.append(len(found) + 1)
    return found


def _brief(amount: Fraction) -> str:
    return f"{float(amount):.6g}"
