"""A publisher whose clock is wrong: a process of its own, otherwise the real thing.

`python -m tests.support.publishing RECORD SOURCES SECONDS` with its key in `PUBLISHER`.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from eth_account import Account

from ballast import record
from ballast.publish import sources
from ballast.publish.publisher import Publisher
from ballast.signing import Domain
from ballast.web import serving


def main(kept: Path, file: Path, seconds_behind: int) -> None:
    """Sign and serve for ever, with a clock that is behind."""

    def clock() -> float:
        return time.time() - seconds_behind

    known = record.load(kept)
    domain = Domain(known.chain_id, known.contracts["SignedPriceOracle"])
    signer = Account.from_key(os.environ["PUBLISHER"])
    source = sources.load(file, clock)
    made = Publisher(source, signer, domain, known.markets, interval_seconds=1, clock=clock)
    with serving(made.pages(), made.metrics, 0) as at:
        print(f"publisher {made.address} at {at}/reports", file=sys.stderr, flush=True)
        made.run(threading.Event())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
