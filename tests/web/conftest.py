"""A browser, the built page, and a deployment to use it on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from ballast.build import ROOT
from tests.support.live import Live, live
from tests.support.nodes import anvil
from tests.web.site import CHROMIUM, FLAGS, Site, deployment, generate, serving, wallet_script

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


@pytest.fixture(scope="module", params=[True], ids=["permits"])
def town(anvil_path: str, request: pytest.FixtureRequest) -> Iterator[Live]:
    """A deployment on a node of its own, with traders who have coin and money; the parameter says
    whether its token has permits."""
    with anvil(anvil_path) as url, live(url, TRADERS, faucet=request.param) as found:
        for key in found.traders:
            found.node.ask("anvil_setBalance", key.address, hex(10**20))
            found.ballast.token.send.mint(key.address, 50_000 * 10**6, sender=found.sender)
        yield found


@pytest.fixture
def site(browser: Browser, wallet: str, town: Live) -> Iterator[Site]:
    """The page over `town`, without a relay; the chain is put back afterwards."""
    mark = town.mark()
    settings = {"rpc_url": town.url, "deployment": deployment(town)}
    with serving(settings) as address:
        opened = Site(browser, address, town, wallet)
        yield opened
        errors = list(opened.errors)
        opened.close()
    town.back(mark)
    assert errors == []
