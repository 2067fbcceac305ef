"""`ape run watch` on a node: what people are told of a bankruptcy, by a real webhook."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ballast.alerts.memory import Memory
from ballast.alerts.post import Post, Webhook
from ballast.alerts.rules import Alert, Limits, decimal
from ballast.alerts.watcher import Watcher
from ballast.errors import ConfigError, NodeError
from tests.integration.test_fork import script
from tests.support.live import PUBLISHERS, Live, live
from tests.support.webhook import Receiver

ROOT = Path(__file__).resolve().parents[2]
WAD = 10**18
LOSER, WINNER, EARLY, LATE = range(4)

pytestmark = pytest.mark.node


@pytest.fixture
def market(anvil_url: str) -> Iterator[Live]:
    with live(anvil_url, traders=4) as found:
        yield found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


class Desk:
    """A watcher of everybody that can be started again."""

    def __init__(self, market: Live, receiver: Receiver, place: Path) -> None:
        self._market, self._receiver, self._place = market, receiver, place
        self.start()

    def start(self) -> None:
        """Start anew with what the last one remembered."""
        self.memory = Memory.load(self._place / "told.json")
        post = Post([Webhook(self._receiver.url)], self.memory, sleep=lambda seconds: None)
        accounts = [self._market.account(place) for place in range(4)]
        self.watcher: Watcher = script("watch").made(
            self._market.url,
            self._market.record,
            accounts,
            Limits(near_bps=50, insurance_quote=1_900 * WAD),
            self.memory,
            post,
            self._place,
        )

    def round(self) -> list[Alert]:
        """One look."""
        return self.watcher.round()

    def kinds(self) -> list[str]:
        """The kinds of what one look tells."""
        return sorted(alert.kind for alert in self.round())


def test_a_bankruptcy_is_told(market: Live, receiver: Receiver, tmp_path: Path) -> None:
    ballast, house = market.ballast, market.ballast.clearinghouse
    desk = Desk(market, receiver, tmp_path / "watch")
    assert desk.round() == []
    market.trade(1, LOSER, WINNER, 40_000)
    assert desk.round() == []
    # While the webhook is down: the loser is bankrupt, the winner moves in the queue or does not.
    receiver.status = 503
    market.move(0.94)
    loser, winner = market.account(LOSER), market.account(WINNER)
    assert house.view.equity(loser) < 0
    assert {"liquidatable", "bankrupt", "liquidation_near"} <= set(desk.kinds())
    assert receiver.bodies == []
    size = -int(house.view.position(winner, 1)[0])
    # Somebody deleverages while nobody watches; the watcher comes back, so does the webhook.
    receipt = ballast.deleverage(loser, sender=market.sender)
    receiver.status = 200
    desk.start()
    told = desk.round()
    assert [body["text"] for body in receiver.bodies][-len(told) :] == [a.text for a in told]
    assert {"liquidatable", "bankrupt"} <= {body["kind"] for body in receiver.bodies}
    assert desk.memory.queue == []
    (lost,) = [alert for alert in told if alert.kind == "deleveraged"]
    close = house.event(receipt, "ForcedClose")
    whole = house.event(receipt, "Deleveraged")
    assert lost.account == "0x" + winner.hex()
    assert lost.transaction == receipt.transaction_hash  # type: ignore[attr-defined]
    assert lost.details["closed"] == decimal(size) == decimal(close.size)
    assert lost.details["price"] == decimal(close.price) != decimal(close.oracle_price)
    assert lost.details["given_up"] == decimal(size * (close.price - close.oracle_price) // WAD)
    assert lost.details["bankrupt"] == "0x" + loser.hex()
    assert f"insurance paid {decimal(whole.insurance_quote)}" in lost.text
    assert whole.insurance_quote > 0
    assert {"bankrupt_closed", "insurance_low"} <= {alert.kind for alert in told}
    assert house.view.position(winner, 1)[0] == 0
    assert desk.round() == []


def test_claims_oracles_and_reorganisations(
    market: Live, receiver: Receiver, tmp_path: Path
) -> None:
    ballast = market.ballast
    desk = Desk(market, receiver, tmp_path / "watch")
    desk.round()
    # A winner closes while the loser, who still holds, has paid nobody.
    market.trade(1, EARLY, LATE, 10_000)
    market.move(1.04)
    desk.round()
    market.trade(1, WINNER, EARLY, 10_400)
    claims = [alert for alert in desk.round() if alert.kind == "claim_waits"]
    assert [alert.account for alert in claims] == ["0x" + market.account(EARLY).hex()]
    waiting = ballast.clearinghouse.view.unsettled(market.account(EARLY))
    assert claims[0].details["claim"] == decimal(waiting)
    # Silence makes prices stale, reports make them fresh.
    market.mine(1)
    market.chain.mine(400)
    assert desk.kinds() == ["oracle_stale"] * 3
    market.report(market.prices)
    assert desk.round() == []
    market.report(market.prices, seconds=61)
    over = desk.round()
    assert [(alert.kind, alert.is_over) for alert in over] == [("oracle_stale", True)] * 3
    # A step beyond the breaker's bound.
    mark = market.mark()
    market.chain.mine(12)
    step = {2: market.prices[2] * 5 // 4}
    ballast.report_prices(step, PUBLISHERS[:3], sender=market.sender)
    breaker = [alert for alert in desk.round() if alert.kind == "oracle_breaker"]
    assert [alert.market for alert in breaker] == ["ETH"]
    # Another branch, in which it never came.
    market.back(mark)
    market.chain.mine(10)
    market.chain.mine(10)
    market.chain.mine(60)
    told = desk.round()
    assert [alert.kind for alert in told if alert.kind == "reorganised"] == ["reorganised"]
    market.chain.mine(61)
    market.report(market.prices)
    kinds = {(alert.kind, alert.is_over) for alert in desk.round()}
    assert ("oracle_breaker", True) in kinds
    # The mirror that went through the blocks is the one that stands at their end.
    watcher: Any = desk.watcher
    timestamp = market.chain.timestamp
    assert watcher._mirror.book(timestamp) == watcher._feed.indexer.book(timestamp)
    seen = {body["kind"] for body in receiver.bodies}
    assert {"claim_waits", "oracle_stale", "oracle_breaker", "reorganised"} <= seen


def test_bands_of_a_moving_market(market: Live, receiver: Receiver, tmp_path: Path) -> None:
    """The only seller is first in line, until one who sold higher stands ahead of it."""
    house = market.ballast.clearinghouse
    desk = Desk(market, receiver, tmp_path / "watch")
    market.trade(1, LOSER, WINNER, 10_000)
    desk.round()
    winner = market.account(WINNER)
    before = house.view.adl_rank(winner, 1)[2]
    assert before == 5
    market.move(1.08)
    market.trade(1, EARLY, LATE, 30_000)
    market.move(0.9)
    market.chain.mine(60)
    told = {a.account: a for a in desk.round() if a.kind == "adl_band"}
    after = house.view.adl_rank(winner, 1)
    assert after[2] != before
    alert = told["0x" + winner.hex()]
    assert (alert.details["before"], alert.details["band"]) == (str(before), str(after[2]))
    assert alert.details["size_ahead"] == decimal(after[1])


def test_a_node_that_fails_in_between(
    market: Live, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks are taken in, then the node fails: the forced close in them is told in the end."""
    desk = Desk(market, receiver, tmp_path / "watch")
    market.trade(1, LOSER, WINNER, 40_000)
    desk.round()
    market.move(0.94)
    market.ballast.deleverage(market.account(LOSER), sender=market.sender)
    watcher: Any = desk.watcher
    house_at = watcher._house_at

    def fails(block: Any) -> Any:
        raise NodeError("gone")

    watcher._house_at = fails
    for _ in range(2):
        with pytest.raises(NodeError):
            desk.round()
    watcher._house_at = house_at
    kinds = desk.kinds()
    assert kinds.count("deleveraged") == kinds.count("bankrupt_closed") == 1
    assert desk.round() == []


