"""A browser, the built page, and a deployment to use it on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ape import accounts
from playwright.sync_api import Browser, sync_playwright

from ballast.build import ROOT
from ballast.standin import StandIn
from tests.support.live import PRICES, Live, live
from tests.support.relaying import RelayProcess, Trading
from tests.web.site import (
    CHROMIUM,
    DIST,
    FLAGS,
    Site,
    deployment,
    generate,
    serving,
    wallet_script,
)

TRADERS = 6


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's chromium, without a window."""
    if not Path(CHROMIUM).exists():
        pytest.fail(
            f"{CHROMIUM} is missing: the page's tests need Debian's chromium (`make web-test`)"
        )
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def wallet() -> str:
    """The page as it is now, built; and the test wallet's script."""
    generate()
    subprocess.run(["npm", "run", "--silent", "build"], cwd=ROOT, check=True)
    return wallet_script()


@pytest.fixture(scope="session")
def node() -> Iterator[StandIn]:
    """A node with a testnet's chain id that holds no keys: every transaction comes to it signed. A
    block with each, until a test says otherwise."""
    with StandIn(block_seconds=0) as started:
        yield started


@pytest.fixture(scope="session", params=[True], ids=["permits"])
def town(node: StandIn, request: pytest.FixtureRequest) -> Iterator[Live]:
    """A deployment on `node`, with traders who have coin and money; the parameter says whether its
    token has permits."""
    node.fund(accounts.test_accounts[0].address)
    with live(node.url, TRADERS, faucet=request.param) as found:
        for key in found.traders:
            node.fund(key.address)
            found.ballast.token.send.mint(key.address, 50_000 * 10**6, sender=found.sender)
        yield found


@contextmanager
def put_back(town: Live) -> Iterator[None]:
    """Whatever is done to the chain is undone; prices are fresh at the beginning."""
    mark = town.mark()
    town.report(dict(PRICES), seconds=1)
    yield
    town.node.ask("evm_setAutomine", True)
    town.back(mark)


@contextmanager
def opened(site: Site) -> Iterator[Site]:
    """A site whose scripts must not fail."""
    yield site
    site.close()
    assert site.errors == []


@pytest.fixture
def site(browser: Browser, wallet: str, town: Live) -> Iterator[Site]:
    """The page over `town`, without a relay."""
    settings = {"rpc_url": town.url, "deployment": deployment(town)}
    with (
        put_back(town),
        serving(settings) as address,
        opened(Site(browser, address, town, wallet)) as found,
    ):
        yield found


@pytest.fixture(scope="module")
def relay(
    town: Live, wallet: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RelayProcess]:
    """A relay that serves the page itself, for one module's tests. (`wallet` builds the page.)"""
    with put_back(town):
        process = RelayProcess(town, tmp_path_factory.mktemp("relay"), "--static", str(DIST))
        try:
            process.start()
            yield process
        finally:
            process.end()


@pytest.fixture
def desk(browser: Browser, wallet: str, town: Live, relay: RelayProcess) -> Iterator[Site]:
    """The page as the relay serves it; the wallet is its node."""
    with opened(Site(browser, relay.url + "/", town, wallet)) as found:
        yield found


@pytest.fixture
def trading(town: Live) -> Trading:
    return Trading(town)
