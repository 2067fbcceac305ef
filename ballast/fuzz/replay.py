"""A found case: a state, what was sent on it, and the run of both with every check switched on.

What is replayed goes through a `Twin` again, and a call that the model knows is made on both sides:
so steps may be left out, or the beginning may be another, and the rest still means something. After
any other call (the owner's, a staker's) the model is adopted anew from the contracts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from ballast.abi import Function
from ballast.build import artifact
from ballast.chain import Log
from ballast.client import Ballast
from ballast.contract import Contract, Interface
from ballast.errors import BallastError, Reverted
from ballast.fork import State
from ballast.fuzz import probes
from ballast.fuzz.adopt import adopt, observe
from ballast.fuzz.arena import Arena, Finding
from ballast.fuzz.tape import Step
from ballast.fuzz.twin import KEYS, Twin
from ballast.fuzz.wiring import WalletRevm
from ballast.signing import owner_of

EVERY = 50
"""Calls from one full comparison to the next; the last one is at the end."""
_EXECUTE = Interface(artifact("ContractWallet").abi).function("execute", 2)
OUTCOMES = (" reverts: ", " is accepted: ", " refuses: ")
"""Words of findings about how one call ended."""


@dataclass(frozen=True)
class Cast:
    """Who and what is on the stage: contracts by name, and accounts."""

    contracts: dict[str, str]
    collateral: str
    venue: str
    payer: str
    keeper: str
    accounts: tuple[str, ...]
    """In hex."""


@dataclass(frozen=True)
class Case:
    """A finding that can be replayed anywhere."""

    message: str
    cast: Cast
    trace: list[Step]
    state: State
    is_judged: bool = True
    """Whether replaying it raises the finding again; if not, somebody has to look at it."""

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        data = {**vars(self), "cast": vars(self.cast), "state": self.state.as_json()}
        path.write_text(json.dumps(data, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Case:
        """Read it back. Raises `BallastError`."""
        try:
            data = json.loads(path.read_text())
            cast = Cast(**{**data["cast"], "accounts": tuple(data["cast"]["accounts"])})
            steps = [tuple(step) for step in data["trace"]]
            state = State.from_json(data["state"])
            return cls(**{**data, "cast": cast, "trace": steps, "state": state})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise BallastError(f"{path.name} holds no case: {error}") from error


def replay(path: Path) -> None:
    """Replay a case that was written down. Raises `Finding` while what was found is still there."""
    case = Case.load(path)
    play(case.state.chain(WalletRevm), case.cast, case.trace, case.message)
    if not case.is_judged:
        raise Finding(f"a replay cannot judge this, look at it: {case.message}")


def play(chain: WalletRevm, cast: Cast, trace: list[Step], message: str) -> None:
    """Run a trace on a chain, every call checked. `message` is what was found after it: where that
    is how the last call ended, it must end otherwise. Raises `Finding`.

    Calls that were refused left no trace: they are left out, but for the last one.
    """
    stage = Stage(chain, cast)
    for step in trace[:-1]:
        if not was_refused(step):
            stage.step(step)
    if trace:
        is_outcome = any(words in message for words in OUTCOMES)
        stage.step(trace[-1], message if is_outcome else "")
    stage.finish(message)


class Stage:
    """The contracts of a case on a chain, and what each step of its trace is."""

    def __init__(self, chain: WalletRevm, cast: Cast, is_strict: bool = True) -> None:
        """`is_strict`: a state that does not hold together is a finding."""
        self.chain, self.cast, self.is_strict = chain, cast, is_strict
        self.client = Ballast(chain, cast.contracts, cast.collateral, {})
        self.accounts = [bytes.fromhex(account) for account in cast.accounts]
        house, vault = self.client.clearinghouse, self.client.vault
        self.known: dict[tuple[str, str], Callable[..., bool]] = {
            (vault.address, "deposit"): self._deposit,
            (vault.address, "withdraw"): self._withdraw,
            (vault.address, "donate"): self._donate,
            (house.address, "fill"): self._fill,
            (house.address, "fill_orders"): self._fill_orders,
            (house.address, "settle"): self._settle,
            (house.address, "refresh"): self._refresh,
            (house.address, "liquidate"): self._liquidate,
            (house.address, "deleverage"): self._deleverage,
            (self.client.settlement.address, "match_orders"): self._match_orders,
        }
        self.core = {vault.address, house.address}
        self._twin: Twin | None = None

    @property
    def twin(self) -> Twin:
        """The model beside the contracts, as they are now if there is none yet."""
        if self._twin is None:
            self._twin = self.adopt()
        return self._twin

    def adopt(self) -> Twin:
        """A twin of the contracts as they are. Raises `Finding` where they do not hold together."""
        c = self.client
        accounts = list(self._twin.holdings.accounts) if self._twin else self.accounts
        taken = adopt(self.chain, c.vault, c.clearinghouse, c.token, accounts)
        for text in taken.broken() if self.is_strict else []:
            raise Finding(text)
        arena = Arena(
            chain=self.chain,
            token=c.token,
            vault=c.vault,
            clearing=c.clearinghouse,
            fund=c.fund,
            batch=c.batch,
            owner=str(c.clearinghouse.view.owner()),
            guardian=str(c.clearinghouse.view.guardian()),
            venue=self.cast.venue,
            oracles=_Silent(),
            accounts=accounts,
        )
        twin = Twin(arena, taken.clearing, self.cast.payer, self.cast.keeper, every=EVERY)
        taken.pass_on(twin.dust)
        return twin

    def finish(self, message: str) -> None:
        """Everything is looked at once more; a probe that found something is repeated."""
        for look in self.looks(message):
            look()

    def looks(self, message: str) -> list[Callable[[], None]]:
        """What `finish` does, one after the other."""
        twin = self.twin
        twin.payer, twin.keeper = self.cast.payer, self.cast.keeper
        looks = [twin.compare, twin.comparison.views]
        if message.startswith("S8"):
            looks.append(lambda: probes.assert_exits(twin))
        elif message.startswith("S11"):
            for market, quote in twin.holdings.quotes.items():
                looks.append(partial(probes.assert_round_trip, twin, market, quote.price))
        elif message.startswith("S12"):
            looks += [partial(probes.assert_idempotent, twin, who) for who in twin.accounts]
        return looks

    def step(self, step: Step, message: str = "") -> None:
        """One step, checked. With a message it is the call that must not go as it went."""
        if step[0] == "block":
            self._block(*step[1:])
            return
        if step[0] == "deploy":
            self.raw(step)
            return
        meant = self.meant(step)
        to, data, refusal = meant[2:]
        raw = bytes.fromhex(data)
        function = selected(self.contract(to), raw)
        if function is not None:
            call = self.known.get((to, function.name))
            if call is not None and call(meant, *function.inputs.decode(raw[4:])):
                return
        answer, logs = self._sent(step)
        if message and answer == refusal:
            raise Finding(message)
        if self.core.isdisjoint(log.address for log in logs):
            self._look()
        else:
            self._twin = self.adopt()
            self._twin.checked(())

    def meant(self, step: Step) -> Step:
        """A call through a contract wallet as the wallet's own, which the chain then takes."""
        _, sender, wallet, data, refusal = step
        if bytes.fromhex(data[:8]) != _EXECUTE.selector:
            return step
        target, inner = _EXECUTE.inputs.decode(bytes.fromhex(data)[4:])
        made = Contract(self.chain, wallet, artifact("ContractWallet").abi)
        self.chain.wallets[wallet] = sender, made
        return "send", wallet, target, inner.hex(), refusal

    def raw(self, step: Step) -> None:
        """One step on the contracts alone."""
        if step[0] == "block":
            self.chain.set_block(*step[1:])
        elif step[0] == "deploy":
            self.chain.deploy(bytes.fromhex(step[2]), sender=step[1])
        else:
            self._sent(step)

    def _sent(self, step: Step) -> tuple[str, list[Log]]:
        """Why a send is refused ("" if it is not), and its logs."""
        _, sender, to, data, _ = step
        try:
            return "", self.chain.send(to, bytes.fromhex(data), sender=sender).logs
        except Reverted as refusal:
            return refusal.reason or "no reason", []

    def contract(self, address: str) -> Contract | None:
        """The contract at an address, if it is one of the deployment's."""
        c = self.client
        core = (c.vault, c.clearinghouse, c.fund, c.token)
        parts = (*core, c.settlement, c.oracle, c.chainlink, c.batch)
        return next((part for part in parts if part.address == address), None)

    def _block(self, number: int, timestamp: int) -> None:
        self.chain.set_block(number, timestamp)

        def move(exact: Any) -> None:
            exact.now, exact.block = timestamp, number

        self.twin.apply(move)
        self._look()

    def _look(self) -> None:
        """What every oracle says now."""
        said = []
        for market in self.twin.markets:
            oracle = self.client.clearinghouse.view.market_params(market).oracle
            seen = observe(self.chain, oracle, market)
            said.append((market, seen.price, seen.timestamp, seen.status))
        self.twin.observed(said)

    # Calls that the model knows; False where they are made in a way that it does not

    def _deposit(self, step: Step, account: bytes, units: int) -> bool:
        self.twin.payer = step[1]
        self.twin.deposit(account, units * self.twin.scale)
        return True

    def _donate(self, step: Step, key: bytes, units: int) -> bool:
        names = {raw: name for name, raw in KEYS.items()}
        if key in names:
            self.twin.payer = step[1]
            self.twin.donate(names[key], units * self.twin.scale)
        return key in names

    def _withdraw(self, step: Step, account: bytes, units: int, receiver: str) -> bool:
        own = bool(step[1] == receiver == owner_of(account))
        if own:
            self.twin.withdraw(account, units * self.twin.scale)
        return own

    def _fill(
        self, step: Step, market: int, buyer: bytes, seller: bytes, size: int, price: int
    ) -> bool:
        if step[1] == self.cast.venue:
            self.twin.fill(market, buyer, seller, size, price)
        return bool(step[1] == self.cast.venue)

    def _fill_orders(
        self,
        step: Step,
        market: int,
        taker: bytes,
        is_buyer: bool,
        makers: list[bytes],
        sizes: list[int],
        prices: list[int],
    ) -> bool:
        if step[1] == self.cast.venue:
            parts = list(zip(makers, sizes, prices, strict=True))
            self.twin.fill_orders(market, taker, is_buyer, parts)
        return bool(step[1] == self.cast.venue)

    def _match_orders(self, step: Step, taker: Any, makers: list[Any], sizes: list[int]) -> bool:
        """As much of each maker as is filled: an order that only reduces is cut to what it may."""
        with self.chain.rolled_back():
            _, logs = self._sent(step)
        events = self.client.clearinghouse.interface.decode_logs(logs)
        fills = [event for event in events if event.name == "Fill"]
        if not fills:
            return False
        order = taker.order
        parts = [(e.seller if order.is_buy else e.buyer, e.size, e.price) for e in fills]
        self.twin.fill_orders(
            order.market,
            order.account,
            order.is_buy,
            parts,
            "settlement.match_orders",
            lambda: self.chain.send(step[2], bytes.fromhex(step[3]), sender=step[1]),
        )
        return True

    def _settle(self, step: Step, account: bytes) -> bool:
        self.twin.keeper = step[1]
        self.twin.settle(account)
        return True

    def _refresh(self, step: Step, account: bytes) -> bool:
        self.twin.keeper = step[1]
        self.twin.refresh(account)
        return True

    def _liquidate(
        self, step: Step, account: bytes, market: int, asked: int, liquidator: bytes
    ) -> bool:
        view, owner = self.client.clearinghouse.view, owner_of(liquidator)
        operator = None if step[1] == owner else step[1]
        if operator and view.operator_expiry(owner, operator) <= self.chain.timestamp:
            return False  # a stranger, whom the model does not know
        size, _ = view.max_liquidation(account, market)
        part: Any = Fraction(asked, size) if 0 < asked < size else 1
        self.twin.liquidate(account, market, liquidator, part, operator)
        return True

    def _deleverage(self, step: Step, account: bytes) -> bool:
        self.twin.keeper = step[1]
        self.twin.deleverage(account)
        return True


class _Silent:
    """Oracles that nobody asks for prices: the trace has them."""

    def set_price(self, market: int, price: int, status: int = 0) -> None:
        """Never called."""
        raise NotImplementedError


def was_refused(step: Step) -> bool:
    """Whether a step is a call that has left no trace."""
    return bool(step[0] == "send" and step[4])


def selected(contract: Contract | None, data: bytes) -> Function | None:
    """The function that call data names; None where it is not known."""
    if contract is None:
        return None
    functions = [f for named in contract.interface.functions.values() for f in named.values()]
    return next((f for f in functions if f.selector == data[:4]), None)
