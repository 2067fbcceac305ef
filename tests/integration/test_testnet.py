"""The testnet path against a node that behaves like one: Sepolia's chain id, blocks by the clock,
no unlocked accounts, a keystore account that signs here, and a node that dies and forgets.

`ape run` runs as a child process, as a stranger types it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import click
import pytest
from ape import networks
from ape.logging import LogLevel, logger
from ape_accounts.accounts import KeyfileAccount
from eth_account import Account

from ballast import commands, config, contracts, govern, record
from ballast.ape_chain import ApeChain
from ballast.build import ROOT, artifact
from ballast.client import Ballast
from ballast.deploy import deploy
from ballast.errors import DeployError, VerificationError
from ballast.node import Node
from ballast.record import Record
from ballast.signing import key_from_label
from ballast.standin import SEPOLIA, StandIn
from ballast.verify import differences, venues, verify

pytestmark = pytest.mark.node

STRANGER = key_from_label("a stranger with a funded key")
PUBLISHERS = [key_from_label(f"publisher {i}").address for i in range(3)]
PASSPHRASE = "correct horse"
ETHER = 10**18
STEP_SECONDS = 150
DAY = 86_400


@pytest.fixture
def keystore(tmp_path: Path) -> Path:
    """Ape's data folder with one account, as `ape accounts import` leaves it."""
    folder = tmp_path / "ape" / "accounts"
    folder.mkdir(parents=True)
    kept = Account.encrypt(STRANGER.key, PASSPHRASE, kdf="pbkdf2", iterations=1_000)
    (folder / "deployer.json").write_text(json.dumps(kept))
    return folder.parent


class Terminal:
    """`ape run ...` in a shell that knows the node, the keystore and its passphrase."""

    def __init__(self, url: str, keystore: Path, path: Path, network: str = "sepolia") -> None:
        self.record, self._network = path, network
        self._environment = {
            **os.environ,
            "APE_DATA_FOLDER": str(keystore),
            "APE_ACCOUNTS_deployer_PASSPHRASE": PASSPHRASE,
            "WEB3_PROVIDER_URI": url,
            "COLUMNS": "200",
            "PYTHONPATH": str(ROOT),
        }

    def start(self, *args: str) -> subprocess.Popen[str]:
        command = [str(Path(sys.executable).parent / "ape"), "run", *args]
        command += ["--network", f"ethereum:{self._network}:node"]
        command += ["--deployment", str(self.record)]
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *args: str) -> tuple[int, str]:
        process = self.start(*args)
        try:
            out, errors = process.communicate(timeout=STEP_SECONDS)
        finally:
            process.kill()
        return process.returncode, out + errors


def wait_for(path: Path, contracts: int) -> None:
    """Wait until the record names as many contracts."""
    deadline = time.monotonic() + STEP_SECONDS
    while not path.exists() or len(record.load(path).contracts) < contracts:
        assert time.monotonic() < deadline, f"no {contracts} contracts in {STEP_SECONDS} s"
        time.sleep(0.05)


def test_stranger_deploys_while_the_node_dies(keystore: Path, tmp_path: Path) -> None:
    path = tmp_path / "sepolia.json"
    options = ["--account", "deployer", *(x for p in PUBLISHERS for x in ("--publisher", p))]
    with StandIn(block_seconds=1, folder=tmp_path / "node") as node:
        terminal = Terminal(node.url, keystore, path)
        node.fund(STRANGER.address, ETHER)

        # The node dies with blocks it had not saved.
        first = terminal.start("deploy", *options)
        wait_for(path, 4)
        node.save()
        wait_for(path, 6)
        node.kill()
        out, errors = first.communicate(timeout=STEP_SECONDS)
        assert first.returncode == 1, out
        assert "run the same command again" in errors
        assert "Traceback" not in errors
        half = record.load(path)
        assert half.status == "unfinished"
        node.restart()
        lost = [
            a for a in half.contracts.values() if node.node.ask("eth_getCode", a, "latest") == "0x"
        ]
        assert lost
        code, told = terminal.run("deploy", *options)
        assert code == 0, told
        assert "is not on chain" in told
        kept = record.load(path)
        assert (kept.status, kept.chain_id, kept.deployer) == (
            "complete",
            SEPOLIA,
            STRANGER.address,
        )
        assert kept.contracts["MarginVault"] == half.contracts["MarginVault"]
        assert kept.config.signed_oracle.threshold == 2
        assert node.node.ask("eth_accounts") == []

        code, told = terminal.run("verify", "--standard-json", str(tmp_path / "json"))
        assert code == 0, told
        assert "clearinghouse: venues" in told
        assert len(list((tmp_path / "json").iterdir())) == len(kept.contracts) + 1


