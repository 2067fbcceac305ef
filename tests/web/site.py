"""The built page in a browser, over a deployment on a local node, with or without a relay."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from eth_account.signers.local import LocalAccount
from playwright.sync_api import Browser, BrowserContext, Page, expect

from ballast.build import ROOT, artifact
from tests.support.live import Live

DIST = ROOT / "web" / "dist"
PICTURES = ROOT / "build" / "web"
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-lcd-text",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ESBUILD = ROOT / "node_modules" / ".bin" / "esbuild"
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
CONTRACTS = (
    "Clearinghouse",
    "Lens",
    "SettlementEngine",
    "WaterfallEngine",
    "MarginVault",
    "OrderSettlement",
    "InsuranceFund",
    "TestToken",
)
"""Those whose ABIs `web/generate.mjs` takes from the build."""
PATIENCE = 20_000
WIDE = {"width": 1440, "height": 1000}
PHONE = {"width": 390, "height": 844}

expect.set_options(timeout=PATIENCE)


class _Handler(SimpleHTTPRequestHandler):
    """The folder, and `config.json` as the test has it."""

    settings: dict[str, Any]

    def do_GET(self) -> None:
        if self.path != "/config.json":
            return super().do_GET()
        body = json.dumps(self.settings).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged."""


@contextmanager
def serving(settings: dict[str, Any]) -> Iterator[str]:
    """The built page's address, with this `config.json` beside it."""
    handler = type("Handler", (_Handler,), {"settings": settings})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(DIST)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def deployment(live: Live) -> dict[str, Any]:
    """What `/api/config` would say of a deployment."""
    symbols = {market: symbol for symbol, market in live.ballast.markets.items()}
    return {
        "chain_id": live.chain.chain_id,
        "block": live.record.block,
        "contracts": live.record.contracts,
        "collateral": {
            "address": live.ballast.token.address,
            "decimals": 6,
            "symbol": live.ballast.token.view.symbol(),
            "is_faucet": True,
        },
        "markets": [{"market": market, "symbol": symbols[market]} for market in sorted(symbols)],
    }


def generate() -> None:
    """The page's generated sources, of the contracts as they are."""
    for name in CONTRACTS:
        artifact(name)
    subprocess.run(["npm", "run", "--silent", "generate"], cwd=ROOT, check=True)


def wallet_script() -> str:
    """`provider.ts` as one script."""
    source = Path(__file__).with_name("provider.ts")
    made = subprocess.run(
        [ESBUILD, str(source), "--bundle", "--format=iife", "--log-level=error"],
        capture_output=True,
        text=True,
        check=True,
    )
    return made.stdout


