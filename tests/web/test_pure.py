"""The page's pure parts, in node, against what the Python package says."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

from ballast.build import ROOT
from ballast.model import grid
from ballast.signing import Domain, Order, account_id, key_from_label, order_digest, sign_order
from tests.web.site import generate

CASES = 40
SECONDS = 120


def _order(rnd: random.Random) -> dict[str, Any]:
    signer = key_from_label(f"page {rnd.randrange(1 << 30)}")
    sub = rnd.choice([0, 1, rnd.randrange(1 << 96)])
    domain = Domain(rnd.choice([1, 31_337, 11_155_111]), key_from_label("contract").address)
    order = Order(
        account_id(signer.address, sub),
        rnd.randrange(1, 4_096),
        rnd.random() < 0.5,
        rnd.randrange(1 << 96),
        rnd.randrange(1 << 96),
        rnd.random() < 0.5,
        rnd.random() < 0.5,
        rnd.randrange(1 << 64),
        rnd.randrange(1 << 256),
    )
    names = ("account", "market", "is_buy", "size", "limit_price", "reduce_only", "post_only")
    values = dict(zip((*names, "expiry", "salt"), order.as_tuple(), strict=True))
    shown = {
        name: value if isinstance(value, bool) else str(value) for name, value in values.items()
    }
    return {
        "order": {**shown, "account": "0x" + order.account.hex()},
        "owner": signer.address,
        "sub": str(sub),
        "chain_id": domain.chain_id,
        "contract": domain.contract,
        "digest": "0x" + order_digest(domain, order).hex(),
        "key": "0x" + signer.key.hex().removeprefix("0x"),
        "signature": "0x" + sign_order(domain, order, signer).signature.hex(),
    }


def test_pure_parts(tmp_path: Path) -> None:
    rnd = random.Random(6)
    orders, rule = tmp_path / "orders.json", tmp_path / "grid.json"
    orders.write_text(json.dumps([_order(rnd) for _ in range(CASES)]))
    ticks = [0, 1, 127, 128, 129, 8_191, 8_192, *(rnd.randrange(8_192) for _ in range(CASES))]
    held = [(rnd.randrange(10**24), rnd.randrange(-(10**22), 10**23)) for _ in range(CASES)]
    tiers = [(str(n), str(e), grid.tier_of(n, e)) for n, e in held]
    rule.write_text(json.dumps({"edges": [(t, str(grid.edge(t))) for t in ticks], "tiers": tiers}))
    environment = {**os.environ, "ORDERS": str(orders), "GRID": str(rule)}
    generate()
    ran = subprocess.run(
        ["npm", "run", "--silent", "test"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-5_000:] + ran.stderr[-2_000:]
    assert "fail 0" in ran.stdout