@pytest.mark.parametrize(
    ("network", "chain_id"),
    [("arbitrum-sepolia", 421_614), ("base-sepolia", 84_532), ("optimism-sepolia", 11_155_420)],
)
def test_the_rollups_testnets(keystore: Path, tmp_path: Path, network: str, chain_id: int) -> None:
    path = tmp_path / f"{network}.json"
    options = ["--account", "deployer", *(x for p in PUBLISHERS for x in ("--publisher", p))]
    with StandIn(chain_id=chain_id, block_seconds=1, folder=tmp_path / "node") as node:
        terminal = Terminal(node.url, keystore, path, network)
        node.fund(STRANGER.address, ETHER)
        code, told = terminal.run("deploy", *options)
        assert code == 0, told
        kept = record.load(path)
        assert (kept.status, kept.chain_id) == ("complete", chain_id)
        code, told = terminal.run("verify")
        assert code == 0, told


# What follows runs in this process, on a node that mines at once.


@pytest.fixture
def node(tmp_path: Path) -> Iterator[StandIn]:
    with StandIn(block_seconds=0, folder=tmp_path / "node") as node:
        node.fund(STRANGER.address, ETHER)
        yield node


@pytest.fixture
def account(keystore: Path) -> KeyfileAccount:
    return KeyfileAccount(keyfile_path=keystore / "accounts" / "deployer.json")


@pytest.fixture
def chain(
    node: StandIn, account: KeyfileAccount, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ApeChain]:
    monkeypatch.setenv("APE_ACCOUNTS_deployer_PASSPHRASE", PASSPHRASE)
    level = logger.level
    logger.set_level(LogLevel.ERROR)
    settings = {"uri": node.url}
    with networks.ethereum.sepolia.use_provider("node", provider_settings=settings) as provider:
        chain = ApeChain(provider)
        commands.unlock(chain, account)
        yield chain
    logger.set_level(level)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sepolia.json"


def asked(**choices: object) -> config.DeployConfig:
    return config.load(config.PARAMETERS / "sepolia.toml", publishers=PUBLISHERS, **choices)  # type: ignore[arg-type]


def run(chain: ApeChain, path: Path, **options: object) -> Record:
    return deploy(chain, asked(), sender=STRANGER.address, collateral=None, path=path, **options)  # type: ignore[arg-type]


def named(chain: ApeChain, kept: Record) -> list[str]:
    with pytest.raises(VerificationError) as caught:
        verify(chain, kept)
    return caught.value.differences


def test_blocks_lost_while_it_is_configured(chain: ApeChain, node: StandIn, path: Path) -> None:
    counted: list[str] = []

    def forget(line: str) -> None:
        counted.append(line)
        if len(counted) == 18:  # the second market is about to be listed; the first is lost
            node.rollback(3)

    with pytest.raises(DeployError, match="has lost blocks: run the same command again"):
        run(chain, path, progress=forget)
    assert record.load(path).markets == {}
    kept = run(chain, path)
    assert kept.markets == {"BTC": 1, "ETH": 2, "LINK": 3}
    assert verify(chain, kept) > 100

    # Finished, and its end is lost in a reorganisation: seen by `verify`, made up for by a run.
    node.reorganise(4)
    assert named(chain, record.load(path))
    assert run(chain, path).contracts == kept.contracts
    assert verify(chain, record.load(path)) > 100
    before = chain.nonce(STRANGER.address)
    run(chain, path)
    assert chain.nonce(STRANGER.address) == before


def test_every_kind_of_tampering_is_seen(chain: ApeChain, node: StandIn, path: Path) -> None:
    kept = run(chain, path)
    ballast = Ballast.from_deployment(chain, kept)
    reader, house, me = Node(node.url), ballast.clearinghouse, STRANGER.address
    assert differences([venues(reader, kept, chain.block_number)]) == []

    params = list(house.view.market_params(1))
    params[9] += 1
    house.send.set_market(1, tuple(params), sender=me)
    assert named(chain, kept) == ["BTC: taker_fee_bps: asked 5, found 6"]
    params[9] -= 1
    house.send.set_market(1, tuple(params), sender=me)
    assert verify(chain, kept) > 100

    ballast.oracle.send.set_publishers(sorted(PUBLISHERS[:2], key=str.lower), 2, sender=me)
    (line,) = named(chain, kept)
    assert line.startswith("signed oracle: publishers: asked ")
    ballast.oracle.send.set_publishers(sorted(PUBLISHERS, key=str.lower), 2, sender=me)

    house.send.set_venue(PUBLISHERS[0], True, sender=me)
    assert verify(chain, kept) > 100  # only its event tells
    (line,) = differences([venues(reader, kept, chain.block_number)])
    assert line.startswith("clearinghouse: venues: asked ")
    assert PUBLISHERS[0] in line

    lens = kept.contracts["Lens"]
    code = chain.code(lens)
    node.node.ask(
        "anvil_setCode", lens, "0x" + (code[:-600] + bytes([code[-600] ^ 1]) + code[-599:]).hex()
    )
    assert any("Lens" in line for line in named(chain, kept))