def test_command(market: Live, receiver: Receiver, tmp_path: Path) -> None:
    """As a user types it; the webhook is a secret of the environment."""
    market.trade(1, LOSER, WINNER, 40_000)
    market.mine(1)
    market.chain.mine(400)
    deployment = tmp_path / "local.json"
    market.record.save(deployment)
    owner = market.traders[LOSER].address
    command = [str(Path(sys.executable).parent / "ape"), "run", "watch", "--once"]
    command += ["--network", "ethereum:local:foundry", "--deployment", str(deployment)]
    command += ["--account", owner, "--account", f"{owner}/1", "--webhook-env", "HOOK"]
    command += ["--form", "discord", "--state", str(tmp_path / "state")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOOK": receiver.url}
    environment["APE_FOUNDRY_HOST"] = market.url
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the price is stale") == 3
    assert "from your liquidation price" in done.stdout
    assert len(receiver.bodies) == 4
    assert all(set(body) == {"content", "allowed_mentions"} for body in receiver.bodies)
    assert receiver.url not in done.stdout + done.stderr


def test_options() -> None:
    watch = script("watch")
    owner = "0x" + "ab" * 20
    assert watch.account_of(owner) == bytes.fromhex("ab" * 20 + "00" * 12)
    assert watch.account_of(f"{owner}/7")[-1] == 7
    assert watch.account_of("0x" + "cd" * 32) == bytes.fromhex("cd" * 32)
    for bad in ("me", owner + "/x", "0x" + "cd" * 31):
        with pytest.raises(ConfigError, match="is no address"):
            watch.account_of(bad)
    assert watch.quote_of("1.5") == 15 * WAD // 10
    with pytest.raises(ConfigError, match="is no amount"):
        watch.quote_of("much")
    with pytest.raises(ConfigError, match="NO_SUCH is not set"):
        watch.from_environment("NO_SUCH")
