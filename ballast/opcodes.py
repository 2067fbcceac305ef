"""Which storage a call reads, out of its trace (EIP-3155 lines, as pyrevm prints them).

The journal forgets what a refused call has read; its trace is the only way to see it. It is slow
(about a millisecond an instruction).
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterable
from typing import Any

from ballast.abi import checksum

_STORAGE = ("SLOAD", "SSTORE")
_ACCOUNT = ("EXTCODESIZE", "EXTCODEHASH", "EXTCODECOPY")
_OTHERS_STORAGE = ("CALL", "STATICCALL")
_OTHERS_CODE = ("DELEGATECALL", "CALLCODE")


def reads(to: str, lines: Iterable[str]) -> dict[str, set[int]]:
    """The slots that a call to `to` reads or writes, by address (checksummed); an account of which
    only the code is used has none."""
    called = checksum(to)
    found: dict[str, set[int]] = {called: set()}
    owners: dict[int, str] = {}  # by depth: whose storage is worked on
    last_depth = -1
    for line in lines:
        step = json.loads(line)
        name, depth, stack = step["opName"], step["depth"], step["stack"]
        if depth > last_depth:
            owners[depth] = called
        last_depth, here = depth, owners[depth]
        if name in _STORAGE:
            found[here].add(int(stack[-1], 16))
        elif name in _ACCOUNT:
            found.setdefault(_address(stack[-1]), set())
        elif name in _OTHERS_STORAGE or name in _OTHERS_CODE:
            target = _address(stack[-2])
            found.setdefault(target, set())
            called = target if name in _OTHERS_STORAGE else here
    return found


def traced(evm: Any, run: Callable[[], Any]) -> list[str]:
    """The trace of what `run` does on a pyrevm EVM; `run` may raise RuntimeError."""
    printed = io.StringIO()
    evm.tracing = True
    try:
        with contextlib.redirect_stdout(printed), contextlib.suppress(RuntimeError):
            run()
    finally:
        evm.tracing = False
    return printed.getvalue().splitlines()


def _address(word: str) -> str:
    return checksum(f"0x{int(word, 16) & 2**160 - 1:040x}")
