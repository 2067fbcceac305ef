"""A finding becomes a short test of its own (`ballast.fuzz.found`, `ballast.fuzz.replay`)."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from ballast.build import CONTRACTS, artifact, compile_file
from ballast.errors import BallastError
from ballast.fuzz.adopt import adopt
from ballast.fuzz.arena import Finding
from ballast.fuzz.found import case_of, write
from ballast.fuzz.replay import Case, Cast, play, replay
from ballast.fuzz.run import run
from ballast.fuzz.twin import Twin
from ballast.fuzz.wiring import WalletRevm, Wiring, fresh

WAD = 10**18
RIGHT = "unsafe_add(self._ledger[PROTOCOL_FEES], protocol_quote)"
WRONG = "unsafe_add(self._ledger[PROTOCOL_FEES], protocol_quote - protocol_quote // 1_000_000)"
REFUSING = (
    'assert amount_quote <= cash_quote - fresh_quote and amount % 3 != 0, "vault: insufficient'
)
ASKING = 'assert amount_quote <= cash_quote - fresh_quote, "vault: insufficient'


class Ground:
    """A fresh deployment, a machine of a few kinds of calls, and a fault in the vault."""

    def __init__(self, folder: Path, right: str = "", wrong: str = "", people: int = 6) -> None:
        self.wiring: Wiring = fresh(people=people)
        self.chain = self.wiring.chain
        w, (oracle, chainlink) = self.wiring, self._oracles()
        self.cast = Cast(
            contracts={
                "MarginVault": w.vault.address,
                "Clearinghouse": w.clearing.address,
                "InsuranceFund": w.fund.address,
                "OrderSettlement": w.settlement.address,
                "SignedPriceOracle": oracle,
                "ChainlinkOracle": chainlink,
                "LiquidationBatch": w.batch.address,
            },
            collateral=w.token.address,
            venue=w.venue,
            payer=w.payer,
            keeper=w.keeper,
            accounts=tuple(account.hex() for account in w.accounts),
        )
        self.code = self.chain.code(w.vault.address)
        if wrong:
            source = (CONTRACTS / "MarginVault.vy").read_text()
            assert right in source
            path = folder / "MarginVault.vy"
            path.write_text(source.replace(right, wrong))
            runtime = artifact("MarginVault").runtime
            faulty = compile_file(path, cache=None).runtime
            self.chain.put(w.vault.address, code=faulty + self.code[len(runtime) :])
        self.start, self.taped = self.chain.snapshot(exact_gas=True), len(self.chain.tape)

    def _oracles(self) -> tuple[str, str]:
        desk = self.wiring.oracles
        return desk.oracle.address, desk.chainlink.address

    def run(self, steps: int) -> Finding:
        """Deposits, fills, withdrawals, until something is found."""
        w, rnd = self.wiring, random.Random(1)
        taken = adopt(self.chain, w.vault, w.clearing, w.token, w.accounts)
        twin = Twin(w, taken.clearing, w.payer, w.keeper)
        taken.pass_on(twin.dust)
        try:
            for _ in range(steps):
                who, other = rnd.sample(w.accounts[:2] + w.accounts[4:], 2)
                kind = rnd.random()
                if kind < 0.5:
                    twin.deposit(who, rnd.randrange(1, 1_000) * WAD)
                elif kind < 0.7:
                    twin.withdraw(who, rnd.randrange(1, 50) * WAD)
                elif kind < 0.8:
                    twin.settle(who)
                elif kind < 0.9:
                    twin.new_block(12, lambda: [])
                else:
                    price = twin.model.price(1)[0]
                    twin.fill(1, who, other, 100 * WAD * WAD // price, price)
            twin.compare()
        except Finding as finding:
            return Finding(finding.message, finding.trace[self.taped :])
        raise AssertionError("nothing found")

    def case(self, finding: Finding) -> Case:
        """The finding's case, on the state it began with."""
        self.chain.revert(self.start)
        return case_of(self.chain, self.cast, finding, 30)

    def with_right_code(self, case: Case) -> WalletRevm:
        """The case's state with the vault as it should be."""
        chain = case.state.chain(WalletRevm)
        chain.put(self.wiring.vault.address, code=self.code)
        return chain


def test_nothing_is_found_in_the_replay_of_a_run(tmp_path: Path) -> None:
    """All kinds of calls, by wallets and delegates, too: a replay understands them."""
    ground = Ground(tmp_path, people=18)
    run(ground.wiring, 1_000, seed=2)
    trace = ground.chain.tape[ground.taped :]
    assert len(trace) > 1_000
    ground.chain.revert(ground.start)
    play(ground.chain, ground.cast, trace, "S8: looked for at the end")


def test_violation_of_a_run_is_a_test_of_one_call(tmp_path: Path) -> None:
    ground = Ground(tmp_path, RIGHT, WRONG)
    finding = ground.run(400)
    assert finding.message.startswith("S1: balances")
    assert len(finding.trace) > 5
    case = ground.case(finding)
    assert (len(case.trace), case.is_judged) == (1, True)
    path = write(case, tmp_path / "found", "seed 1")
    text = path.read_text()
    assert "Found by the fuzzer (seed 1)" in text
    assert "Clearinghouse.fill(market=1, buyer=" in text
    with pytest.raises(Finding, match="S1: balances"):
        replay(path.with_suffix(".json"))
    play(ground.with_right_code(case), case.cast, case.trace, case.message)


def test_refusal_of_a_run(tmp_path: Path) -> None:
    """The last call is refused by the contracts alone; what it has read is in the file as well."""
    ground = Ground(tmp_path, ASKING, REFUSING)
    finding = ground.run(400)
    assert finding.message.startswith("vault.withdraw: one side alone refuses")
    case = ground.case(finding)
    assert case.is_judged
    assert len(case.trace) <= 3
    path = write(case, tmp_path / "found", "seed 1")
    assert "refused (vault: insufficient cash): " in path.read_text()
    with pytest.raises(Finding, match=r"vault\.withdraw: one side alone refuses"):
        replay(path.with_suffix(".json"))
    play(ground.with_right_code(case), case.cast, case.trace, case.message)


def test_outcome_of_a_call_the_model_does_not_know(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    token, stranger = ground.wiring.token, ground.wiring.keeper
    data = token.data.transfer(stranger, 5).hex()
    trace = [("send", stranger, token.address, data, "no reason")]
    case = ground.case(Finding("token.transfer reverts: 'no reason'", trace))
    assert (case.trace, case.is_judged) == (trace, True)
    path = write(case, tmp_path, "a test")
    with pytest.raises(Finding, match=r"token\.transfer reverts"):
        replay(path.with_suffix(".json"))
    rich = case.state.chain(WalletRevm)
    rich.send(token.address, token.data.mint(stranger, 5), sender=stranger)
    play(rich, case.cast, case.trace, case.message)


def test_finding_that_a_replay_cannot_judge(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    block = ("block", ground.chain.block_number + 1, ground.chain.timestamp + 12)
    case = ground.case(Finding("share price fell from 3 to 2", [block]))
    assert not case.is_judged
    path = write(case, tmp_path, "a test")
    with pytest.raises(Finding, match="cannot judge this, look at it: share price fell"):
        replay(path.with_suffix(".json"))


def test_file_without_a_case(tmp_path: Path) -> None:
    path = tmp_path / "case.json"
    for text in ("", "[]", '{"cast": {}}', '{"cast": {"accounts": 3}, "trace": []}'):
        path.write_text(text)
        with pytest.raises(BallastError, match=r"case\.json holds no case"):
            Case.load(path)
