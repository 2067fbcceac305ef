"""Brings the pictures that docs/TRADING.md shows from build/web, where the page's tests leave them,
into docs/images/trading: `make web-pictures`."""

from __future__ import annotations

import re
import shutil

from ballast.build import ROOT
from tests.web.site import PICTURES

PAGE = ROOT / "docs" / "TRADING.md"
SHOWN = PAGE.parent / "images" / "trading"
MOST_BYTES = 120_000


def named() -> list[str]:
    """The pictures the document shows, by file name."""
    return re.findall(r"\]\(images/trading/([\w-]+\.png)\)", PAGE.read_text())


def main() -> None:
    """Raises `SystemExit` where the tests have left no such picture, or one too large."""
    shutil.rmtree(SHOWN, ignore_errors=True)
    SHOWN.mkdir(parents=True)
    for name in named():
        made = PICTURES / name
        if not made.exists():
            raise SystemExit(f"no {name} in {PICTURES}: run `make web-test` first")
        if made.stat().st_size > MOST_BYTES:
            raise SystemExit(f"{name} has {made.stat().st_size:,} bytes, over {MOST_BYTES:,}")
        shutil.copy(made, SHOWN / name)
        print(f"{made.stat().st_size:>8,}  {name}")


if __name__ == "__main__":
    main()