class Site:
    """The page of one deployment, opened as often as a test wants."""

    def __init__(self, browser: Browser, address: str, live: Live, wallet: str) -> None:
        self.live, self.address = live, address
        self._browser, self._wallet = browser, wallet
        self._contexts: list[BrowserContext] = []

    def open(
        self,
        key: LocalAccount | None = None,
        *,
        starts_on: int | None = None,
        dark: bool = False,
        phone: bool = False,
        path: str = "",
    ) -> Page:
        """A fresh browser profile on the page; with a wallet that holds `key`, if one is given."""
        context = self._browser.new_context(
            viewport=PHONE if phone else WIDE,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        self._contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        if key is not None:
            settings = {
                "rpc": self.live.url,
                "key": "0x" + key.key.hex().removeprefix("0x"),
                "chainId": self.live.chain.chain_id,
                "startsOn": starts_on or self.live.chain.chain_id,
            }
            page.add_init_script(f"window.testWalletSettings = {json.dumps(settings)};")
            page.add_init_script(self._wallet)
        self.watch(page)
        page.goto(self.address + path)
        expect(page.locator("body")).to_have_attribute("data-ready", "yes")
        return page

    def connected(self, key: LocalAccount, **options: Any) -> Page:
        """The page with the wallet connected and the account read."""
        page = self.open(key, **options)
        page.get_by_role("button", name="Connect Test Wallet").click()
        expect(page.locator(f"[data-owner='{key.address}']")).to_be_visible()
        expect(page.locator("#money dl")).to_be_visible()
        return page

    def watch(self, page: Page) -> None:
        """A script that fails, fails the test (see `errors`)."""
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    @property
    def errors(self) -> list[str]:
        """What scripts have thrown."""
        return self.__dict__.setdefault("_errors", [])

    def close(self) -> None:
        """Close every profile."""
        for context in self._contexts:
            context.close()


def picture(page: Page, name: str, *regions: str) -> None:
    """Keep what the page looks like in build/web: all of it, or the span of some regions without
    the messages that lie above the page."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {}
    if regions:
        boxes = [box for region in regions if (box := page.locator(region).bounding_box())]
        left, top = (min(box[side] for box in boxes) for side in ("x", "y"))
        right = max(box["x"] + box["width"] for box in boxes)
        bottom = max(box["y"] + box["height"] for box in boxes)
        scrolled: float = page.evaluate("window.scrollY")
        options["style"] = "#actions { visibility: hidden }"
        options["clip"] = {
            "x": max(0, left - 6),
            "y": max(0, top + scrolled - 6),
            "width": right - left + 12,
            "height": bottom - top + 12,
        }
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True, **options)


def modes(page: Page, name: str) -> None:
    """A state in light, in dark and on a phone: a picture of each, nothing for axe to say, nothing
    wider than the phone."""
    picture(page, name)
    assert axe(page) == []
    page.emulate_media(color_scheme="dark")
    picture(page, f"{name}-dark")
    assert axe(page) == []
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    picture(page, f"{name}-phone-dark")
    page.emulate_media(color_scheme="light")
    picture(page, f"{name}-phone")
    assert axe(page) == []
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]


def done(page: Page, what: str) -> None:
    """Wait until the page says that something has come to a good end."""
    box = page.locator("#actions [data-stage=done]", has_text=what).first
    try:
        expect(box).to_be_visible()
    except AssertionError as error:
        told = page.locator("#actions").inner_text() + " ".join(
            page.get_by_role("alert").all_inner_texts()
        )
        raise AssertionError(f"not done: {what}; the page says: {told}") from error


def failed(page: Page, what: str) -> str:
    """Wait until the page says that something failed; what it says."""
    box = page.locator("#actions [data-stage=failed]", has_text=what).first
    expect(box).to_be_visible()
    return box.inner_text()


def write(page: Page, side: str, size: str, price: str | None) -> None:
    """The ticket: a limit order, or a market order where there is no price."""
    page.locator("#kind-limit" if price else "#kind-market").check()
    page.locator(f"#side-{side}").check()
    page.locator("#ticket-size").fill(size)
    if price:
        page.locator("#ticket-price").fill(price)


def place(page: Page, side: str, size: str, price: str | None) -> None:
    """Write an order, and place it."""
    write(page, side, size, price)
    page.locator("#place").click()


def fact(page: Page, region: str, term: str) -> str:
    """The value of a fact in a region, once the chain has answered."""
    expect(page.locator(f"{region}[aria-busy=true]")).to_have_count(0)
    row = page.locator(f"{region} dl > div", has=page.locator("dt", has_text=term)).first
    expect(row).to_be_visible()
    return row.locator("dd").inner_text()


def signatures(page: Page) -> list[dict[str, Any]]:
    """The typed data the wallet has been asked to sign."""
    asked: list[dict[str, Any]] = page.evaluate(
        "testWallet.asked.filter((asked) => asked.method === 'eth_signTypedData_v4')"
        ".map((asked) => JSON.parse(asked.params[1]))"
    )
    return asked


def axe(page: Page) -> list[str]:
    """What axe-core finds wrong, in a line each."""
    page.evaluate(AXE.read_text())
    found: dict[str, Any] = page.evaluate("() => axe.run({ resultTypes: ['violations'] })")
    return [
        f"{v['id']}: {v['help']}: {node['html'][:120]}"
        for v in found["violations"]
        for node in v["nodes"]
    ]
