"""Waiting for what another process or a node's own thread is about to do."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

PATIENCE_SECONDS = 60


def until(is_so: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Look until it is so; fail where it is not within so many seconds."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s")
        time.sleep(0.05)