def test_governance_with_its_delay(chain: ApeChain, node: StandIn, path: Path) -> None:
    kept, me = run(chain, path), STRANGER.address
    wanted, call = govern.announce(kept, "BTC", {"initial_margin_bps": "400"})
    at = govern.send_announcement(chain, kept, wanted, call, sender=me, path=path)
    assert at == chain.timestamp + 2 * DAY
    with pytest.raises(govern.GovernanceError, match="left"):
        govern.set_market(chain, record.load(path), "BTC", {})
    node.node.ask("evm_increaseTime", 2 * DAY)
    node.mine(1)
    change = govern.set_market(chain, kept, "BTC", {})
    govern.carry_out(chain, kept, change, sender=me, path=path)
    assert verify(chain, record.load(path)) > 100

    sol = config.read_market({**config.market_as_file(wanted), "symbol": "SOL"})
    more = config.DeployConfig(kept.config.signed_oracle, (*kept.config.markets, sol))
    listing = govern.list_market(chain, kept, more, "SOL")
    govern.carry_out(chain, kept, listing, sender=me, path=path)
    assert record.load(path).markets["SOL"] == 4
    assert verify(chain, record.load(path)) > 100


def test_markets_priced_by_chainlink(chain: ApeChain, path: Path) -> None:
    me, wanted = STRANGER.address, asked(oracle="chainlink")
    with pytest.raises(
        DeployError, match=r"market BTC: feed 0x1b44\w+ has no code on chain 11155111"
    ):
        deploy(chain, wanted, sender=me, collateral=None, path=path)
    assert chain.nonce(me) == 0
    feed, _ = chain.deploy(artifact("MockAggregator").deploy_code(8), sender=me)
    markets = tuple(replace(market, feed=feed) for market in wanted.markets)
    kept = deploy(chain, replace(wanted, markets=markets), sender=me, collateral=None, path=path)
    oracle = kept.contracts["ChainlinkOracle"]
    assert contracts.at(chain, "ChainlinkOracle", oracle).view.feed_of(3) == (feed, 3_600)
    house = contracts.at(chain, "Clearinghouse", kept.contracts["Clearinghouse"])
    assert house.view.market_params(3).oracle == oracle


def script(name: str) -> ModuleType:
    """A script as Ape loads it."""
    spec = importlib.util.spec_from_file_location(f"{name}_script", ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_commands_say_what_they_did(
    chain: ApeChain,
    node: StandIn,
    path: Path,
    account: KeyfileAccount,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # The commands' functions, without the parsing of --network: it would end the open connection.
    monkeypatch.setattr(commands, "load_account", lambda chain, alias: account)
    scripts = {name: script(name) for name in ("deploy", "verify", "govern")}
    common = {"provider": networks.active_provider, "record_path": path}
    me = STRANGER.address

    def done(told: str, name: str, command: str = "", **options: object) -> None:
        cli = scripts[name].cli
        if command:
            cli = cli.commands[command]
            options = {"alias": None, "dry_run": False, **options}
        capsys.readouterr()
        with suppress(SystemExit):
            cli.callback(**common, **options)
        shown = capsys.readouterr()
        assert told in shown.out + shown.err

    def refused(told: str, name: str, command: str = "", **options: object) -> None:
        with pytest.raises(click.ClickException, match=re.escape(told)):
            done("", name, command, **options)

    refused(
        "no sepolia.json: `ape run deploy` on this network comes first", "verify", json_folder=None
    )
    refused("none are named: pass --publisher ADDRESS for each", "deploy")
    node.node.ask("anvil_setBalance", me, hex(10**15))
    refused("has 0.001000 ETH; 50,000,000 gas", "deploy", publishers=PUBLISHERS)
    done("Plan (nothing is sent)", "deploy", publishers=PUBLISHERS, dry_run=True)
    assert chain.nonce(me) == 0
    node.fund(me, ETHER)
    kept = run(chain, path)

    done("clearinghouse: venues", "verify", json_folder=None)
    made = chain.nonce(me)
    done("nothing was sent", "govern", "pause", symbol="BTC", dry_run=True)
    assert chain.nonce(me) == made
    done("sepolia.json is up to date", "govern", "pause", symbol="BTC")
    done("sepolia.json is up to date", "govern", "unpause", symbol="BTC")
    assert chain.nonce(me) == made + 2
    raised = ("initial_margin_bps=900",)
    done("`ape run govern set BTC` from 20", "govern", "announce", symbol="BTC", changes=raised)
    refused("left", "govern", "set", symbol="BTC", changes=())
    changes = ("taker_fee_bps=4", "max_age_seconds=30")
    done("up to date", "govern", "set", symbol="ETH", changes=changes)
    refused("field=value is expected", "govern", "set", symbol="ETH", changes=("taker_fee_bps",))
    refused("no contract is offered to", "govern", "accept-ownership")
    done("as recorded", "verify", json_folder=None)

    house = contracts.at(chain, "Clearinghouse", kept.contracts["Clearinghouse"])
    house.send.set_guardian(PUBLISHERS[0], sender=me)
    done("differs: guardian: asked 0x0000", "verify", json_folder=None)
    assert scripts["verify"].run(**common)

    # A node that shows nothing of a whole deployment is not taken at its word.
    node.rollback(node.block_number)
    refused("is the node in step with its chain?", "deploy", publishers=PUBLISHERS)
